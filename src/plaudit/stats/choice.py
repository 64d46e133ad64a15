"""Densities of answers: a noisily rational annotator compares a value with cut-points.

Every answer says that a value, plus standard logistic noise, fell into an interval. The value is a difference of two
returns for a comparison, and a return for a grade or a step score, all in log-odds units (reward-rational choice, Jeon,
Milli & Dragan 2020). With probability `lapse` the annotator answers at random instead. `plaudit.ops.preference` holds
the same densities for torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, log_expit, logit

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def log_interval(value: FloatArray, lower: ArrayLike, upper: ArrayLike) -> FloatArray:
    """log P(lower < value + standard logistic noise < upper); bounds may be infinite."""
    low, high = np.asarray(lower) - value, np.asarray(upper) - value
    # sigmoid(high) - sigmoid(low) = sigmoid(high) sigmoid(-low) (1 - exp(low - high)): exact in both tails
    with np.errstate(divide="ignore"):
        return log_expit(high) + log_expit(-low) + np.log(-np.expm1(low - high))


def mix_lapse(log_prob: FloatArray, chance: ArrayLike, lapse: float) -> FloatArray:
    """log((1 - lapse) P + lapse chance): now and then people answer at random (Christiano et al. 2017, section 2.2.3)."""
    if lapse == 0:
        return log_prob
    with np.errstate(divide="ignore"):
        return np.logaddexp(log_prob + np.log1p(-lapse), np.log(lapse * np.asarray(chance)))


def comparison(
    difference: FloatArray, side: IntArray, grade: IntArray, thresholds: Sequence[float], *, lapse: float = 0.0
) -> FloatArray:
    """Log probability of comparisons: Bradley-Terry with ties and graded strength.

    The annotator sees y = difference + logistic noise and says tie for |y| < thresholds[0], else the side of y (Rao &
    Kupper 1967, whose log theta is thresholds[0]). How much better is the interval of |y| between further
    thresholds (cumulative link, Agresti 1992). A threshold of 0 and no grades is Bradley-Terry. A lapse
    picks a side, and a grade, at random; it is never a tie.

    Args:
        difference: [..., answer] return of the first segment minus return of the second.
        side: [answer] 1 the first is better, -1 the second, 0 a tie.
        grade: [answer] 0 where the annotator was not asked how much better, else 1 .. len(thresholds).
        thresholds: non-negative and increasing; one per grade, at least one.
        lapse: share of random answers.
    """
    limits = np.array([*thresholds, np.inf])
    decided, graded = side != 0, grade > 0
    lower = np.where(decided, limits[np.maximum(grade - 1, 0)], -limits[0])
    upper = np.where(decided, np.where(graded, limits[grade], np.inf), limits[0])
    chance = np.where(decided, np.where(graded, 0.5 / len(thresholds), 0.5), 0.0)
    return mix_lapse(log_interval(np.where(decided, side, 1) * difference, lower, upper), chance, lapse)


def rating(value: FloatArray, grade: IntArray, cuts: Sequence[float], *, lapse: float = 0.0) -> FloatArray:
    """Log probability of grades 0 .. len(cuts): cumulative logit, P(grade <= c) = sigmoid(cuts[c] - value) (McCullagh 1980)."""
    limits = np.array([-np.inf, *cuts, np.inf])
    return mix_lapse(log_interval(value, limits[grade], limits[grade + 1]), 1.0 / (len(cuts) + 1), lapse)


def step(value: FloatArray, score: FloatArray, cut: float, *, lapse: float = 0.0) -> FloatArray:
    """Log likelihood of scores in [0, 1] for steps: Bernoulli with soft labels, P(good) = sigmoid(value - cut)."""
    good = mix_lapse(log_expit(value - cut), 0.5, lapse)
    bad = mix_lapse(log_expit(cut - value), 0.5, lapse)
    return score * good + (1.0 - score) * bad


def cut_at(values: FloatArray, share: float) -> float:
    """The cut-point below which `share` (in (0, 1)) of the values fall once logistic noise is added.

    Solves mean sigmoid(cut - values) = share: the method of moments for cut-points.
    """
    start = float(logit(share))
    low, high = start + float(np.min(values)), start + float(np.max(values))
    if low == high:
        return low

    def excess(cut: float) -> float:
        return float(np.mean(expit(cut - values))) - share

    found: Any = brentq(excess, low - 1e-9, high + 1e-9, xtol=1e-9)  # typed as perhaps a tuple, which it is not here
    return float(found)


def mean_decision_seconds(log_odds: ArrayLike, longest_mean: float) -> FloatArray:
    """Mean time of a decision by drift and diffusion between two bounds equally far away (Wagenmakers, van der Maas & Grasman
    2007, eq. 9, "EZ-diffusion").

    With unit noise, bounds `a` apart and drift v, the first side is taken with probability sigmoid(a v), and the mean time is
    (a / 2 v) tanh(a v / 2). In log-odds L = a v, and with D = a^2 / 4, the mean at L = 0: 2 D tanh(L / 2) / L.

    Args:
        log_odds: [...] L; whichever side it favours, the time is the same.
        longest_mean: D, seconds; the mean time where both sides are equally good.
    """
    odds = np.abs(np.asarray(log_odds, dtype=np.float64))
    near = odds < 1e-6
    return longest_mean * np.where(near, 1.0, 2.0 * np.tanh(odds / 2.0) / np.where(near, 1.0, odds))


def response_time(
    log_odds: ArrayLike,
    seconds: ArrayLike,
    longest_mean: float,
    *,
    motor: float = 0.0,
    outlier: float = 0.0,
    longest: float = 60.0,
) -> FloatArray:
    """Log density of response times, per second: first passage of drift and diffusion between two bounds equally far away.

    It does not depend on which side was taken, so it adds to the log probability of the choice that
    `comparison` gives without ties. Both series of Navarro & Fuss (2009, eqs. 5 and 6) at w = 1/2, summed over both bounds; each where it converges fast.

    Args:
        log_odds: [...] how clearly one side is better; for an annotator without lapses the difference of returns over its noise.
        seconds: [...] from seeing the question to the answer.
        longest_mean: seconds; see `mean_decision_seconds`.
        motor: seconds of every answer in which nothing is decided, for example the clip's own length.
        outlier: share of the times that have nothing to do with the question. Without it, a time below `motor` is impossible.
        longest: seconds; outliers are evenly spread from 0 to here.
    """
    odds, decided = np.broadcast_arrays(np.abs(np.asarray(log_odds, float)), np.asarray(seconds, float) - motor)
    scaled = np.where(decided > 0, decided, 1.0) / (4.0 * longest_mean)
    with np.errstate(divide="ignore"):
        found = _log_first_passage(odds, scaled) - np.log(4.0 * longest_mean)
        within = np.where((decided > -motor) & (decided + motor <= longest), 1.0 / longest, 0.0)
        return mix_lapse(np.where(decided > 0, found, -np.inf), within, outlier)


def _log_first_passage(odds: FloatArray, time: FloatArray) -> FloatArray:
    """Log density of the time, in units of the squared distance of the bounds, at which either bound is reached."""
    soon, late = np.minimum(time, 0.25)[..., None], np.maximum(time, 0.25)[..., None]
    steps = np.arange(-4, 5)
    starts = 0.5 + 2.0 * steps
    early = np.sum(starts * np.exp(-(starts**2 - 0.25) / (2.0 * soon)), axis=-1)
    modes = 2.0 * np.arange(6) + 1.0
    signs = np.where(np.arange(6) % 2 == 0, 1.0, -1.0)
    after = np.sum(signs * modes * np.exp(-(modes**2 - 1.0) * np.pi**2 * late / 2.0), axis=-1)
    log_early = np.log(early) - 0.125 / soon[..., 0] - 0.5 * np.log(2.0 * np.pi * soon[..., 0] ** 3)
    log_late = np.log(after) + np.log(np.pi) - np.pi**2 * late[..., 0] / 2.0
    still = np.where(time <= 0.25, log_early, log_late)
    return still + np.logaddexp(odds / 2.0, -odds / 2.0) - odds**2 * time / 2.0
