"""From records to arrays: which answers are about which segments, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from plaudit.ask.lists import INSERTION
from plaudit.errors import RecordError
from plaudit.records import (
    AnnotatorProfile,
    Comparison,
    Correction,
    Feedback,
    Flag,
    Query,
    Ranking,
    SegmentData,
    StepBatch,
    StepFeedback,
    TextSegment,
    brought,
    kind_of,
    require_confirmed,
)
from plaudit.reward.dispatch import OVERALL, Given, evidence_of, head_of, informs
from plaudit.reward.evidence import Evidence

S = TypeVar("S")


class Source(Protocol[S]):
    """Where records are looked up; `plaudit.store.Store` is one, for behaviour, and `plaudit.reward.texts.Texts`."""

    def queries(self) -> list[Query]:
        """All queries."""
        ...

    def segments(self, ids: Sequence[str]) -> Mapping[str, S]:
        """Segments by id."""
        ...

    def segment_data(self, segment: S) -> SegmentData:
        """The arrays of a segment."""
        ...


@dataclass(frozen=True, slots=True)
class FeedbackData:
    """Answers as arrays, and the segments that they are about."""

    segments: tuple[SegmentData, ...]
    evidence: tuple[Evidence, ...]
    """of the overall reward: one entry per kind of feedback, and per scale of ratings or number of segments"""
    chained: NDArray[np.bool_] | None = None
    """[comparison] those that say something about other pairs too; None where nothing is to follow from answers"""
    implied_weight: float = 0.0
    """of all that follows from answers, where all comparisons have 1"""
    heads: dict[str, tuple[Evidence, ...]] = field(default_factory=dict[str, "tuple[Evidence, ...]"])
    """the same of other rewards: `cost/<constraint>` and `aspect/<name>`"""
    traits: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    """annotator -> trait -> value, of annotators who told"""
    names: tuple[str, ...] = ()
    """ids of the segments"""
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    """by annotator, how much each of their answers counts in the fit; 1 where nothing is said"""

    @property
    def answers(self) -> int:
        """Number of answers."""
        return sum(len(part.segments) for parts in (self.evidence, *self.heads.values()) for part in parts)

    def of(self, head: str) -> FeedbackData:
        """What is said about one of the other rewards, as if it were the overall one."""
        return FeedbackData(self.segments, self.heads[head], traits=self.traits, weights=self.weights)


def collate(
    answers: Sequence[Feedback],
    source: Source[Any],
    *,
    implied_weight: float = 0.0,
    people: Iterable[AnnotatorProfile] = (),
    size: Callable[[str], float] | None = None,
    weights: Mapping[str, float] | None = None,
) -> FeedbackData:
    """Look up what answers are about, and put them into arrays. Answers that say nothing about rewards are left out.

    Args:
        answers: in the order of the log; a question keeps its number when later answers are added.
        source: where queries and segments are found.
        implied_weight: above 0, what follows from the comparisons of ranked lists counts too (`plaudit.reward.implied`).
        size: of a segment by id, what `reward.nuisance` takes for its length, for example `Texts.size`; by default its steps.
        people: profiles of annotators, as of `Store.annotators`, where the reward is to depend on their traits.
        weights: by annotator, how much each of their answers counts in the fit (`plaudit.quality.population.answer_weights`).

    Raises:
        RecordError: an answer does not fit its query, was derived from others and confirmed by nobody, or is about a segment
            with numbers that are not finite.
    """
    answers = [answer for answer in answers if informs(answer)]
    queries = {query.id: query for query in source.queries()} if answers else {}
    asked = list(dict.fromkeys(answer.query for answer in answers))
    missing = [query for query in asked if query not in queries]
    if missing:
        raise RecordError("Answers refer to queries that do not exist", got=missing[:3])
    shown = [segment for query in asked for segment in queries[query].segments]
    ids = list(dict.fromkeys([*shown, *(segment for answer in answers for segment in brought(answer))]))
    found = source.segments(ids)
    data = {segment: _checked(segment, source.segment_data(found[segment])) for segment in ids}
    row = {segment: number for number, segment in enumerate(ids)}
    question = {query: number for number, query in enumerate(asked)}
    heads: dict[str, list[Given]] = {OVERALL: []}
    for answer in answers:
        query = queries[answer.query]
        about = [*brought(answer), *query.segments]
        lengths = [len(data[one]) for one in about]
        last = found[about[-1]]
        _check_fit(answer, query, lengths, last.characters if isinstance(last, TextSegment) else lengths[-1])
        sizes = [float(length) for length in lengths] if size is None else [size(one) for one in about]
        given = Given(answer, query, question[query.id], [row[one] for one in about], lengths, sizes)
        heads.setdefault(head_of(answer, query), []).append(given)
    names = tuple(dict.fromkeys(answer.annotator for answer in answers))
    evidence = {head: evidence_of(given, names) for head, given in heads.items()}
    traits = {one.id: one.traits for one in people if one.traits}
    chained = _chained(heads[OVERALL]) if implied_weight else None
    overall = evidence.pop(OVERALL)
    return FeedbackData(
        tuple(data.values()), overall, chained, implied_weight, evidence, traits, tuple(ids), weights or {}
    )


def _chained(given: Sequence[Given]) -> NDArray[np.bool_] | None:
    """[comparison] the first answer to each question that inserted a segment into a ranked list; None without any."""
    seen: set[int] = set()
    found: list[bool] = []
    for one in given:
        if isinstance(one.answer, Comparison):
            found.append(one.query.strategy == INSERTION and one.question not in seen)
            seen.add(one.question)
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


def _check_fit(answer: Feedback, query: Query, lengths: Sequence[int], most: int) -> None:
    """`lengths` of what came with the answer, then of the query's segments; spans end within `most` steps or characters."""
    require_confirmed(answer)
    if kind_of(answer) != query.kind.value:
        raise RecordError(
            "An answer does not fit its query", got=f"{kind_of(answer)} {answer.id}", expected=f"a {query.kind.value}"
        )
    match answer:
        case StepFeedback() if max(answer.steps) >= lengths[0]:
            raise RecordError(
                "Step feedback is about steps that do not exist",
                got=f"step {max(answer.steps)} in {answer.id}",
                expected=f"steps below {lengths[0]}",
            )
        case Ranking() if len(answer.ranks) != len(query.segments):
            raise RecordError(
                "A ranking does not fit its query",
                got=f"{len(answer.ranks)} places in {answer.id}",
                expected=f"one for each of {len(query.segments)} segments",
            )
        case Flag() if answer.constraint != query.constraint:
            raise RecordError(
                "A flag does not fit its query", got=f"{answer.constraint} in {answer.id}", expected=query.constraint
            )
        case Correction() | Flag() if answer.end is not None and answer.end > most:
            raise RecordError(
                "An answer is about steps that do not exist",
                got=f"steps or characters below {answer.end} in {answer.id}",
                expected=f"steps or characters below {most}",
            )
        case _:
            pass
