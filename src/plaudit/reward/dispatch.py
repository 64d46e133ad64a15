"""Which likelihood each kind of feedback has: one `case` and one function per kind.

What a kind says about rewards is here and in the class of evidence that it becomes, and nowhere else. Some kinds share
a class: a demonstration is a choice over the policy's own samples, a correction is one over what it corrects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np

from plaudit.records import (
    Choice,
    Comparison,
    Correction,
    Critique,
    Demonstration,
    Feedback,
    Flag,
    Query,
    Ranking,
    Rating,
    StepFeedback,
    is_skip,
)
from plaudit.reward.choices import Choices, Flags
from plaudit.reward.evidence import Asked, Evidence, FloatArray, IndexArray
from plaudit.reward.likelihood import GRADES, Comparisons, Ratings, StepScores

SIDES = {Choice.FIRST: 1, Choice.SECOND: -1, Choice.TIE: 0}
OVERALL = "overall"


@dataclass(frozen=True, slots=True)
class Given:
    """An answer, and where what it is about stands."""

    answer: Any
    """a record of the kind that is dispatched on"""
    query: Query
    question: int
    """number of the question"""
    segments: list[int]
    """what came with the answer first, then the query's segments in its order"""
    lengths: list[int]
    sizes: list[float]
    """what counts as their length for `reward.nuisance`"""


Build = Callable[[Sequence[Given], tuple[str, ...]], Evidence]
"""makes evidence of answers of one kind; with the names of all annotators"""


def informs(answer: Feedback) -> bool:
    """Whether an answer says anything about rewards.

    Skips do not, nor do critiques by themselves. Segments that cannot be compared may be far apart or close: that they
    are incomparable is taken to be as likely whatever their rewards are, and so is a factor that no reward changes.
    """
    match answer:
        case Critique():
            return False
        case Comparison(choice=Choice.INCOMPARABLE):
            return False
        case _:
            return not is_skip(answer)


def head_of(answer: Feedback, query: Query) -> str:
    """Which reward an answer is about: `overall`, `aspect/<name>`, or `cost/<constraint>`."""
    if isinstance(answer, Flag):
        return f"cost/{answer.constraint}"
    return OVERALL if query.aspect is None else f"aspect/{query.aspect}"


def evidence_of(given: Sequence[Given], names: tuple[str, ...]) -> tuple[Evidence, ...]:
    """One array form per kind, and per scale or number of segments, in a fixed order."""
    groups: dict[tuple[int, int], tuple[Build, list[Given]]] = {}
    for one in given:
        order, build = _likelihood(one.answer, len(one.segments))
        groups.setdefault(order, (build, []))[1].append(one)
    return tuple(build(members, names) for _, (build, members) in sorted(groups.items(), key=lambda item: item[0]))


def _likelihood(answer: Feedback, count: int) -> tuple[tuple[int, int], Build]:
    """Place among all evidence, and what makes it; answers with equal places share arrays."""
    match answer:
        case Comparison():
            return (0, 0), _comparisons
        case Rating():
            return (1, answer.levels), _ratings
        case StepFeedback():
            return (2, 0), _step_scores
        case Ranking():
            return (3, count), _rankings
        case Demonstration():
            return (4, count), _best
        case Correction():
            return (5, count), _best
        case Flag():
            return (6, 0), _flags
        case Critique():
            raise AssertionError("critiques inform nothing")
        case _:
            assert_never(answer)


def _comparisons(given: Sequence[Given], names: tuple[str, ...]) -> Comparisons:
    answers = [one.answer for one in given]
    decided = [answer.choice is not Choice.TIE and answer.strength is not None for answer in answers]
    grade = [math.ceil(GRADES * (a.strength or 1)) if d else 0 for a, d in zip(answers, decided, strict=True)]
    places, sizes, lengths = _places(given), _long(given), column(given, "lengths")
    return Comparisons(
        segments=column(given, "segments"),
        question=column(given, "question"),
        lengths=lengths,
        side=np.array([SIDES[answer.choice] for answer in answers], dtype=np.int64),
        grade=np.array(grade, dtype=np.int64),
        asked=asked(given, names, position=places[:, :1] - places[:, 1:], length=sizes[:, :1] - sizes[:, 1:]),
        seconds=_seconds(answers),
    )


