"""What a reward is held against: judged pairs, and the rows of RewardBench 2 and RM-Bench."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plaudit.check.card.signal import Item
from plaudit.errors import ConfigError, RecordError
from plaudit.exchange import fields
from plaudit.records import Choice, Comparison, Feedback, Ranking, TextSegment
from plaudit.stats.ceiling import NoiseCeiling, noise_ceiling
from plaudit.stats.undefined import Undefined

STYLES = 3
"""styles of an answer in RM-Bench: concise, detailed, detailed with Markdown"""
TIES = "ties"
"""the subset of RewardBench 2 that has its own score"""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two items of which one was judged better; items are numbers in `Material.items`."""

    better: int
    worse: int
    prompt: str
    """what both answer: pairs of one prompt resemble each other"""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    """what the pair may be looked at by: source, subset, annotator and what annotators said of themselves"""


@dataclass(frozen=True, slots=True)
class Panel:
    """A row of RewardBench 2: right answers first."""

    items: tuple[int, ...]
    right: int
    """how many are right"""
    subset: str
    id: str
    """of the subset of ties, `ref:N` or `tied:N`"""


@dataclass(frozen=True, slots=True)
class Square:
    """A row of RM-Bench: three right and three wrong answers, concise, detailed and with Markdown."""

    chosen: tuple[int, ...]
    rejected: tuple[int, ...]
    domain: str


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """All that a card is made from."""

    items: tuple[Item, ...]
    pairs: tuple[Pair, ...]
    panels: tuple[Panel, ...] = ()
    squares: tuple[Square, ...] = ()
    votes: tuple[tuple[int, int], ...] = ()
    """for each question how many took its first side, and how many its second"""
    left_out: int = 0
    """rows that could not be used, and answers that order nothing"""

    def ceiling(self, rng: np.random.Generator) -> NoiseCeiling | Undefined:
        """The best accuracy that the judges' disagreement allows."""
        if not self.votes:
            return Undefined("no question has two decided answers")
        first, second = np.array(self.votes, dtype=np.float64).T
        return noise_ceiling(first, second, rng=rng)


class Gathering:
    """Material as it comes together; equal texts are one item."""

    def __init__(self) -> None:
        self._items: dict[str, int] = {}
        self._kept: list[Item] = []
        self._pairs: list[Pair] = []
        self._panels: list[Panel] = []
        self._squares: list[Square] = []
        self._votes: dict[tuple[int, int], Counter[bool]] = {}
        self.left_out = 0

    def item(self, one: Item) -> int:
        """Its number."""
        if one.id not in self._items:
            self._items[one.id] = len(self._kept)
            self._kept.append(one)
        return self._items[one.id]

    def pair(self, better: Item, worse: Item, tags: Mapping[str, str], *, vote: bool = True) -> None:
        """One item was judged better than another; without a `vote`, it follows from what each of them is."""
        first, second = self.item(better), self.item(worse)
        if first == second:
            self.left_out += 1
            return
        prompt = str(better.prompt) if isinstance(better, TextSegment) else "|".join(sorted((better.id, worse.id)))
        self._pairs.append(Pair(first, second, prompt, tags))
        if vote:
            self._votes.setdefault((min(first, second), max(first, second)), Counter())[first < second] += 1

    def answer(self, feedback: Feedback, items: Sequence[Item], tags: Mapping[str, str]) -> None:
        """An answer to a question about these items; what orders nothing is left out."""
        match feedback:
            case Comparison(choice=Choice.FIRST):
                self.pair(items[0], items[1], tags)
            case Comparison(choice=Choice.SECOND):
                self.pair(items[1], items[0], tags)
            case Ranking(ranks=ranks) if len(set(ranks)) > 1:
                for i, j in _ordered(ranks):
                    self.pair(items[i], items[j], tags)
            case _:
                self.left_out += 1

    def panel(self, row: Any, source: str) -> None:
        """A row of RewardBench 2: {prompt, chosen: [...], rejected: [...], subset?, id?}."""
        prompt = fields.spoken(row, "prompt")
        texts = [
            [TextSegment(prompt, one) for one in _texts(fields.field(row, name))] for name in ("chosen", "rejected")
        ]
        subset = fields.named(row, "subset", "all")
        numbers = tuple(self.item(text) for side in texts for text in side)
        self._panels.append(Panel(numbers, len(texts[0]), subset, fields.named(row, "id", "")))
        if subset.lower() != TIES:  # among these all right answers are equals, and one prompt has hundreds of pairs
            self._crossed(texts, {"source": source, "subset": subset})

    def square(self, row: Any, source: str) -> None:
        """A row of RM-Bench: {prompt, chosen: [3], rejected: [3], domain?}; files of one domain are named after it."""
        prompt = fields.spoken(row, "prompt")
        texts = [
            [TextSegment(prompt, one) for one in _texts(fields.field(row, name))] for name in ("chosen", "rejected")
        ]
        domain = fields.named(row, "domain", source.partition("_")[0].partition("-")[0].partition(".")[0])
        chosen, rejected = (tuple(self.item(text) for text in side) for side in texts)
        self._squares.append(Square(chosen, rejected, domain))
        self._crossed(texts, {"source": source, "domain": domain})

    def _crossed(self, texts: Sequence[Sequence[TextSegment]], tags: Mapping[str, str]) -> None:
        for better in texts[0]:
            for worse in texts[1]:
                self.pair(better, worse, tags, vote=False)

    def done(self) -> Material:
        """All of it. Raises ConfigError where nothing was judged."""
        if not self._pairs and not self._panels:
            raise ConfigError(
                "There is nothing to hold a reward against", got=f"{self.left_out} rows or answers that order nothing",
                expected="comparisons or rankings, or rows with chosen and rejected texts",
            )  # fmt: skip
        votes = tuple((count[True], count[False]) for count in self._votes.values())
        return Material(
            tuple(self._kept), tuple(self._pairs), tuple(self._panels), tuple(self._squares), votes, self.left_out
        )


def _ordered(ranks: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of places (better, worse)."""
    for i, first in enumerate(ranks):
        for j, second in enumerate(ranks):
            if first < second:
                yield i, j


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise RecordError("Answers must be a list of texts", got=type(value).__name__)
    return value
