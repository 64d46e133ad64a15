"""Stores full of comparisons by simulated people of known skill, side bias, laziness and honesty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit

from plaudit.quality.gold import set_gold
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Comparison, Query, QueryKind, Segment
from plaudit.store.store import Store
from tests.store_examples import RUN, arrays


@dataclass(frozen=True)
class Person:
    """Somebody who answers."""

    name: str
    eta: float = 0.97
    """probability of answering as the values say, else the opposite"""
    bias: float = 0.0
    """log-odds towards what is shown first"""
    mode: str = "honest"
    """honest, random, left, alternate, or copies:NAME"""
    seconds: float = 5.0


def crowd_store(
    folder: Path, people: Sequence[Person], *, segments: int = 12, questions: int = 80, gold: int = 0, seed: int = 0
) -> Store:
    """Everybody answers every question once; the first `gold` questions are gold."""
    rng = np.random.default_rng(seed)
    store = Store.create(folder / "store.sqlite", RUN)
    blob = store.blobs.put_arrays(arrays().arrays())
    made = [Segment("Pendulum-v1", "p0", f"e{i}", 0, 4, blob) for i in range(segments)]
    store.add_segments(made)
    value = dict(zip([one.id for one in made], rng.permutation(np.linspace(-3, 3, segments)), strict=True))
    queries = []
    for index in range(questions):
        first, second = rng.choice(segments, 2, replace=False)
        shown = tuple(int(i) for i in rng.permutation(2))
        pair = (made[first].id, made[second].id)
        queries.append(Query(QueryKind.COMPARISON, pair, shown, 0, index, "uniform"))
    store.add_queries(queries)
    for one in people:
        store.add_annotator(AnnotatorProfile(one.name, AnnotatorKind.PERSON))
    given: dict[tuple[str, int], bool] = {}
    for index, query in enumerate(queries):
        advantage = value[query.segments[query.shown[0]]] - value[query.segments[query.shown[1]]]
        for one in people:
            given[one.name, index] = _takes_first(one, advantage, index, given, rng)
    answers = [
        _answer(query, one, given[one.name, index], index) for index, query in enumerate(queries) for one in people
    ]
    store.add_feedback(answers)
    set_gold(store, {q.id: _better(q, value) for q in queries[:gold]})
    return store


def _takes_first(one: Person, advantage: float, index: int, given: dict, rng: np.random.Generator) -> bool:
    honest = rng.random() < one.eta
    first = rng.random() < expit((advantage if honest else -advantage) + one.bias)
    match one.mode.split(":"):
        case ["honest"]:
            return bool(first)
        case ["random"]:
            return bool(rng.random() < 0.5)
        case ["left"]:
            return True
        case ["alternate"]:
            return index % 2 == 0
        case ["copies", name]:
            return given[name, index]
        case _:
            raise ValueError(one.mode)


def _answer(query: Query, one: Person, first: bool, index: int) -> Comparison:
    choice = Choice.FIRST if query.shown[0 if first else 1] == 0 else Choice.SECOND
    return Comparison(
        id=f"fb/{one.name}/{index}",
        query=query.id,
        annotator=one.name,
        choice=choice,
        response_seconds=one.seconds,
        answered_at=f"2026-01-01T10:{index // 60:02d}:{index % 60:02d}+00:00",
    )


def _better(query: Query, value: dict[str, float]) -> Choice:
    return Choice.FIRST if value[query.segments[0]] > value[query.segments[1]] else Choice.SECOND
