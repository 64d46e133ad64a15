"""Faults that do not look at the question: fatigue, stretches without care, mistakes. Pure functions; they compose with `ask.perception`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np

from plaudit.ask.teacher_config import Careless, TeacherConfig
from plaudit.errors import RecordError
from plaudit.records import (
    Choice,
    Comparison,
    Correction,
    Critique,
    Demonstration,
    Feedback,
    Flag,
    Note,
    Query,
    QueryKind,
    Ranking,
    Rating,
    StepFeedback,
)
from plaudit.run.seeds import generator

OTHER = {Choice.FIRST: Choice.SECOND, Choice.SECOND: Choice.FIRST}
WORDS = ("bad", "good")


def lapse_after(config: TeacherConfig, before: int) -> float:
    """Share of lapses after so many answers of a session: attention falls by the same share with each."""
    if config.fatigue == 0:
        return config.lapse
    return 1.0 - (1.0 - config.lapse) * (1.0 - config.fatigue) ** before


def is_careless(config: TeacherConfig, seed: int, name: str, place: tuple[int, int]) -> bool:
    """Whether an annotator does not look, at (session, number in it): drawn once for each stretch of answers, not for each answer."""
    session, number = place
    if config.careless == 0:
        return False
    return generator(seed, "careless", name, session, number // config.stretch).random() < config.careless


def pick(how: Careless, options: int, number: int, rng: np.random.Generator) -> int:
    """An option, counted as on the screen, by somebody who does not look."""
    match how:
        case Careless.RANDOM:
            return int(rng.integers(options))
        case Careless.FIRST:
            return 0
        case Careless.LAST:
            return options - 1
        case Careless.ALTERNATE:
            return (0, options - 1)[number % 2]
        case _:
            assert_never(how)


def without_looking(
    how: Careless, query: Query, number: int, rng: np.random.Generator, *, steps: int, brought: Sequence[str]
) -> Feedback:
    """An unsigned answer by somebody who does not look.

    Args:
        how: what is picked.
        query: the question.
        number: of the answer in the session.
        rng: the answer's own stream.
        steps: of the first segment.
        brought: ids of segments that a demonstration or correction could show.
    """
    match query.kind:
        case QueryKind.COMPARISON:
            side = query.shown[pick(how, 2, number, rng)]
            return Comparison(id="", query=query.id, annotator="", choice=(Choice.FIRST, Choice.SECOND)[side])
        case QueryKind.RATING:
            if query.levels is None:
                raise RecordError("A rating query declares no scale", got=query.id, expected="levels")
            grade = pick(how, query.levels, number, rng)
            return Rating(id="", query=query.id, annotator="", value=grade, levels=query.levels)
        case QueryKind.STEPS:
            scores = (float(pick(how, 2, number, rng)),) * steps
            return StepFeedback(id="", query=query.id, annotator="", steps=tuple(range(steps)), scores=scores)
        case QueryKind.RANKING:
            return Ranking(id="", query=query.id, annotator="", ranks=_order(how, query, number, rng))
        case QueryKind.CRITIQUE:
            return Critique(id="", query=query.id, annotator="", notes=(Note(text=WORDS[pick(how, 2, number, rng)]),))
        case QueryKind.FLAG:
            severity = float(pick(how, 2, number, rng))
            return Flag(id="", query=query.id, annotator="", constraint=query.constraint or "", severity=severity)
        case QueryKind.DEMONSTRATION | QueryKind.CORRECTION:
            cls = Demonstration if query.kind is QueryKind.DEMONSTRATION else Correction
            shown = brought[pick(how, len(brought), number, rng)] if brought else None
            return cls(id="", query=query.id, annotator="", segment=shown)
        case _:
            assert_never(query.kind)


def turned(answer: Feedback) -> Feedback:
    """A mistaken answer: the opposite. Ties and skips stay; demonstrations and corrections are chosen wrongly instead."""
    match answer:
        case Comparison():
            return replace(answer, choice=OTHER.get(answer.choice, answer.choice))
        case Rating():
            return answer if answer.value is None else replace(answer, value=answer.levels - 1 - answer.value)
        case StepFeedback():
            return replace(answer, scores=tuple(1.0 - score for score in answer.scores))
        case Ranking():
            last = max(answer.ranks, default=0)
            return replace(answer, ranks=tuple(last - rank for rank in answer.ranks))
        case Critique():
            notes = [replace(note, text=WORDS[1 - WORDS.index(note.text)]) for note in answer.notes]
            return replace(answer, notes=tuple(notes))
        case Flag():
            severity = None if answer.severity is None else 1.0 - answer.severity
            return replace(answer, severity=severity, start=None, end=None)
        case Demonstration() | Correction():
            return answer
        case _:
            assert_never(answer)


def _order(how: Careless, query: Query, number: int, rng: np.random.Generator) -> tuple[int, ...]:
    count = len(query.shown)
    places = rng.permutation(count) if how is Careless.RANDOM else np.arange(count)
    if how is not Careless.RANDOM and pick(how, 2, number, rng) == 1:
        places = places[::-1]
    ranks = np.zeros(count, dtype=np.int64)
    ranks[list(query.shown)] = places
    return tuple(ranks.tolist())
