"""Crowd Bradley-Terry: its gradient, the density it shares, and whether it finds who is good."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import expit
from scipy.stats import spearmanr

from plaudit.stats import reliability
from plaudit.stats.choice import comparison
from plaudit.stats.ranking import Comparisons
from plaudit.stats.reliability import Priors, crowd_bradley_terry, log_prob, reliability_given
from plaudit.stats.undefined import Undefined
from tests.stats_examples import crowd


def test_probabilities_add_up_and_are_lapses_of_the_shared_density():
    difference = np.array([-2.0, 0.0, 0.7])
    sides = [np.full(3, side) for side in (1, 0, -1)]
    total = sum(np.exp(log_prob(difference, side, np.array([0.7, 0.2, 1.0]), tie=0.3)) for side in sides)
    assert total == pytest.approx(np.ones(3))
    lapse = comparison(difference, sides[0], np.zeros(3, int), [0.0], lapse=0.4)
    assert log_prob(difference, sides[0], np.full(3, 0.8)) == pytest.approx(lapse)


@pytest.mark.parametrize("tie", [0.0, 0.4])
def test_slopes(tie):
    side = np.array([1, -1, 0]) if tie else np.array([1, -1, 1])
    difference, eta = np.array([0.3, -1.2, 2.0]), np.array([0.9, 0.6, 0.3])
    by_value, by_eta = reliability._slopes(difference, side, eta, tie)
    for i in range(3):
        one = side[i : i + 1]
        assert by_value[i] == pytest.approx(
            approx_fprime(
                [difference[i]], lambda d, one=one, i=i: np.exp(log_prob(d, one, eta[i : i + 1], tie=tie))[0]
            )[0],
            abs=1e-5,
        )
        assert by_eta[i] == pytest.approx(
            approx_fprime(
                [eta[i]], lambda e, one=one, i=i: np.exp(log_prob(difference[i : i + 1], one, e, tie=tie))[0]
            )[0],
            abs=1e-5,
        )


def test_skill_is_found():
    found, best = [], []
    for seed in range(5):
        data, who, eta, value = crowd(seed)
        fit = crowd_bradley_terry(data, who, 20)
        assert fit.converged
        found.append(spearmanr(fit.eta, eta)[0])
        known = reliability_given(value[data.first] - value[data.second], data.side, who, 20)
        best.append(spearmanr(known, eta)[0])
        assert np.corrcoef(fit.value, value)[0, 1] > 0.9
    assert np.median(found) >= 0.85
    assert np.median(np.array(found) / np.array(best)) >= 0.95


def test_intervals_cover():
    inside = []
    for seed in range(5):
        data, who, eta, _ = crowd(seed + 50)
        fit = crowd_bradley_terry(data, who, 20)
        inside += [fit.interval(k).low <= eta[k] <= fit.interval(k).high for k in range(20)]
    assert 86 <= sum(inside) <= 100


def test_somebody_who_answers_the_opposite_is_told_from_noise_and_used():
    data, who, _, _ = crowd(3, annotators=6)
    rng = np.random.default_rng(0)
    liar = who == 5
    side = np.where(liar, -1, 1) * np.sign(rng.normal(size=50)[data.first] * 0 + data.side)
    value = np.linspace(-3, 3, 50)
    truth = np.where(rng.random(len(who)) < expit(value[data.first] - value[data.second]), 1, -1)
    side = np.where(liar, -truth, truth)
    fit = crowd_bradley_terry(Comparisons(data.first, data.second, side, 50), who, 6)
    assert fit.high[5] < 0.2
    assert np.all(fit.low[:5] > 0.8)


def test_ties_enter_the_values_but_not_the_reliability():
    data, who, _, value = crowd(4, tie=0.6)
    assert np.mean(data.side == 0) > 0.05
    fit = crowd_bradley_terry(data, who, 20, tie=0.6)
    assert np.corrcoef(fit.value, value)[0, 1] > 0.9
    only_ties = Comparisons(np.array([0]), np.array([1]), np.array([0]), 2)
    assert crowd_bradley_terry(only_ties, np.array([0]), 1, tie=0.5) == Undefined("no comparison was decided")


def test_without_answers_an_annotator_keeps_the_prior():
    data, who, _, _ = crowd(0, annotators=2)
    fit = crowd_bradley_terry(data, who, 3, priors=Priors(eta_mean=1.0))
    assert fit.eta[2] == pytest.approx(expit(1.0), abs=1e-3)
    assert (fit.low[2], fit.high[2]) == pytest.approx(expit(1.0 + np.array([-1.96, 1.96])), abs=2e-3)
