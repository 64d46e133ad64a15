"""`plaudit reward card SIGNAL --data STORE_OR_FILE`: what any reward signal is worth, as a page and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.text import Text

from plaudit.check.card.card import CardConfig, reward_card
from plaudit.check.card.numbers import RewardCard
from plaudit.check.card.signal import TRIVIAL, RewardSignal, of_function
from plaudit.check.card.sources import joined, of_path
from plaudit.check.diagnose import Severity
from plaudit.engine.load import EXTRA
from plaudit.errors import ConfigError
from plaudit.exchange.formats import Format
from plaudit.report.reward_card import write_card
from plaudit.run.directory import RunDirectory
from plaudit.run.optional import require

STYLES = {Severity.OK: "green", Severity.NOTE: "cyan", Severity.WARNING: "yellow", Severity.PROBLEM: "bold red"}


@dataclass(frozen=True)
class Arguments:
    """Hold a reward against judged pairs: accuracy beside noise and trivial scorers, slices, edits, calibration, mistakes.

    SIGNAL is a folder of `plaudit train reward` (its `model`), a sequence classifier of Transformers, an aligned policy or
    adapter, a run whose reward of behaviour is taken, a function (file.py:score, module:score), or longer, shorter, markdown.
    Exit status 1 when there is a problem.
    """

    what: Annotated[Literal["card"], tyro.conf.Positional]
    """what to make"""
    signal: Annotated[str, tyro.conf.Positional]
    """the reward"""
    data: tuple[Path, ...]
    """stores (directories of runs or imports), or files: of RewardBench 2, of RM-Bench, with chosen and rejected texts"""
    out: Path = Path("card.html")
    """the page; the JSON lies beside it"""
    format: Annotated[Format | None, tyro.conf.EnumChoicesFromValues] = None
    """of files that hold other rows, as of `plaudit import`"""
    gold: str = ""
    """a reward that is taken for the truth, to which the distance is measured"""
    reference: str = ""
    """for a policy: directory of the model that it was aligned from; an adapter needs none"""
    beta: float = 0.1
    """for a policy: beta of the alignment"""
    card: CardConfig = field(default_factory=CardConfig)
    """what is looked at"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit reward")
    with ExitStack() as stack:
        material = joined([of_path(path, given.format) for path in given.data])
        signal = _signal(given.signal, given, stack)
        gold = _signal(given.gold, given, stack) if given.gold else None
        name = ", ".join(path.name for path in given.data)
        card = reward_card(signal, material, config=given.card, data=name, gold=gold)
    page, data = write_card(card, given.out)
    _print(card, Console())
    Console().print(f"page: {page}   numbers: {data}", markup=False, soft_wrap=True, highlight=False)
    return int(any(one.severity is Severity.PROBLEM for one in card.findings))


def _signal(name: str, given: Arguments, stack: ExitStack) -> RewardSignal:
    """The reward of that name. What brings torch is imported only where it is asked for."""
    if name in TRIVIAL:
        return TRIVIAL[name]
    folder = Path(name)
    if folder.is_dir():
        adapters = require("plaudit.check.card.adapters", EXTRA)
        if RunDirectory(folder).exists:
            return stack.enter_context(adapters.of_run(folder))
        return adapters.of_directory(folder, reference=given.reference, beta=given.beta)
    if ":" in name:
        return of_function(name)
    raise ConfigError(
        "There is no such reward",
        got=name,
        expected=f"a folder, file.py:function, module:function, or {', '.join(TRIVIAL)}",
    )


def _print(card: RewardCard, console: Console) -> None:
    console.print(Text(card.verdict, style="bold"))
    for one in card.findings:
        console.print(Text(f"{one.severity.value:<8}", STYLES[one.severity]) + Text(f" {one.name}: {one.message}"))
        if one.advice:
            console.print(f"         {one.advice}", markup=False)
