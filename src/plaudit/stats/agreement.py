"""How far annotators agree beyond chance: Krippendorff's alpha and Gwet's AC1.

Both take a table [unit, annotator] of numbers with NaN where nobody answered. Krippendorff, K. (2019), Content Analysis,
4th ed., chapter 12; Gwet, K. L. (2008), British Journal of Mathematical and Statistical Psychology 61.
"""

from __future__ import annotations

import enum
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from plaudit.stats.intervals import Interval
from plaudit.stats.undefined import Undefined

FloatArray = NDArray[np.float64]


class Metric(enum.Enum):
    """How far apart two answers are."""

    NOMINAL = "nominal"
    """equal or not"""
    ORDINAL = "ordinal"
    """by the number of answers between them"""
    INTERVAL = "interval"
    """by their squared difference"""
    RATIO = "ratio"
    """by their squared difference over their squared sum; for values >= 0"""


def counts_of(table: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Counts [unit, value] of the units with at least two answers, and the distinct values [value], increasing."""
    table = np.asarray(table, dtype=np.float64)
    there = ~np.isnan(table)
    units = there.sum(axis=1) >= 2
    values, which = np.unique(table[units][there[units]], return_inverse=True)
    rows = np.nonzero(there[units])[0]
    counts = np.zeros((int(units.sum()), len(values)))
    np.add.at(counts, (rows, which), 1.0)
    return counts, values


def krippendorff_alpha(table: FloatArray, metric: Metric = Metric.NOMINAL) -> float | Undefined:
    """1 - D_o / D_e: 1 is full agreement, 0 what chance gives, below 0 is systematic disagreement.

    Args:
        table: [unit, annotator] answers, NaN where there is none; units with one answer say nothing and are left out.
        metric: distance of answers.
    """
    counts, values = counts_of(table)
    return alpha_of_counts(counts, values, metric)


def alpha_of_counts(
    counts: FloatArray, values: FloatArray, metric: Metric, *, weight: FloatArray | None = None
) -> float | Undefined:
    """Alpha from counts [unit, value] of units with at least two answers; `weight` [unit] repeats units."""
    if len(counts) == 0:
        return Undefined("no question was answered by two annotators")
    weight = np.ones(len(counts)) if weight is None else weight
    sizes = counts.sum(axis=1)
    share = weight / (sizes - 1)
    coincidence = (counts * share[:, None]).T @ counts - np.diag(share @ counts)
    totals = coincidence.sum(axis=1)
    distance = _distance(values, totals, metric)
    expected = float(totals @ distance @ totals)
    if expected <= 0:
        return Undefined("all answers are equal, so chance agreement cannot be told from real agreement")
    return 1.0 - float(totals.sum() - 1) * float(np.sum(coincidence * distance)) / expected


def _distance(values: FloatArray, totals: FloatArray, metric: Metric) -> FloatArray:
    """Squared distances [value, value]."""
    match metric:
        case Metric.NOMINAL:
            return 1.0 - np.eye(len(values))
        case Metric.ORDINAL:  # the number of answers between two values is the difference of their mean ranks
            place = np.cumsum(totals) - totals / 2
        case Metric.INTERVAL:
            place = values
        case Metric.RATIO:
            total = values[:, None] + values[None, :]
            return ((values[:, None] - values[None, :]) / np.where(total == 0, 1.0, total)) ** 2
        case _:
            assert_never(metric)
    return (place[:, None] - place[None, :]) ** 2


def alpha_interval(
    table: FloatArray, metric: Metric, *, rng: np.random.Generator, resamples: int = 1000, level: float = 0.95
) -> Interval | Undefined:
    """Alpha with a percentile bootstrap interval that draws units anew; resamples without variation count as missing.

    Units are drawn because answers to one unit belong together; annotators stay as they are.
    """
    counts, values = counts_of(table)
    value = alpha_of_counts(counts, values, metric)
    if isinstance(value, Undefined):
        return value
    shares = np.full(len(counts), 1.0 / len(counts))
    drawn = [
        alpha_of_counts(counts, values, metric, weight=rng.multinomial(len(counts), shares).astype(np.float64))
        for _ in range(resamples)
    ]
    found = [one for one in drawn if not isinstance(one, Undefined)]
    low, high = np.quantile(found or [value], [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def gwet_ac1(table: FloatArray, *, categories: int | None = None) -> float | Undefined:
    """Gwet's AC1 = (p_a - p_e) / (1 - p_e), p_e = sum_c pi_c (1 - pi_c) / (K - 1) (Gwet 2008, eq. 9 and 18).

    Stays near the raw agreement where almost all answers are the same; alpha drops to 0 there.

    Args:
        table: [unit, annotator] answers, NaN where there is none.
        categories: K, answers that were possible; by default those that occur.
    """
    counts, _ = counts_of(table)
    if len(counts) == 0:
        return Undefined("no question was answered by two annotators")
    known = _all_counts(table)
    number = known.shape[1] if categories is None else categories
    if number < 2:
        return Undefined("only one answer occurs, and the number of possible answers is not known")
    sizes = counts.sum(axis=1)
    agreement = float(np.mean(np.sum(counts * (counts - 1), axis=1) / (sizes * (sizes - 1))))
    prevalence = np.mean(known / known.sum(axis=1, keepdims=True), axis=0)
    chance = float(np.sum(prevalence * (1 - prevalence))) / (number - 1)
    return (agreement - chance) / (1 - chance)


def _all_counts(table: FloatArray) -> FloatArray:
    """Counts [unit, value] of units with any answer."""
    there = ~np.isnan(table)
    values, which = np.unique(table[there], return_inverse=True)
    counts = np.zeros((len(table), len(values)))
    np.add.at(counts, (np.nonzero(there)[0], which), 1.0)
    return counts[counts.sum(axis=1) > 0]
