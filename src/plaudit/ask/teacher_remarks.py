"""Answers of a simulated annotator who looks and says more than which is better: critiques, flags, demonstrations, corrections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.ask.perception import FloatArray, Measure, Seen, by_part, liked, look, worth
from plaudit.ask.teacher_answers import Mind
from plaudit.errors import RecordError
from plaudit.records import Correction, Critique, Demonstration, Flag, Note, Query, SegmentData

QUARTER = 0.25
"""a step is good (bad) for a critic in the best (worst) quarter of the scale"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Behaviour that an annotator could show: the segment lies in the store already."""

    segment: str
    """its id"""
    data: SegmentData


Attempts = Callable[[Query], Sequence[Attempt]]
"""what an annotator would manage to show when asked for a demonstration or a correction, for example replays by a good
policy, or by the policy itself from the query's first state. A function of the query alone"""


def criticise(mind: Mind, query: Query, seen: Sequence[Seen]) -> Critique:
    """The longest stretch of good steps and that of bad ones, on the teacher's scale; of a good or bad one, what part of the taste made it so."""
    if len(seen) != 1:
        raise RecordError("A simulated teacher criticises one segment at a time", got=len(seen), expected=1)
    low, high = mind.config.scale
    rewards = liked(seen[0], mind.config.taste)
    noisy = rewards + mind.noise(len(rewards))
    share = mind.rng.random(len(rewards)) if mind.lapses else (noisy - low) / (high - low)
    parts = by_part(seen[0], mind.config.taste)
    notes: list[Note] = []
    for word, steps, sign in (("good", share >= 1 - QUARTER, 1.0), ("bad", share <= QUARTER, -1.0)):
        found = _longest(steps)
        if found is not None:
            start, end = found
            notes.append(Note(text=word, start=start, end=end, aspect=_reason(parts, start, end, sign)))
    if not notes:  # nothing stands out: all of it is one or the other
        notes = [Note(text="good" if np.mean(share) >= 0.5 else "bad")]
    return Critique(id="", query=query.id, annotator="", notes=() if mind.skips else tuple(notes))


def flag(mind: Mind, query: Query, seen: Seen) -> Flag:
    """The largest cost of a step as severity, at most 1, and the stretch of violation around it."""
    assert query.constraint is not None  # the record asks for it
    cost = np.clip(seen.part(query.constraint), 0.0, 1.0)
    worst = int(np.argmax(cost))
    severity = float(mind.rng.random()) if mind.lapses else float(cost[worst])
    around = None if mind.lapses or severity == 0 else _around(cost > 0, worst)
    start, end = (None, None) if around is None or mind.skips else around
    given = None if mind.skips else severity
    return Flag(id="", query=query.id, annotator="", constraint=query.constraint, severity=given, start=start, end=end)


def demonstrate(
    mind: Mind, query: Query, attempts: Sequence[Attempt], measure: Measure | None, *, errs: bool
) -> Demonstration:
    """The attempt that seems best: a Boltzmann choice among what the annotator can do (Jeon, Milli & Dragan 2020). A mistake is the worst."""
    felt = _felt(mind, [look(one.data, measure) for one in attempts])
    best = _pick(mind, felt, errs=errs)
    return Demonstration(
        id="", query=query.id, annotator="", segment=None if mind.skips or best is None else attempts[best].segment
    )


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is to be corrected."""

    data: SegmentData
    seen: Seen


def correct(
    mind: Mind, query: Query, wrong: Wrong, attempts: Sequence[Attempt], measure: Measure | None, *, errs: bool
) -> Correction:
    """The attempt that seems best, where it seems better than the segment; else a skip. The span is what it changed."""
    felt = _felt(mind, [wrong.seen, *[look(one.data, measure) for one in attempts]])
    best = _pick(mind, felt, errs=errs) if len(attempts) else 0
    if mind.skips or not best:
        return Correction(id="", query=query.id, annotator="")
    chosen = attempts[best - 1]
    start, end = changed(wrong.data, chosen.data)
    return Correction(id="", query=query.id, annotator="", segment=chosen.segment, start=start, end=end)


def changed(before: SegmentData, after: SegmentData) -> tuple[int, int] | tuple[None, None]:
    """First step of `before` whose action was changed, and one past the last; None twice where none was."""
    steps = min(len(before), len(after))
    mine, other = (np.asarray(one.actions[:steps], float).reshape(steps, -1) for one in (before, after))
    differs = np.any(mine != other, axis=1)
    where = np.flatnonzero(np.concatenate([differs, np.ones(len(before) - steps, dtype=bool)]))
    return (None, None) if len(where) == 0 else (int(where[0]), int(where[-1]) + 1)


def _felt(mind: Mind, seen: Sequence[Seen]) -> FloatArray:
    """What each is worth, with Gumbel noise: the largest is then a draw from softmax(worth / temperature)."""
    returns = np.array([worth(liked(one, mind.config.taste), mind.config.discount) for one in seen])
    return returns + mind.config.temperature * mind.rng.gumbel(size=len(seen))


def _pick(mind: Mind, felt: FloatArray, *, errs: bool) -> int | None:
    if len(felt) == 0:
        return None
    if mind.lapses:
        return int(mind.rng.integers(len(felt)))
    return int(np.argmin(felt) if errs else np.argmax(felt))


def _reason(parts: dict[str, FloatArray], start: int, end: int, sign: float) -> str:
    """The part that spoke most for the word; empty where that was the reward itself, or nothing spoke for it."""
    says = {name: sign * float(part[start:end].sum()) for name, part in parts.items()}
    most = max(says, key=lambda name: says[name])
    return "" if most == "reward" or says[most] <= 0 else most


def _longest(where: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Start and end of the longest stretch of True, the first of equals."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(np.int8)))
    if len(edges) == 0:
        return None
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])


def _around(where: NDArray[np.bool_], step: int) -> tuple[int, int]:
    """The stretch of True that a step lies in."""
    outside = np.flatnonzero(~where)
    before, after = outside[outside < step], outside[outside > step]
    return (int(before[-1]) + 1 if len(before) else 0, int(after[0]) if len(after) else len(where))
