"""`plaudit resume RUN`: continue a run where its log ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.cli.run import carry_on
from plaudit.loop.run import Run


@dataclass(frozen=True)
class Arguments:
    """Continue a run where it stopped, with the same bits as if it had never stopped."""

    directory: Annotated[Path, tyro.conf.Positional]
    """the run's directory"""
    rebuild: bool = False
    """a checkpoint is damaged or missing: repeat the stages from the last intact one"""
    studio: bool = False
    """open the labelling page in the browser beside the run"""
    replay: Path | None = None
    """the run of this directory is being replayed"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit resume")
    run = Run.open(given.directory, rebuild=given.rebuild, replay=given.replay)
    return carry_on(run, Console(), studio=given.studio)
