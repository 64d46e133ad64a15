"""From the opinions of an ensemble's members, or of groups of people, to one value: [member, ...] arrays to [...]."""

from __future__ import annotations

import enum
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def mean(members: FloatArray) -> FloatArray:
    """What members think on average."""
    return members.mean(axis=0)


def worst(members: FloatArray) -> FloatArray:
    """The least favourable opinion (worst-case optimisation, Coste et al. 2023)."""
    return members.min(axis=0)


def lower_bound(members: FloatArray, *, deviations: float = 1.0) -> FloatArray:
    """Mean minus some standard deviations over members: pessimism where they disagree."""
    return members.mean(axis=0) - deviations * members.std(axis=0)


def spread(members: FloatArray) -> FloatArray:
    """Standard deviation over members: how unsure the ensemble is."""
    return np.asarray(members.std(axis=0))


class Combine(enum.Enum):
    """How what groups of people want becomes one value. A choice of values, not of method: there is no neutral one."""

    MEAN = "mean"
    """the sum, weighted by the groups' shares (utilitarian)"""
    WORST = "worst"
    """what the group gets that gets least (Rawls's maximin)"""
    NASH = "nash"
    """product of the groups' gains over the floor, raised to their shares (Nash 1950, Econometrica 18; Kalai 1977 for unequal shares)"""


SMALLEST_GAIN = 1e-6
"""gains over the floor count at least so much, so that a product has a logarithm"""


def combine(groups: FloatArray, shares: FloatArray, how: Combine, *, floor: FloatArray) -> FloatArray:
    """One value per item.

    Args:
        groups: [group, item] what an item is worth to each group, on scales that are meant to be comparable.
        shares: [group] of the population; they are scaled to sum to 1.
        how: which combination.
        floor: [group] what each group has without agreement, for NASH, whose value is the mean log gain over it.

    Returns:
        [item]

    Raises ValueError when shares are negative or all 0.
    """
    if np.any(shares < 0) or not shares.sum() > 0:
        raise ValueError(f"shares of groups must not be negative, nor all 0, got {shares}")
    shares = shares / shares.sum()
    match how:
        case Combine.MEAN:
            return shares @ groups
        case Combine.WORST:
            return groups[shares > 0].min(axis=0)
        case Combine.NASH:
            return shares @ np.log(np.maximum(groups - floor[:, None], SMALLEST_GAIN))
        case _:
            assert_never(how)
