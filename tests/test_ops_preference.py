"""The torch densities equal their numpy twins, and so do their gradients and finite differences."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plaudit.ops import preference
from plaudit.stats import choice

COUNT = 6
VALUES = arrays(np.float64, (2, COUNT), elements=st.floats(-40, 40))
LAPSES = st.sampled_from([0.0, 0.2])
SIDES = arrays(np.int64, COUNT, elements=st.sampled_from([1, -1, 0]))
GRADES = arrays(np.int64, COUNT, elements=st.integers(0, 3))
SCORES = arrays(np.float64, COUNT, elements=st.floats(0, 1))
THRESHOLDS = [0.3, 1.1, 2.5]


def check_twins(density, twin, values):
    """Equal values; a gradient equal to central differences of the numpy twin."""
    tensor = torch.from_numpy(values.copy()).requires_grad_()
    found = density(tensor)
    np.testing.assert_allclose(found.detach().numpy(), twin(values), rtol=1e-10, atol=1e-10)
    found.sum().backward()
    slope = (twin(values + 1e-5) - twin(values - 1e-5)) / 2e-5
    assert tensor.grad is not None
    np.testing.assert_allclose(tensor.grad.numpy(), slope, rtol=1e-5, atol=1e-5)


@given(VALUES, SIDES, GRADES, LAPSES)
def test_comparisons(values, side, grade, lapse):
    grade = np.where(side == 0, 0, grade)
    check_twins(
        lambda v: preference.comparison(v, side, grade, THRESHOLDS, lapse=lapse),
        lambda v: choice.comparison(v, side, grade, THRESHOLDS, lapse=lapse),
        values,
    )


@given(VALUES, GRADES, LAPSES)
def test_ratings(values, grade, lapse):
    check_twins(
        lambda v: preference.rating(v, grade, [-1.0, 0.0, 3.0], lapse=lapse),
        lambda v: choice.rating(v, grade, [-1.0, 0.0, 3.0], lapse=lapse),
        values,
    )


@given(VALUES, SCORES, LAPSES)
def test_step_scores(values, score, lapse):
    check_twins(
        lambda v: preference.step(v, score, 0.7, lapse=lapse),
        lambda v: choice.step(v, score, 0.7, lapse=lapse),
        values,
    )


@pytest.mark.parametrize("difference", [-500.0, 0.0, 500.0])
def test_gradients_stay_finite_in_single_precision(difference):
    value = torch.full((3,), difference, requires_grad=True)
    preference.comparison(
        value, np.array([1, -1, 0]), np.array([0, 4, 0]), [0.1, 0.2, 0.3, 0.4], lapse=0.1
    ).sum().backward()
    assert value.grad is not None
    assert torch.isfinite(value.grad).all()


def test_results_keep_the_precision_of_values():
    value = torch.zeros(1, dtype=torch.float32)
    assert preference.rating(value, np.array([0]), [0.0], lapse=0.1).dtype is torch.float32
