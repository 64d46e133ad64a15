"""A language model as an annotator: it reads both orders of two texts, and what it likes about a place cancels.

A reader says how likely the letter A is against B, as log-odds. Asked once with the texts as they stand (u) and once with their
places exchanged (v), it prefers the first by (u - v) / 2 and leans to the place A by (u + v) / 2. The verdict is the first of
these alone: a judge that always says A ties every question.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plaudit.ask.annotator import feedback_id
from plaudit.ask.rubric import Rubric
from plaudit.errors import ConfigError, RecordError
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Query,
    QueryKind,
    Text,
    TextSegment,
    canonical_json,
    digest,
)

FloatArray = NDArray[np.float64]
LETTERS = ("A", "B")
"""what a judge says"""
NO_ANSWER = "no-answer"
"""reason of a judge's skips: it named neither letter"""
LEAST = 1e-6
"""strength of the weakest preference"""


class Reader(Protocol):
    """What reads a question and answers with one of two letters: a model in this process, or one behind an endpoint."""

    @property
    def name(self) -> str:
        """Names the model, and whatever else changes what it says."""
        ...

    def read(self, questions: Sequence[str]) -> FloatArray:
        """[question] log-odds of A against B; infinite where a letter was said without how likely it was, NaN where none was."""
        ...


@dataclass(frozen=True, slots=True)
class Pair:
    """Two completions of a prompt, in a question's own order."""

    prompt: Text
    first: Text
    second: Text
    aspect: str | None = None
    """what alone is judged; None: overall"""


class Prefers(Protocol):
    """Whatever prefers one of two texts: a judge, or a reward."""

    def odds(self, pairs: Sequence[Pair]) -> FloatArray:
        """[pair, 2] log-odds of what stands first against the other: as the pair stands, and with its places exchanged."""
        ...


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """Who a judge is, and how its log-odds become answers."""

    name: str = ""
    """pseudonym of the annotator; empty: one made of the model's name and the rubric"""
    tie: float = 0.0
    """log-odds up to which, either way, the two are equally good to it"""
    strength: bool = True
    """answers say how much better, tanh(log-odds / 2), where the model says how sure it is"""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.tie) and self.tie >= 0):
            raise ConfigError("The margin of a judge's ties is out of range", got=self.tie, expected="0 or above")


@dataclass(frozen=True, slots=True)
class Judge:
    """A reader with a rubric: an annotator of the kind `judge`."""

    reader: Reader
    rubric: Rubric = field(default_factory=Rubric)
    config: JudgeConfig = field(default_factory=JudgeConfig)

    @property
    def profile(self) -> AnnotatorProfile:
        """Who it is to the store. Another model or rubric is another annotator."""
        made = digest(canonical_json([self.reader.name, self.rubric.version]))[:8]
        about = f"language model {self.reader.name}, rubric {self.rubric.version}"
        return AnnotatorProfile(self.config.name or f"judge-{made}", AnnotatorKind.JUDGE, about)

    def odds(self, pairs: Sequence[Pair]) -> FloatArray:
        """See `Prefers`. Both orders go to the reader in one call."""
        asked = [
            self.rubric.question(pair.prompt, *texts, aspect=pair.aspect)
            for pair in pairs
            for texts in ((pair.first, pair.second), (pair.second, pair.first))
        ]
        return self.reader.read(asked).reshape(-1, 2)

    def answers(self, queries: Sequence[Query], texts: dict[str, TextSegment]) -> list[Comparison]:
        """The judge's answers to comparisons of texts, one for each query; where it named no letter, a skip.

        Args:
            queries: comparisons.
            texts: by id, those that the queries are about.

        Raises RecordError as `pair_of`.
        """
        prefers = debiased(self.odds([pair_of(query, texts) for query in queries]))
        return [self._answer(query, odds) for query, odds in zip(queries, prefers.tolist(), strict=True)]

    def _answer(self, query: Query, odds: float) -> Comparison:
        who = self.profile.id
        id_ = feedback_id(query.id, who)
        choice = choice_of(odds, self.config.tie)
        if choice is Choice.SKIP:
            return Comparison(id=id_, query=query.id, annotator=who, choice=choice, reason=NO_ANSWER)
        sure = self.config.strength and choice is not Choice.TIE and math.isfinite(odds)
        strength = max(LEAST, math.tanh(abs(odds) / 2)) if sure else None
        return Comparison(id=id_, query=query.id, annotator=who, choice=choice, strength=strength)


def debiased(odds: FloatArray) -> FloatArray:
    """[pair] preference for the first, from [pair, 2] log-odds of both orders: half their difference, in which the place cancels.

    Where an order is infinite (said, but not how surely): infinite if both orders agree, else 0. NaN where one is missing.
    """
    sides = np.sign(odds[:, 0]) - np.sign(odds[:, 1])
    with np.errstate(invalid="ignore"):
        plain = (odds[:, 0] - odds[:, 1]) / 2
        said = np.where(np.abs(sides) == 2, np.copysign(np.inf, sides), 0.0)
    found = np.where(np.isinf(odds).any(axis=1), said, plain)
    return np.where(np.isnan(odds).any(axis=1), np.nan, found)


def place_bias(odds: FloatArray) -> FloatArray:
    """[pair] log-odds for what stands first whatever it is; infinite where both orders name one place; NaN where one is missing."""
    with np.errstate(invalid="ignore"):
        found = (odds[:, 0] + odds[:, 1]) / 2
        opposed = np.isinf(odds).all(axis=1) & (np.sign(odds[:, 0]) != np.sign(odds[:, 1]))
    return np.where(opposed, 0.0, found)


def choice_of(odds: float, tie: float = 0.0) -> Choice:
    """What a debiased preference says."""
    if math.isnan(odds):
        return Choice.SKIP
    if abs(odds) <= tie:
        return Choice.TIE
    return Choice.FIRST if odds > 0 else Choice.SECOND


def pair_of(query: Query, texts: dict[str, TextSegment]) -> Pair:
    """What a comparison asks about. Raises RecordError for other kinds of questions, and for texts with different prompts."""
    if query.kind is not QueryKind.COMPARISON:
        raise RecordError("A judge compares", got=f"a {query.kind.value}", expected="a comparison")
    first, second = (texts[name] for name in query.segments)
    if first.prompt != second.prompt:
        raise RecordError("Two texts to judge answer different prompts", got=f"{first.id} and {second.id}")
    return Pair(first.prompt, first.completion, second.completion, query.aspect)
