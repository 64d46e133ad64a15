"""The guard: what it keeps, when it stops or rolls back, what it costs, and that it goes on with equal bits."""

import json

import numpy as np
import pytest

from plaudit.errors import ConfigError
from plaudit.records import canonical_json
from plaudit.run.guard import GOLD, KL, PROXY, Ending, Guard
from plaudit.run.guard_config import GuardConfig, OnAlarm
from plaudit.run.monitor import Signal
from plaudit.run.seeds import generator

CONFIG = GuardConfig(every=2, batch=5, pairs=20, budget=400)


class Line:
    """A policy is a number that grows by one per update; its quality rises up to `peak`, and falls twice as fast."""

    def __init__(self, peak, *, right=0.75, seed=0):
        self.peak, self.right, self.seed = peak, right, seed
        self.policy = self.best = 0
        self.asked = 0

    def quality(self, policy):
        return min(policy, 3 * self.peak - 2 * policy)

    def judge(self, check, first, count):
        self.asked += count
        rng = generator(self.seed, "audit", check)
        noise, slips = 3 * rng.standard_normal(20), rng.random(20) >= self.right
        apart = self.quality(self.policy) - self.quality(self.best) + noise
        return [
            None if self.policy == self.best else bool((apart[row] > 0) ^ slips[row])
            for row in range(first, first + count)
        ]

    def measures(self):
        return {PROXY: float(self.policy), KL: float(self.policy) ** 2, GOLD: float(self.quality(self.policy))}

    def keep(self):
        self.best = self.policy

    def restore(self):
        self.policy = self.best


def follow(line, guard, updates):
    """Learn until the guard says otherwise."""
    signal = Signal.GO
    for _ in range(updates):
        line.policy += 1
        signal = guard.report(1, {})
        if signal is not Signal.GO:
            break
    return signal


def test_a_run_that_fools_itself_is_rolled_back_to_near_its_peak():
    for seed in range(8):
        line = Line(peak=30, seed=seed)
        guard = Guard(CONFIG, line)
        assert follow(line, guard, 100) is Signal.ROLL_BACK
        assert guard.ending is Ending.ALARM
        assert line.policy == line.best == guard.best
        assert line.quality(line.policy) >= 20
        assert guard.updates <= 45
        assert guard.proxy_up
        assert "while the reward that it is paid rose" in guard.diagnosis()
        assert line.asked == sum(one.asked for one in guard.checks) <= 400


def test_stop_leaves_the_policy_as_it_is_and_says_so():
    line = Line(peak=10)
    guard = Guard(GuardConfig(every=2, on_alarm=OnAlarm.STOP), line)
    assert follow(line, guard, 100) is Signal.STOP
    assert line.policy == guard.updates > guard.best
    assert guard.report(1, {}) is Signal.STOP
    assert "is kept beside" in guard.diagnosis()


def test_clean_runs_are_let_alone():
    """200 runs that rise and then stand still: an alarm in at most one of twenty."""

    class Plateau(Line):
        def quality(self, policy):
            return min(policy, self.peak)

    alarms = 0
    for seed in range(200):
        line = Plateau(peak=10, seed=seed)
        guard = Guard(GuardConfig(every=4, budget=300), line)
        follow(line, guard, 60)
        alarms += guard.ending is Ending.ALARM
    assert alarms <= 10


def test_a_spent_budget_ends_the_run_and_is_no_alarm():
    line = Line(peak=1000)
    guard = Guard(GuardConfig(every=1, budget=50), line)
    assert follow(line, guard, 1000) is Signal.STOP
    assert guard.ending is Ending.SPENT
    assert line.asked <= 50
    assert "no pairs are left" in guard.diagnosis()


def test_a_lost_check_is_followed_by_one_at_once_and_ties_tell_nothing():
    class Said(Line):
        """Wins the first check, ties in the second, loses the third narrowly, and wins ever after."""

        def judge(self, check, first, count):
            row = {1: [True] * 5, 2: [None] * 5, 3: [True, False, False, True, False]}
            return row.get(check, [True] * 5)

    line = Said(peak=5)
    guard = Guard(GuardConfig(every=4, again=1), line)
    follow(line, guard, 13)
    assert [one.updates for one in guard.checks] == [4, 8, 12, 13]
    assert [one.asked for one in guard.checks] == [5, 20, 20, 5]
    assert guard.checks[0].kept
    assert guard.checks[1].won == ()
    assert guard.checks[1].log_wealth == guard.checks[0].log_wealth


def test_saved_and_loaded_it_goes_on_with_equal_bits():
    whole_line = Line(peak=20, seed=3)
    whole = Guard(CONFIG, whole_line)
    follow(whole_line, whole, 100)
    line = Line(peak=20, seed=3)
    first = Guard(CONFIG, line)
    follow(line, first, 17)
    state = json.loads(canonical_json(first.state()))
    again = Line(peak=20, seed=3)
    second = Guard(CONFIG, again)
    again.policy, again.best = line.policy, line.best
    second.load(state)
    follow(again, second, 100)
    assert canonical_json(second.state()) == canonical_json(whole.state())
    assert second.account() == whole.account()


def test_curves_are_fitted_and_metrics_have_their_meaning():
    line = Line(peak=15)
    guard = Guard(CONFIG, line)
    assert guard.metrics() == {}
    follow(line, guard, 100)
    fits = guard.fits()
    assert fits.keys() == {"judged", PROXY, GOLD}
    assert (fits[PROXY].alpha, fits[PROXY].beta) == pytest.approx((1, 0), abs=1e-9)
    assert fits[GOLD].beta > 0
    assert guard.metrics()["guard/ended"] == 1.0
    assert guard.metrics()["guard/best"] == guard.best
    json.loads(canonical_json(guard.account()))


def test_a_guard_that_could_not_work_is_refused():
    with pytest.raises(ConfigError, match="out of range"):
        GuardConfig(pairs=50, budget=20)
    with pytest.raises(ConfigError, match="more often than wrong"):
        GuardConfig(gold_right=5, gold_asked=10)
    assert GuardConfig(gold_right=38, gold_asked=50).answers.value == 0.76
    assert np.isclose(GuardConfig().test.threshold, np.log(20))
