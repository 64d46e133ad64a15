"""Questions from conversations: durable, once, answered by people, and never in the store of a control agent."""

from __future__ import annotations

import pytest

from plaudit.ask.sent import CHAT, ask_to_compare, prefer, rate, require_texts
from plaudit.ask.study import service_of
from plaudit.errors import ConfigError, RecordError, StoreError
from plaudit.exchange.bring import open_store
from plaudit.language.texts import preferred
from plaudit.loop.journal import Journal
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Message, QueryKind, TextSegment
from plaudit.store.store import Store
from tests.store_examples import RUN

PROMPT = (Message("user", "hello"),)
FIRST, SECOND = (Message("assistant", "one"),), (Message("assistant", "two"),)


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "queue") as store:
        yield store


def test_two_answers_wait_in_the_queue_until_somebody_answers(store, tmp_path):
    query = ask_to_compare(store, PROMPT, (FIRST, SECOND), policy="m")
    with Store.open(store.place) as other:  # on disk
        assert [one.id for one in other.unanswered()] == [query.id]
        assert service_of(other).overlap == 1
    assert query.strategy == CHAT
    assert sorted(query.shown) == [0, 1]
    given = prefer(store, query, Choice.SECOND, annotator="ann", answered_at="2026-01-01T00:00:00+00:00")
    assert store.unanswered() == []
    assert prefer(store, query, Choice.SECOND, annotator="ann", answered_at=given.answered_at) == given
    assert len(store.feedback()) == 1
    with pytest.raises(StoreError):
        prefer(store, query, Choice.FIRST, annotator="ann", answered_at=given.answered_at)
    (pair,) = preferred([one for _, one in store.feedback()], store)
    assert (pair.prompt, pair.chosen, pair.rejected) == (PROMPT, SECOND, FIRST)
    assert not store.verify().problems


def test_the_same_pair_is_another_question_the_next_time(store):
    first = ask_to_compare(store, PROMPT, (FIRST, SECOND), policy="m")
    assert ask_to_compare(store, PROMPT, (FIRST, SECOND), policy="m").id != first.id
    with pytest.raises(RecordError, match="nothing to compare"):
        ask_to_compare(store, PROMPT, (FIRST, FIRST), policy="m")


def test_thumbs_are_ratings_on_two_grades_and_keep_who_somebody_is(store):
    profile = AnnotatorProfile("ann", AnnotatorKind.PERSON, traits={"region": "north"})
    store.add_annotator(profile)
    query, up = rate(store, TextSegment(PROMPT, FIRST, "m"), good=True, annotator="ann")
    _, down = rate(store, TextSegment(PROMPT, SECOND, "m"), good=False, annotator="new")
    assert (query.kind, query.levels, up.value, down.value) == (QueryKind.RATING, 2, 1, 0)
    assert store.annotators()["ann"] == profile
    assert store.annotators()["new"].kind is AnnotatorKind.PERSON
    with pytest.raises(RecordError, match="says nothing"):
        rate(store, TextSegment(PROMPT, (Message("assistant", ""),), "m"), good=True, annotator="ann")
    with pytest.raises(RecordError, match="cannot be an annotator"):
        rate(store, TextSegment(PROMPT, FIRST, "m"), good=True, annotator="run")


def test_the_run_of_a_control_agent_is_refused(tmp_path):
    with (
        Store.create(tmp_path / "store.sqlite", {"format": 1, "config": {"world": {}}, "versions": {}}) as store,
        pytest.raises(ConfigError, match="control agent"),
    ):
        require_texts(store)


def test_a_replay_copies_questions_from_conversations_with_their_texts(tmp_path):
    payload = {"log_position": 6, "metrics": {}}
    with Store.create(tmp_path / "a" / "store.sqlite", RUN) as source:
        query = ask_to_compare(source, PROMPT, (FIRST, SECOND), policy="m")
        prefer(source, query, Choice.FIRST, annotator="ann")
        source.append("stage.completed", payload, "stage/0/ask")
        with Store.create(tmp_path / "b" / "store.sqlite", RUN) as store:
            Journal(store, source=source).stage("stage/0/ask", payload)
            assert store.head() == source.head()
