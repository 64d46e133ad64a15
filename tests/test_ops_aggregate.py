"""From members to one value, by hand."""

import numpy as np
import pytest

from plaudit.errors import ConfigError
from plaudit.ops.aggregate import (
    AggregateConfig,
    Pessimism,
    aggregate,
    lower_bound,
    mean,
    soft_min,
    spread,
    uncertainty_weighted,
    worst,
)

MEMBERS = np.array([[1.0, 2.0], [3.0, 2.0]])


def test_by_hand():
    assert mean(MEMBERS) == pytest.approx([2.0, 2.0])
    assert worst(MEMBERS) == pytest.approx([1.0, 2.0])
    assert spread(MEMBERS) == pytest.approx([1.0, 0.0])
    assert lower_bound(MEMBERS) == pytest.approx([1.0, 2.0])
    assert lower_bound(MEMBERS, deviations=0.5) == pytest.approx([1.5, 2.0])


def test_only_the_first_axis_goes():
    assert mean(np.zeros((4, 3, 2))).shape == (3, 2)


def test_pessimism_by_hand():
    assert uncertainty_weighted(MEMBERS) == pytest.approx([0.0, 2.0])
    assert soft_min(MEMBERS, softness=1.0) == pytest.approx([1 - np.log((1 + np.exp(-2)) / 2), 2.0])


def test_soft_min_lies_between_the_mean_and_the_worst():
    members = np.random.default_rng(0).normal(size=(5, 50))
    assert soft_min(members, softness=1e6) == pytest.approx(mean(members), abs=1e-4)
    assert soft_min(members, softness=1e-6) == pytest.approx(worst(members), abs=1e-4)
    between = soft_min(members, softness=0.3)
    assert np.all((worst(members) <= between) & (between <= mean(members)))


def test_settings_choose():
    found = {how: aggregate(MEMBERS, AggregateConfig(how, weight=1.0, softness=1.0))[0] for how in Pessimism}
    assert found[Pessimism.MEAN] == 2.0
    assert found[Pessimism.WORST] == found[Pessimism.LOWER_BOUND] == found[Pessimism.UNCERTAINTY_WEIGHTED] == 1.0
    assert found[Pessimism.SOFT_MIN] == soft_min(MEMBERS, softness=1.0)[0]
    for wrong in ({"weight": -1.0}, {"softness": 0.0}):
        with pytest.raises(ConfigError, match="aggregate"):
            AggregateConfig(**wrong)
