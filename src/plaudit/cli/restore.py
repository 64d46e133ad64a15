"""`plaudit restore BACKUP TO`: a run's directory from its backup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.cli.backup import carry


@dataclass(frozen=True)
class Arguments:
    """Make a run's directory from a backup and check it. To put a backup into PostgreSQL, `plaudit copy` it there."""

    backup: Annotated[Path, tyro.conf.Positional]
    """directory that `plaudit backup` made; it stays as it is"""
    to: Annotated[Path, tyro.conf.Positional]
    """directory to make"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit restore")
    console = Console(highlight=False)
    console.print(carry(given.backup, given.to), markup=False, soft_wrap=True)
    console.print(f"go on with: plaudit resume {given.to}", markup=False, soft_wrap=True)
    return 0
