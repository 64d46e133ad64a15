from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from plaudit.ask.annotator import feedback_id
from plaudit.ask.session import (
    TRANSITIONS,
    Answered,
    Cue,
    Event,
    Fate,
    Offered,
    Recognised,
    Saved,
    Session,
    State,
    Undone,
)
from plaudit.ask.submission import Submission, record_of
from plaudit.errors import RecordError
from plaudit.records import Choice, Comparison, Feedback, Query, QueryKind

NOON = "2026-05-04T12:00:00.000Z"


def comparison(index: int = 0, shown: tuple[int, ...] = (0, 1)) -> Query:
    segments = (f"a{index}", f"b{index}")
    return Query(kind=QueryKind.COMPARISON, segments=segments, shown=shown, round=0, index=index, strategy="uniform")


def submission(query: Query, name: str = "s1", **said: Any) -> Submission:
    return Submission(id=name, query=query.id, answer=said or {"choice": "first"}, answered_at=NOON, seconds=2.34567)


def test_question_is_shown_answered_held_and_handed_out_after_the_grace() -> None:
    session, query = Session("ann", grace=5.0), comparison()
    session.handle(Offered(query), 0.0)
    assert (session.state, session.shown) == (State.SHOWN, query)
    session.handle(Answered(submission(query)), 10.0)
    assert (session.state, session.fate("s1"), session.outgoing) == (State.WAITING, Fate.HELD, ())
    session.handle(Cue.TICK, 14.9)
    assert session.outgoing == ()
    session.handle(Cue.TICK, 15.0)
    ((record, _),) = session.outgoing
    assert isinstance(record, Comparison)
    assert (record.choice, record.response_seconds, record.answered_at) == (Choice.FIRST, 2.346, NOON)
    assert session.fate("s1") is Fate.HANDED_OUT
    session.handle(Saved(record.id), 15.1)
    assert (session.outgoing, session.fate("s1"), session.claims) == ((), Fate.SAVED, frozenset())


def test_next_answer_hands_out_the_one_before() -> None:
    session, queries = Session("ann"), [comparison(0), comparison(1)]
    for query in queries:
        session.handle(Offered(query), 0.0)
    session.handle(Answered(submission(queries[0], "s1")), 1.0)
    assert session.shown == queries[1]
    session.handle(Answered(submission(queries[1], "s2")), 2.0)
    assert [record.query for record, _ in session.outgoing] == [queries[0].id]
    assert session.fate("s2") is Fate.HELD


def test_undo_puts_the_question_back_and_the_new_one_behind_it() -> None:
    session, queries = Session("ann"), [comparison(0), comparison(1)]
    for query in queries:
        session.handle(Offered(query), 0.0)
    session.handle(Answered(submission(queries[0], "s1")), 1.0)
    session.handle(Undone("s1"), 2.0)
    assert list(session.line) == queries
    session.handle(Answered(submission(queries[0], "s1")), 3.0)  # a late copy of what was undone
    assert session.held is None
    session.handle(Answered(submission(queries[0], "s2", choice="second")), 3.0)
    session.handle(Cue.END, 4.0)
    assert [record.choice for record, _ in session.outgoing if isinstance(record, Comparison)] == [Choice.SECOND]
    assert session.fate("s1") is Fate.UNDONE


def test_undo_is_refused_when_it_is_too_late() -> None:
    session, query = Session("ann", grace=1.0), comparison()
    session.handle(Offered(query), 0.0)
    session.handle(Answered(submission(query)), 0.0)
    session.handle(Cue.TICK, 2.0)
    with pytest.raises(RecordError, match="cannot be undone"):
        session.handle(Undone("s1"), 2.0)
    assert len(session.outgoing) == 1


def test_break_saves_what_is_held_and_lets_the_line_go() -> None:
    session, queries = Session("ann"), [comparison(0), comparison(1)]
    for query in queries:
        session.handle(Offered(query), 0.0)
    session.handle(Answered(submission(queries[0])), 1.0)
    session.handle(Cue.PAUSE, 2.0)
    assert (session.state, session.claims) == (State.BREAK, {queries[0].id})
    session.handle(Cue.RESUME, 60.0)
    assert session.state is State.WAITING


def test_offer_of_a_known_question_changes_nothing_and_front_shows_it_at_once() -> None:
    session, queries = Session("ann"), [comparison(0), comparison(1)]
    session.handle(Offered(queries[0]), 0.0)
    session.handle(Offered(queries[0]), 0.0)
    session.handle(Offered(queries[1], front=True), 0.0)
    assert list(session.line) == [queries[1], queries[0]]


