"""How often can any model agree with one more answer? The noise ceiling of reward accuracy.

If a share p of answers to a question takes one side, two answers agree with probability a = p^2 + (1 - p)^2, and the best
prediction is right with probability max(p, 1 - p) = (1 + sqrt(2 a - 1)) / 2. Agreement can be estimated without bias from two
answers a question; p cannot. Averaged over questions, a <= ceiling <= (1 + sqrt(2 a - 1)) / 2 (Jensen), which brackets it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.stats.intervals import Interval
from plaudit.stats.undefined import Undefined

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NoiseCeiling:
    """Bounds of the best accuracy that any model can have against single answers."""

    agreement: Interval
    """probability that two answers to a question agree; bootstrap over questions"""
    low: float
    """the ceiling is at least this: a model that knows p reaches at least the agreement"""
    high: float
    """the ceiling is at most this, reached when all questions are equally hard"""
    highest: float
    """`high` at the upper end of the agreement's interval"""
    questions: int
    """with two answers or more"""


def ceiling_of(agreement: float) -> float:
    """(1 + sqrt(2 a - 1)) / 2; one half where agreement is no better than chance."""
    return (1 + math.sqrt(max(2 * agreement - 1, 0.0))) / 2


def noise_ceiling(
    first: FloatArray, second: FloatArray, *, rng: np.random.Generator, resamples: int = 1000
) -> NoiseCeiling | Undefined:
    """Ceiling from questions that were answered more than once, by several annotators (overlap) or by one (repeats).

    Args:
        first: [question] answers that took the first side; ties and skips are left out.
        second: [question] answers that took the other.
        rng: for the bootstrap.
        resamples: of the bootstrap.
    """
    total = first + second
    several = total >= 2
    if not np.any(several):
        return Undefined("no question has two decided answers")
    first, second, total = first[several], second[several], total[several]
    agreement = (first * (first - 1) + second * (second - 1)) / (total * (total - 1))
    drawn = agreement[rng.integers(0, len(agreement), (resamples, len(agreement)))].mean(axis=1)
    value = float(agreement.mean())
    low, high = (float(end) for end in np.quantile(drawn, [0.025, 0.975]))
    return NoiseCeiling(
        agreement=Interval(value, low, high),
        low=max(value, 0.5),
        high=ceiling_of(value),
        highest=ceiling_of(high),
        questions=len(agreement),
    )
