"""`plaudit gc RUN`: delete checkpoints that no resume needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.errors import IntegrityError
from plaudit.run import checkpoint
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store
from plaudit.worlds.chunks import pieces_named


@dataclass(frozen=True)
class Arguments:
    """Delete checkpoints that resuming does not need; the event log, all answers and all segments stay."""

    directory: Annotated[Path, tyro.conf.Positional]
    """the run's directory"""
    keep: int = 2
    """newest checkpoints of the policy and of the reward model to keep"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit gc")
    directory = RunDirectory(given.directory)
    directory.require()
    directory.acquire()
    try:
        with Store.open(directory.store) as store:
            if not store.verify().ok:
                raise IntegrityError(
                    "The run is damaged, so nothing is deleted",
                    got=str(directory.path),
                    next_step=f"see `plaudit audit verify {directory.path}`",
                )
            finished = list(store.events(kinds={"stage.completed"}))
        kept: set[str] = set()
        for stages in ({"act", "improve"}, {"learn"}):
            names = [
                e.payload["checkpoint"] for e in finished if e.payload["stage"] in stages and e.payload["checkpoint"]
            ]
            kept |= set(names[-max(given.keep, 1) :])
        pieces = {piece for name in kept for piece in pieces_named(directory, name)}
        freed = checkpoint.remove_others(directory.checkpoints, kept)
        freed += checkpoint.remove_others(directory.pieces, pieces)
    finally:
        directory.release()
    Console().print(f"freed {freed / 1e6:.1f} MB; {len(kept)} checkpoints kept in {directory.checkpoints}")
    return 0
