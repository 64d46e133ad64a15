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

from plaudit.check.people import Fitter, by_group, group_section, left_out, left_out_section
from plaudit.errors import ConfigError
from plaudit.loop.config import RunConfig
from plaudit.loop.resuming import config_of
from plaudit.quality import words
from plaudit.quality.audit import Audit, AuditConfig, audit
from plaudit.quality.page import render
from plaudit.quality.population import Population
from plaudit.quality.section import Section
from plaudit.quality.table import read
from plaudit.reward.model import RewardModel
from plaudit.run import checkpoint
from plaudit.run.config import load
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store
from plaudit.worlds.chunks import is_whole

PAGE = "audit.html"


@dataclass(frozen=True)
class Arguments:
    """Check that nothing in a run was changed after it was written (verify), or how far its answers can be trusted (quality).

    `quality` writes audit.html into the run's directory. Exit status 1: something was changed, or somebody is suspected.
    With --population it weights annotators to a population, with --rewards it fits rewards without each annotator and group.
    """

    what: Annotated[Literal["verify", "quality"], tyro.conf.Positional]
    """what to do"""
    directory: Annotated[Path, tyro.conf.Positional]
    """the run's directory"""
    population: Path | None = None
    """quality: whom the answers are to speak for, a TOML file of margins"""
    rewards: bool = False
    """quality: fit rewards anew without each annotator and each group of the population; seconds to minutes each"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit audit")
    directory = RunDirectory(given.directory)
    directory.require()
    return _verify(directory) if given.what == "verify" else _quality(directory, given)


def _quality(directory: RunDirectory, given: Arguments) -> int:
    config = AuditConfig(population=None if given.population is None else load(Population, given.population))
    with Store.open(directory.store) as store:
        found = audit(store, config)
        more = _rewards(directory, store, config.population) if given.rewards else []
    page = directory.path / PAGE
    temporary = page.with_name(f".{PAGE}.tmp")
    temporary.write_text(render(found, title=directory.path.name, gold=config.gold, more=more), encoding="utf-8")
    os.replace(temporary, page)
    _print(found, more, Console())
    Console().print(f"page: {page}", markup=False, soft_wrap=True)
    return 1 if found.suspicions else 0


def _print(found: Audit, more: Sequence[Section], console: Console) -> None:
    """Tables; what annotators typed is text, never markup."""
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, text in words.overall(found):
        facts.add_row(Text(name, style="dim"), Text(text))
    console.print(facts)
    console.print(_grid(words.ANNOTATOR_COLUMNS, [words.annotator(one) for one in found.annotators]))
    for one in (*words.population(found.weighting), *more):
        console.print(Text(f"\n{one.title}", style="bold"), Text(one.note, style="dim"), sep="\n")
        console.print(_grid(one.columns, one.rows))
    for sentence in found.suspicions:
        console.print(Text(f"look at {sentence}", style="bold red"))


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _rewards(directory: RunDirectory, store: Store, population: Population | None) -> list[Section]:
    """What rewards say that are fitted without some of the answers."""
    stages = [event.payload for event in store.events(kinds={"stage.completed"})]
    fits = [one["checkpoint"] for one in stages if one["stage"] == "learn" and one["checkpoint"]]
    if not fits:
        raise ConfigError(
            "Nothing was learned from these answers yet",
            got=str(directory.path),
            next_step="audit a run that has fitted a reward",
        )
    config = config_of(store, directory.path)
    if not isinstance(config, RunConfig):
        raise ConfigError(
            "Rewards of texts are not fitted anew for an audit",
            got=str(directory.path),
            next_step="audit the answers alone, without --rewards",
        )
    actions = RewardModel.load(checkpoint.locate(directory.checkpoints, fits[-1]) / "reward.safetensors").inputs.actions
    material = read(store)
    fitter = Fitter(material.feedback, store, config=config.reward, actions=actions, seed=config.seed)
    found = [left_out_section("annotator", left_out(fitter, {name: name for name in material.annotators}))]
    if population is None:
        return found
    for trait, shares in population.margins.items():
        groups = population.groups(material, trait)
        if len(set(groups.values())) > 1:
            found.append(left_out_section(trait, left_out(fitter, groups)))
            found.append(group_section(trait, by_group(fitter, groups, shares, population.combine), population.combine))
    return found


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
