"""Weights that make those who answered resemble those who are meant, and what such weights cost.

Raking, also called iterative proportional fitting (Deming & Stephan 1940, Annals of Mathematical Statistics 11); design
effect and effective sample size (Kish 1965, Survey Sampling, sections 8.2 and 11.7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
UNKNOWN = -1
"""category of a unit whose trait is not known"""


@dataclass(frozen=True, slots=True)
class Raked:
    """Weights [unit] of mean 1, and how well they fit."""

    weights: FloatArray
    gap: float
    """largest difference of a category's share from its target; with trimming it may stay above 0"""
    sweeps: int
    """times through all margins"""


def rake(
    categories: Sequence[IntArray],
    targets: Sequence[FloatArray],
    *,
    start: FloatArray | None = None,
    limits: tuple[float, float] | None = None,
    sweeps: int = 1000,
) -> Raked:
    """Scale weights until the share of every category is its target, one margin after another, over and over.

    Args:
        categories: per margin, [unit] category or UNKNOWN; unknown units count as if they had the target's shares.
        targets: per margin, [category] share of the population; each sums to 1.
        start: [unit] weights to begin with, for example of the design; equal without it.
        limits: smallest and largest weight, relative to the mean; margins then fit as well as they can.
        sweeps: most times through all margins.

    Raises:
        ValueError: targets do not sum to 1, a category with a target has no units, or limits leave out 1.
    """
    _check(categories, targets, limits)
    weights = np.ones(len(categories[0])) if start is None else start.astype(np.float64) / start.mean()
    gap, sweep, before = np.inf, 0, np.zeros_like(weights)
    while sweep < sweeps and gap > 1e-10 and not np.allclose(weights, before, rtol=1e-13, atol=0.0):
        before = weights
        for category, target in zip(categories, targets, strict=True):
            shares = _shares(weights, category, target)
            factor = np.divide(target, shares, out=np.zeros_like(target), where=shares > 0)
            weights = np.where(category == UNKNOWN, weights, weights * factor[category])
        weights = weights / weights.mean() if limits is None else _trim(weights, *limits)
        gap = max(float(np.abs(_shares(weights, c, t) - t).max()) for c, t in zip(categories, targets, strict=True))
        sweep += 1
    return Raked(weights, gap, sweep)


def _check(categories: Sequence[IntArray], targets: Sequence[FloatArray], limits: tuple[float, float] | None) -> None:
    if not categories or not len(categories[0]):
        raise ValueError("there is no margin, or nobody to weight")
    for category, target in zip(categories, targets, strict=True):
        if np.any(target < 0) or not np.isclose(target.sum(), 1.0, atol=1e-6):
            raise ValueError(f"the targets of a margin must be shares that sum to 1, got {target.tolist()}")
        there = np.bincount(category[category != UNKNOWN], minlength=len(target))
        if np.any((target > 0) & (there[: len(target)] == 0)):
            raise ValueError(f"categories {np.flatnonzero((target > 0) & (there == 0)).tolist()} have no units")
    if limits is not None and not 0 <= limits[0] <= 1 <= limits[1]:
        raise ValueError(f"the limits of weights must lie on both sides of 1, got {limits}")


def _shares(weights: FloatArray, category: IntArray, target: FloatArray) -> FloatArray:
    known = category != UNKNOWN
    mass = np.bincount(category[known], weights[known], minlength=len(target))
    return mass / mass.sum()


def _trim(weights: FloatArray, low: float, high: float) -> FloatArray:
    """Weights cut at both limits and scaled to mean 1, so that the limits hold after scaling."""
    scales = np.array([0.0, high / max(float(weights[weights > 0].min()), 1e-300)])
    for _ in range(200):
        middle = scales.mean()
        scales[int(np.clip(middle * weights, low, high).mean() >= 1.0)] = middle
    return np.clip(scales[1] * weights, low, high)


def effective_size(weights: FloatArray) -> float:
    """(sum w)^2 / sum w^2: the size of an unweighted sample that is as informative (Kish). Raises ValueError without any weight."""
    if not np.any(weights > 0):
        raise ValueError("no weight is above 0")
    return float(weights.sum() ** 2 / (weights**2).sum())


def weighting_effect(weights: FloatArray) -> float:
    """Kish's design effect of unequal weights, n sum w^2 / (sum w)^2: how many times larger the variance of a mean is."""
    return len(weights) / effective_size(weights)


def clustering_effect(sizes: FloatArray, correlation: float) -> float:
    """Kish's design effect of clusters, 1 + (m - 1) rho, where m = sum of squared sizes / sum of sizes.

    Args:
        sizes: [cluster] answers in it.
        correlation: of two answers of one cluster.
    """
    return 1.0 + (float((sizes**2).sum() / sizes.sum()) - 1.0) * correlation


def within_correlation(values: FloatArray, clusters: IntArray) -> float:
    """Correlation of two values of one cluster, by analysis of variance (Fisher's intraclass correlation; unequal sizes as in Donner
    1986, eq. 2.1), not below 0. NaN where fewer than two clusters, or no cluster with two values, are there."""
    names, place = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(place).astype(np.float64)
    groups, total = len(names), len(values)
    if groups < 2 or total == groups:
        return float("nan")
    means = np.bincount(place, values) / sizes
    between = float((sizes * (means - values.mean()) ** 2).sum()) / (groups - 1)
    inside = float(((values - means[place]) ** 2).sum()) / (total - groups)
    usual = (total - float((sizes**2).sum()) / total) / (groups - 1)
    if between + (usual - 1) * inside <= 0:
        return 0.0
    return max(0.0, (between - inside) / (between + (usual - 1) * inside))
