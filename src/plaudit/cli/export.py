"""`plaudit export RUN --format FORMAT --to FILE`: write feedback about texts as a file that others read."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.errors import ConfigError
from plaudit.exchange.export import Selection, export, manifest_of, read_manifest, reproduce
from plaudit.exchange.shapes import Shape
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store


@dataclass(frozen=True)
class Arguments:
    """Write feedback about texts as a file that others read, with a manifest beside it that reproduces it bit for bit; or,
    with --manifest, do that again and compare.
    """

    directory: Annotated[Path, tyro.conf.Positional]
    """directory of the store"""
    format: Annotated[Shape, tyro.conf.EnumChoicesFromValues] = Shape.PLAUDIT
    """what the rows are; plaudit's own leave nothing out"""
    to: Path | None = None
    """file to write; its ending says how: .jsonl, .json, .csv, .parquet"""
    after: int = 0
    """only answers behind this event of the log"""
    upto: int | None = None
    """only answers up to this event of the log"""
    consent: tuple[str, ...] = ()
    """only answers of annotators who had agreed to one of these versions; none: everybody's"""
    manifest: Path | None = None
    """manifest of an earlier export to write again and compare; nothing is kept"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit export")
    directory = RunDirectory(given.directory)
    directory.require()
    console = Console(highlight=False)
    if (given.to is None) == (given.manifest is None):
        raise ConfigError("Say what to do", expected="either --to FILE or --manifest FILE")
    with Store.open(directory.store) as store:
        if given.manifest is not None:
            manifest = read_manifest(given.manifest)
            with tempfile.TemporaryDirectory() as folder:
                reproduce(store, manifest, Path(folder))
            console.print(f"{manifest.file}: the same {manifest.rows} rows, bit for bit", markup=False, soft_wrap=True)
        if given.to is not None:
            selection = Selection(given.format, given.after, given.upto, given.consent)
            done = export(store, selection, given.to)
            console.print(f"{done.rows} rows: {given.to}", markup=False, soft_wrap=True)
            for why, count in done.left_out.items():
                console.print(f"{count} left out: {why}", markup=False, soft_wrap=True)
            console.print(f"manifest: {manifest_of(given.to)}", markup=False, soft_wrap=True)
    return 0
