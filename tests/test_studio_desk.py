"""The desk: sessions over a real store."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plaudit.ask.service import ServiceConfig
from plaudit.ask.session import GRACE_SECONDS
from plaudit.errors import RecordError, StoreError
from plaudit.records import Choice, Comparison, Feedback, QueryKind, TextSegment
from plaudit.store.store import Store
from plaudit.studio.desk import AWAY_SECONDS, LINE, Desk
from plaudit.studio.view import Answer, Clip, Question, View
from tests.studio_examples import LABELS, Clock, ask, make_store, render_all

S1 = "s1------"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with make_store(tmp_path) as store:
        yield store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(store: Store, clock: Clock) -> Desk:
    return Desk(store, ServiceConfig(instruction="Up is good."), clock=clock)


def answer(view: View, name: str, choice: str = "first", *, at: int = 0) -> Answer:
    return submission(view.questions[at].id, name, choice=choice)


def submission(query: str, name: str, **said: Any) -> Answer:
    return Answer(id=name.ljust(8, "-"), query=query, answer=said, answered_at="2026-05-04T12:00:00Z", seconds=2.0)


def clips_of(question: Question) -> list[Clip]:
    return [item.clip for item in question.items if item.clip is not None]


def answers(store: Store) -> list[Feedback]:
    return [feedback for _, feedback in store.feedback()]


def test_view_hands_out_questions_and_asks_for_their_clips(desk: Desk, store: Store) -> None:
    view = desk.view("ann")
    assert (view.state, len(view.questions), view.instruction) == ("question", LINE, "Up is good.")
    assert all(clip.url is None and clip.error is None for question in view.questions for clip in clips_of(question))
    assert render_all(store) == 2 * LINE
    clips = [clip.url for question in desk.view("ann").questions for clip in clips_of(question)]
    assert all(url is not None and url.startswith("/media/") for url in clips)


def test_clips_come_in_the_order_on_the_screen(desk: Desk, store: Store) -> None:
    desk.view("ann")
    while (job := store.claim_job("render", "tests", 30.0)) is not None:
        store.finish_job(job.id, result={"blob": job.payload["segment"], "mime": "image/webp"})
    for question in desk.view("ann").questions:
        query = store.query(question.id)
        assert [clip.url for clip in clips_of(question)] == [f"/media/{query.segments[index]}" for index in query.shown]


def test_clip_that_cannot_be_drawn_says_why(desk: Desk, store: Store) -> None:
    desk.view("ann")
    render_all(store, error="no such world")
    assert {clip.error for clip in clips_of(desk.view("ann").questions[0])} == {"no such world"}


def test_answer_is_saved_after_the_grace_even_if_no_page_asks(desk: Desk, store: Store, clock: Clock) -> None:
    view = desk.submit("ann", answer(desk.view("ann"), "s1"))
    assert (view.undoable, view.saved, answers(store)) == (S1, [], [])
    clock.now += GRACE_SECONDS
    desk.tick()
    (saved,) = answers(store)
    assert isinstance(saved, Comparison)
    assert (saved.choice, saved.annotator, saved.response_seconds) == (Choice.FIRST, "ann", 2.0)
    view = desk.view("ann")
    assert (view.undoable, view.saved) == (None, [S1])


def test_progress_counts_what_is_held_too(desk: Desk) -> None:
    view = desk.submit("ann", answer(desk.view("ann"), "s1"))
    assert (view.progress.mine, view.progress.answered, view.progress.open) == (1, 1, 4)
    assert view.progress.total == LABELS


def test_sending_again_changes_nothing(desk: Desk, store: Store, clock: Clock) -> None:
    first = answer(desk.view("ann"), "s1")
    desk.submit("ann", first)
    desk.submit("ann", first)
    clock.now += GRACE_SECONDS
    assert desk.submit("ann", first).saved == [S1]
    assert len(answers(store)) == 1


def test_undo_brings_the_question_back(desk: Desk, store: Store, clock: Clock) -> None:
    view = desk.view("ann")
    desk.submit("ann", answer(view, "s1", "first"))
    back = desk.undo("ann", S1)
    assert [question.id for question in back.questions[:LINE]] == [question.id for question in view.questions]
    assert desk.undo("ann", S1).undoable is None  # a repeated wish
    desk.submit("ann", answer(back, "s2", "second"))
    clock.now += GRACE_SECONDS
    desk.tick()
    (saved,) = answers(store)
    assert isinstance(saved, Comparison)
    assert saved.choice is Choice.SECOND
    with pytest.raises(RecordError, match="cannot be undone"):
        desk.undo("ann", "s2------")


def test_two_annotators_never_get_the_same_question(desk: Desk) -> None:
    mine = {question.id for question in desk.view("ann").questions}
    yours = {question.id for question in desk.view("bob").questions}
    assert len(mine) == LINE
    assert len(yours) == 5 - LINE
    assert mine.isdisjoint(yours)


def test_break_saves_and_gives_the_questions_to_others(desk: Desk, store: Store) -> None:
    desk.submit("ann", answer(desk.view("ann"), "s1"))
    view = desk.pause("ann")
    assert (view.state, view.questions, len(answers(store))) == ("break", [], 1)
    assert desk.pause("ann").state == "break"
    assert len(desk.view("bob").questions) == LINE
    view = desk.resume("ann")
    assert (view.state, len(view.questions)) == ("question", 4 - LINE)
    assert desk.resume("ann") == view


def test_questions_of_a_page_that_is_gone_go_to_others_until_it_is_back(desk: Desk, clock: Clock) -> None:
    desk.view("ann")
    clock.now += AWAY_SECONDS - 1
    desk.tick()
    assert len(desk.view("bob").questions) == 5 - LINE
    clock.now += 2
    desk.tick()
    assert len(desk.view("bob").questions) == LINE
    back = desk.view("ann")
    assert (back.state, len(back.questions)) == ("question", 5 - LINE)


def test_closing_saves_what_is_held(desk: Desk, store: Store) -> None:
    desk.submit("ann", answer(desk.view("ann"), "s1"))
    desk.close()
    assert len(answers(store)) == 1


def test_answer_from_before_a_restart_is_taken(desk: Desk, store: Store, clock: Clock) -> None:
    lost = answer(desk.view("ann"), "s1", at=1)
    restarted = Desk(store, ServiceConfig(), clock=clock)
    view = restarted.view("ann")
    assert view.session != desk.view("ann").session
    assert len(view.questions) == LINE  # what the dead studio had leased is free again
    restarted.submit("ann", lost)
    restarted.close()
    assert [saved.query for saved in answers(store)] == [lost.query]


def test_answer_that_was_saved_before_a_restart_is_recognised(desk: Desk, store: Store, clock: Clock) -> None:
    sent = answer(desk.view("ann"), "s1")
    desk.submit("ann", sent)
    desk.close()
    restarted = Desk(store, ServiceConfig(), clock=clock)
    assert S1 in restarted.submit("ann", sent).saved
    assert len(answers(store)) == 1
    other = submission(sent.query, "s2", choice="second")
    with pytest.raises(RecordError, match="first answer stands"):
        restarted.submit("ann", other)


def test_of_two_studios_with_one_annotator_the_first_answer_stands(desk: Desk, store: Store, clock: Clock) -> None:
    other = Desk(store, ServiceConfig(), clock=clock)
    one, two = answer(desk.view("ann"), "s1", "first"), answer(other.view("ann"), "s2", "second")
    assert one.query == two.query
    desk.submit("ann", one)
    other.submit("ann", two)
    desk.close()
    other.close()
    (saved,) = answers(store)
    assert isinstance(saved, Comparison)
    assert saved.choice is Choice.FIRST


def test_answer_during_a_break_ends_it(desk: Desk) -> None:
    late = answer(desk.view("ann"), "s1")
    desk.pause("ann")
    assert desk.submit("ann", late).state == "question"


def test_answer_to_no_question_of_this_run_is_refused(desk: Desk) -> None:
    stray = submission("qry_none", "s1", choice="first")
    with pytest.raises(RecordError, match="no such question"):
        desk.submit("ann", stray)


def test_store_that_refuses_loses_nothing(desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(records: list[Feedback], brought: list[TextSegment]) -> list[int]:
        raise StoreError("The disk is full")

    view = desk.view("ann")
    with monkeypatch.context() as patch:
        patch.setattr(store, "add_feedback", full)
        desk.submit("ann", answer(view, "s1"))
        refused = desk.submit("ann", answer(view, "s2", at=1))
        assert refused.trouble is not None
        assert "disk is full" in refused.trouble
        assert refused.progress.mine == 2
    healed = desk.view("ann")
    assert (healed.trouble, healed.saved) == (None, [S1])
    desk.close()
    assert len(answers(store)) == 2


def test_ratings_show_one_clip_and_their_scale(tmp_path: Path, clock: Clock) -> None:
    with make_store(tmp_path, kind=QueryKind.RATING) as store:
        question = Desk(store, ServiceConfig(), clock=clock).view("ann").questions[0]
        assert (question.kind, question.levels, len(clips_of(question))) == ("rating", 5, 1)


def complete(store: Store, round_: int, *stages: str) -> None:
    for stage in stages:
        store.append("stage.completed", {"round": round_, "stage": stage}, f"stage/{round_}/{stage}")


def test_waiting_says_what_the_run_does_and_how_long_it_took_last_time(store: Store, desk: Desk, clock: Clock) -> None:
    def answer_all() -> View:
        view = desk.view("ann")
        while view.questions:
            view = desk.submit("ann", answer(view, f"s{view.progress.mine}"))
        desk.tick()
        clock.now += GRACE_SECONDS
        return desk.view("ann")

    view = answer_all()
    assert view.waiting is not None
    assert (view.state, view.waiting.stage, view.waiting.seconds) == ("waiting", None, None)
    complete(store, 0, "act", "ask", "learn")
    view = desk.view("ann")
    assert view.waiting is not None
    assert view.waiting.stage == "improve"
    clock.now += 40.0
    ask(store, questions=1, round_=1)
    assert desk.view("ann").state == "question"
    answer_all()
    clock.now += 10.0
    view = desk.view("ann")
    assert view.waiting is not None
    assert view.waiting.seconds == pytest.approx(30.0)
    clock.now += 60.0
    view = desk.view("ann")
    assert view.waiting is not None
    assert view.waiting.seconds is None


def test_run_that_is_complete_says_so(tmp_path: Path, clock: Clock) -> None:
    with make_store(tmp_path, questions=0) as store:
        desk = Desk(store, ServiceConfig(), clock=clock)
        complete(store, 0, "act", "ask", "learn", "improve", "check")
        assert desk.view("ann").state == "waiting"
        complete(store, 1, "act", "ask", "learn", "improve", "check")
        assert desk.view("ann").state == "finished"
