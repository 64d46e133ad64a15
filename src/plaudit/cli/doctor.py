"""`plaudit doctor [RUN]`: say in plain words what is wrong with a run, or with this installation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.text import Text

from plaudit.check.diagnose import Finding, Severity
from plaudit.check.environment import environment_report
from plaudit.report.write import examine
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store

STYLES = {Severity.OK: "green", Severity.NOTE: "cyan", Severity.WARNING: "yellow", Severity.PROBLEM: "bold red"}


@dataclass(frozen=True)
class Arguments:
    """Without a directory: check this installation. With one: diagnose that run. Exit status 1 when there is a problem."""

    directory: Annotated[Path | None, tyro.conf.Positional] = None
    """the run's directory"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit doctor")
    findings: list[Finding]
    if given.directory is None:
        findings = environment_report()
    else:
        directory = RunDirectory(given.directory)
        directory.require()
        with Store.open(directory.store) as store:
            findings = examine(store, directory.path)
    console = Console()
    for finding in findings:
        console.print(
            Text(f"{finding.severity.value:<8}", STYLES[finding.severity]) + Text(f" {finding.name}: {finding.message}")
        )
        if finding.advice:
            console.print(f"         {finding.advice}")
    return int(any(finding.severity is Severity.PROBLEM for finding in findings))
