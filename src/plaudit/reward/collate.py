"""From records to arrays: which answers are about which segments, and what they say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plaudit.ask.lists import INSERTION
from plaudit.errors import RecordError
from plaudit.records import (
    Choice,
    Comparison,
    Feedback,
    Query,
    Rating,
    Segment,
    SegmentData,
    StepBatch,
    StepFeedback,
    is_skip,
    kind_of,
)
from plaudit.reward.likelihood import GRADES, Comparisons, Evidence, Ratings, StepScores

SIDES = {Choice.FIRST: 1, Choice.SECOND: -1, Choice.TIE: 0}


class Source(Protocol):
    """Where records are looked up; `plaudit.store.Store` is one."""

    def queries(self) -> list[Query]:
        """All queries."""
        ...

    def segments(self, ids: Sequence[str]) -> Mapping[str, Segment]:
        """Segments by id."""
        ...

    def segment_data(self, segment: Segment) -> SegmentData:
        """The arrays of a segment."""
        ...


@dataclass(frozen=True, slots=True)
class FeedbackData:
    """Answers as arrays, and the segments that they are about."""

    segments: tuple[SegmentData, ...]
    evidence: tuple[Evidence, ...]
    """one entry per kind of feedback, and per scale of ratings"""
    chained: NDArray[np.bool_] | None = None
    """[comparison] those that say something about other pairs too; None where nothing is to follow from answers"""
    implied_weight: float = 0.0
    """of all that follows from answers, where all comparisons have 1"""

    @property
    def answers(self) -> int:
        """Number of answers."""
        return sum(len(part.segments) for part in self.evidence)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the segments of a question stand."""

    question: int
    segments: list[int]
    lengths: list[int]


def collate(answers: Sequence[Feedback], source: Source, *, implied_weight: float = 0.0) -> FeedbackData:
    """Look up what answers are about, and put them into arrays. Skipped questions are left out.

    Args:
        answers: in the order of the log; a question keeps its number when later answers are added.
        source: where queries and segments are found.
        implied_weight: above 0, what follows from the comparisons of ranked lists counts too (`plaudit.reward.implied`).

    Raises:
        RecordError: an answer does not fit its query, or a segment holds numbers that are not finite.
    """
    given = [answer for answer in answers if not is_skip(answer)]
    queries = {query.id: query for query in source.queries()} if given else {}
    asked = list(dict.fromkeys(answer.query for answer in given))
    missing = [query for query in asked if query not in queries]
    if missing:
        raise RecordError("Answers refer to queries that do not exist", got=missing[:3])
    ids = list(dict.fromkeys(segment for query in asked for segment in queries[query].segments))
    found = source.segments(ids)
    data = {segment: _checked(segment, source.segment_data(found[segment])) for segment in ids}
    row = {segment: number for number, segment in enumerate(ids)}
    places: dict[str, _Place] = {}
    for number, query in enumerate(asked):
        shown = queries[query].segments
        places[query] = _Place(number, [row[one] for one in shown], [len(data[one]) for one in shown])
    for answer in given:
        _check_fit(answer, queries[answer.query], places[answer.query])
    chained = _chained(given, queries) if implied_weight else None
    return FeedbackData(tuple(data.values()), _evidence(given, places), chained, implied_weight)


def _chained(answers: Sequence[Feedback], queries: Mapping[str, Query]) -> NDArray[np.bool_] | None:
    """[comparison] the first answer to each question that inserted a segment into a ranked list; None without any."""
    seen: set[str] = set()
    found: list[bool] = []
    for answer in answers:
        if isinstance(answer, Comparison):
            found.append(queries[answer.query].strategy == INSERTION and answer.query not in seen)
            seen.add(answer.query)
    return np.array(found) if any(found) else None


def pack(segments: Sequence[SegmentData], actions: int, *, pixels: bool = False) -> StepBatch:
    """Segments side by side, padded to the longest. Discrete actions become one-hot.

    Args:
        segments: at least one.
        actions: width of an action as reward models see it; for discrete actions their number.
        pixels: also put pictures side by side.

    Raises:
        RecordError: shapes differ between segments, there are no pictures where they are asked for, or a discrete action is not below `actions`.
    """
    seen = [np.asarray(segment.observations, dtype=np.float32).reshape(len(segment), -1) for segment in segments]
    done = [_flat_actions(segment, actions) for segment in segments]
    widths = {(o.shape[1], a.shape[1]) for o, a in zip(seen, done, strict=True)}
    if len(widths) != 1 or next(iter(widths))[1] != actions:
        raise RecordError(
            "Segments do not fit together",
            got=sorted(widths),
            expected=f"one width of observations, actions of {actions}",
        )
    longest = max(len(segment) for segment in segments)
    mask = np.arange(longest) < np.array([len(segment) for segment in segments])[:, None]
    observations = np.zeros((*mask.shape, seen[0].shape[1]), dtype=np.float32)
    acted = np.zeros((*mask.shape, actions), dtype=np.float32)
    observations[mask], acted[mask] = np.concatenate(seen), np.concatenate(done)
    return StepBatch(observations, acted, mask, _pixels(segments, mask) if pixels else None)


