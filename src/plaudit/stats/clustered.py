"""Intervals of means whose values come in clusters: answers of one annotator resemble each other, so there are fewer than they seem.

Standard errors are robust to any dependence within clusters. CR1 scales the sandwich by G / (G - 1) (statsmodels' `cluster` for a
mean up to its own (N - 1) / (N - 1)); CR2 is Bell & McCaffrey's (2002, Survey Methodology 28), unbiased when values are
independent with variance in inverse proportion to their weights, with their Satterthwaite degrees of freedom (eq. 11). CR2 holds
its level with few or unequal clusters.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from plaudit.stats.intervals import Interval
from plaudit.stats.undefined import Undefined

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Robust(enum.Enum):
    """How the variance is corrected for few clusters."""

    CR1 = "CR1"
    CR2 = "CR2"


@dataclass(frozen=True, slots=True)
class ClusteredMean:
    """A mean with its cluster-robust interval."""

    interval: Interval
    error: float
    """standard error"""
    freedom: float
    """degrees of freedom of Student's t"""
    clusters: int
    effect: float
    """design effect: variance over that of as many independent, equally weighted values; NaN where these do not vary"""


def clustered_mean(
    values: FloatArray,
    clusters: IntArray,
    *,
    weights: FloatArray | None = None,
    robust: Robust = Robust.CR2,
    level: float = 0.95,
) -> ClusteredMean | Undefined:
    """Weighted mean of values [answer] and its interval. For paired differences, give the differences.

    Args:
        values: [answer].
        clusters: [answer] any number that names the cluster.
        weights: [answer], not negative; equal without them.
        robust: which correction.
        level: of the interval.
    """
    weights = np.ones(len(values)) if weights is None else weights
    kept = weights > 0
    values, clusters, weights = values[kept], clusters[kept], weights[kept]
    groups, place = np.unique(clusters, return_inverse=True)
    if len(groups) < 2:
        return Undefined(f"an interval over clusters needs two of them, and there are {len(groups)}")
    total = weights.sum()
    mean = float(weights @ values / total)
    score = np.bincount(place, weights * (values - mean)) / total
    share = np.bincount(place, weights) / total
    if robust is Robust.CR1:
        variance = len(groups) / (len(groups) - 1) * float((score**2).sum())
        freedom = len(groups) - 1.0
    else:
        # for a mean, Bell and McCaffrey's (I - H_gg)^(-1/2) only divides by the root of 1 - share (see the tests' matrix twin)
        variance = float((score**2 / (1 - share)).sum())
        freedom = _freedom(share)
    alone = float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0
    found = _interval(mean, math.sqrt(variance), freedom, level)
    return ClusteredMean(found, math.sqrt(variance), freedom, len(groups), variance / alone if alone else math.nan)


def clustered_difference(
    values: FloatArray,
    second: NDArray[np.bool_],
    clusters: IntArray,
    *,
    weights: FloatArray | None = None,
    level: float = 0.95,
) -> ClusteredMean | Undefined:
    """Mean where not `second` minus mean where `second`, by CR1; clusters may have values on both sides.

    Arrays are [answer]. Undefined where a side has no values or there are fewer than two clusters.
    """
    weights = np.ones(len(values)) if weights is None else weights
    sums = [float(weights[side].sum()) for side in (~second, second)]
    groups, place = np.unique(clusters, return_inverse=True)
    if min(sums) <= 0 or len(groups) < 2:
        return Undefined("a difference needs values on both sides, and two clusters")
    means = [float(weights[side] @ values[side]) / total for side, total in zip((~second, second), sums, strict=True)]
    part = np.where(second, -weights * (values - means[1]) / sums[1], weights * (values - means[0]) / sums[0])
    score = np.bincount(place, part)
    error = math.sqrt(len(groups) / (len(groups) - 1) * float((score**2).sum()))
    freedom = len(groups) - 1.0
    spread = [float(np.var(values[s], ddof=1)) / s.sum() if s.sum() > 1 else 0.0 for s in (~second, second)]
    effect = error**2 / sum(spread) if sum(spread) > 0 else math.nan
    return ClusteredMean(_interval(means[0] - means[1], error, freedom, level), error, freedom, len(groups), effect)


def _freedom(share: FloatArray) -> float:
    """Satterthwaite's, 1 / sum of squares of the matrix delta_gh s_g/(1-s_g) - s_g s_h / sqrt((1-s_g)(1-s_h)), whose trace is 1."""
    half = share / np.sqrt(1 - share)
    matrix = np.diag(share / (1 - share)) - np.outer(half, half)
    return float(np.trace(matrix) ** 2 / (matrix**2).sum())


def _interval(value: float, error: float, freedom: float, level: float) -> Interval:
    half = float(stdtrit(freedom, (1 + level) / 2)) * error
    return Interval(value, value - half, value + half)
