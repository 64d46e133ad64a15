"""From the opinions of an ensemble's members, or of groups of people, to one value: [member, ...] arrays to [...]."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ConfigError

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


def uncertainty_weighted(members: FloatArray, *, weight: float = 2.0) -> FloatArray:
    """Mean minus a multiple of the variance over members (Coste et al. 2023, https://arxiv.org/abs/2310.02743, eq. 4)."""
    return members.mean(axis=0) - weight * members.var(axis=0)


def soft_min(members: FloatArray, *, softness: float) -> FloatArray:
    """-softness log mean exp(-member / softness): the mean for a large softness, the worst member for a small one.

    https://arxiv.org/abs/2606.09073
    """
    worst_ = members.min(axis=0)
    return worst_ - softness * np.log(np.exp((worst_ - members) / softness).mean(axis=0))


class Pessimism(enum.Enum):
    """How what members of an ensemble think becomes the one number that a learner is paid."""

    MEAN = "mean"
    """no pessimism: what they think on average"""
    WORST = "worst"
    """the least favourable opinion"""
    LOWER_BOUND = "lower-bound"
    """mean minus `weight` standard deviations"""
    UNCERTAINTY_WEIGHTED = "uncertainty-weighted"
    """mean minus `weight` variances"""
    SOFT_MIN = "soft-min"
    """between the mean and the worst, by `softness`"""


@dataclass(frozen=True, slots=True)
class AggregateConfig:
    """What a learner is paid where the members of a reward disagree."""

    how: Pessimism = Pessimism.MEAN
    """mean, worst, lower-bound, uncertainty-weighted or soft-min"""
    weight: float = 2.0
    """of the deviation or variance that is taken off"""
    softness: float = 0.3
    """of soft-min, in deviations of the reward; large: the mean, small: the worst"""

    def __post_init__(self) -> None:
        if self.weight < 0 or self.softness <= 0:
            raise ConfigError(
                "The settings of the aggregate are out of range", got=self, expected="weight >= 0, softness > 0"
            )


def aggregate(members: FloatArray, config: AggregateConfig) -> FloatArray:
    """[member, ...] to [...] as the settings say; members are normalised, or pessimism follows the one of the largest scale."""
    match config.how:
        case Pessimism.MEAN:
            return mean(members)
        case Pessimism.WORST:
            return worst(members)
        case Pessimism.LOWER_BOUND:
            return lower_bound(members, deviations=config.weight)
        case Pessimism.UNCERTAINTY_WEIGHTED:
            return uncertainty_weighted(members, weight=config.weight)
        case Pessimism.SOFT_MIN:
            return soft_min(members, softness=config.softness)
        case _ as never:
            assert_never(never)


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
