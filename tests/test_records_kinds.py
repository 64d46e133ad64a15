"""Demonstrations, corrections and flags as records; what the store asks of them; old records keep their bytes."""

import pytest

from plaudit.errors import RecordError, StoreError
from plaudit.exchange.bring import bring, open_store
from plaudit.exchange.export import Selection, export
from plaudit.exchange.formats import Format
from plaudit.exchange.shapes import Shape
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Correction,
    Demonstration,
    Flag,
    Level,
    Query,
    QueryKind,
    TextSegment,
    brought,
    canonical_json,
    is_skip,
    kind_of,
    require_confirmed,
    to_json,
)
from tests.store_examples import add_segments, make_store, question

WHO = {"id": "f", "query": "q", "annotator": "a"}


def ask(kind, *segments, **more):
    return Query(kind, segments, tuple(range(len(segments))), 0, 0, "uniform", **more)


def test_records_from_before_keep_their_bytes_and_ids():
    query = Query(QueryKind.COMPARISON, ("seg_a", "seg_b"), (1, 0), 0, 3, "uniform", propensity=0.5)
    answer = Comparison(id="f", query=query.id, annotator="a", choice=Choice.TIE, response_seconds=2.5)
    assert query.id == "qry_6c7c71ada912b43263624b3c69cac5ed"
    assert canonical_json(to_json(answer)) == (
        b'{"annotator":"a","choice":"tie","derived_from":[],"id":"f",'
        b'"query":"qry_6c7c71ada912b43263624b3c69cac5ed","response_seconds":2.5}'
    )
    assert b"level" not in canonical_json(to_json(query))


def test_what_comes_with_an_answer_and_what_is_a_skip():
    shown, better = Demonstration(**WHO, segment="s"), Correction(**WHO, segment="t", start=2, end=5)
    assert (brought(shown), brought(better), brought(Demonstration(**WHO))) == (("s",), ("t",), ())
    assert [kind_of(one) for one in (shown, better)] == ["demonstration", "correction"]
    assert is_skip(Demonstration(**WHO))
    assert is_skip(Correction(**WHO))
    assert is_skip(Flag(**WHO, constraint="speed"))
    assert not is_skip(Flag(**WHO, constraint="speed", severity=0.0))
    assert not is_skip(Comparison(**WHO, choice=Choice.INCOMPARABLE))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Flag(**WHO, constraint="", severity=0.5),
        lambda: Flag(**WHO, constraint="speed", severity=1.5),
        lambda: Flag(**WHO, constraint="speed", severity=0.5, start=3, end=3),
        lambda: Correction(**WHO, segment="s", start=1),
        lambda: Comparison(**WHO, choice=Choice.TIE, phase_seconds={"watch": -1.0}),
        lambda: Demonstration(**WHO, segment="s", phase_seconds={"act": float("inf")}),
        lambda: ask(QueryKind.FLAG, "s"),
        lambda: ask(QueryKind.RATING, "s", constraint="speed"),
        lambda: ask(QueryKind.CORRECTION, "s", "t"),
        lambda: ask(QueryKind.DEMONSTRATION),
        lambda: require_confirmed(Flag(**WHO, constraint="speed", severity=1.0, derived_from=("c",))),
    ],
)
def test_nonsense_is_refused(make):
    with pytest.raises(RecordError):
        make()


def test_the_store_keeps_them_and_asks_for_the_segment_and_for_a_person(tmp_path):
    with make_store(tmp_path) as store:
        first, second, third = add_segments(store, 3, "more")
        asked = ask(QueryKind.DEMONSTRATION, first.id, second.id, level=Level.EPISODE)
        flagged = ask(QueryKind.FLAG, first.id, constraint="speed")
        store.add_queries([asked, flagged])
        shown = Demonstration(id="d", query=asked.id, annotator="ann", segment=third.id, phase_seconds={"act": 9.0})
        store.add_feedback([shown])
        assert store.feedback()[-1][1] == shown
        assert store.query(asked.id) == asked
        with pytest.raises(StoreError, match="not there"):
            store.add_feedback([Demonstration(id="e", query=asked.id, annotator="ann", segment="seg_none")])
        derived = {"query": flagged.id, "annotator": "ann", "constraint": "speed", "severity": 1.0}
        with pytest.raises(StoreError, match="not confirmed"):
            store.add_feedback([Flag(id="g", derived_from=("c",), **derived)])
        store.add_feedback([Flag(id="g", derived_from=("c",), confirmed_by="ann", **derived)])
        store.rebuild_projections()
        assert store.verify().ok
        again = question(77, first, second)
        assert again.constraint is None


def test_a_correction_of_a_text_travels_with_the_corrected_text(tmp_path):
    draft, better = TextSegment("2 + 2?", "It is 5."), TextSegment("2 + 2?", "It is 4.", "human")
    asked = ask(QueryKind.CORRECTION, draft.id, level=Level.ANSWER)
    with open_store(tmp_path / "from") as store:
        store.add_segments([draft, better])
        store.add_annotator(AnnotatorProfile("ann", AnnotatorKind.PERSON))
        store.add_queries([asked])
        given = Correction(id="c", query=asked.id, annotator="ann", segment=better.id, start=6, end=7)
        store.add_feedback([given])
        export(store, Selection(Shape.PLAUDIT), tmp_path / "out.jsonl")
    with open_store(tmp_path / "to") as store:
        (done,) = bring(store, Format.PLAUDIT, [tmp_path / "out.jsonl"], on_problem=lambda problem: None)
        assert (done.bad, done.judgements) == (0, 1)
        assert store.feedback()[0][1] == given
        assert store.texts([better.id])[better.id] == better
