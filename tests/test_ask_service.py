"""Who is given which question: screening, gold, repeats, questions asked again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.ask.service import EDIT, RE_ASKED, SCRATCH, Roster, ServiceConfig, arm_of
from plaudit.errors import ConfigError
from plaudit.quality.gold import SequentialConfig, Verdict
from plaudit.records import Choice, Comparison, Query, QueryKind

QUICK = SequentialConfig(good=0.9, bad=0.5, false_alarm=0.2, miss=0.2)
"""stops after one wrong answer, passes after three right ones"""


def query(pair: int, index: int, strategy: str = "uniform") -> Query:
    return Query(QueryKind.COMPARISON, (f"a{pair}", f"b{pair}"), (0, 1), 0, index, strategy)


def answer(asked: Query, who: str, choice: Choice = Choice.FIRST) -> Comparison:
    return Comparison(id=f"{asked.id}/{who}", query=asked.id, annotator=who, choice=choice)


def roster(*queries: Query, **settings: object) -> Roster:
    found = Roster(ServiceConfig(gold_test=QUICK, **settings))  # type: ignore[arg-type]  # a test's shorthand
    for one in queries:
        found.asked(one)
    return found


def test_newcomers_answer_gold_first_and_then_anything() -> None:
    gold, other = query(0, 0), query(1, 1)
    desk = roster(gold, other, screening=1)
    desk.golden({gold.id: Choice.FIRST})
    offer = desk.offer("ann")
    assert (offer.among, offer.screening) == ((gold.id,), True)
    desk.given(answer(gold, "ann"))
    offer = desk.offer("ann")
    assert (offer.among, offer.screening, offer.stopped) == ((), False, False)


def test_whoever_fails_the_gold_test_is_stopped_unless_nobody_is_screened() -> None:
    gold = query(0, 0)
    for screen in (True, False):
        desk = roster(gold, screen=screen)
        desk.given(answer(gold, "ann", Choice.SECOND))
        desk.golden({gold.id: Choice.FIRST})  # set by hand, after the answer
        assert desk.test("ann").verdict is Verdict.STOPPED
        assert desk.offer("ann").stopped is screen
        assert not desk.offer("bob").stopped


def test_screening_ends_when_there_is_no_more_gold() -> None:
    gold = query(0, 0)
    desk = roster(gold, screening=5)
    desk.golden({gold.id: Choice.FIRST})
    desk.given(answer(gold, "ann"))
    assert not desk.offer("ann").screening


def test_repeats_go_to_who_answered_first_and_are_rather_not_for_others() -> None:
    first, again = query(0, 0), query(0, 1)
    desk = roster(first, again)
    assert desk.offer("ann").barred == {again.id}
    desk.given(answer(first, "ann"))
    assert desk.offer("ann").among == (again.id,)
    assert desk.offer("bob").barred == {again.id}
    desk.given(answer(again, "ann"))
    assert desk.offer("ann").among == ()


def test_what_the_lead_asks_again_goes_to_others() -> None:
    first, again = query(0, 0), query(0, 1, RE_ASKED)
    desk = roster(first, again)
    desk.given(answer(first, "ann"))
    assert (desk.offer("ann").among, desk.offer("ann").barred) == ((), {again.id})
    assert desk.offer("ann").others == {again.id}
    assert desk.offer("bob").barred == frozenset()


def test_nobody_is_asked_again_what_is_on_their_screen_or_was_asked_again_of_them() -> None:
    first, again, more = query(0, 0), query(0, 1, RE_ASKED), query(0, 2, RE_ASKED)
    desk = roster(first, again, more)
    assert desk.offer("bob").others == frozenset()
    assert desk.offer("bob", [again.id]).others == {more.id}
    assert desk.offer("bob", [first.id]).others == {again.id, more.id}
    desk.given(answer(again, "bob"))
    assert desk.offer("bob").others == {again.id, more.id}


def test_gold_that_repeats_a_question_is_for_everybody() -> None:
    first, again = query(0, 0), query(0, 1)
    desk = roster(first, again)
    desk.golden({again.id: Choice.FIRST})
    desk.given(answer(first, "ann"))
    assert desk.offer("ann") == desk.offer("bob")


@given(st.floats(0.05, 0.95), st.integers(0, 1000))
def test_arms_are_drawn_once_and_in_their_shares(share: float, seed: int) -> None:
    config = ServiceConfig(scratch_share=share, seed=seed)
    arms = [arm_of(query(0, index), "ann", config) for index in range(200)]
    assert arms == [arm_of(query(0, index), "ann", config) for index in range(200)]
    assert abs(arms.count(SCRATCH) / 200 - share) < 0.2
    assert set(arms) <= {SCRATCH, EDIT}
    assert arm_of(query(0, 0), "ann", ServiceConfig()) is None


@pytest.mark.parametrize("settings", [{"overlap": 0}, {"screening": -1}, {"scratch_share": 1.5}])
def test_settings_out_of_range(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        ServiceConfig(**settings)  # type: ignore[arg-type]  # a test's shorthand