def _ratings(given: Sequence[Given], names: tuple[str, ...]) -> Ratings:
    lengths = column(given, "lengths")
    return Ratings(
        segments=column(given, "segments"),
        question=column(given, "question"),
        lengths=lengths,
        grade=np.array([one.answer.value for one in given], dtype=np.int64),
        levels=given[0].answer.levels,
        asked=asked(given, names, length=_long(given)),
    )


def _step_scores(given: Sequence[Given], names: tuple[str, ...]) -> StepScores:
    answers = [one.answer for one in given]
    widest = max(len(answer.steps) for answer in answers)
    judged = np.arange(widest) < np.array([len(answer.steps) for answer in answers])[:, None]
    positions, scores = np.zeros(judged.shape, dtype=np.intp), np.zeros(judged.shape)
    positions[judged] = np.concatenate([answer.steps for answer in answers])
    scores[judged] = np.concatenate([answer.scores for answer in answers])
    return StepScores(
        segments=column(given, "segments"),
        question=column(given, "question"),
        positions=positions,
        scores=scores,
        judged=judged,
        length=float(column(given, "lengths").mean()),
        asked=asked(given, names),
    )


def _rankings(given: Sequence[Given], names: tuple[str, ...]) -> Choices:
    lengths = column(given, "lengths")
    ranks = np.array([one.answer.ranks for one in given], dtype=np.int64)
    return Choices(
        segments=column(given, "segments"),
        question=column(given, "question"),
        lengths=lengths,
        asked=asked(given, names, position=_places(given), length=_long(given)),
        ranks=ranks,
        stages=1 + ranks.max(axis=1),
        ties=True,
    )


def _best(given: Sequence[Given], names: tuple[str, ...]) -> Choices:
    """What came with the answer is better than all that it was put beside, whose order is not known."""
    lengths = column(given, "lengths")
    return Choices(
        segments=column(given, "segments"),
        question=column(given, "question"),
        lengths=lengths,
        asked=asked(given, names, length=_long(given)),
        ranks=np.minimum(np.zeros_like(lengths) + np.arange(lengths.shape[1]), 1).astype(np.int64),
        stages=np.ones(len(given), dtype=np.int64),
        ties=False,
    )


def _flags(given: Sequence[Given], names: tuple[str, ...]) -> Flags:
    lengths = column(given, "lengths")
    return Flags(
        segments=column(given, "segments"),
        question=column(given, "question"),
        lengths=lengths,
        asked=asked(given, names, length=_long(given)),
        severity=np.array([[one.answer.severity] for one in given], dtype=np.float64),
    )


def asked(
    given: Sequence[Given],
    names: tuple[str, ...],
    *,
    position: FloatArray | None = None,
    length: FloatArray | None = None,
) -> Asked:
    """Who answered; `position` and `length` [answer, judgement] as far as they may have played a part."""
    number = {name: index for index, name in enumerate(names)}
    found = {"position": position, "length": length}
    nuisance = {name: np.asarray(values, dtype=np.float64) for name, values in found.items() if values is not None}
    return Asked(names, np.array([number[one.answer.annotator] for one in given], dtype=np.intp), nuisance)


def _seconds(answers: Sequence[Feedback]) -> FloatArray | None:
    """[answer] how long each took, NaN where that is not known; None where it never is."""
    taken = np.array([one.response_seconds or np.nan for one in answers])
    return taken if (taken > 0).any() else None


def _places(given: Sequence[Given]) -> FloatArray:
    """[answer, segment] place on the screen: 1/2 the first, -1/2 the last, evenly between."""
    order = np.argsort([one.query.shown for one in given], axis=1)
    return 0.5 - order / max(order.shape[1] - 1, 1)


def _long(given: Sequence[Given]) -> FloatArray:
    """[answer, segment] how much longer than the mean of all."""
    sizes = np.array([one.sizes for one in given], dtype=np.float64)
    return sizes - sizes.mean()


def column(given: Sequence[Given], name: str) -> IndexArray:
    """One field of all answers as an array."""
    return np.array([getattr(one, name) for one in given], dtype=np.intp)
