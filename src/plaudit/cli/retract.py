"""`plaudit retract RUN ANSWER`: take an answer out of what later fits learn from, and say what learned from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.run.directory import RunDirectory
from plaudit.store.lineage import uses_of
from plaudit.store.store import Store


@dataclass(frozen=True)
class Arguments:
    """Take an answer out of all later fits, and list the reward models and policies that learned from it. Without a reason:
    only list them.
    """

    directory: Annotated[Path, tyro.conf.Positional]
    """the run's directory"""
    answer: Annotated[str, tyro.conf.Positional]
    """id of the answer, as in the log or in an export"""
    reason: str | None = None
    """why it is not to count; kept in the log"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit retract")
    directory, console = RunDirectory(given.directory), Console(highlight=False)
    directory.require()
    with Store.open(directory.store) as store:
        if given.reason is not None:
            seq = store.retract(given.answer, given.reason)
            console.print(f"retracted: event {seq}")
        uses = uses_of(store, given.answer)
    for use in uses:
        what = "reward model fitted to it" if use.stage == "learn" else "policy trained on such a reward model"
        console.print(f"round {use.round + 1}: {what}, checkpoint {use.checkpoint}", markup=False, soft_wrap=True)
    if not uses:
        console.print("No model of this run learned from it.")
    return 0
