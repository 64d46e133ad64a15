"""Many tests at once, influences beside a score, and temperatures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from plaudit.run.seeds import generator
from plaudit.stats.calibration import temperature
from plaudit.stats.logistic import RIDGE, swayed
from plaudit.stats.multiple import benjamini_hochberg
from plaudit.stats.undefined import Undefined


def test_q_values_by_hand():
    """0.01 * 4/1, 0.02 * 4/2 and 0.03 * 4/3 are all 0.04; the last keeps its own."""
    np.testing.assert_allclose(benjamini_hochberg(np.array([0.03, 0.01, 0.5, 0.02])), [0.04, 0.04, 0.5, 0.04])
    assert len(benjamini_hochberg(np.array([]))) == 0
    with pytest.raises(ValueError, match="between 0 and 1"):
        benjamini_hochberg(np.array([0.5, np.nan]))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.001, 0.5))
def test_q_values_believe_what_the_step_up_rule_believes(values, level):
    p = np.array(values)
    q = benjamini_hochberg(p)
    ranked = np.sort(p)
    passing = [k for k in range(1, len(p) + 1) if ranked[k - 1] * len(p) / k <= level]
    expected = p <= (ranked[max(passing) - 1] if passing else -1)
    np.testing.assert_array_equal(q <= level, expected)
    assert (q >= p - 1e-15).all()


def test_influences_maximise_the_penalised_likelihood():
    rng = generator(0, "swayed")
    features = rng.standard_normal((300, 2))
    sign = np.where(rng.random(300) < 1 / (1 + np.exp(-features @ [1.5, -0.5])), 1, -1)
    found = swayed(features * sign[:, None], np.arange(300))

    def loss(b):
        return np.logaddexp(0, -(features * sign[:, None]) @ b).sum() + RIDGE * b @ b / 2

    np.testing.assert_allclose(found.coefficients, minimize(loss, np.zeros(2)).x, atol=1e-4)
    assert (np.abs(found.coefficients - [1.5, -0.5]) < 4 * found.errors).all()


def test_errors_know_of_clusters():
    """The same answers ten times over are no more evidence when they are of one cluster."""
    rng = generator(1, "swayed")
    features = rng.standard_normal((80, 1)) + 0.2
    once = swayed(features, np.arange(80))
    tenfold = np.repeat(features, 10, axis=0)
    together = swayed(tenfold, np.repeat(np.arange(80), 10))
    apart = swayed(tenfold, np.arange(800))
    assert together.errors[0] == pytest.approx(once.errors[0], rel=0.02)
    assert apart.errors[0] < 0.4 * once.errors[0]


def test_influences_without_exceptions_stay_finite_and_few_clusters_say_nothing():
    found = swayed(np.ones((50, 1)), np.arange(50))
    assert np.isfinite(found.coefficients).all() and found.coefficients[0] > 2  # noqa: PT018
    assert isinstance(swayed(np.ones((50, 2)), np.arange(50) // 25), Undefined)


def test_temperature_is_the_most_likely():
    rng = generator(2, "temperature")
    size = 3 * rng.standard_normal(2000)
    margins = np.where(rng.random(2000) < 1 / (1 + np.exp(-size / 2.5)), size, -size)
    slow = minimize_scalar(lambda t: np.logaddexp(0, -margins / t).sum(), bounds=(0.1, 20), method="bounded").x
    assert temperature(margins) == pytest.approx(slow, rel=1e-4)
    assert temperature(10 * margins) == pytest.approx(10 * slow, rel=1e-4)
    assert temperature(np.abs(margins)) < 0.1 < 100 < temperature(-np.abs(margins))
    with pytest.raises(ValueError, match="no margins"):
        temperature(np.zeros(3))
