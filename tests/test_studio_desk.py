"""The desk: sessions over a real store."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plaudit.ask.assistance import Assistance, assist
from plaudit.ask.service import ServiceConfig
from plaudit.ask.session import GRACE_SECONDS
from plaudit.ask.study import StudyConfig, begin
from plaudit.errors import RecordError, StoreError
from plaudit.quality.gold import SequentialConfig, set_gold
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Correction,
    Demonstration,
    Feedback,
    Note,
    Query,
    QueryKind,
    TextSegment,
)
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


def texts(path: Path, *, prompts: int = 6) -> Store:
    """Imported texts, some of them compared by others already."""
    store = Store.create(path / "texts.sqlite", {"format": 1, "purpose": "import"})
    store.add_annotator(AnnotatorProfile("imported", AnnotatorKind.PERSON))
    for number in range(prompts):
        pair = [TextSegment(f"prompt {number}", f"answer {number}/{side}") for side in "ab"]
        store.add_segments(pair)
        asked = Query(QueryKind.COMPARISON, (pair[0].id, pair[1].id), (0, 1), 0, number, "imported")
        store.add_queries([asked])
        if number:
            store.add_feedback([Comparison(id=f"i{number}", query=asked.id, annotator="imported", choice=Choice.FIRST)])
    return store


def test_a_study_shows_texts_and_only_what_it_asks_itself(tmp_path: Path, clock: Clock) -> None:
    with texts(tmp_path) as store:
        begin(store, StudyConfig(questions=6))
        desk = Desk(store, ServiceConfig(), clock=clock)
        view, seen = desk.view("ann"), list[str]()
        assert (view.progress.answered, view.progress.open, view.progress.total) == (0, 6, 6)
        while view.questions:
            question = view.questions[0]
            seen.append(question.id)
            assert [item.text.prompt[0].content[:6] for item in question.items if item.text] == ["prompt"] * 2
            view = desk.submit("ann", answer(view, f"s{len(seen)}"))
        assert {store.query(id_).strategy for id_ in seen} == {"study"}
        assert len(set(seen)) == 6
        desk.tick()
        clock.now += GRACE_SECONDS
        view = desk.view("ann")
        assert (view.state, view.progress.answered) == ("finished", 6)


def test_each_question_goes_to_as_many_people_as_it_needs(store: Store, clock: Clock) -> None:
    desk = Desk(store, ServiceConfig(overlap=2), clock=clock)
    given: dict[str, list[str]] = {}
    for who in ("ann", "bob", "cat"):
        view = desk.view(who)
        while view.questions:
            given.setdefault(view.questions[0].id, []).append(who)
            view = desk.submit(who, answer(view, f"{who}-{view.progress.mine}"))
        desk.pause(who)
    assert sorted(len(set(who)) for who in given.values()) == [2] * 5
    assert len(answers(store)) == 10
    assert desk.view("cat").progress.answered == 5


def test_what_is_written_is_stored_with_its_answer_and_not_when_it_is_undone(tmp_path: Path, clock: Clock) -> None:
    with texts(tmp_path) as store:
        begin(store, StudyConfig(questions=4, mix={"correction": 1.0, "demonstration": 1.0}))
        desk = Desk(store, ServiceConfig(scratch_share=0.5), clock=clock)
        view = desk.view("ann")
        asked = [store.query(question.id) for question in view.questions]
        before = store.head()
        desk.submit("ann", submission(asked[0].id, "s1", text="  an answer that I regret "))
        desk.undo("ann", S1)
        assert store.head() == before
        desk.submit("ann", submission(asked[0].id, "s2", text="my own answer"))
        desk.pause("ann")
        (saved,) = (one for one in answers(store) if one.annotator == "ann")
        assert isinstance(saved, Correction | Demonstration)
        assert saved.segment is not None
        (brought,) = store.texts([saved.segment]).values()
        shown = next(iter(store.texts(asked[0].segments).values()))
        assert (brought.completion, brought.prompt, brought.policy) == ("my own answer", shown.prompt, "ann")
        for text in ("", "   ", 7, "x" * 100_001):
            with pytest.raises(RecordError, match="cannot be a text"):
                desk.submit("ann", submission(asked[1].id, "s3", text=text))
        arms = {question.arm for question in view.questions if question.kind == "correction"}
        assert arms <= {"edit", "scratch"}


def test_what_was_shown_must_be_there(store: Store, clock: Clock, tmp_path: Path) -> None:
    with make_store(tmp_path / "shown", questions=1, kind=QueryKind.CORRECTION) as corrections:
        desk = Desk(corrections, ServiceConfig(), clock=clock, live=True)
        (question,) = desk.view("ann").questions
        assert question.live
        assert desk.holds("ann", question.id)
        assert not desk.holds("bob", question.id)
        with pytest.raises(RecordError, match="is not there"):
            desk.submit("ann", submission(question.id, "s1", segment="seg_none"))


def test_help_is_shown_to_its_share_and_answers_name_the_arm(store: Store, clock: Clock) -> None:
    asked = store.queries()
    assist(store, [Assistance(query.id, "critic-1", "the first", (Note("late", 1, 3),)) for query in asked])
    for share, arm in ((1.0, "assisted"), (0.0, "alone")):
        desk = Desk(store, ServiceConfig(assisted_share=share), clock=clock)
        question = desk.view("ann").questions[0]
        assert question.arm == arm
        assert (question.assist is not None) == (arm == "assisted")
        if question.assist is not None:
            assert (question.assist.by, question.assist.suggestion) == ("critic-1", "the first")
            assert question.assist.critiques[0].text == "late"


def test_newcomers_are_screened_and_stopped_by_wrong_gold(tmp_path: Path, clock: Clock) -> None:
    with make_store(tmp_path, questions=8) as store:
        gold = store.queries()[5:]
        set_gold(store, {query.id: Choice.FIRST for query in gold})
        quick = SequentialConfig(good=0.9, bad=0.5, false_alarm=0.2, miss=0.2)
        desk = Desk(store, ServiceConfig(screening=2, gold_test=quick), clock=clock)
        for who, choice, state in (("ann", "first", "question"), ("bob", "second", "stopped")):
            view = desk.view(who)
            assert view.screening
            number = 0
            while view.screening and view.questions:
                assert view.questions[0].id in {query.id for query in gold}
                view = desk.submit(who, answer(view, f"{who}-{number}", choice))
                number += 1
                clock.now += GRACE_SECONDS
                view = desk.view(who)
            assert view.state == state
