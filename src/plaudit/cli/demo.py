"""`plaudit demo`: Pendulum learns to swing up from 50 simulated comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import tyro
from rich.console import Console

from plaudit.cli.run import carry_on, default_directory
from plaudit.loop.config import RunConfig
from plaudit.loop.run import Run
from plaudit.run.config import load


@dataclass(frozen=True)
class Arguments:
    """Teach Pendulum to swing up from 50 simulated comparisons; no network, one core, under a minute."""

    directory: Path | None = None
    """where the run lives; default: runs/demo-DATE"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit demo")
    with resources.as_file(resources.files("plaudit.cli") / "demo.toml") as path:
        config = load(RunConfig, path)
    return carry_on(Run.create(config, given.directory or default_directory(config.name)), Console())
