"""Processes beside the run: the labelling page and the media worker. They meet the run only in the store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console

from plaudit.loop.run import Run


@contextmanager
def open_studio(run: Run, *, enabled: bool, console: Console) -> Generator[None]:
    """Keep `plaudit studio RUN` going while the block runs."""
    if not enabled:
        if run.config.ask.people:
            console.print(
                f"people answer in this run: open the labelling page with `plaudit studio {run.directory.path}`"
            )
        yield
        return
    command = [sys.executable, "-m", "plaudit.cli.main", "studio", str(run.directory.path), "--beside-run"]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)
