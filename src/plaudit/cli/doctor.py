"""`plaudit doctor [RUN]`: say in plain words what is wrong with a run, this installation, a language model or a reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.text import Text

from plaudit.check.diagnose import Finding, Severity, worst_first
from plaudit.check.environment import environment_report
from plaudit.engine.load import EXTRA, Dtype
from plaudit.errors import ConfigError
from plaudit.report.write import examine
from plaudit.run.directory import RunDirectory
from plaudit.run.optional import require
from plaudit.store.store import Store

STYLES = {Severity.OK: "green", Severity.NOTE: "cyan", Severity.WARNING: "yellow", Severity.PROBLEM: "bold red"}


@dataclass(frozen=True)
class Arguments:
    """Without a directory: check this installation. With one: diagnose that run. --model and --reward examine these instead.

    Exit status 1 when there is a problem.
    """

    directory: Annotated[Path | None, tyro.conf.Positional] = None
    """the run's directory"""
    model: str | None = None
    """directory of a language model, before it is trained: ends, padding, sampler against trainer, distance 0 at the start"""
    reward: Path | None = None
    """folder of a reward of texts: `model` in the folder of `plaudit train reward`"""
    dtype: Annotated[Dtype, tyro.conf.EnumChoicesFromValues] = Dtype.FLOAT32
    """in which the language model is examined"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit doctor")
    if sum(one is not None for one in (given.directory, given.model, given.reward)) > 1:
        raise ConfigError("One thing at a time", expected="a run's directory, --model or --reward")
    findings = _findings(given)
    console = Console()
    for finding in findings:
        console.print(
            Text(f"{finding.severity.value:<8}", STYLES[finding.severity]) + Text(f" {finding.name}: {finding.message}")
        )
        if finding.advice:
            console.print(f"         {finding.advice}")
    return int(any(finding.severity is Severity.PROBLEM for finding in findings))


def _findings(given: Arguments) -> list[Finding]:
    if given.model is not None:
        report = require("plaudit.check.probing", EXTRA).model_report  # brings torch
        return list(worst_first(report(given.model, dtype=given.dtype)))
    if given.reward is not None:
        return list(worst_first(require("plaudit.check.probing_reward", EXTRA).reward_report(given.reward)))
    if given.directory is None:
        return environment_report()
    directory = RunDirectory(given.directory)
    directory.require()
    with Store.open(directory.store) as store:
        return examine(store, directory.path)
