"""`plaudit studio RUN`: label in the browser; starts the media worker that renders the clips."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store
from plaudit.studio.serve import serve


@dataclass(frozen=True)
class Arguments:
    """Open the labelling page of a run or a study in the browser (loopback only, one-time link)."""

    directory: Annotated[Path, tyro.conf.Positional]
    """the run's directory"""
    annotator: str = "person-1"
    """pseudonym under which the answers are stored"""
    port: int = 8765
    """port on the loopback interface; answers that a browser still keeps are only found again on the same one"""
    open_browser: bool = True
    """open the browser"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit studio")
    directory = RunDirectory(given.directory)
    directory.require()
    with Store.open(directory.store) as store:
        draws = "world" in next(store.events(kinds={"run.created"})).payload.get("config", {})
    worker = subprocess.Popen([sys.executable, "-m", "plaudit.worlds.media", str(directory.path)]) if draws else None
    try:
        serve(
            directory.store,
            annotator=given.annotator,
            port=given.port,
            open_browser=given.open_browser,
            announce=Console().print,
        )
    finally:
        if worker is not None:
            worker.terminate()
            worker.wait(timeout=20)
    return 0
