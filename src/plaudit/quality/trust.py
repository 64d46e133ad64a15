"""Whether a judge's answers may be let in: how far it agrees with people, beside how far the mere length of texts does.

Each decided answer of a person counts once; a judge that ties or says nothing is right by half. Answers about one prompt resemble
each other, so intervals are clustered by prompt (`plaudit.stats.clustered`). The baseline takes the longer text, or always the
shorter one where that is right more often: what a judge has to beat to know more than style.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ConfigError
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Feedback,
    Query,
    TextSegment,
    canonical_json,
    digest,
    to_json,
)
from plaudit.run.seeds import generator
from plaudit.stats.clustered import ClusteredMean, clustered_mean
from plaudit.stats.intervals import Interval
from plaudit.stats.undefined import Undefined
from plaudit.store.store import Store

FloatArray = NDArray[np.float64]
EVENT = "judge.measured"


@dataclass(frozen=True, slots=True)
class TrustConfig:
    """When a judge is let in."""

    questions: int = 300
    """most questions, drawn at random, on which a judge is held against people"""
    least: int = 30
    """fewest decided answers of people that say enough"""
    anyway: bool = False
    """let the judge answer whatever its figures are"""
    seed: int = 0
    """of which questions are drawn"""

    def __post_init__(self) -> None:
        if self.questions < 1 or self.least < 2:
            raise ConfigError(
                "The settings of trust are out of range",
                got=f"questions {self.questions}, least {self.least}",
                expected="questions >= 1, least >= 2",
            )


@dataclass(frozen=True, slots=True)
class Decided:
    """A question that people decided."""

    query: Query
    """the first one about these texts and this aspect"""
    sides: tuple[int, ...]
    """of each answer: 1 the query's first segment, -1 its second"""


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a judge agrees with people."""

    answers: int
    """decided answers of people"""
    questions: int
    """that they are about"""
    silent: int
    """questions to which the judge named no letter"""
    tied: int
    """questions that it found equal"""
    accuracy: ClusteredMean | Undefined
    """share of the answers with which it agrees"""
    length: float
    """share with which the longer text agrees"""
    gain: ClusteredMean | Undefined
    """accuracy minus that of the baseline, on the same answers"""

    @property
    def baseline(self) -> float:
        """Of the better of two habits: always the longer, always the shorter."""
        return max(self.length, 1 - self.length)

    @property
    def habit(self) -> str:
        """Which of them that is."""
        return "longer" if self.length >= 0.5 else "shorter"

    def refusal(self, config: TrustConfig) -> str | None:
        """Why the judge is not let in, in one sentence; None if it is."""
        if self.answers < config.least or isinstance(self.accuracy, Undefined):
            return f"{self.answers} decided answers of people are too few to measure it (trust.least = {config.least})"
        found = self.accuracy.interval
        told = f"agreement with people {share(found)} on {self.answers} answers"
        if found.value <= self.baseline:
            return f"{told}; to take the {self.habit} text agrees in {self.baseline:.1%}"
        if found.low <= 0.5:
            return f"{told}, which cannot be told from chance"
        return None


def share(one: Interval) -> str:
    """A share with its interval, in words."""
    return f"{one.value:.1%} [{one.low:.1%}, {one.high:.1%}]"


def decided_by_people(
    queries: Sequence[Query], answers: Sequence[Feedback], profiles: Mapping[str, AnnotatorProfile]
) -> list[Decided]:
    """Comparisons that people decided for one side, in the order of their first answers.

    Questions about the same two segments and the same aspect are one. Annotators without a profile count as people.
    """
    by_id = {query.id: query for query in queries}
    found: dict[tuple[object, ...], tuple[Query, list[int]]] = {}
    for answer in answers:
        profile = profiles.get(answer.annotator)
        person = profile is None or profile.kind is AnnotatorKind.PERSON
        if not person or not isinstance(answer, Comparison) or answer.choice not in (Choice.FIRST, Choice.SECOND):
            continue
        query = by_id[answer.query]
        kept, sides = found.setdefault((*sorted(query.segments), query.aspect, query.level), (query, []))
        chosen = query.segments[0 if answer.choice is Choice.FIRST else 1]
        sides.append(1 if chosen == kept.segments[0] else -1)
    return [Decided(query, tuple(sides)) for query, sides in found.values()]


def drawn(decided: Sequence[Decided], config: TrustConfig) -> list[Decided]:
    """Those on which a judge is measured: all, or `config.questions` of them, in their order."""
    rows = generator(config.seed, "trust").permutation(len(decided))[: config.questions]
    return [decided[row] for row in sorted(rows.tolist())]


def measure(decided: Sequence[Decided], prefers: FloatArray, texts: Mapping[str, TextSegment]) -> Trust:
    """Hold a judge against people.

    Args:
        decided: what people decided.
        prefers: [question] the judge's debiased log-odds for the query's first segment; 0 a tie, NaN no answer.
        texts: by id, those that the questions are about.
    """
    counts = [len(one.sides) for one in decided]
    sides = np.array([side for one in decided for side in one.sides], dtype=np.float64)
    longer = np.array([_longer(one.query, texts) for one in decided])
    prompts = {text: number for number, text in enumerate(dict.fromkeys(_prompt(one, texts) for one in decided))}
    clusters = np.repeat([prompts[_prompt(one, texts)] for one in decided], counts).astype(np.int64)
    right = _right(np.repeat(np.nan_to_num(np.sign(prefers)), counts), sides)
    lengthy = _right(np.repeat(longer, counts), sides)
    length = float(lengthy.mean()) if len(lengthy) else math.nan
    habit = lengthy if not length < 0.5 else 1 - lengthy
    return Trust(
        answers=len(sides),
        questions=len(decided),
        silent=int(np.isnan(prefers).sum()),
        tied=int((prefers == 0).sum()),
        accuracy=clustered_mean(right, clusters),
        length=length,
        gain=clustered_mean(right - habit, clusters),
    )


def note(store: Store, judge: str, found: Trust, *, on: str, let_in: bool) -> None:
    """Log how far a judge agreed with people, and what was decided; the same again changes nothing.

    Args:
        store: where the judge answers.
        judge: the annotator.
        found: the figures.
        on: whose answers it was held against: `here`, or the head hash of another store.
        let_in: whether it may answer.
    """
    payload = {"annotator": judge, "on": on, "let_in": let_in, "figures": figures(found)}
    store.append(EVENT, payload, f"trust/{digest(canonical_json(payload))}")


def require_let_in(store: Store, judge: str) -> None:
    """Raises ConfigError unless it was logged that a judge may answer."""
    if not any(
        event.payload["annotator"] == judge and event.payload["let_in"] for event in store.events(kinds={EVENT})
    ):
        raise ConfigError(
            "This judge was not let in",
            got=judge,
            expected="a judge that was held against people here",
            next_step="`plaudit judge STORE answer` does so first, and in Python plaudit.ask.judging.admit",
        )


def figures(found: Trust) -> dict[str, float | int | None]:
    """The figures as JSON has them; None where one is not defined."""
    told: dict[str, float | int | None] = {
        "answers": found.answers,
        "questions": found.questions,
        "silent": found.silent,
        "tied": found.tied,
        "length": found.length if math.isfinite(found.length) else None,
    }
    for name, one in (("accuracy", found.accuracy), ("gain", found.gain)):
        ends = None if isinstance(one, Undefined) else one.interval
        told |= {name: None if ends is None else ends.value}
        told |= {f"{name}_low": None if ends is None else ends.low, f"{name}_high": None if ends is None else ends.high}
    return told


def _right(said: FloatArray, sides: FloatArray) -> FloatArray:
    """[answer] 1 where both take the same side, 0 where not, 1/2 where nothing is taken."""
    return (1 + said * sides) / 2


def _longer(query: Query, texts: Mapping[str, TextSegment]) -> float:
    first, second = (texts[name].characters for name in query.segments)
    return float(np.sign(first - second))


def _prompt(one: Decided, texts: Mapping[str, TextSegment]) -> str:
    """What stands for its prompt."""
    return canonical_json(to_json(texts[one.query.segments[0]])["prompt"]).decode()