def _pixels(segments: Sequence[SegmentData], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """[segment, step, height, width, channel], black on padding."""
    found = [segment.pixels for segment in segments if segment.pixels is not None]
    shapes = {pictures.shape[1:] for pictures in found}
    if len(found) < len(segments) or len(shapes) != 1 or len(next(iter(shapes))) != 3:
        raise RecordError(
            "Segments cannot be looked at",
            got=f"{len(segments) - len(found)} of {len(segments)} without pictures, shapes {sorted(shapes)}",
            expected="pictures of one [height, width, channel] in all of them",
            next_step="record pictures in the world, or choose another reward.trunk than cnn",
        )
    pictures = np.zeros((*mask.shape, *next(iter(shapes))), dtype=np.uint8)
    pictures[mask] = np.concatenate(found)
    return pictures


def _flat_actions(segment: SegmentData, actions: int) -> NDArray[np.float32]:
    raw = segment.actions
    if raw.ndim == 1 and np.issubdtype(raw.dtype, np.integer):
        index = raw.astype(np.intp)
        if len(index) and not 0 <= index.min() <= index.max() < actions:
            raise RecordError(
                "A segment holds an unknown discrete action", got=int(index.max()), expected=f"0 .. {actions - 1}"
            )
        return np.eye(actions, dtype=np.float32)[index]
    return np.asarray(raw, dtype=np.float32).reshape(len(segment), -1)


def _checked(segment: str, data: SegmentData) -> SegmentData:
    if len(data) == 0 or not (
        np.isfinite(data.observations).all() and np.isfinite(data.actions.astype(np.float64)).all()
    ):
        raise RecordError(
            "A segment cannot be learned from",
            got=f"{segment}: " + ("no steps" if len(data) == 0 else "numbers that are not finite"),
            expected="at least one step, finite observations and actions",
            next_step="look at the world that it was recorded in with `plaudit doctor`",
        )
    return data


def _check_fit(answer: Feedback, query: Query, place: _Place) -> None:
    if kind_of(answer) != query.kind.value:
        raise RecordError(
            "An answer does not fit its query", got=f"{kind_of(answer)} {answer.id}", expected=f"a {query.kind.value}"
        )
    if isinstance(answer, StepFeedback) and max(answer.steps) >= place.lengths[0]:
        raise RecordError(
            "Step feedback is about steps that do not exist",
            got=f"step {max(answer.steps)} in {answer.id}",
            expected=f"steps below {place.lengths[0]}",
        )


def _evidence(answers: Sequence[Feedback], places: Mapping[str, _Place]) -> tuple[Evidence, ...]:
    """One array form per kind, in a fixed order."""
    comparisons: list[Comparison] = []
    ratings: dict[int, list[Rating]] = {}
    steps: list[StepFeedback] = []
    for answer in answers:
        match answer:
            case Comparison():
                comparisons.append(answer)
            case Rating():
                ratings.setdefault(answer.levels, []).append(answer)
            case StepFeedback():
                steps.append(answer)
            case _:
                raise RecordError(
                    "A reward model of control segments cannot be fitted to this kind of answer",
                    got=f"{kind_of(answer)} {answer.id}",
                    expected="comparisons, ratings, step scores",
                )
    parts: list[Evidence] = []
    if comparisons:
        parts.append(_comparisons(comparisons, [places[answer.query] for answer in comparisons]))
    for levels in sorted(ratings):
        found = ratings[levels]
        parts.append(_ratings(found, [places[answer.query] for answer in found], levels))
    if steps:
        parts.append(_step_scores(steps, [places[answer.query] for answer in steps]))
    return tuple(parts)


def _comparisons(answers: Sequence[Comparison], places: Sequence[_Place]) -> Comparisons:
    decided = [answer.choice is not Choice.TIE and answer.strength is not None for answer in answers]
    grade = [math.ceil(GRADES * (a.strength or 1)) if d else 0 for a, d in zip(answers, decided, strict=True)]
    return Comparisons(
        segments=_column(places, "segments"),
        question=_column(places, "question"),
        lengths=_column(places, "lengths"),
        side=np.array([SIDES[answer.choice] for answer in answers], dtype=np.int64),
        grade=np.array(grade, dtype=np.int64),
    )


def _ratings(answers: Sequence[Rating], places: Sequence[_Place], levels: int) -> Ratings:
    return Ratings(
        segments=_column(places, "segments"),
        question=_column(places, "question"),
        lengths=_column(places, "lengths"),
        grade=np.array([answer.value for answer in answers], dtype=np.int64),
        levels=levels,
    )


def _step_scores(answers: Sequence[StepFeedback], places: Sequence[_Place]) -> StepScores:
    widest = max(len(answer.steps) for answer in answers)
    judged = np.arange(widest) < np.array([len(answer.steps) for answer in answers])[:, None]
    positions, scores = np.zeros(judged.shape, dtype=np.intp), np.zeros(judged.shape)
    positions[judged] = np.concatenate([answer.steps for answer in answers])
    scores[judged] = np.concatenate([answer.scores for answer in answers])
    return StepScores(
        segments=_column(places, "segments"),
        question=_column(places, "question"),
        positions=positions,
        scores=scores,
        judged=judged,
        length=float(_column(places, "lengths").mean()),
    )


def _column(places: Sequence[_Place], name: str) -> NDArray[np.intp]:
    return np.array([getattr(place, name) for place in places], dtype=np.intp)
