"""The noise ceiling: by hand, and that it brackets what the best predictor reaches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.stats.ceiling import ceiling_of, noise_ceiling
from plaudit.stats.undefined import Undefined


def test_by_hand():
    # agreements of the questions: 1, 0, 1/3; the last has one answer and says nothing
    found = noise_ceiling(
        np.array([2.0, 1, 2, 1]), np.array([0.0, 1, 1, 0]), rng=np.random.default_rng(0), resamples=50
    )
    assert found.agreement.value == pytest.approx(4 / 9)
    assert found.questions == 3
    assert (found.low, found.high) == (0.5, 0.5)
    assert found.agreement.low <= found.agreement.value <= found.agreement.high
    assert ceiling_of(0.82) == pytest.approx(0.9)  # p = .9 agrees with itself in .81 + .01


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_ceiling_lies_between_its_bounds(shares):
    p = np.array(shares)
    agreement = float(np.mean(p**2 + (1 - p) ** 2))
    best = float(np.mean(np.maximum(p, 1 - p)))
    assert agreement - 1e-12 <= best <= ceiling_of(agreement) + 1e-7


def test_estimates_of_agreement_have_no_bias():
    rng = np.random.default_rng(1)
    p = rng.beta(2, 1, 20_000)
    answers = rng.binomial(3, p).astype(float)
    found = noise_ceiling(answers, 3 - answers, rng=rng, resamples=100)
    assert found.agreement.low < np.mean(p**2 + (1 - p) ** 2) < found.agreement.high
    assert found.low < np.mean(np.maximum(p, 1 - p)) < found.high <= found.highest


def test_says_why_there_is_none():
    found = noise_ceiling(np.ones(3), np.zeros(3), rng=np.random.default_rng(0))
    assert found == Undefined("no question has two decided answers")
