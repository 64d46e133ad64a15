"""Silent gold: the sequential test keeps its error rates, and nothing gives gold away."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import ConfigError, StoreError
from plaudit.quality.gold import (
    SequentialConfig,
    Verdict,
    asked_again,
    certain,
    expected_length,
    read_gold,
    sequential_test,
    set_gold,
)
from plaudit.records import Choice, Level, Query, QueryKind, to_json
from plaudit.stats.crowd import Labels
from tests.store_examples import make_store

CONFIG = SequentialConfig()


def test_by_hand():
    # a right answer speaks for good by log(.9 / .65), a wrong one for bad by log(.35 / .1)
    found = sequential_test([True, False], CONFIG)
    assert found.evidence == pytest.approx((math.log(0.65 / 0.9), math.log(0.65 / 0.9) + math.log(3.5)))
    assert (found.verdict, found.right, found.answered, found.decided_after) == (Verdict.OPEN, 1, 2, None)
    assert sequential_test([], CONFIG).verdict is Verdict.OPEN
    # -log(.01) / log(3.5) = 3.7 wrong answers stop; log(.05) / log(.722) = 9.2 right ones pass
    assert sequential_test([False] * 6, CONFIG).decided_after == 4
    assert sequential_test([False] * 4, CONFIG).verdict is Verdict.STOPPED
    assert sequential_test([True] * 12, CONFIG).decided_after == 10


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), max_size=60), st.lists(st.booleans(), max_size=20))
def test_a_decision_stands(answers, more):
    first, later = sequential_test(answers, CONFIG), sequential_test(answers + more, CONFIG)
    if first.verdict is not Verdict.OPEN:
        assert (later.verdict, later.decided_after) == (first.verdict, first.decided_after)


@pytest.mark.parametrize(
    ("accuracy", "wrong", "rate"), [(0.9, Verdict.STOPPED, 0.01), (0.95, Verdict.STOPPED, 0.01), (0.65, Verdict.PASSED, 0.05),
                                    (0.5, Verdict.PASSED, 0.05)]
)  # fmt: skip
def test_error_rates_and_length(accuracy, wrong, rate):
    rng = np.random.default_rng(0)
    found = [sequential_test((rng.random(300) < accuracy).tolist(), CONFIG) for _ in range(1500)]
    share = np.mean([one.verdict is wrong for one in found])
    assert share <= rate + 2 * math.sqrt(rate * (1 - rate) / 1500)
    assert all(one.verdict is not Verdict.OPEN for one in found)
    if accuracy in (CONFIG.good, CONFIG.bad):
        assert np.mean([one.decided_after for one in found]) == pytest.approx(
            expected_length(accuracy, CONFIG), rel=0.25
        )


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="do not fit"):
        SequentialConfig(good=0.6, bad=0.7)
    with pytest.raises(ConfigError, match="error rate"):
        SequentialConfig(miss=0.0)


def test_gold_is_kept_in_the_log_and_nowhere_else(tmp_path):
    with make_store(tmp_path) as store:
        compare, rate = store.queries()
        before = [to_json(one) for one in store.queries()]
        set_gold(store, {compare.id: Choice.SECOND, rate.id: 4})
        head = store.head()
        set_gold(store, {compare.id: Choice.SECOND})  # again changes nothing
        assert store.head() == head
        assert read_gold(store) == {compare.id: Choice.SECOND, rate.id: 4}
        assert [to_json(one) for one in store.queries()] == before
        assert store.verify().problems == ()
        for answers in ({compare.id: 1}, {compare.id: Choice.SKIP}, {rate.id: Choice.FIRST}, {rate.id: 5}, {"none": 1}):
            with pytest.raises(StoreError):
                set_gold(store, answers)
        with pytest.raises(StoreError, match="another payload"):
            set_gold(store, {rate.id: 2})
        assert store.head() == head


def test_a_repeat_looks_like_its_original():
    query = Query(QueryKind.COMPARISON, ("a", "b"), (0, 1), 0, 3, "disagreement", score=0.2, propensity=0.1, reward="m")
    again = [asked_again(query, round=2, index=k, seed=5) for k in range(200)]
    assert again[0] == asked_again(query, round=2, index=0, seed=5)
    assert len({one.id for one in again} | {query.id}) == 201
    assert {(one.segments, one.strategy, one.score, one.reward) for one in again} == {
        (("a", "b"), "disagreement", 0.2, "m")
    }
    assert 70 <= sum(one.shown == (1, 0) for one in again) <= 130
    flag = Query(QueryKind.FLAG, ("a",), (0,), 0, 3, "x", constraint="contact", level=Level.EPISODE)
    rating = Query(QueryKind.RATING, ("a",), (0,), 0, 3, "x", levels=5, aspect="style")
    for one in (flag, rating):
        assert asked_again(one, round=2, index=1, seed=5) == replace(one, round=2, index=1, id="")


def test_candidates_are_what_all_are_sure_of():
    #                 three agree        two agree      three, one differs
    rows = [*((0, k, 1) for k in range(3)), (1, 0, 0), (1, 1, 0), (2, 0, 0), (2, 1, 0), (2, 2, 1),
            *((item, k, item % 2) for item in range(3, 30) for k in range(3))]  # fmt: skip
    item, who, label = (np.array(column) for column in zip(*rows, strict=True))
    found = certain(Labels(item, who, label, 30, 3, 2))
    assert found[0] == 1
    assert 1 not in found
    assert found[4] == 0
    assert 2 not in certain(Labels(item, who, label, 30, 3, 2), sure=0.99999)
