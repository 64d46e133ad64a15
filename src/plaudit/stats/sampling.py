"""Who is asked: sizes of strata, and samples of clusters.

Cochran, Sampling Techniques (3rd edition, 1977), chapters 5 (strata) and 11 (clusters drawn with probability proportional to size).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def proportional_allocation(sizes: IntArray, total: int, *, least: int = 0) -> IntArray:
    """How many to ask of each stratum [stratum], in proportion to its size; the counts sum to `total`.

    Args:
        sizes: [stratum] people in it.
        total: people to ask.
        least: of each stratum, where it has as many.

    Raises:
        ValueError: `total` is less than `least` of each, or more than there are people.
    """
    return _allocate(sizes.astype(np.float64), sizes, total, least=least)


def neyman_allocation(
    sizes: IntArray, spreads: FloatArray, total: int, *, costs: FloatArray | None = None, least: int = 0
) -> IntArray:
    """How many to ask of each stratum so that the mean over all strata varies least (Neyman 1934; Cochran eq. 5.26 and 5.20).

    In proportion to size * spread / sqrt(cost); a stratum that would be asked more often than it has people is asked wholly.

    Args:
        sizes: [stratum] people in it.
        spreads: [stratum] standard deviation of what is measured, among its people.
        total: people to ask.
        costs: [stratum] what one answer costs, in any unit; equal without it.
        least: of each stratum, where it has as many.

    Raises:
        ValueError: `total` does not fit, or a spread is negative, or a cost not positive.
    """
    costs = np.ones(len(sizes)) if costs is None else costs
    if np.any(spreads < 0) or np.any(costs <= 0):
        raise ValueError(f"spreads must not be negative and costs must be positive, got {spreads} and {costs}")
    return _allocate(sizes * spreads / np.sqrt(costs), sizes, total, least=least)


def _allocate(weights: FloatArray, sizes: IntArray, total: int, *, least: int) -> IntArray:
    """Counts in proportion to weights within least .. sizes: shares are scaled until they fit, then the largest remainders rounded up."""
    low = np.minimum(least, sizes)
    if not low.sum() <= total <= sizes.sum():
        raise ValueError(f"{total} people cannot be asked: at least {low.sum()}, and {sizes.sum()} are there")
    largest = weights.max(initial=0.0)  # strata that hardly vary are asked last; where none varies, all alike
    weights = np.maximum(weights / largest, 1e-9) if largest > 0 else np.ones(len(sizes))
    scales = np.array([0.0, total / weights.min() + 1.0])
    for _ in range(200):
        middle = scales.mean()
        scales[int(np.clip(middle * weights, low, sizes).sum() >= total)] = middle
    shares = np.clip(scales[1] * weights, low, sizes)
    counts = np.floor(shares + 1e-9).astype(np.int64)
    for stratum in np.argsort(-np.round(shares - counts, 9), kind="stable"):
        if counts.sum() == total:
            break
        counts[stratum] += counts[stratum] < sizes[stratum]
    return counts


@dataclass(frozen=True, slots=True)
class Sample:
    """Who was drawn, and how likely that was."""

    units: IntArray
    """[drawn] numbers of units, ascending"""
    probability: FloatArray
    """[drawn] of being drawn; 1 / probability is the design weight"""


def stratified_sample(strata: IntArray, counts: IntArray, *, rng: np.random.Generator) -> Sample:
    """Draw `counts[stratum]` units of each stratum without replacement; `strata` is [unit]. Raises ValueError when one has fewer."""
    sizes = np.bincount(strata, minlength=len(counts))
    if np.any(counts > sizes[: len(counts)]):
        raise ValueError(f"strata of {sizes.tolist()} units cannot give {counts.tolist()}")
    drawn = [rng.choice(np.flatnonzero(strata == one), count, replace=False) for one, count in enumerate(counts)]
    units = np.sort(np.concatenate([np.empty(0, np.int64), *drawn]))
    return Sample(units, counts[strata[units]] / sizes[strata[units]])


def cluster_sample(clusters: IntArray, *, take: int, within: int, rng: np.random.Generator) -> Sample:
    """Draw clusters with probability proportional to size, systematically, then at most `within` units of each.

    All units have one probability, take * within / units, unless a cluster is smaller than `within` or so large that it is
    certain to be drawn (Cochran section 11.9). `clusters` is [unit]. Raises ValueError when there are fewer than `take`.
    """
    sizes = np.bincount(clusters)
    names = np.flatnonzero(sizes)
    if not 0 < take <= len(names):
        raise ValueError(f"{take} clusters cannot be drawn of {len(names)}")
    chance = _proportional_chances(sizes[names].astype(np.float64), take)
    # systematic: shuffled clusters lie side by side on a line, each as long as its chance; every unit of length is hit once
    order = rng.permutation(len(names))
    ends = np.round(np.cumsum(chance[order]), 9)
    ticks = rng.random() + np.arange(take)
    hit = np.unique(order[np.searchsorted(ends, ticks, side="right").clip(max=len(names) - 1)])
    units: list[int] = []
    probability: dict[int, float] = {}
    for one in np.sort(hit):
        members = np.flatnonzero(clusters == names[one])
        drawn = rng.choice(members, min(within, len(members)), replace=False).tolist()
        probability |= dict.fromkeys(drawn, float(chance[one] * len(drawn) / len(members)))
        units += drawn
    units.sort()
    return Sample(np.array(units, dtype=np.int64), np.array([probability[unit] for unit in units]))


def _proportional_chances(sizes: FloatArray, take: int) -> FloatArray:
    """Chances that sum to `take`, in proportion to size but never above 1."""
    chance = np.zeros(len(sizes))
    certain = np.zeros(len(sizes), dtype=bool)
    while True:
        free = ~certain
        left = take - int(certain.sum())
        chance[certain] = 1.0
        chance[free] = left * sizes[free] / max(sizes[free].sum(), 1e-300)
        if not np.any(chance[free] > 1.0):
            return chance
        certain |= chance > 1.0
