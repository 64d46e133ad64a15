"""`plaudit audit verify RUN`: check the hash chain, the projections and every stored piece of behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store
from plaudit.worlds.chunks import is_whole


@dataclass(frozen=True)
class Arguments:
    """Check that nothing in a run was changed after it was written. Exit status 1 when something was."""

    what: Annotated[Literal["verify"], tyro.conf.Positional]
    """what to do"""
    directory: Annotated[Path, tyro.conf.Positional]
    """the run's directory"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit audit")
    directory = RunDirectory(given.directory)
    directory.require()
    console = Console()
    with Store.open(directory.store) as store:
        found = store.verify()
        problems = list(found.problems)
        for folder in sorted(directory.checkpoints.glob("[0-9a-f]*")):
            if not is_whole(directory, folder.name):
                problems.append(f"checkpoint {folder.name[:12]} does not match its hash")
        head = store.head()
    if problems:
        console.print(f"[bold red]{len(problems)} problem(s) in {given.directory}[/]")
        for problem in problems:
            console.print(f"- {problem}")
        return 1
    console.print(
        f"{found.events} events, chain intact; segments, blobs and checkpoints match their hashes\nhead: {head[0]} {head[1]}"
    )
    return 0
