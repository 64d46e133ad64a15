"""Records for text: content addresses, what they refuse, and that code for control refuses them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import ConfigError, RecordError, StoreError
from plaudit.loop import RunConfig
from plaudit.records import (
    Choice,
    Comparison,
    Critique,
    Message,
    Note,
    Query,
    QueryKind,
    Ranking,
    Segment,
    SegmentData,
    TextSegment,
    from_json,
    segment_from_json,
    sentences,
    to_json,
)
from plaudit.reward.collate import collate
from plaudit.run.config import from_table
from tests import strategies
from tests.store_examples import make_store


@given(strategies.texts)
def test_texts_come_back_equal_with_the_same_address(text):
    assert segment_from_json(to_json(text)) == text
    assert TextSegment(text.prompt, text.completion, text.policy).id == text.id


def test_an_address_of_text_is_pinned():
    plain = TextSegment("Hi", "Hello")
    chat = TextSegment((Message("user", "Hi"),), (Message("assistant", "Hello"),), "gpt-j")
    assert plain.id == "txt_e4cf8d0b3eefc9962706c9aff677e742"
    assert chat.id == "txt_ecb955a0eff475e7565c3a3a1e0a782d"


def test_what_records_of_text_refuse():
    with pytest.raises(RecordError, match="no message"):
        TextSegment("x", ())
    with pytest.raises(RecordError, match="gaps"):
        Ranking(id="r", query="q", annotator="a", ranks=(0, 2))
    with pytest.raises(RecordError, match="span"):
        Note("why", 3, 3)
    with pytest.raises(RecordError, match="span"):
        Note("why", 3)
    with pytest.raises(RecordError, match="or more"):
        Query(QueryKind.RANKING, ("a",), (0,), 0, 0, "uniform")
    with pytest.raises(RecordError, match="fits none"):
        from_json(TextSegment, {"prompt": 3, "completion": "x"})


def test_a_query_without_an_aspect_has_the_address_that_it_always_had():
    assert "aspect" not in to_json(Query(QueryKind.COMPARISON, ("a", "b"), (0, 1), 0, 0, "uniform"))


@settings(deadline=None, max_examples=5)
@given(text=strategies.texts)
def test_a_store_keeps_texts_and_verifies(tmp_path_factory, text):
    with make_store(tmp_path_factory.mktemp("text")) as store:
        store.add_segments([text])
        assert store.texts([text.id]) == {text.id: text}
        assert store.verify().ok
        store.rebuild_projections()
        assert store.verify().ok


def test_code_for_control_refuses_texts(tmp_path):
    with make_store(tmp_path) as store:
        pair = [TextSegment("p", "one"), TextSegment("p", "two")]
        control = next(iter(store.events(kinds={"segment.added"}))).payload["id"]
        store.add_segments(pair)
        asked = Query(QueryKind.COMPARISON, (pair[0].id, pair[1].id), (0, 1), 0, 0, "import/x")
        store.add_queries([asked])
        answer = Comparison(id="f", query=asked.id, annotator="ann", choice=Choice.FIRST)
        with pytest.raises(StoreError, match="made for control"):
            collate([answer], store)
        with pytest.raises(StoreError, match="made for control"):
            store.segment(pair[0].id)
        with pytest.raises(StoreError, match="no text"):
            store.texts([control])


class _Source:
    """One control segment, asked about in every form."""

    def __init__(self, *queries):
        self._queries = list(queries)

    def queries(self):
        return self._queries

    def segments(self, ids):
        return {id_: Segment("w", "p", id_, 0, 2, "0" * 64) for id_ in ids}

    def segment_data(self, segment):
        return SegmentData(np.zeros((2, 1), np.float32), np.zeros((2, 1), np.float32))


def test_a_control_reward_model_learns_from_rankings_and_not_from_critiques_by_themselves():
    for kind, answer, answers in (
        (QueryKind.RANKING, lambda q: Ranking(id="f", query=q, annotator="a", ranks=(0, 1)), 1),
        (QueryKind.CRITIQUE, lambda q: Critique(id="f", query=q, annotator="a", notes=(Note("bad"),)), 0),
    ):
        asked = Query(kind, ("a", "b"), (0, 1), 0, 0, "uniform")
        assert collate([answer(asked.id)], _Source(asked)).answers == answers


@pytest.mark.parametrize("kind", ["ranking", "critique"])
def test_a_control_run_refuses_to_ask_for_them(kind):
    with pytest.raises(ConfigError, match="cannot ask"):
        from_table(RunConfig, {"world": {"id": "Pendulum-v1"}, "ask": {"kind": kind}})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('He said "Go." Then left. ok\nNew line\n\n Last', ['He said "Go."', "Then left. ok", "New line", "Last"]),
        ("\u4f60\u597d\u3002\u518d\u89c1\uff01", ["\u4f60\u597d\u3002", "\u518d\u89c1\uff01"]),
        ("a.b. c? Dr. Who!", ["a.b. c?", "Dr.", "Who!"]),
        ("", [""]),
    ],
)
def test_sentences_end_where_marks_say(text, found):
    assert [text[start:end] for start, end in sentences(text)] == found


@given(st.text(alphabet="aB. !?\n\u3002\"'", max_size=40))
def test_sentences_leave_out_space_alone(text):
    pieces = sentences(text)
    assert [at for piece in pieces for at in piece] == sorted(at for piece in pieces for at in piece)
    covered = {place for start, end in pieces for place in range(start, end)}
    assert all(place in covered or character.isspace() for place, character in enumerate(text))
    assert all(start < end for start, end in pieces) or pieces == ((0, len(text)),)
