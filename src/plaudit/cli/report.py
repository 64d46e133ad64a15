"""`plaudit report RUN`: write report.html and report.json of a run, finished or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.report.write import write_report
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store


@dataclass(frozen=True)
class Arguments:
    """Write the report of a run, finished or not, as one HTML file and the same numbers as JSON."""

    directory: Annotated[Path, tyro.conf.Positional]
    """the run's directory"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit report")
    directory = RunDirectory(given.directory)
    directory.require()
    with Store.open(directory.store) as store:
        written = write_report(store, directory.path)
    Console().print(f"{written.verdict}\nreport: {directory.report_html}")
    return 0
