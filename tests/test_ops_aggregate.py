"""From members to one value, by hand."""

import numpy as np
import pytest

from plaudit.ops.aggregate import lower_bound, mean, spread, worst

MEMBERS = np.array([[1.0, 2.0], [3.0, 2.0]])


def test_by_hand():
    assert mean(MEMBERS) == pytest.approx([2.0, 2.0])
    assert worst(MEMBERS) == pytest.approx([1.0, 2.0])
    assert spread(MEMBERS) == pytest.approx([1.0, 0.0])
    assert lower_bound(MEMBERS) == pytest.approx([1.0, 2.0])
    assert lower_bound(MEMBERS, deviations=0.5) == pytest.approx([1.5, 2.0])


def test_only_the_first_axis_goes():
    assert mean(np.zeros((4, 3, 2))).shape == (3, 2)
