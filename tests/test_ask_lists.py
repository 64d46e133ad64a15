import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.ask.lists import INSERTION, Lists, RankedList
from plaudit.errors import RecordError
from plaudit.records import Choice, Query, QueryKind


def insertion(segment: str, pivot: str, index: int = 0) -> Query:
    return Query(QueryKind.COMPARISON, (segment, pivot), (0, 1), 0, index, INSERTION)


def verdict(first: float, second: float) -> Choice:
    return Choice.TIE if first == second else Choice.FIRST if first > second else Choice.SECOND


def sort(values: dict[str, float], lists: int = 1) -> tuple[Lists, list[Query], dict[str, Choice]]:
    """Insert all segments, list after list in turn, as an error-free teacher answers; the state, and its log."""
    state, log, choices, waiting = Lists(), [], {}, list(values)
    while True:
        moved = False
        for number in range(lists):
            ranked = state.lists[number] if number < len(state.lists) else None
            if ranked is None or ranked.segment is None:
                if len(waiting) < (2 if ranked is None else 1):
                    continue
                ranked = ranked or RankedList([[waiting.pop(0)]])
                ranked.insert(waiting.pop(0))
            question = ranked.question()
            assert question is not None
            query = insertion(*question, index=len(log))
            state.ask(query)
            choices[query.id] = verdict(*(values[segment] for segment in question))
            state.answer(query, choices[query.id])
            log.append(query)
            moved = True
        if not moved:
            return state, log, choices


@given(values=st.lists(st.integers(0, 12), min_size=2, max_size=40), lists=st.integers(1, 3))
def test_segments_end_in_order_with_ties_in_groups_and_few_comparisons(values: list[int], lists: int) -> None:
    worth = {f"s{number}": float(value) for number, value in enumerate(values)}
    state, log, _ = sort(worth, lists)
    for ranked in state.lists:
        held = [{worth[segment] for segment in group} for group in ranked.groups]
        assert all(len(group) == 1 for group in held)  # a group holds one value, and no value comes in two
        flat = [group.pop() for group in held]
        assert flat == sorted(set(flat))
    placed = [len(ranked.segments) for ranked in state.lists]
    assert len(log) <= sum(math.ceil(math.log2(i + 1)) for count in placed for i in range(1, count))
    assert state.asked == len(log)
    assert sum(placed) >= len(values) - 1  # a last one may find nothing to found a list with


@given(values=st.lists(st.integers(0, 9), min_size=2, max_size=25), lists=st.integers(1, 3))
def test_the_state_is_a_function_of_the_log(values: list[int], lists: int) -> None:
    state, log, choices = sort({f"s{number}": float(value) for number, value in enumerate(values)}, lists)
    assert Lists.of(log, choices) == state
    other = Query(QueryKind.COMPARISON, ("x", "y"), (0, 1), 0, 99, "uniform")
    assert Lists.of([other, *log], choices | {other.id: Choice.FIRST}) == state


def test_insertion_by_hand() -> None:
    # into the list 1 < 3 < 5 < 7: 4 meets the third (5), then the second (3), then it has its place
    ranked = RankedList([["1"], ["3"], ["5"], ["7"]])
    ranked.insert("4")
    assert ranked.question() == ("4", "5")
    ranked.answer("5", Choice.SECOND)
    assert ranked.question() == ("4", "3")
    ranked.answer("3", Choice.FIRST)
    assert (ranked.question(), ranked.segments) == (None, ["1", "3", "4", "5", "7"])
    ranked.insert("also 4")
    assert ranked.question() == ("also 4", "4")
    ranked.answer("4", Choice.TIE)
    assert ranked.groups == [["1"], ["3"], ["4", "also 4"], ["5"], ["7"]]
    ranked.insert("unclear")
    ranked.answer("4", Choice.SKIP)
    assert (ranked.segment, "unclear" in ranked.segments) == (None, False)


def test_a_list_asks_nothing_until_its_answer_comes_however_late() -> None:
    first, second = insertion("b", "a"), insertion("y", "x", 1)
    state = Lists.of([first, second], {second.id: Choice.SECOND})
    assert [ranked.question() for ranked in state.lists] == [None, None]
    assert [ranked.segment for ranked in state.lists] == ["b", None]
    assert sorted(state.segments) == ["a", "b", "x", "y"]
    state.answer(first, Choice.FIRST)
    assert state == Lists.of([first, second], {first.id: Choice.FIRST, second.id: Choice.SECOND})
    assert [ranked.segments for ranked in state.lists] == [["a", "b"], ["y", "x"]]


def test_lower_bound_and_pairs_by_hand() -> None:
    # 5! = 120 orders need 7 comparisons, 2! one: a list of five and one of two
    state = Lists([RankedList([["a"], ["b", "c"], ["d"], ["e"]]), RankedList([["x"], ["y"]])])
    assert (state.lower_bound(), state.pairs()) == (7 + 1, 10 + 1)
    assert Lists([RankedList([["a"]])]).lower_bound() == 0


def test_what_does_not_fit_is_refused() -> None:
    ranked = RankedList([["a"]])
    with pytest.raises(RecordError, match="cannot be inserted"):
        ranked.insert("a")
    ranked.insert("b")
    with pytest.raises(RecordError, match="cannot be inserted"):
        ranked.insert("c")
    for second in (insertion("c", "a", 1), insertion("b", "a", 1)):
        with pytest.raises(RecordError, match="does not fit its list"):
            Lists.of([insertion("b", "a"), second], {})
