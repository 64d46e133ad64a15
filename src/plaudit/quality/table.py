"""What a store knows, as arrays: one line per answer, in log order."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.quality.gold import read_gold
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Feedback,
    Flag,
    Query,
    Rating,
    StepFeedback,
)
from plaudit.stats.crowd import Labels
from plaudit.stats.ranking import Comparisons
from plaudit.store.store import Store

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
FIRST, SECOND, TIE = 0, 1, 2
"""classes of a comparison, in the order of its sorted segments"""


@dataclass(frozen=True, slots=True)
class Material:
    """All that the audit reads."""

    queries: dict[str, Query]
    feedback: tuple[Feedback, ...]
    profiles: dict[str, AnnotatorProfile]
    gold: dict[str, Choice | int]

    @property
    def annotators(self) -> tuple[str, ...]:
        """Who answered, in the order of their first answers."""
        return tuple(dict.fromkeys(one.annotator for one in self.feedback))

    def kind(self, annotator: str) -> str:
        """Person, simulated, judge or unknown."""
        found = self.profiles.get(annotator)
        return "unknown" if found is None else found.kind.value

    def is_person(self, annotator: str) -> bool:
        """Whether a person stands behind it; unknown annotators count as people."""
        found = self.profiles.get(annotator)
        return found is None or found.kind is AnnotatorKind.PERSON

    def of(self, annotator: str) -> list[Feedback]:
        """Answers of one annotator, skips among them."""
        return [one for one in self.feedback if one.annotator == annotator]


@dataclass(frozen=True, slots=True)
class ComparisonTable:
    """All judged comparisons. Questions about the same two segments, aspect and level are one item of `pairs`."""

    labels: Labels
    """classes FIRST, SECOND, TIE by pair of segments"""
    data: Comparisons
    """by segment, in the order on the screen; a segment counts anew under each aspect and level"""
    query: tuple[str, ...]
    """[answer] id of the question"""
    names: tuple[str, ...]
    """[annotator]"""


def read(store: Store) -> Material:
    """Everything from a store."""
    return Material(
        queries={query.id: query for query in store.queries()},
        feedback=tuple(one for _, one in store.feedback()),
        profiles=store.annotators(),
        gold=read_gold(store),
    )


def comparisons(material: Material) -> ComparisonTable:
    """Comparisons that found an order or a tie."""
    unordered = (Choice.SKIP, Choice.INCOMPARABLE)
    given = [one for one in material.feedback if isinstance(one, Comparison) and one.choice not in unordered]
    queries = [material.queries[one.query] for one in given]
    names = material.annotators
    segments = _numbers([subject for query in queries for subject in _subjects(query)])
    pairs = _numbers([_item(query) for query in queries])
    shown = [[segments[_subjects(query)[i]] for i in query.shown] for query in queries]
    sides = [_side(one, query) for one, query in zip(given, queries, strict=True)]
    who = _numbers(names)
    labels = Labels(
        item=_ints([pairs[_item(query)] for query in queries]),
        annotator=_ints([who[one.annotator] for one in given]),
        label=_ints([_class(one, query) for one, query in zip(given, queries, strict=True)]),
        items=len(pairs),
        annotators=len(names),
        classes=3,
    )
    data = Comparisons(
        first=_ints([pair[0] for pair in shown]),
        second=_ints([pair[1] for pair in shown]),
        side=_ints(sides),
        items=len(segments),
    )
    return ComparisonTable(labels, data, tuple(one.query for one in given), names)


def ratings(material: Material, levels: int) -> FloatArray:
    """Grades [segment under an aspect and level, annotator] on a scale of so many grades, NaN where nobody graded; of
    repeats, the first.
    """
    given = [
        (_subjects(material.queries[one.query])[0], one.annotator, float(one.value))
        for one in material.feedback
        if isinstance(one, Rating) and one.value is not None and one.levels == levels
    ]
    return _wide(given)


def scales(material: Material) -> list[int]:
    """Numbers of levels of the rating scales in use."""
    return sorted({one.levels for one in material.feedback if isinstance(one, Rating)})


def steps(material: Material) -> FloatArray:
    """Scores [step of a segment under an aspect and level, annotator], NaN where nobody scored; of repeats, the first."""
    given = [
        ((_subjects(material.queries[one.query])[0], step), one.annotator, score)
        for one in material.feedback
        if isinstance(one, StepFeedback)
        for step, score in zip(one.steps, one.scores, strict=True)
    ]
    return _wide(given)


def flags(material: Material) -> FloatArray:
    """Severities [segment under a constraint and level, annotator], NaN where nobody looked; of repeats, the first."""
    given = [
        ((*_subjects(material.queries[one.query]), one.constraint), one.annotator, one.severity)
        for one in material.feedback
        if isinstance(one, Flag) and one.severity is not None
    ]
    return _wide(given)


def classes(table: ComparisonTable) -> FloatArray:
    """Classes [pair, annotator], NaN where there is none; of repeats, the first."""
    labels = table.labels
    found = np.full((labels.items, labels.annotators), np.nan)
    backwards = slice(None, None, -1)  # so that the first of several is written last
    found[labels.item[backwards], labels.annotator[backwards]] = labels.label[backwards]
    return found


def seconds_of(given: Sequence[Feedback]) -> FloatArray:
    """Response times [answer], NaN where none was taken."""
    return np.array([np.nan if one.response_seconds is None else one.response_seconds for one in given])


def _key(query: Query) -> tuple[str, ...]:
    return tuple(sorted(query.segments))


def _item(query: Query) -> Hashable:
    """What two questions have in common that ask the same."""
    return _key(query), query.aspect, query.level


def _subjects(query: Query) -> list[Hashable]:
    """What is judged of each segment."""
    return [(segment, query.aspect, query.level) for segment in query.segments]


def _numbers(names: Sequence[Hashable]) -> dict[Hashable, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _ints(values: Sequence[int]) -> IntArray:
    return np.array(values, dtype=np.int64)


def _class(one: Comparison, query: Query) -> int:
    if one.choice is Choice.TIE:
        return TIE
    winner = query.segments[0 if one.choice is Choice.FIRST else 1]
    return FIRST if winner == _key(query)[0] else SECOND


def _side(one: Comparison, query: Query) -> int:
    """1 where the segment shown first is better."""
    if one.choice is Choice.TIE:
        return 0
    return 1 if query.shown[0] == (0 if one.choice is Choice.FIRST else 1) else -1


def _wide(given: Sequence[tuple[Hashable, str, float]]) -> FloatArray:
    rows, columns = _numbers([row for row, _, _ in given]), _numbers([name for _, name, _ in given])
    found = np.full((len(rows), len(columns)), np.nan)
    for row, name, value in reversed(given):
        found[rows[row], columns[name]] = value
    return found
