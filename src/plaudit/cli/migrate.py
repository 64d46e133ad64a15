"""`plaudit migrate RUN`: bring an older run to the present format; a backup is made first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.errors import RunError
from plaudit.run.directory import RunDirectory
from plaudit.store.migrate import migrate
from plaudit.store.schema import FORMAT
from plaudit.store.store import Store


@dataclass(frozen=True)
class Arguments:
    """Bring an older run to the present format. A backup of the store is made first."""

    directory: Annotated[Path, tyro.conf.Positional]
    """the run's directory"""
    dry_run: bool = False
    """only say what would be done"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit migrate")
    directory = RunDirectory(given.directory)
    directory.require()
    console = Console()
    directory.acquire()
    try:
        found = Store.format_of(directory.store)
        if found == str(FORMAT):
            console.print(f"{directory.path} has format {found}, which is the present one; nothing to do.")
            return 0
        if found is None or not found.isdigit() or int(found) > FORMAT:
            raise RunError(
                "This run was made by a newer plaudit", got=found, expected=FORMAT, next_step="install a newer plaudit"
            )
        backup = directory.store.with_suffix(f".format{found}.backup")
        if given.dry_run:
            console.print(f"would copy the store to {backup} and go from format {found} to {FORMAT}")
            return 0
        migrate(directory.store, backup)
        kept = f"; the store as it was lies in {backup}" if backup.exists() else ""  # a database server has its own
        console.print(f"{directory.path} has format {FORMAT} now{kept}")
        return 0
    finally:
        directory.release()
