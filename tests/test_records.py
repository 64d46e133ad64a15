"""Records: canonical JSON, content addresses, and refusal of what does not fit."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import RecordError
from plaudit.records import (
    Choice,
    Comparison,
    Query,
    QueryKind,
    Rating,
    Segment,
    SegmentData,
    StepBatch,
    StepFeedback,
    canonical_json,
    feedback_from_json,
    feedback_to_json,
    from_json,
    is_skip,
    kind_of,
    to_json,
)

TEXT = st.text(max_size=12)
COMPARISONS = st.builds(
    Comparison,
    id=TEXT,
    query=TEXT,
    annotator=TEXT,
    answered_at=st.none() | TEXT,
    response_seconds=st.none() | st.floats(0, 1e6),
    derived_from=st.lists(TEXT, max_size=3).map(tuple),
    confirmed_by=st.none() | TEXT,
    choice=st.sampled_from(Choice),
    strength=st.none() | st.floats(0.01, 1.0),
)
RATINGS = st.builds(Rating, id=TEXT, query=TEXT, annotator=TEXT, value=st.none() | st.integers(0, 4), levels=st.just(5))


@given(COMPARISONS | RATINGS)
def test_feedback_survives_json(record):
    text = canonical_json(to_json(record))
    assert from_json(type(record), json.loads(text)) == record
    assert canonical_json(to_json(from_json(type(record), json.loads(text)))) == text
    assert feedback_from_json(json.loads(canonical_json(feedback_to_json(record)))) == record


@pytest.mark.parametrize("data", [None, [], {}, {"kind": []}, {"kind": "praise"}])
def test_what_names_no_kind_is_no_feedback(data):
    with pytest.raises(RecordError, match="kind of feedback is not known"):
        feedback_from_json(data)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_their_bits(number):
    assert json.loads(canonical_json(number)) == number


def test_canonical_json_is_sorted_and_tight():
    assert canonical_json({"b": [1, 2.5], "a": "é"}) == '{"a":"é","b":[1,2.5]}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_canonical_json_refuses_what_json_has_not(value):
    with pytest.raises(RecordError, match="canonical JSON"):
        canonical_json([value])


def test_ids_name_the_content():
    one = Segment(world="w", policy="p", episode="e", start=0, length=5, blob="b")
    assert one == Segment(world="w", policy="p", episode="e", start=0, length=5, blob="b")
    assert one.id != dataclasses.replace(one, start=1, id="").id
    # a golden id: it must never change, or stores of earlier versions would not verify
    assert one.id == "seg_387e645616b768a1943f9a7994a1570c"


def test_query_checks_its_segments():
    with pytest.raises(RecordError, match="does not fit its segments"):
        Query(QueryKind.COMPARISON, ("a",), (0,), 0, 0, "uniform")
    with pytest.raises(RecordError, match="does not fit its segments"):
        Query(QueryKind.COMPARISON, ("a", "b"), (0, 0), 0, 0, "uniform")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Comparison(id="i", query="q", annotator="a", choice=Choice.TIE, strength=0.0),
        lambda: Rating(id="i", query="q", annotator="a", value=5, levels=5),
        lambda: Rating(id="i", query="q", annotator="a", levels=1),
        lambda: StepFeedback(id="i", query="q", annotator="a", steps=(1, 1), scores=(0.0, 1.0)),
        lambda: StepFeedback(id="i", query="q", annotator="a", steps=(1,), scores=(float("nan"),)),
        lambda: StepFeedback(id="i", query="q", annotator="a", steps=(1, 2), scores=(0.5,)),
        lambda: Segment(world="w", policy="p", episode="e", start=0, length=0, blob="b"),
    ],
)
def test_impossible_records_are_refused(make):
    with pytest.raises(RecordError):
        make()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"id": "i", "query": "q", "annotator": "a", "choice": "left"}, "unknown value"),
        ({"id": "i", "query": "q", "annotator": "a", "choice": "tie", "extra": 1}, "unknown fields"),
        ({"id": "i", "query": "q", "choice": "tie"}, "incomplete"),
        ({"id": 3, "query": "q", "annotator": "a", "choice": "tie"}, "wrong type"),
        ({"id": "i", "query": "q", "annotator": "a", "choice": "tie", "derived_from": "x"}, "wrong type"),
        ({"id": "i", "query": "q", "annotator": "a", "choice": "tie", "strength": "much"}, "fits none"),
        ([], "JSON object"),
    ],
)
def test_bad_json_names_the_field(data, words):
    with pytest.raises(RecordError, match=words):
        from_json(Comparison, data)


def test_skips_are_no_answers():
    common = {"id": "i", "query": "q", "annotator": "a"}
    assert is_skip(Comparison(**common, choice=Choice.SKIP))
    assert not is_skip(Comparison(**common, choice=Choice.TIE))
    assert is_skip(Rating(**common, levels=3))
    assert not is_skip(Rating(**common, levels=3, value=0))
    assert is_skip(StepFeedback(**common, steps=(), scores=()))
    assert kind_of(Rating(**common, levels=3)) == "rating"


def test_segment_arrays_round_trip():
    data = SegmentData(
        observations=np.ones((3, 2), np.float32),
        actions=np.zeros((3, 1), np.float32),
        true_rewards=np.arange(3.0),
        reset_seed=7,
        prefix_actions=np.zeros((2, 1), np.float32),
    )
    back = SegmentData.from_arrays(data.arrays())
    assert back.reset_seed == 7
    assert len(back) == 3
    assert back.simulator is None
    np.testing.assert_array_equal(back.true_rewards, data.true_rewards)
    with pytest.raises(RecordError, match="incomplete"):
        SegmentData.from_arrays({"actions": data.actions})


def test_step_batch_checks_shapes():
    with pytest.raises(RecordError, match="does not fit together"):
        StepBatch(np.zeros((2, 3, 1), np.float32), np.zeros((2, 4, 1), np.float32), np.ones((2, 3), bool))


def test_unknown_types_are_not_encoded():
    with pytest.raises(RecordError, match="Only dataclass"):
        to_json(3)

    @dataclasses.dataclass(frozen=True)
    class Odd:
        value: object

    with pytest.raises(RecordError, match="no JSON form"):
        to_json(Odd(object()))
    with pytest.raises(RecordError, match="not finite"):
        to_json(Odd(float("nan")))
    assert to_json(Odd({"k": (1, None)})) == {"value": {"k": [1, None]}}
