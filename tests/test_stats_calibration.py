"""Calibration in groups, by hand."""

import numpy as np
import pytest

from plaudit.stats.calibration import calibration


def test_by_hand():
    found = calibration(np.array([0.9, 0.6, 0.7, 0.8]), np.array([1.0, 0.0, 1.0, 1.0]), groups=2)
    assert found.confidence == pytest.approx([0.65, 0.85])
    assert found.right == pytest.approx([0.5, 1.0])
    assert found.count.tolist() == [2, 2]
    assert found.error == pytest.approx(0.5 * 0.15 + 0.5 * 0.15)


def test_a_model_that_is_as_often_right_as_it_says_has_no_error():
    assert calibration(np.full(4, 0.75), np.array([1.0, 1.0, 0.0, 1.0]), groups=1).error == pytest.approx(0.0)


def test_groups_differ_by_one_at_most_and_hold_everything():
    found = calibration(np.linspace(0.5, 1, 23), np.ones(23))
    assert found.count.sum() == 23
    assert found.count.max() - found.count.min() == 1
    assert calibration(np.array([0.6, 0.7]), np.ones(2)).count.tolist() == [1, 1]


def test_nothing_to_calibrate_is_an_error():
    with pytest.raises(ValueError, match="0 confidences"):
        calibration(np.array([]), np.array([]))
    with pytest.raises(ValueError, match="1 confidences and 2 outcomes"):
        calibration(np.ones(1), np.ones(2))
