"""`plaudit audit verify RUN`: check the hash chain, the projections and every stored piece of behaviour.
`plaudit audit quality RUN`: say how far the answers can be trusted, and write audit.html.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from plaudit.quality import words
from plaudit.quality.audit import Audit, AuditConfig, audit
from plaudit.quality.page import render
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store
from plaudit.worlds.chunks import is_whole

PAGE = "audit.html"


@dataclass(frozen=True)
class Arguments:
    """Check that nothing in a run was changed after it was written (verify), or how far its answers can be trusted (quality).

    `quality` writes audit.html into the run's directory. Exit status 1: something was changed, or somebody is suspected.
    """

    what: Annotated[Literal["verify", "quality"], tyro.conf.Positional]
    """what to do"""
    directory: Annotated[Path, tyro.conf.Positional]
    """the run's directory"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit audit")
    directory = RunDirectory(given.directory)
    directory.require()
    return _verify(directory) if given.what == "verify" else _quality(directory)


def _quality(directory: RunDirectory) -> int:
    config = AuditConfig()
    with Store.open(directory.store) as store:
        found = audit(store, config)
    page = directory.path / PAGE
    temporary = page.with_name(f".{PAGE}.tmp")
    temporary.write_text(render(found, title=directory.path.name, gold=config.gold), encoding="utf-8")
    os.replace(temporary, page)
    _print(found, Console())
    Console().print(f"page: {page}", markup=False, soft_wrap=True)
    return 1 if found.suspicions else 0


def _print(found: Audit, console: Console) -> None:
    """Tables; what annotators typed is text, never markup."""
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, text in words.overall(found):
        facts.add_row(Text(name, style="dim"), Text(text))
    console.print(facts)
    people = Table(box=None, padding=(0, 2, 0, 0))
    for name in words.ANNOTATOR_COLUMNS:
        people.add_column(name)
    for one in found.annotators:
        people.add_row(*map(Text, words.annotator(one)))
    console.print(people)
    for sentence in found.suspicions:
        console.print(Text(f"look at {sentence}", style="bold red"))


def _verify(directory: RunDirectory) -> int:
    console = Console()
    with Store.open(directory.store) as store:
        found = store.verify()
        problems = list(found.problems)
        for folder in sorted(directory.checkpoints.glob("[0-9a-f]*")):
            if not is_whole(directory, folder.name):
                problems.append(f"checkpoint {folder.name[:12]} does not match its hash")
        head = store.head()
    if problems:
        console.print(f"[bold red]{len(problems)} problem(s) in {directory.path}[/]")
        for problem in problems:
            console.print(f"- {problem}")
        return 1
    console.print(
        f"{found.events} events, chain intact; segments, blobs and checkpoints match their hashes\nhead: {head[0]} {head[1]}"
    )
    return 0
