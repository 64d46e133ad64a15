"""`plaudit migrate RUN`: bring an older run to the present format; a backup is made first."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.errors import RunError
from plaudit.loop.run import FORMAT
from plaudit.run.directory import RunDirectory
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
        with Store.open(directory.store) as store:
            found = next(store.events(kinds={"run.created"})).payload["format"]
        if found > FORMAT:
            raise RunError(
                "This run was made by a newer plaudit", got=found, expected=FORMAT, next_step="install a newer plaudit"
            )
        if found == FORMAT:
            console.print(f"{directory.path} has format {found}, which is the present one; nothing to do.")
            return 0
        backup = directory.store.with_suffix(f".format{found}.backup")
        if given.dry_run:
            console.print(f"would copy the store to {backup} and go from format {found} to {FORMAT}")
            return 0
        shutil.copy2(directory.store, backup)
        raise RunError("No step is known for this format", got=found, expected=FORMAT)
    finally:
        directory.release()
