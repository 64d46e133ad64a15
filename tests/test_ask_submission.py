"""What the page sends becomes a record of the question's kind, or is refused with the reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.ask.annotator import feedback_id
from plaudit.ask.submission import Submission, record_of
from plaudit.errors import RecordError
from plaudit.records import (
    FEEDBACK_KINDS,
    Choice,
    Comparison,
    Correction,
    Critique,
    Demonstration,
    Flag,
    Note,
    Query,
    QueryKind,
    Ranking,
    Rating,
    StepFeedback,
    TextSegment,
    from_json,
    is_skip,
    to_json,
)

NOON = "2026-05-04T12:00:00.000Z"


def query(kind: QueryKind, segments: int | None = None) -> Query:
    names = tuple("abcdef"[: segments or kind.segments])
    return Query(
        kind,
        names,
        tuple(range(len(names))),
        0,
        0,
        "uniform",
        levels=5 if kind is QueryKind.RATING else None,
        constraint="speed" if kind is QueryKind.FLAG else None,
    )


def submission(asked: Query, said: dict[str, Any], text: TextSegment | None = None) -> Submission:
    return Submission("s1", asked.id, said, NOON, 2.34567, {"watch": 1.23456}, "web 1", "edit", text)


WRITTEN = TextSegment("a prompt", "a better answer", policy="ann")
HEAD: dict[str, Any] = {
    "annotator": "ann",
    "answered_at": NOON,
    "response_seconds": 2.346,
    "phase_seconds": {"watch": 1.235},
    "interface": "web 1",
    "arm": "edit",
}


def head(asked: Query) -> dict[str, Any]:
    return HEAD | {"id": feedback_id(asked.id, "ann"), "query": asked.id}


@pytest.mark.parametrize(
    ("kind", "said", "cls", "fields"),
    [
        (QueryKind.COMPARISON, {"choice": "second"}, Comparison, {"choice": Choice.SECOND}),
        (QueryKind.COMPARISON, {"choice": "first", "strength": 1}, Comparison, {"choice": Choice.FIRST, "strength": 1.0}),
        (QueryKind.COMPARISON, {"choice": "incomparable"}, Comparison, {"choice": Choice.INCOMPARABLE}),
        (QueryKind.RATING, {"value": 4}, Rating, {"value": 4, "levels": 5}),
        (QueryKind.STEPS, {"steps": [0, 3], "scores": [1, 0]}, StepFeedback, {"steps": (0, 3), "scores": (1.0, 0.0)}),
        (QueryKind.RANKING, {"ranks": [1, 0]}, Ranking, {"ranks": (1, 0)}),
        (QueryKind.CRITIQUE, {"notes": [{"text": "late", "start": 2, "end": 5}]}, Critique, {"notes": (Note("late", 2, 5),)}),
        (QueryKind.DEMONSTRATION, {"segment": "seg_x"}, Demonstration, {"segment": "seg_x"}),
        (QueryKind.CORRECTION, {"segment": "seg_x", "start": 1, "end": 4}, Correction, {"segment": "seg_x", "start": 1, "end": 4}),
        (QueryKind.FLAG, {"severity": 0.5}, Flag, {"severity": 0.5, "constraint": "speed"}),
    ],
)  # fmt: skip
def test_each_kind(kind: QueryKind, said: dict[str, Any], cls: type, fields: dict[str, Any]) -> None:
    asked = query(kind)
    assert record_of(asked, submission(asked, said), "ann") == cls(**head(asked), **fields)


def test_texts_are_brought_as_segments() -> None:
    asked = query(QueryKind.CORRECTION)
    record = record_of(asked, submission(asked, {}, WRITTEN), "ann")
    assert record == Correction(**head(asked), segment=WRITTEN.id)


@pytest.mark.parametrize("kind", list(QueryKind))
def test_every_kind_can_be_skipped_with_a_reason(kind: QueryKind) -> None:
    asked = query(kind)
    record = record_of(asked, submission(asked, {"skip": True, "reason": "broken"}), "ann")
    assert is_skip(record)
    assert (type(record), record.reason) == (FEEDBACK_KINDS[kind.value], "broken")
    assert from_json(type(record), to_json(record)) == record


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (QueryKind.COMPARISON, {}),
        (QueryKind.COMPARISON, {"choice": "skip"}),
        (QueryKind.COMPARISON, {"choice": "left"}),
        (QueryKind.COMPARISON, {"choice": "first", "value": 3}),
        (QueryKind.COMPARISON, {"choice": "first", "annotator": "bob"}),
        (QueryKind.COMPARISON, {"choice": "first", "skip": True}),
        (QueryKind.COMPARISON, {"choice": "first", "strength": 2.0}),
        (QueryKind.RATING, {"value": 5}),
        (QueryKind.RATING, {"value": True}),
        (QueryKind.RATING, {"value": None}),
        (QueryKind.RATING, {"value": 1, "derived_from": ["x"]}),
        (QueryKind.STEPS, {"steps": [1], "scores": []}),
        (QueryKind.RANKING, {"ranks": [0]}),
        (QueryKind.RANKING, {"ranks": [0, 2]}),
        (QueryKind.CRITIQUE, {"notes": []}),
        (QueryKind.CRITIQUE, {"notes": ["late"]}),
        (QueryKind.DEMONSTRATION, {"segment": "a"}),
        (QueryKind.CORRECTION, {"segment": 3}),
        (QueryKind.FLAG, {"severity": 0.5, "constraint": 7}),
        (QueryKind.FLAG, {"severity": 1.5}),
    ],
)
def test_answers_that_do_not_fit_are_refused(kind: QueryKind, said: dict[str, Any]) -> None:
    asked = query(kind)
    with pytest.raises(RecordError):
        record_of(asked, submission(asked, said), "ann")


@given(
    st.sampled_from(list(QueryKind)),
    st.dictionaries(
        st.sampled_from(["choice", "value", "steps", "scores", "ranks", "notes", "segment", "severity", "skip", "id"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=3),
        max_size=3,
    ),
)
def test_whatever_comes_is_a_sound_record_or_a_clear_refusal(kind: QueryKind, said: dict[str, Any]) -> None:
    asked = query(kind)
    try:
        record = record_of(asked, submission(asked, said), "ann")
    except RecordError:
        return
    assert from_json(type(record), to_json(record)) == record
    assert (record.id, record.annotator) == (feedback_id(asked.id, "ann"), "ann")
