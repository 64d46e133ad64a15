"""Confidence intervals: means, differences, shares, and bootstrap where no formula fits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit  # scipy.stats has them too, and takes long to import

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its lower and upper confidence limit."""

    value: float
    low: float
    high: float


def mean_interval(values: FloatArray, level: float = 0.95) -> Interval:
    """Student's t interval of a mean. One value has an interval without ends (infinite); no value raises ValueError."""
    if len(values) == 0:
        raise ValueError("no values to take the mean of")
    mean = float(np.mean(values))
    if len(values) == 1:
        return Interval(mean, -math.inf, math.inf)
    half = float(stdtrit(len(values) - 1, (1 + level) / 2) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half)


def welch(first: FloatArray, second: FloatArray, level: float = 0.95) -> Interval:
    """Interval of mean(first) - mean(second) for two independent samples of unequal spread (Welch 1947)."""
    parts = [float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else math.inf for values in (first, second)]
    difference = float(np.mean(first) - np.mean(second))
    variance = sum(parts)
    if not math.isfinite(variance):
        return Interval(difference, -math.inf, math.inf)
    if variance == 0:
        return Interval(difference, difference, difference)
    freedom = variance**2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
    )
    half = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(variance)
    return Interval(difference, difference - half, difference + half)


def wilson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share (Wilson 1927). No trials: 0 to 1 around one half."""
    if trials == 0:
        return Interval(0.5, 0.0, 1.0)
    z = float(ndtri((1 + level) / 2))
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    low, high = centre - half, centre + half
    # exact at the ends, where rounding would leave 1e-17
    return Interval(share, 0.0 if successes == 0 else low, 1.0 if successes == trials else high)


def paired(first: FloatArray, second: FloatArray, level: float = 0.95) -> Interval:
    """Student's t interval of mean(first - second) for values that belong together, for example by seed.

    Raises ValueError when the samples differ in length.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values do not come in pairs")
    return mean_interval(np.asarray(first - second), level)


def bootstrap(
    values: FloatArray,
    statistic: Callable[[FloatArray], float],
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of any statistic of a sample (Efron 1979).

    Raises ValueError when there are no values.
    """
    if len(values) == 0:
        raise ValueError("no values to resample")
    found = np.array([statistic(values[rng.integers(0, len(values), len(values))]) for _ in range(resamples)])
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(statistic(values), float(low), float(high))
