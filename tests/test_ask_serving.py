"""Who gets which question next: overlap is kept, gold ends with the test, repeats come late, and the same state says the same."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.ask.serving import Asked, Purpose, ServingConfig, next_query, screening, wanted
from plaudit.errors import ConfigError
from plaudit.quality.gold import SequentialConfig, Verdict, asked_again
from plaudit.records import Choice, Comparison, Query, QueryKind


def question(index):
    return Query(QueryKind.COMPARISON, (f"a{index}", f"b{index}"), (0, 1), 0, index, "uniform")


def said(query, annotator, choice=Choice.FIRST):
    return Comparison(id=f"{query.id}/{annotator}", query=query.id, annotator=annotator, choice=choice)


def serve(names, queries, config, *, gold=None, rounds=500, seed=0):
    """Annotators come in turn until nobody gets anything. Returns what each got, and what was answered."""
    queries, answers, turns = list(queries), [], []
    for _ in range(rounds):
        got = False
        for name in names:
            turn = next_query(name, Asked(queries, answers, gold or {}), config, seed=seed)
            turns.append((name, turn.purpose))
            if turn.query is None:
                continue
            got, query = True, turn.query
            if turn.purpose is Purpose.REPEAT:
                query = asked_again(turn.query, round=1, index=len(answers), seed=seed)
                queries.append(query)
            answers.append(said(query, name))
        if not got:
            return turns, answers, queries
    raise AssertionError("nobody came to an end")


def test_questions_come_in_their_order_and_each_as_often_as_asked():
    queries = [question(i) for i in range(5)]
    turns, answers, _ = serve(["x", "y", "z"], queries, ServingConfig(overlap=2))
    assert Counter(one.query for one in answers) == {query.id: 2 for query in queries}
    assert [one.query for one in answers[:3]] == [queries[0].id, queries[0].id, queries[1].id]
    assert turns[-1] == ("z", Purpose.DONE)


def test_what_others_hold_counts_and_skips_do_not():
    queries = [question(0), question(1)]
    held = Asked(queries, [], held={queries[0].id: ("y",)})
    assert next_query("x", held, ServingConfig(), seed=0).query == queries[1]
    assert wanted(held, 2) == {queries[0].id: 1, queries[1].id: 2}
    skipped = Asked(queries, [said(queries[0], "y", Choice.SKIP)])
    assert next_query("x", skipped, ServingConfig(), seed=0).query == queries[0]
    assert next_query("y", skipped, ServingConfig(), seed=0).query == queries[1]


def test_gold_comes_until_the_test_is_decided_and_stops_who_fails():
    queries = [question(i) for i in range(200)]
    gold = {query.id: Choice.FIRST for query in queries[100:]}
    config = ServingConfig(gold_share=0.5)
    turns, answers, _ = serve(["x"], queries, config, gold=gold)
    golden = [one for one in answers if one.query in gold]
    assert screening("x", Asked(queries, answers, gold), config).verdict is Verdict.PASSED
    due = [purpose for _, purpose in turns].count(Purpose.GOLD)
    assert due == screening("x", Asked(queries, answers, gold), config).decided_after < len(golden)
    wrong = {query.id: Choice.SECOND for query in queries[100:]}
    turns, answers, _ = serve(["x"], queries, config, gold=wrong)
    assert turns[-1] == ("x", Purpose.STOPPED)
    assert len(answers) < 50
    lenient = ServingConfig(gold_share=0.5, screen=False)
    assert serve(["x"], queries, lenient, gold=wrong)[0][-1] == ("x", Purpose.DONE)


def test_repeats_come_once_after_enough_others_and_never_of_gold():
    queries = [question(i) for i in range(120)]
    config = ServingConfig(repeat_share=0.3, repeat_after=20, gold_share=0.2, gold_test=SequentialConfig(miss=1e-9))
    gold = {query.id: Choice.FIRST for query in queries[60:]}
    _, answers, all_ = serve(["x"], queries, config, gold=gold)
    about = {query.id: query.segments for query in all_}
    places: dict[tuple[str, ...], list[int]] = {}
    for place, one in enumerate(answers):
        places.setdefault(about[one.query], []).append(place)
    again = [found for found in places.values() if len(found) > 1]
    assert len(again) > 5
    assert all(len(found) == 2 and found[1] - found[0] > 20 for found in again)
    assert not {queries[i].segments for i in range(60, 120)} & {key for key, found in places.items() if len(found) > 1}


@settings(max_examples=40, deadline=None)
@given(
    people=st.integers(1, 5),
    count=st.integers(1, 12),
    overlap=st.integers(1, 4),
    shares=st.tuples(st.floats(0, 0.45), st.floats(0, 0.45)),
    seed=st.integers(0, 100),
)
def test_nobody_answers_twice_but_to_repeat_and_nothing_too_often(people, count, overlap, shares, seed):
    names = [f"p{i}" for i in range(people)]
    queries = [question(i) for i in range(count)]
    gold = {query.id: Choice.FIRST for query in queries[: count // 3]}
    config = ServingConfig(overlap, *shares, repeat_after=2)
    _, answers, all_ = serve(names, queries, config, gold=gold, seed=seed)
    about = {query.id: query.segments for query in all_}
    given = Counter((about[one.query], one.annotator) for one in answers)
    assert max(given.values()) <= 2
    for query in queries:
        who = {name for key, name in given if key == query.segments}
        assert min(overlap, people) <= len(who)
        assert query.id in gold or len(who) <= overlap
        if shares[1] == 0 or query.id in gold:
            assert all(given[query.segments, name] == 1 for name in who)


@given(st.integers(0, 30), st.integers(0, 1000))
def test_the_same_state_says_the_same_and_others_play_no_part_in_what_is_due(done, seed):
    queries = [question(i) for i in range(60)]
    gold = {query.id: Choice.FIRST for query in queries[50:]}
    config = ServingConfig(overlap=3, gold_share=0.3, repeat_share=0.2, repeat_after=3)
    answers = [said(query, "x") for query in queries[:done]]
    first = next_query("x", Asked(queries, answers, gold), config, seed=seed)
    assert next_query("x", Asked(queries, list(answers), dict(gold)), config, seed=seed) == first
    others = [*answers, *[said(query, "y") for query in queries[:20]]]
    assert next_query("x", Asked(queries, others, gold), config, seed=seed) == first


@pytest.mark.parametrize("wrong", [{"overlap": 0}, {"gold_share": 0.6, "repeat_share": 0.4}, {"repeat_after": 0}])
def test_settings_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ConfigError):
        ServingConfig(**wrong)
