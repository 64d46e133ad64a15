"""Does an annotator favour a side of the screen? A logistic regression on what the values of the items explain.

    P(picks the side shown first) = sigmoid(bias + slope * advantage)

`advantage` is the value of what was shown first minus the other's, as far as it is known; `slope` takes up how far the
annotator follows it. The interval is by profile likelihood: all biases that a likelihood-ratio test keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, log_expit, logit
from scipy.stats import binomtest, chi2

from plaudit.stats.intervals import Interval, wilson
from plaudit.stats.undefined import Undefined

FloatArray = NDArray[np.float64]
WIDEST = 30.0
"""log-odds: a bias beyond this is no finite number"""
STEEPEST = 1e4
"""the same for the slope"""


@dataclass(frozen=True, slots=True)
class SideBias:
    """How far an annotator leans to the side that is shown first."""

    share: Interval
    """of decided answers that took what was shown first; Wilson's interval"""
    log_odds: Interval | Undefined
    """the same in log-odds, with the values of the items held equal; 0 is none"""
    p_value: float
    """exact binomial test of a share of one half; meaningful where the order on the screen was drawn at random"""
    slope: float
    """how far the annotator follows the values: 1 as they say, 0 not at all; 0 as well where none are known"""
    answers: int

    def chance(self, advantage: FloatArray) -> FloatArray:
        """Probability [answer] of taking what is shown first, by this fit."""
        if isinstance(self.log_odds, Undefined):
            return np.full(len(advantage), (self.share.low + self.share.high) / 2)
        return expit(self.log_odds.value + self.slope * advantage)


def side_bias(
    took_first: FloatArray, advantage: FloatArray | None = None, *, level: float = 0.95
) -> SideBias | Undefined:
    """Side bias of one annotator, or of all.

    Args:
        took_first: [answer] 1 where the item shown first was preferred, 0 where the other; without ties and skips.
        advantage: [answer] value of the item shown first minus the other's, in log-odds units; None where no values are known.
        level: of the intervals.
    """
    count = len(took_first)
    if count == 0:
        return Undefined("there is no decided comparison")
    taken = int(np.sum(took_first))
    share = wilson(taken, count, level)
    p_value = float(binomtest(taken, count).pvalue)
    if taken in (0, count):
        reason = "all answers are on one side, so its log-odds have no finite estimate"
        return SideBias(share, Undefined(reason), p_value, 0.0, count)
    x = np.zeros(count) if advantage is None or np.ptp(advantage) == 0 else np.asarray(advantage, dtype=np.float64)
    y = np.asarray(took_first, dtype=np.float64)
    odds = profile_interval(y, x, level=level)
    slope = 0.0 if isinstance(odds, Undefined) else _slope(2 * y - 1, x, odds.value)
    return SideBias(share, odds, p_value, slope, count)


def profile_interval(y: FloatArray, x: FloatArray, *, level: float = 0.95) -> Interval | Undefined:
    """Profile-likelihood interval of the intercept of a logistic regression of `y` [answer] on `x` [answer]."""
    sign = 2 * y - 1

    def score(bias: float) -> float:
        return float(np.sum(sign * expit(-sign * (bias + _slope(sign, x, bias) * x))))

    def height(bias: float) -> float:
        return float(np.sum(log_expit(sign * (bias + _slope(sign, x, bias) * x))))

    if np.isnan(_slope(sign, x, 0.0)) or not (score(-WIDEST) > 0 > score(WIDEST)):
        return Undefined("the values of the items explain every answer, so no side effect can be told from them")
    best = _root(score, -WIDEST, WIDEST)
    bound = height(best) - float(chi2.ppf(level, 1)) / 2

    def above(bias: float) -> float:
        return height(bias) - bound

    low, high = (limit if above(limit) > 0 else _root(above, best, limit) for limit in (-WIDEST, WIDEST))
    return Interval(best, low, high)


def _slope(sign: FloatArray, x: FloatArray, bias: float) -> float:
    """The most likely slope at a bias; NaN when there is none that is finite, 0 when nothing is known of the items."""
    if not np.any(x):
        return 0.0

    def gradient(slope: float) -> float:
        return float(np.sum(sign * x * expit(-sign * (bias + slope * x))))

    low, high = -1.0, 1.0
    while gradient(low) < 0 and low > -STEEPEST:
        low *= 2
    while gradient(high) > 0 and high < STEEPEST:
        high *= 2
    return np.nan if max(-low, high) >= STEEPEST else _root(gradient, low, high)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    found: Any = brentq(function, low, high, xtol=1e-10)  # typed as perhaps a tuple, which it is not here
    return float(found)


def swapped_bias(first_both: int, second_both: int, *, level: float = 0.95) -> Interval | Undefined:
    """Side bias from the same question asked twice with the sides swapped, by one annotator (McNemar 1947).

    Only pairs of answers that took the same side both times count; their odds are exp(2 bias), whatever the items are
    worth. Returns log-odds with the exact interval of Clopper and Pearson.

    Args:
        first_both: pairs of answers that took what was shown first both times.
        second_both: pairs of answers that took what was shown second both times.
        level: of the interval.
    """
    count = first_both + second_both
    if count == 0:
        return Undefined("no swapped question was answered on the same side twice")
    found = binomtest(first_both, count).proportion_ci(level)
    with np.errstate(divide="ignore"):
        value, low, high = (float(logit(p)) / 2 for p in (first_both / count, found.low, found.high))
    return Interval(value, low, high)
