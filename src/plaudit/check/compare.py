"""How far from random to the oracle, and which of two methods is better: with intervals over seeds.

The unit of comparison is a seed (one whole run), never an episode: episodes of one run share all its luck.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.errors import LearningError
from plaudit.stats import intervals
from plaudit.stats.intervals import Interval

FloatArray = NDArray[np.float64]


def fraction(returns: ArrayLike, random: float, oracle: float) -> FloatArray:
    """(R - R_random) / (R_oracle - R_random), for any array of returns: 0 is random, 1 is the oracle, more is possible.

    Raises LearningError when the oracle is not better than random: then there is no way to measure.
    """
    if not oracle > random:
        raise LearningError(
            "The fraction of the way to the oracle cannot be measured",
            got=f"random {random:g}, oracle {oracle:g}",
            expected="an oracle that does better than random actions",
            next_step="train the oracle longer, or look at whether the world's reward can be improved at all",
        )
    return (np.asarray(returns, dtype=np.float64) - random) / (oracle - random)


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Ours minus theirs over seeds that both ran."""

    difference: Interval
    """mean difference with its interval"""
    wins: int
    """seeds on which ours is strictly better"""
    seeds: int

    @property
    def not_worse(self) -> bool:
        """Whether the interval is not wholly below zero."""
        return self.difference.high >= 0

    @property
    def better(self) -> bool:
        """Whether the interval is wholly above zero."""
        return self.difference.low > 0


def paired(ours: ArrayLike, theirs: ArrayLike, *, level: float = 0.9) -> PairedComparison:
    """Compare two methods on the same seeds, [seed] each; Student's t interval of the differences.

    Raises LearningError when the seeds do not pair up, or fewer than two do.
    """
    left, right = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if left.ndim != 1 or left.shape != right.shape or len(left) < 2:
        raise LearningError(
            "Two methods cannot be compared over seeds",
            got=f"shapes {left.shape} and {right.shape}",
            expected="two arrays [seed] of equal length, two seeds or more",
        )
    return PairedComparison(intervals.paired(left, right, level), int((left > right).sum()), len(left))


def area_under_labels(labels: ArrayLike, values: ArrayLike) -> FloatArray:
    """Mean height of a curve over the number of labels, on a log scale since labels double rather than add.

    Args:
        labels: [point] increasing, above zero.
        values: [..., point] what was reached with so many labels, for example fractions [seed, point].

    Returns:
        [...] area under the curve by trapezoids over log(labels), divided by the width.
    """
    counts, y = np.asarray(labels, dtype=np.float64), np.asarray(values, dtype=np.float64)
    increasing = counts.ndim == 1 and len(counts) > 1 and counts[0] > 0 and bool((np.diff(counts) > 0).all())
    if not increasing or y.shape[-1:] != counts.shape:
        raise LearningError(
            "The area under a curve of labels cannot be taken",
            got=f"labels {counts.tolist()}, values {y.shape}",
            expected="two or more increasing numbers of labels above zero, and a value for each",
        )
    x = np.log(counts)
    return np.asarray(np.trapezoid(y, x, axis=-1) / (x[-1] - x[0]), dtype=np.float64)
