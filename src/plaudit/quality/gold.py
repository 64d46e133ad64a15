"""Silent gold questions: questions like all others whose right answer is known, and a sequential test on them.

What is gold is kept in the log, as events `gold.set`, and never in the question: nothing that an annotator's page is made
from tells it apart. Gold is best taken from questions that annotators answered alike with high certainty, so that it comes
from the same distribution as the rest; `certain` finds those.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from plaudit.errors import ConfigError, StoreError
from plaudit.records import Choice, Comparison, Feedback, Query, QueryKind, Rating, is_skip
from plaudit.run.seeds import generator
from plaudit.stats.crowd import Labels, one_coin
from plaudit.store.store import Store

EVENT = "gold.set"


@dataclass(frozen=True, slots=True)
class SequentialConfig:
    """Wald's sequential probability ratio test of gold answers (Wald 1945, Annals of Mathematical Statistics 16)."""

    good: float = 0.9
    """accuracy on gold of an annotator who must not be stopped"""
    bad: float = 0.65
    """accuracy on gold of an annotator who must be stopped"""
    false_alarm: float = 0.01
    """largest probability that an annotator of accuracy `good` or better is stopped"""
    miss: float = 0.05
    """largest probability that an annotator of accuracy `bad` or worse passes"""

    def __post_init__(self) -> None:
        if not 0 < self.bad < self.good < 1:
            raise ConfigError(
                "The accuracies of the gold test do not fit", got=(self.bad, self.good), expected="0 < bad < good < 1"
            )
        if not (0 < self.false_alarm < 0.5 and 0 < self.miss < 0.5):
            raise ConfigError(
                "An error rate of the gold test is out of range", got=(self.false_alarm, self.miss), expected="0 .. 0.5"
            )

    @property
    def bounds(self) -> tuple[float, float]:
        """Stop above the second, pass below the first.

        log(miss) and -log(false_alarm) keep both error rates for certain (Ville's inequality); Wald's own bounds, log(miss / (1 -
        false_alarm)) and log((1 - miss) / false_alarm), keep their sum.
        """
        return math.log(self.miss), -math.log(self.false_alarm)


class Verdict(enum.Enum):
    """What the gold answers say so far."""

    PASSED = "passed"
    STOPPED = "stopped"
    OPEN = "open"
    """more gold is needed"""


@dataclass(frozen=True, slots=True)
class GoldTest:
    """The test of one annotator."""

    verdict: Verdict
    right: int
    answered: int
    evidence: tuple[float, ...]
    """log likelihood ratio of bad against good after each answer"""
    decided_after: int | None
    """number of gold answers at the first decision; later answers do not change it"""


def sequential_test(right: Sequence[bool], config: SequentialConfig) -> GoldTest:
    """Test gold answers in the order in which they came."""
    hit = math.log(config.bad / config.good)
    slip = math.log((1 - config.bad) / (1 - config.good))
    evidence = np.cumsum([hit if one else slip for one in right]).tolist() if right else []
    low, high = config.bounds
    for number, value in enumerate(evidence, 1):
        if not low < value < high:
            verdict = Verdict.PASSED if value <= low else Verdict.STOPPED
            return GoldTest(verdict, sum(right), len(right), tuple(evidence), number)
    return GoldTest(Verdict.OPEN, sum(right), len(right), tuple(evidence), None)


def tests_of(
    answers: Iterable[Feedback], gold: Mapping[str, Choice | int], config: SequentialConfig
) -> dict[str, GoldTest]:
    """The test of everybody who answered gold, by annotator. Answers are in the order of the log; skipped ones do not count."""
    right: dict[str, list[bool]] = {}
    for one in answers:
        if one.query in gold and not is_skip(one):
            right.setdefault(one.annotator, []).append(_said(one) == gold[one.query])
    return {name: sequential_test(found, config) for name, found in right.items()}


def _said(one: Feedback) -> Choice | int | None:
    match one:
        case Comparison():
            return one.choice
        case Rating():
            return one.value
        case _:
            return None


def expected_length(accuracy: float, config: SequentialConfig) -> float:
    """Gold answers until a decision, on average, for an annotator of accuracy `good` or `bad` (Wald 1945, eq. 4.8, without overshoot)."""
    low, high = config.bounds
    hit, slip = math.log(config.bad / config.good), math.log((1 - config.bad) / (1 - config.good))
    drift = accuracy * hit + (1 - accuracy) * slip
    stop = config.false_alarm if drift < 0 else 1 - config.miss
    return (stop * high + (1 - stop) * low) / drift


def set_gold(store: Store, answers: Mapping[str, Choice | int]) -> None:
    """Log the right answers of questions, by query id: a side for comparisons, a grade for ratings.

    The same answer again changes nothing. Raises StoreError when a question is not there, does not take such an answer, or has
    another gold answer already.
    """
    items = [(EVENT, _payload(store.query(id_), answer), f"gold/{id_}") for id_, answer in answers.items()]
    store.append_many(items)


def read_gold(store: Store, upto: int | None = None) -> dict[str, Choice | int]:
    """Right answers by query id, those set up to a log position."""
    found: dict[str, Choice | int] = {}
    for event in store.events(upto=upto, kinds={EVENT}):
        value = event.payload["answer"]
        found[event.payload["query"]] = Choice(value) if isinstance(value, str) else int(value)
    return found


def _payload(query: Query, answer: Choice | int) -> dict[str, str | int]:
    match query.kind, answer:
        case QueryKind.COMPARISON, Choice.FIRST | Choice.SECOND | Choice.TIE:
            return {"query": query.id, "answer": answer.value}
        case QueryKind.RATING, int() if query.levels is not None and 0 <= answer < query.levels:
            return {"query": query.id, "answer": answer}
        case _:
            raise StoreError(
                "A gold answer does not fit its question",
                got=f"{answer} for a {query.kind.value}",
                expected="a side or a tie for a comparison, a grade on the scale for a rating",
            )


def asked_again(query: Query, *, round: int, index: int, seed: int) -> Query:
    """The same question once more, for a repeat or as gold in a later round: same segments, strategy and form, sides drawn anew.

    It keeps the strategy's name, so nothing tells it apart; the audit knows repeats by their segments. `seed` is the run's.
    """
    shown = generator(seed, round, "ask", "again", query.id, index).permutation(len(query.segments))
    return Query(
        query.kind,
        query.segments,
        tuple(int(i) for i in shown),
        round,
        index,
        query.strategy,
        score=query.score,
        propensity=query.propensity,
        reward=query.reward,
        levels=query.levels,
        aspect=query.aspect,
        constraint=query.constraint,
        level=query.level,
    )


def certain(labels: Labels, *, sure: float = 0.99, annotators: int = 3) -> dict[int, int]:
    """Items whose class the one-coin model is sure of, from at least so many annotators: candidates for gold.

    Returns item -> class.
    """
    posterior = one_coin(labels).posterior
    pairs = np.unique(np.stack([labels.item, labels.annotator]), axis=1)
    several = np.bincount(pairs[0], minlength=labels.items) >= annotators
    best = posterior.argmax(axis=1)
    return {int(i): int(best[i]) for i in np.nonzero(several & (posterior.max(axis=1) >= sure))[0]}
