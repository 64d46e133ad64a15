"""`plaudit backup RUN TO`: a copy of everything that a run has, also while it goes on."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.errors import IntegrityError, RunError
from plaudit.run.directory import RunDirectory
from plaudit.store.copy import snapshot
from plaudit.store.store import Store
from plaudit.worlds.chunks import is_whole

LEFT_OUT = ("store.sqlite*", "store.moved.sqlite", "blobs", ".lock", ".tmp*")
"""what is copied in its own way, and what belongs to a process"""


@dataclass(frozen=True)
class Arguments:
    """Copy a run's store, checkpoints, reports and settings into a new directory, and check the copy. The run may go on.

    The copy is a run's directory itself: it can be looked at, restored, and people can be erased from it.
    """

    directory: Annotated[Path, tyro.conf.Positional]
    """the run's directory"""
    to: Annotated[Path, tyro.conf.Positional]
    """directory to make"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit backup")
    Console(highlight=False).print(carry(given.directory, given.to), markup=False, soft_wrap=True)
    return 0


def carry(source: Path, to: Path) -> str:
    """Copy a run's directory, whole or not at all, and check what was copied; says what it is.

    Raises RunError when the target is there, IntegrityError when source or copy are damaged, StoreError.
    """
    directory = RunDirectory(source)
    directory.require()
    if to.exists():
        raise RunError("There is something already", got=str(to), next_step="choose another directory")
    half = RunDirectory(to.with_name(f".tmp-{uuid.uuid4().hex}"))
    try:
        half.path.mkdir(parents=True)
        with Store.open(directory.store) as store:
            snapshot(store, half.store)
        # files come before the rows that name them, so what the copied store names is all there
        shutil.copytree(directory.path, half.path, ignore=shutil.ignore_patterns(*LEFT_OUT), dirs_exist_ok=True)
        with Store.open(half.store) as copied:
            found, head = copied.verify(), copied.head()
            problems = [*found.problems, *_damaged(half, copied)]
        if problems:
            raise IntegrityError("The copy is not whole", got=problems[0], next_step="see `plaudit audit verify`")
        os.replace(half.path, to)
    finally:
        shutil.rmtree(half.path, ignore_errors=True)
    return f"{found.events} events, chain intact; blobs and checkpoints match their hashes: {to}\nhead: {head[0]} {head[1]}"


def _damaged(directory: RunDirectory, store: Store) -> list[str]:
    """Checkpoints that the log names and that were changed. Some are gone on purpose; one that is finished while the copy is
    made may lack its behaviour, but this log does not name it.
    """
    stages = store.events(kinds={"stage.completed"})
    named = dict.fromkeys(name for event in stages if (name := event.payload.get("checkpoint")))
    there = [name for name in named if (directory.checkpoints / name).exists()]
    return [f"checkpoint {name[:12]} does not match its hash" for name in there if not is_whole(directory, name)]
