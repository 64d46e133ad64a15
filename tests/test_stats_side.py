"""Side bias: by hand, its coverage, and what repeats with swapped sides say."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from plaudit.stats.intervals import wilson
from plaudit.stats.side import profile_interval, side_bias, swapped_bias
from plaudit.stats.undefined import Undefined
from tests.stats_examples import biased


def test_without_values_it_is_the_share():
    found = side_bias(np.repeat([1.0, 0.0], [30, 10]))
    assert found.share == wilson(30, 40)
    assert found.log_odds.value == pytest.approx(logit(0.75))
    # both ends of the profile interval lose 1.92 of log likelihood
    for end in (found.log_odds.low, found.log_odds.high):
        lost = 30 * log_expit(logit(0.75)) + 10 * log_expit(-logit(0.75)) - 30 * log_expit(end) - 10 * log_expit(-end)
        assert lost == pytest.approx(1.9207, abs=1e-3)
    assert (found.slope, found.answers) == (0.0, 40)
    assert found.p_value == pytest.approx(0.00222, abs=1e-5)
    assert found.chance(np.zeros(2)) == pytest.approx([0.75, 0.75])


def test_profile_is_the_best_logistic_regression():
    took, advantage, _, _ = biased(3)
    found = side_bias(took, advantage)
    slow = minimize(lambda t: -np.sum(log_expit((2 * took - 1) * (t[0] + t[1] * advantage))), [0.0, 0.0], tol=1e-12)
    assert (found.log_odds.value, found.slope) == pytest.approx(tuple(slow.x), abs=1e-4)
    assert found.chance(advantage) == pytest.approx(expit(slow.x[0] + slow.x[1] * advantage), abs=1e-4)


def test_coverage():
    hits = 0
    for seed in range(60):
        took, advantage, _, bias = biased(seed)
        found = side_bias(took, advantage).log_odds
        hits += found.low <= bias <= found.high
    assert 52 <= hits <= 60  # 57 expected; benchmarks/feedback_statistics.py asks over 2,000


def test_says_why_there_is_no_number():
    assert side_bias(np.zeros(0)) == Undefined("there is no decided comparison")
    found = side_bias(np.ones(12))
    assert isinstance(found.log_odds, Undefined)
    assert found.share == wilson(12, 12)
    assert found.chance(np.zeros(1))[0] > 0.8
    advantage = np.linspace(-1, 1, 10)
    explained = profile_interval((advantage > 0).astype(float), advantage)
    assert isinstance(explained, Undefined)
    assert "explain every answer" in explained.reason


def test_one_contrary_answer_leaves_an_open_end():
    y, x = np.array([1.0, 1.0, 0.0]), np.array([1.0, 2.0, 1.0])
    found = profile_interval(y, x)
    assert isinstance(found, Undefined) or found.low < found.value < found.high


def test_swapped_questions():
    rng = np.random.default_rng(0)
    gap = rng.normal(size=40_000) * 2  # whatever the items are worth, it cancels
    first, again = (rng.random(40_000) < expit(sign * gap + 0.6) for sign in (1, -1))
    found = swapped_bias(int(np.sum(first & again)), int(np.sum(~first & ~again)))
    assert found.low < 0.6 < found.high
    assert found.high - found.low < 0.1
    assert swapped_bias(0, 0) == Undefined("no swapped question was answered on the same side twice")
    one_sided = swapped_bias(4, 0)
    assert (one_sided.value, one_sided.high) == (np.inf, np.inf)
    assert one_sided.low == pytest.approx(logit(0.025 ** (1 / 4)) / 2)
