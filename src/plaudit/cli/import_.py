"""`plaudit import FORMAT FILE... --to DIRECTORY`: bring published feedback into a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.exchange.bring import Problem, bring, open_store
from plaudit.exchange.formats import Format


@dataclass(frozen=True)
class Arguments:
    """Bring feedback in a published format into a store. The same files again change nothing; a bad row is named, and the
    rest is read. Exit status 1 when there were bad rows.
    """

    format: Annotated[Format, tyro.conf.Positional, tyro.conf.EnumChoicesFromValues]
    """what the rows are"""
    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """.jsonl, .json, .csv, .tsv (each also .gz), .parquet, .arrow, or folders of Hugging Face and Minari datasets"""
    to: Path
    """directory of the store; made when it is not there"""
    consent: str | None = None
    """version of the consent, or name of the licence, under which the annotators answered; noted for each of them"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit import")
    console, errors = Console(), Console(stderr=True)

    def tell(problem: Problem) -> None:
        errors.print(f"{problem.file}:{problem.line}: {problem.why}", markup=False, highlight=False, soft_wrap=True)

    bad = 0
    with open_store(given.to) as store:
        brought = bring(store, given.format, given.files, consented=given.consent, on_problem=tell)
        for one in brought:
            bad += one.bad
            console.print(
                f"{one.file}: {one.rows} rows, {one.judgements} judgements, {one.bad} bad rows, {one.fresh} new events",
                markup=False,
                soft_wrap=True,
            )
    return 1 if bad else 0
