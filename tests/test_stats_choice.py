"""Densities of answers: numbers by hand, and what must hold for any values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.stats import choice

VALUES = st.floats(-30, 30)
LAPSES = st.sampled_from([0.0, 0.1, 0.5])
THRESHOLDS = st.lists(st.floats(0.01, 5), min_size=1, max_size=4).map(lambda gaps: np.cumsum(gaps).tolist())


def compare(difference, side, grade=0, thresholds=(0.0,), lapse=0.0):
    found = choice.comparison(
        np.array([difference], dtype=float), np.array([side]), np.array([grade]), list(thresholds), lapse=lapse
    )
    return float(found[0])


def test_without_ties_and_grades_it_is_bradley_terry():
    assert compare(1.0, 1) == pytest.approx(-0.31326168751822)  # log(e / (e + 1))
    assert compare(1.0, -1) == pytest.approx(-1.31326168751822)


def test_ties_are_rao_kupper():
    pi, pj, theta = math.e, 1.0, 2.0
    threshold = [math.log(theta)]
    assert math.exp(compare(1.0, 1, thresholds=threshold)) == pytest.approx(pi / (pi + theta * pj))  # .5761
    assert math.exp(compare(1.0, -1, thresholds=threshold)) == pytest.approx(pj / (pj + theta * pi))  # .1554
    tie = (theta**2 - 1) * pi * pj / ((pi + theta * pj) * (pj + theta * pi))
    assert math.exp(compare(1.0, 0, thresholds=threshold)) == pytest.approx(tie)  # .2685


def test_strength_is_an_interval_of_the_difference():
    thresholds = [0.5, 1.0, 2.0, 4.0]

    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    assert math.exp(compare(0.7, 1, 2, thresholds)) == pytest.approx(sigmoid(2.0 - 0.7) - sigmoid(1.0 - 0.7))
    assert math.exp(compare(0.7, -1, 1, thresholds)) == pytest.approx(sigmoid(1.0 + 0.7) - sigmoid(0.5 + 0.7))


def test_a_lapse_picks_a_side_and_never_a_tie():
    plain = math.exp(compare(1.0, 1, thresholds=[math.log(2)]))
    assert math.exp(compare(1.0, 1, thresholds=[math.log(2)], lapse=0.2)) == pytest.approx(0.8 * plain + 0.1)
    tie = math.exp(compare(1.0, 0, thresholds=[math.log(2)]))
    assert math.exp(compare(1.0, 0, thresholds=[math.log(2)], lapse=0.2)) == pytest.approx(0.8 * tie)


def test_ratings_by_hand():
    found = np.exp(choice.rating(np.array([0.5, 0.5, 0.5]), np.array([0, 1, 2]), [-1.0, 1.0]))
    assert found == pytest.approx([0.18242552, 0.44003379, 0.37754067])
    lapsing = np.exp(choice.rating(np.array([0.5]), np.array([1]), [-1.0, 1.0], lapse=0.3))
    assert lapsing == pytest.approx([0.7 * 0.44003379 + 0.1])


def test_step_scores_by_hand():
    found = choice.step(np.array([1.5]), np.array([0.25]), 0.5)
    assert found == pytest.approx([0.25 * -0.31326169 + 0.75 * -1.31326169])
    lapsing = choice.step(np.array([1.5]), np.array([1.0]), 0.5, lapse=0.4)
    assert lapsing == pytest.approx([math.log(0.6 / (1 + math.exp(-1.0)) + 0.2)])


@given(VALUES, THRESHOLDS, LAPSES)
def test_outcomes_of_a_comparison_sum_to_one(difference, thresholds, lapse):
    graded = [(side, grade + 1) for side in (1, -1) for grade in range(len(thresholds))]
    for outcomes in ([(1, 0), (-1, 0), (0, 0)], [*graded, (0, 0)]):
        total = sum(math.exp(compare(difference, s, g, thresholds, lapse)) for s, g in outcomes)
        assert total == pytest.approx(1.0, abs=1e-12)


@given(VALUES, THRESHOLDS, LAPSES)
def test_grades_of_a_rating_sum_to_one(value, cuts, lapse):
    grades = np.arange(len(cuts) + 1)
    assert np.exp(choice.rating(np.full(len(grades), value), grades, cuts, lapse=lapse)).sum() == pytest.approx(1.0)


@given(VALUES, VALUES, LAPSES)
def test_outcomes_of_a_step_sum_to_one(value, cut, lapse):
    found = choice.step(np.full(2, value), np.array([0.0, 1.0]), cut, lapse=lapse)
    assert np.exp(found).sum() == pytest.approx(1.0)


@given(VALUES, st.sampled_from([1, -1, 0]), THRESHOLDS, LAPSES)
def test_swapping_the_order_swaps_the_side(difference, side, thresholds, lapse):
    for grade in range(len(thresholds) + 1) if side else [0]:
        here = compare(difference, side, grade, thresholds, lapse)
        assert here == pytest.approx(compare(-difference, -side, grade, thresholds, lapse), rel=1e-12)


@pytest.mark.parametrize("difference", [-1e4, -800.0, 800.0, 1e4])
def test_far_tails_stay_finite(difference):
    found = [compare(difference, side, 0, [0.5]) for side in (1, -1)]
    assert min(found) == pytest.approx(-abs(difference) - 0.5)
    assert max(found) == 0.0
    assert compare(difference, 0, 0, [0.5]) == pytest.approx(
        0.5 - abs(difference) + math.log(-math.expm1(-1.0)), abs=1e-6
    )


def test_narrow_intervals_keep_their_precision():
    # the density at 0.3 times the width
    density = math.exp(0.3) / (1 + math.exp(0.3)) ** 2
    assert float(choice.log_interval(np.array(0.0), 0.3, 0.3 + 1e-12)) == pytest.approx(
        math.log(density * 1e-12), rel=1e-4
    )


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=8), st.floats(0.01, 0.99))
def test_cut_leaves_the_share_below(values, share):
    cut = choice.cut_at(np.array(values), share)
    assert np.mean(1 / (1 + np.exp(np.array(values) - cut))) == pytest.approx(share, abs=1e-6)


def test_cut_of_equal_values_is_their_logit():
    assert choice.cut_at(np.full(5, 2.0), 0.25) == pytest.approx(2.0 - math.log(3))


def slow_first_passage(odds, time, terms=400):
    """Navarro & Fuss (2009), eq. 5, for both bounds: distance 1, start 1/2, drift `odds`, without any rearranging."""
    total = 0.0
    for drift in (odds, -odds):
        series = sum(k * np.exp(-(k**2) * np.pi**2 * time / 2) * np.sin(k * np.pi * 0.5) for k in range(1, terms))
        total += np.pi * np.exp(-drift * 0.5 - drift**2 * time / 2) * series
    return total


@pytest.mark.parametrize("odds", [0.0, 1.0, -4.0])
@pytest.mark.parametrize("time", [0.02, 0.1, 0.25, 0.26, 1.0])
def test_response_time_equals_the_series_as_written(odds, time):
    seconds = 2.0 + time * 4.0 * 1.5
    found = float(choice.response_time(odds, seconds, 1.5, motor=2.0))
    assert found == pytest.approx(np.log(slow_first_passage(odds, time) / (4 * 1.5)), abs=1e-9)


@pytest.mark.parametrize("odds", [0.0, 0.7, -5.0, 40.0])
def test_response_time_is_a_density_with_the_mean_of_the_closed_form(odds):
    mean = float(choice.mean_decision_seconds(odds, 1.5))
    times = mean * np.logspace(-4, 2.5, 200_000)
    density = np.exp(choice.response_time(odds, times, 1.5))
    assert np.trapezoid(density, times) == pytest.approx(1.0, abs=1e-6)
    assert np.trapezoid(density * times, times) == pytest.approx(mean, rel=1e-6)


def test_mean_decision_seconds_by_hand():
    # 2 tanh(1) / 2 = 0.76159; equals take longest
    assert choice.mean_decision_seconds(2.0, 3.0) == pytest.approx(3.0 * 0.7615941559557649)
    assert choice.mean_decision_seconds([0.0, 1e-9, -2.0], 3.0).tolist() == pytest.approx(
        [3.0, 3.0, 2.2847824678672946]
    )


def test_impossible_times_need_outliers():
    assert choice.response_time(0.0, 0.5, 1.0, motor=1.0) == -np.inf
    assert choice.response_time(0.0, 0.5, 1.0, motor=1.0, outlier=0.1, longest=20.0) == pytest.approx(np.log(0.1 / 20))
    assert choice.response_time(0.0, 30.0, 1.0, outlier=0.1, longest=20.0) == pytest.approx(
        np.log(0.9) + float(choice.response_time(0.0, 30.0, 1.0))
    )


def test_times_by_simulated_diffusion():
    # Euler steps of 1e-3 pass the bounds late by 0.5826 sqrt(step) on either side (Chernoff & Petkau 1986), so the bounds move in
    rng, step, odds = np.random.default_rng(0), 1e-3, 2.0
    bound = 0.5 - 0.5826 * np.sqrt(step)
    at, times, going = np.zeros(4000), np.zeros(4000), np.ones(4000, dtype=bool)
    while going.any():
        at[going] += odds * step + np.sqrt(step) * rng.normal(size=int(going.sum()))
        times[going] += step
        going &= np.abs(at) < bound
    mean = float(choice.mean_decision_seconds(odds, 0.25))  # bounds 1 apart: D = 1/4
    assert times.mean() == pytest.approx(mean, rel=0.04)
    assert np.mean(at > 0) == pytest.approx(1 / (1 + np.exp(-odds)), abs=0.02)
