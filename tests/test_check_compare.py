"""Fractions and comparisons over seeds."""

from __future__ import annotations

import numpy as np
import pytest

from plaudit.check.compare import area_under_labels, fraction, paired
from plaudit.errors import LearningError


def test_a_fraction_is_zero_at_random_and_one_at_the_oracle():
    np.testing.assert_allclose(fraction([-1200, -150, -675, 375], -1200, -150), [0, 1, 0.5, 1.5])


@pytest.mark.parametrize("oracle", [-1200.0, -1300.0, float("nan")])
def test_an_oracle_must_beat_random(oracle):
    with pytest.raises(LearningError, match="oracle that does better"):
        fraction([0.0], -1200.0, oracle)


def test_a_paired_comparison_by_hand():
    found = paired([3.0, 5.0, 4.0], [2.0, 3.0, 1.0])
    # differences 1, 2, 3: mean 2, standard error 1/sqrt(3), t(2 degrees, 95 %) = 2.91999
    assert found.difference.value == 2
    assert found.difference.low == pytest.approx(2 - 2.91999 / np.sqrt(3), abs=1e-4)
    assert (found.wins, found.seeds, found.better, found.not_worse) == (3, 3, True, True)


def test_pairing_removes_what_seeds_share():
    rng = np.random.default_rng(0)
    luck = 100 * rng.normal(size=8)
    assert paired(luck + 1 + 0.1 * rng.normal(size=8), luck).better


def test_a_clear_loss_is_worse():
    found = paired([0.0, 0.1, 0.05], [1.0, 1.1, 1.06])
    assert (found.better, found.not_worse, found.wins) == (False, False, 0)


@pytest.mark.parametrize(("ours", "theirs"), [([1.0], [1.0]), ([1.0, 2.0], [1.0, 2.0, 3.0]), (1.0, 2.0)])
def test_seeds_must_pair_up(ours, theirs):
    with pytest.raises(LearningError, match="over seeds"):
        paired(ours, theirs)


def test_the_area_of_a_flat_curve_is_its_height():
    np.testing.assert_allclose(area_under_labels([10, 25, 50, 100, 200], np.full((3, 5), 0.7)), [0.7] * 3)


def test_doublings_count_alike():
    np.testing.assert_allclose(area_under_labels([10, 20, 40], [0.0, 1.0, 1.0]), 0.75)


@pytest.mark.parametrize(
    ("labels", "values"), [([10], [1.0]), ([10, 5], [1.0, 1.0]), ([0, 5], [1.0, 1.0]), ([5, 10], [1.0])]
)
def test_a_curve_needs_increasing_labels(labels, values):
    with pytest.raises(LearningError, match="increasing"):
        area_under_labels(labels, values)
