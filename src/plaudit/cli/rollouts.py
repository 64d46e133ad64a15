"""`plaudit train show FOLDER`: what the policy wrote in a rollout of its training, and what each completion was worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.errors import RunError
from plaudit.language.rollouts import numbers, read
from plaudit.records import Sample, plain


@dataclass(frozen=True)
class Arguments:
    """Print a rollout of `plaudit train group` or `ppo`: each prompt, and its completions from the best paid to the worst."""

    folder: Annotated[Path, tyro.conf.Positional]
    """of the training, its `--out`"""
    rollout: int | None = None
    """number of the rollout; none: the newest"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit train show")
    there = numbers(given.folder)
    if not there:
        raise RunError(
            "No rollout was kept here", got=str(given.folder), expected="the folder of `plaudit train group` or `ppo`"
        )
    number = there[-1] if given.rollout is None else given.rollout
    samples = read(given.folder, number)
    console = Console(highlight=False)

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    rewards = [one.reward for one in samples if one.reward is not None]
    paid = f"reward {sum(rewards) / len(rewards):.3g} on average" if rewards else "no rewards"
    say(f"rollout {number} (there are {there[0]} to {there[-1]}): {len(samples)} completions, {paid}")
    for where, group in groupby(samples, lambda one: one.where):
        some = sorted(group, key=lambda one: (one.reward is None, -(one.reward or 0.0)))
        say(f"\n== {shown(where)}\n{shown(plain(some[0].prompt))}")
        for one in some:
            say(f"-- {_worth(one)}\n{shown(plain(one.completion))}")
    return 0


def shown(text: str) -> str:
    """A text whose control characters are spelt out: what a model writes must not move a cursor or colour a terminal."""
    return "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)


def _worth(one: Sample) -> str:
    numbers = {"reward": one.reward, "advantage": one.advantage, "KL": one.kl}
    told = [f"{name} {value:.3f}" for name, value in numbers.items() if value is not None]
    return ", ".join([*told, f"{one.tokens} tokens" + ("" if one.finished else ", no end")])
