"""Intervals: textbook numbers, and how often they cover."""

import math

import numpy as np
import pytest

from plaudit.stats.intervals import Interval, bootstrap, mean_interval, paired, welch, wilson


def test_mean_of_three_by_hand():
    found = mean_interval(np.array([1.0, 2.0, 3.0]))
    assert found.value == 2.0
    assert found.high - found.value == pytest.approx(4.302653 / math.sqrt(3))  # t of 2 degrees at .975
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_one_value_has_no_ends_and_none_is_an_error():
    assert mean_interval(np.array([5.0])) == Interval(5.0, -math.inf, math.inf)
    with pytest.raises(ValueError, match="no values"):
        mean_interval(np.array([]))


def test_welch_by_hand():
    found = welch(np.array([1.0, 2.0, 3.0]), np.array([4.0, 6.0]))
    # variances 1/3 and 1 give 1.724 degrees of freedom, and t = 5.08 at .975
    assert found.value == -3.0
    assert found.high - found.value == pytest.approx(5.0829 * math.sqrt(4 / 3), rel=0.02)


def test_welch_at_its_limits():
    assert welch(np.array([1.0]), np.array([2.0, 3.0])) == Interval(-1.5, -math.inf, math.inf)
    assert welch(np.full(3, 2.0), np.full(2, 1.0)) == Interval(1.0, 1.0, 1.0)


def test_wilson_by_hand():
    found = wilson(8, 10)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.4901625, 0.9433178), abs=1e-6)
    assert wilson(0, 0) == Interval(0.5, 0.0, 1.0)
    assert wilson(0, 5).low == 0.0
    assert wilson(5, 5).high == 1.0


def test_pairs_take_out_what_they_share():
    seeds = np.array([10.0, 200.0, -70.0, 35.0])
    gain = np.array([1.0, 1.2, 0.8, 1.0])
    found = paired(seeds + gain, seeds)
    assert found.value == pytest.approx(1.0)
    assert found.low > 0.5 > welch(seeds + gain, seeds).low
    with pytest.raises(ValueError, match="do not come in pairs"):
        paired(seeds, gain[:2])


def test_bootstrap_covers_the_true_median():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        found = bootstrap(rng.exponential(size=40), lambda v: float(np.median(v)), rng=rng, resamples=200)
        hits += found.low <= math.log(2) <= found.high
    assert 175 <= hits <= 200  # 190 expected


def test_bootstrap_of_equal_values_has_no_width_and_of_nothing_is_an_error():
    rng = np.random.default_rng(0)
    assert bootstrap(np.full(4, 2.0), lambda v: float(v.mean()), rng=rng, resamples=10) == Interval(2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="no values to resample"):
        bootstrap(np.array([]), lambda v: 0.0, rng=rng)