def test_refused_events_change_nothing() -> None:
    session, query = Session("ann"), comparison()
    with pytest.raises(RecordError, match="cannot be done now"):
        session.handle(Answered(submission(query)), 0.0)
    session.handle(Offered(query), 0.0)
    with pytest.raises(RecordError, match="not to the query on the screen"):
        session.handle(Answered(submission(comparison(9))), 0.0)
    with pytest.raises(RecordError, match="does not fit the question"):
        session.handle(Answered(submission(query, value=1)), 0.0)
    assert (session.shown, session.held, session.fate("s1")) == (query, None, None)
    session.handle(Cue.END, 1.0)
    with pytest.raises(RecordError, match="offered while finished"):
        session.handle(Offered(query), 1.0)


def test_news_of_a_record_that_is_saved_already_changes_nothing() -> None:
    session = Session("ann")
    session.handle(Saved("fbk_other"), 0.0)
    assert (session.state, list(session.saved), session.outgoing) == (State.WAITING, [], ())


def test_every_state_that_can_be_entered_can_be_left_or_is_the_end() -> None:
    entered = {state for row in TRANSITIONS.values() for state in row.values()}
    assert entered == set(State)
    assert set(TRANSITIONS[State.FINISHED].values()) == {State.FINISHED}


class Labelling(RuleBasedStateMachine):
    """A person, a page that resends, a studio that may die, and a store that refuses now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.session = Session("ann", grace=5.0)
        self.queries: dict[str, Query] = {}
        self.sent: dict[str, Submission] = {}
        self.undone: set[str] = set()
        self.known_saved: set[str] = set()
        self.stored: dict[str, Feedback] = {}

    def tell(self, event: Event) -> None:
        self.session.handle(event, self.now)

    def save(self, *, tell: bool) -> None:
        for record, _ in self.session.outgoing:
            assert self.stored.setdefault(record.id, record) == record
            if tell:
                self.tell(Saved(record.id))

    @rule(seconds=st.floats(0.0, 8.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.tell(Cue.TICK)

    @precondition(lambda self: self.session.state in {State.WAITING, State.SHOWN})
    @rule(front=st.booleans(), shown=st.sampled_from([(0, 1), (1, 0)]))
    def question_comes(self, front: bool, shown: tuple[int, ...]) -> None:
        query = comparison(len(self.queries), shown)
        self.queries[query.id] = query
        self.tell(Offered(query, front=front))

    @precondition(lambda self: self.session.shown is not None)
    @rule(choice=st.sampled_from(["first", "second", "tie", "skip"]))
    def person_answers(self, choice: str) -> None:
        assert self.session.shown is not None
        answer = submission(
            self.session.shown, f"s{len(self.sent)}", **{"skip": True} if choice == "skip" else {"choice": choice}
        )
        self.sent[answer.id] = answer
        self.tell(Answered(answer))

    @precondition(lambda self: self.session.held is not None)
    @rule()
    def person_undoes(self) -> None:
        assert self.session.held is not None
        self.undone.add(self.session.held.submission.id)
        self.tell(Undone(self.session.held.submission.id))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def page_resends(self, data: st.DataObject) -> None:
        answer = self.sent[data.draw(st.sampled_from(sorted(self.sent)))]
        if self.session.fate(answer.id) is not None:
            self.tell(Answered(answer))

    @precondition(lambda self: self.session.state in {State.WAITING, State.SHOWN})
    @rule()
    def person_leaves(self) -> None:
        self.tell(Cue.PAUSE)

    @precondition(lambda self: self.session.state is State.BREAK)
    @rule()
    def person_returns(self) -> None:
        self.tell(Cue.RESUME)

    @rule(tell=st.booleans())
    def store_takes_records(self, tell: bool) -> None:
        self.save(tell=tell)

    @rule()
    def studio_dies_and_the_page_sends_again_what_it_was_not_told_is_saved(self) -> None:
        self.known_saved |= {name for name in self.sent if self.session.fate(name) is Fate.SAVED}
        unsure = [self.sent[name] for name in self.sent if name not in self.undone | self.known_saved]
        self.session = Session("ann", grace=5.0)
        for answer in unsure:
            if feedback_id(answer.query, "ann") in self.stored:
                self.tell(Recognised(answer.id))
                continue
            self.tell(Offered(self.queries[answer.query], front=True))
            self.tell(Answered(answer))

    @invariant()
    def nothing_that_was_undone_is_handed_out(self) -> None:
        kept = {answer.query for name, answer in self.sent.items() if name not in self.undone}
        assert {record.query for record, _ in self.session.outgoing} <= kept

    def teardown(self) -> None:
        if self.session.state is not State.FINISHED:
            self.tell(Cue.END)
        self.save(tell=True)
        assert self.session.claims == frozenset()
        kept = [answer for name, answer in self.sent.items() if name not in self.undone]
        expected = [record_of(self.queries[answer.query], answer, "ann") for answer in kept]
        assert len({record.query for record in expected}) == len(expected)
        assert self.stored == {record.id: record for record in expected}


Labelling.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
test_nothing_is_lost_and_nothing_comes_twice = Labelling.TestCase
