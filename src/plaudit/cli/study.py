"""`plaudit study DIRECTORY [STUDY.toml]`: put questions about imported texts to people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.ask.study import StudyConfig, begin
from plaudit.exchange.bring import open_store
from plaudit.run.config import load
from plaudit.run.directory import RunDirectory


@dataclass(frozen=True)
class Arguments:
    """Ask people about texts that were imported: writes the questions, which `plaudit studio DIRECTORY` then shows."""

    directory: Annotated[Path, tyro.conf.Positional]
    """where `plaudit import` put the texts"""
    file: Annotated[Path | None, tyro.conf.Positional] = None
    """settings of the study (TOML); without one, 100 comparisons"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit study")
    RunDirectory(given.directory).require()
    config = StudyConfig() if given.file is None else load(StudyConfig, given.file)
    with open_store(given.directory) as store:
        asked = begin(store, config)
    kinds = Counter(query.kind.value for query in asked)
    what = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none; they were asked before"
    Console().print(f"New questions: {what}.\nLabel them with: plaudit studio {given.directory}", highlight=False)
    return 0
