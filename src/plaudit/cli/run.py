"""`plaudit run FILE`: start a run. Any setting can be given on the command line, for example `--ask.labels 20`."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.cli.flags import flag
from plaudit.cli.services import open_studio
from plaudit.cli.terminal import TerminalProgress
from plaudit.loop.kinds import kind_of, read
from plaudit.loop.run import Run
from plaudit.report.write import write_report


@dataclass(frozen=True)
class Arguments:
    """Start a run from a run file. All settings of the file can be overridden: --seed 3 --ask.labels 20 ..."""

    file: Annotated[Path, tyro.conf.Positional]
    """the run file (TOML)"""
    directory: Path | None = None
    """where the run lives; default: runs/NAME-DATE"""
    estimate: bool = False
    """only say what the run will cost: labels, human minutes, CPU minutes, disk"""
    studio: bool = False
    """open the labelling page in the browser beside the run"""
    replay: Path | None = None
    """replay the answers that people gave in the run of this directory"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given, rest = tyro.cli(Arguments, args=arguments, prog="plaudit run", return_unknown_args=True)
    settings = read(given.file, preset=flag(rest, "improve", "preset"))
    config = tyro.cli(
        tyro.conf.AvoidSubcommands[tyro.conf.EnumChoicesFromValues[type(settings)]],
        default=settings,
        args=rest,
        prog=f"plaudit run {given.file}",
    )
    console = Console()
    if given.estimate:
        console.print(kind_of(config).estimate(config))
        return 0
    run = Run.create(config, given.directory or default_directory(config.name), replay=given.replay)
    return carry_on(run, console, studio=given.studio)


def carry_on(run: Run, console: Console, *, studio: bool = False) -> int:
    """Run all that is left, write the report, and say where things are."""
    path = run.directory.path
    console.print(f"run directory: {path}   (stop with Ctrl-C, go on with `plaudit resume {path}`)", soft_wrap=True)
    with run, open_studio(run, enabled=studio, console=console), TerminalProgress(run.config, console) as progress:
        run.progress = progress
        run.finish()
        written = write_report(run.store, path)
    console.print(f"\n{written.verdict}\nreport: {path / 'report.html'}   policy: {run.published}", soft_wrap=True)
    return 0


def default_directory(name: str) -> Path:
    """A new directory under runs/ for a run of that name."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "run"
    return Path("runs") / f"{slug}-{time.strftime('%Y%m%d-%H%M%S')}"
