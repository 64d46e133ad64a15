"""`plaudit rm RUN`: delete a run with everything in it, after asking."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.prompt import Confirm

from plaudit.run.directory import RunDirectory
from plaudit.store.blobs import FolderBlobs
from plaudit.store.copy import drop
from plaudit.store.place import place_of
from plaudit.store.store import Store


@dataclass(frozen=True)
class Arguments:
    """Delete a run: its answers, behaviour, checkpoints and reports. Asks first. Nothing brings it back but a backup."""

    directory: Annotated[Path, tyro.conf.Positional]
    """the run's directory"""
    yes: bool = False
    """do not ask"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit rm")
    directory, console = RunDirectory(given.directory), Console(highlight=False)
    directory.require()
    there = place_of(directory.store)
    with Store.open(directory.store) as store:
        events, answers = store.head()[0], sum(1 for _ in store.events(kinds={"feedback.given"}))
        apart = None if isinstance(store.blobs, FolderBlobs) and store.blobs.folder == directory.blobs else store.blobs
    console.print(f"{directory.path}: {events} events, {answers} answers, in {there}", markup=False, soft_wrap=True)
    if apart is not None:
        console.print("Its blobs lie elsewhere and stay there.")
    if not given.yes and not Confirm.ask("Delete it for good?", default=False, console=console):
        console.print("Nothing was deleted.")
        return 1
    directory.acquire()
    try:
        if not isinstance(there.address, Path):
            drop(there)
        shutil.rmtree(directory.path)
    finally:
        directory.release()
    console.print("deleted")
    return 0
