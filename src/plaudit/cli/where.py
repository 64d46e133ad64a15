"""`plaudit where RUN`: what lies where, and how big it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from plaudit.run.directory import RunDirectory


@dataclass(frozen=True)
class Arguments:
    """Show what lies where in a run's directory, and how big it is."""

    directory: Annotated[Path, tyro.conf.Positional]
    """the run's directory"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit where")
    directory = RunDirectory(given.directory)
    directory.require()
    table = Table("what", "where", "size", box=None)
    for name, (path, size) in directory.contents().items():
        table.add_row(name, str(path), f"{size / 1e6:.2f} MB" if path.exists() else "not there yet")
    Console().print(table)
    return 0
