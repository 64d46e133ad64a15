"""A study with a crowd of known skill, for tests of what its lead sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Comparison
from plaudit.store.store import Store
from tests.quality_examples import Person, crowd_store

CROWD = [
    *(Person(f"good{i}", eta=0.97) for i in range(5)),
    Person("chance", mode="random"),
    Person("left", mode="left", seconds=0.5),
]


def study_store(folder: Path, **settings: Any) -> Store:
    """Everybody answered everything; one skipped with a reason, and two groups, of which one is too small to be told of."""
    store = crowd_store(folder, CROWD, questions=80, gold=20, **settings)
    store.add_annotator(AnnotatorProfile("newcomer", AnnotatorKind.PERSON, traits={"region": "south"}))
    for i in range(6):
        store.add_annotator(AnnotatorProfile(f"north{i}", AnnotatorKind.PERSON, traits={"region": "north"}))
    asked = store.queries()[:12]
    voters = [f"north{i}" for i in range(6)] + ["newcomer"]
    store.add_feedback(
        [
            Comparison(id=f"fb/{who}/{n}", query=one.id, annotator=who, choice=Choice.FIRST, response_seconds=4.0)
            for who in voters
            for n, one in enumerate(asked)
        ]
    )
    skipped = Comparison(
        id="fb/newcomer/skip", query=store.queries()[20].id, annotator="newcomer", choice=Choice.SKIP, reason="broken"
    )
    store.add_feedback([skipped])
    return store
