"""Curves of quality against the distance: recovered, and their peaks."""

import math

import numpy as np
import pytest

from plaudit.stats.overoptimisation import Fit, Form, fit


@pytest.mark.parametrize("form", list(Form))
def test_a_curve_is_recovered_with_its_peak(form):
    d = np.linspace(0, 6, 40)
    true = Fit(form, 1.5, 0.4, 1.0)
    found = fit(d, true(d), form)
    assert (found.alpha, found.beta, found.explained) == pytest.approx((1.5, 0.4, 1.0))
    fine = np.linspace(0.001, 30, 300_000)
    assert found.peak == pytest.approx(fine[found(fine).argmax()], rel=1e-3)


def test_by_hand():
    assert Fit(Form.BEST_OF_N, 2.0, 0.5, 1.0)(np.array([2.0])) == pytest.approx([2.0])  # 2 (2 - 1)
    assert Fit(Form.RL, 2.0, 1.0, 1.0)(np.array([0.0, math.e])) == pytest.approx([0.0, math.e])
    assert Fit(Form.BEST_OF_N, 2.0, 0.5, 1.0).peak == 2.0
    assert Fit(Form.RL, 2.0, 1.0, 1.0).peak == pytest.approx(math.e)
    assert Fit(Form.RL, 2.0, 0.0, 1.0).peak == Fit(Form.BEST_OF_N, 2.0, -1.0, 1.0).peak == math.inf


def test_what_cannot_be_fitted_is_refused():
    for d, q in ((np.arange(2.0), np.arange(2.0)), (np.arange(3.0), np.arange(4.0)), (np.arange(-1.0, 2), np.ones(3))):
        with pytest.raises(ValueError, match="three or more"):
            fit(d, q, Form.RL)
