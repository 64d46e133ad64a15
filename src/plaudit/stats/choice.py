"""Densities of answers: a noisily rational annotator compares a value with cut-points.

Almost every answer says that a value, plus standard logistic noise, fell into an interval. The value is a difference of two
returns for a comparison, and a return for a grade or a step score, all in log-odds units. An order of several, or the
choice of one among them, compares their returns with each other (`ranking`). Both are reward-rational choice (Jeon,
Milli & Dragan 2020). With probability `lapse` the annotator answers at random instead. `plaudit.ops.preference` holds
the same densities for torch.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, log_expit, log_ndtr, logit, ndtr

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
PROBIT = 1.7009
"""standard deviation at which normal noise is like standard logistic noise: their distributions differ by .0095 at most"""
FAR = 1e3
"""standard deviations that stand for infinity: no normal noise goes there"""


class Noise(enum.Enum):
    """What blurs a comparison."""

    LOGISTIC = "logistic"
    """Bradley & Terry 1952"""
    NORMAL = "normal"
    """Thurstone 1927, case V: a gross upset is next to impossible, so one of them moves rewards more"""


def log_interval(value: FloatArray, lower: ArrayLike, upper: ArrayLike) -> FloatArray:
    """log P(lower < value + standard logistic noise < upper); bounds may be infinite."""
    low, high = np.asarray(lower) - value, np.asarray(upper) - value
    # sigmoid(high) - sigmoid(low) = sigmoid(high) sigmoid(-low) (1 - exp(low - high)): exact in both tails
    with np.errstate(divide="ignore"):
        return log_expit(high) + log_expit(-low) + np.log(-np.expm1(low - high))


def log_normal_interval(value: FloatArray, lower: ArrayLike, upper: ArrayLike) -> FloatArray:
    """log P(lower < value + normal noise of standard deviation `PROBIT` < upper); bounds may be infinite."""
    low = np.clip((np.asarray(lower) - value) / PROBIT, -FAR, FAR)
    high = np.clip((np.asarray(upper) - value) / PROBIT, -FAR, FAR)
    # by symmetry, the side on which both tails are small
    flip = low + high > 0
    near, far = log_ndtr(np.where(flip, -low, high)), log_ndtr(np.where(flip, -high, low))
    with np.errstate(divide="ignore"):
        return near + np.log(-np.expm1(far - near))


def mix_lapse(log_prob: FloatArray, chance: ArrayLike, lapse: float | FloatArray) -> FloatArray:
    """log((1 - lapse) P + lapse chance): now and then people answer at random (Christiano et al. 2017, section 2.2.3).

    `lapse` is one share for all, or [answer].
    """
    if np.ndim(lapse) == 0 and lapse == 0:
        return log_prob
    with np.errstate(divide="ignore"):
        return np.logaddexp(log_prob + np.log1p(-lapse), np.log(lapse * np.asarray(chance)))


def comparison(
    difference: FloatArray,
    side: IntArray,
    grade: IntArray,
    thresholds: Sequence[float],
    *,
    lapse: float | FloatArray = 0.0,
    noise: Noise | None = None,
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
        noise: logistic (None) or normal; with normal noise, no ties and no grades this is Thurstone's model.
    """
    limits = np.array([*thresholds, np.inf])
    decided, graded = side != 0, grade > 0
    lower = np.where(decided, limits[np.maximum(grade - 1, 0)], -limits[0])
    upper = np.where(decided, np.where(graded, limits[grade], np.inf), limits[0])
    chance = np.where(decided, np.where(graded, 0.5 / len(thresholds), 0.5), 0.0)
    inside = log_normal_interval if noise is Noise.NORMAL else log_interval
    return mix_lapse(inside(np.where(decided, side, 1) * difference, lower, upper), chance, lapse)


def rating(
    value: FloatArray, grade: IntArray, cuts: Sequence[float] | FloatArray, *, lapse: float | FloatArray = 0.0
) -> FloatArray:
    """Log probability of grades 0 .. levels - 1: cumulative logit, P(grade <= c) = sigmoid(cuts[c] - value) (McCullagh 1980).

    `cuts` are [level - 1] for all, or [answer, level - 1].
    """
    lower, upper, levels = grade_limits(grade, cuts)
    return mix_lapse(log_interval(value, lower, upper), 1.0 / levels, lapse)


def grade_limits(grade: IntArray, cuts: Sequence[float] | FloatArray) -> tuple[FloatArray, FloatArray, int]:
    """Between which cut-points grades lie, and how many grades there are."""
    found = np.asarray(cuts, dtype=np.float64)
    edge = np.full((*found.shape[:-1], 1), np.inf)
    limits = np.concatenate([-edge, found, edge], axis=-1)
    if found.ndim == 1:
        return limits[grade], limits[grade + 1], found.shape[-1] + 1
    rows = np.arange(len(found))
    return limits[rows, grade], limits[rows, grade + 1], found.shape[-1] + 1


def step(value: FloatArray, score: FloatArray, cut: float, *, lapse: float | FloatArray = 0.0) -> FloatArray:
    """Log likelihood of scores in [0, 1], of steps or of whole segments: Bernoulli with soft labels, P(good) = sigmoid(value - cut).

    `lapse` broadcasts against the values.
    """
    good = mix_lapse(log_expit(value - cut), 0.5, lapse)
    bad = mix_lapse(log_expit(cut - value), 0.5, lapse)
    return score * good + (1.0 - score) * bad


def ranking(
    value: FloatArray,
    ranks: IntArray,
    stages: IntArray,
    prevalence: Sequence[float] = (),
    *,
    lapse: float | FloatArray = 0.0,
) -> FloatArray:
    """Log probability of orders: Plackett-Luce with ties (Luce 1959, Plackett 1975; ties by Firth, Kosmidis & Turner 2019).

    The best are chosen first, then the best of the rest, and so on. A set S of t segments is chosen with probability
    proportional to prevalence_t times the geometric mean of exp(value) over S (Davidson-Luce; prevalence_1 = 1); among all
    sets of the present size limit that remain. With two segments this is Davidson (1970), without ties Bradley-Terry. One
    stage without ties is a choice of one among several: softmax. A lapse picks at random, and never a tie.

    Args:
        value: [..., answer, segment] returns.
        ranks: [answer, segment] 0 for the best; equal ranks are ties.
        stages: [answer] how many of the choices were made: 1 when only the best is known, and the number of distinct
            ranks for a full order.
        prevalence: of ties of 2, 3, ... segments; larger ties are impossible.
        lapse: share of random answers.
    """
    total = np.zeros(value.shape[:-1])
    for stage in range(int(stages.max(initial=0))):
        chosen, left = ranks == stage, ranks >= stage
        counts = (chosen.any(axis=-1)) & (stage < stages)
        size = np.maximum(chosen.sum(axis=-1), 1)
        highest = np.where(left, value, -np.inf).max(axis=-1, initial=-np.inf)
        highest = np.where(np.isfinite(highest), highest, 0.0)
        relative = value - highest[..., None]
        mass = sum(
            weight * part for weight, part in zip((1.0, *prevalence), _sets(relative, left, prevalence), strict=True)
        )
        mean = np.where(chosen, relative, 0.0).sum(axis=-1) / size
        with np.errstate(divide="ignore"):
            gain = tie_weights(prevalence, value.shape[-1])[size] + mean - np.log(np.where(counts, mass, 1.0))
        total = total + np.where(counts, gain, 0.0)
    return mix_lapse(total, ranking_chance(ranks, stages), lapse)


def _sets(relative: FloatArray, left: NDArray[np.bool_], prevalence: Sequence[float]) -> list[FloatArray]:
    """[..., answer] for t = 1, 2, ...: sum over the sets of t segments of the geometric mean of exp(value).

    These are elementary symmetric polynomials of exp(value / t), so no set is listed.
    """
    found: list[FloatArray] = []
    for size in range(1, len(prevalence) + 2):
        each = np.where(left, np.exp(np.where(left, relative, 0.0) / size), 0.0)
        sums = [np.ones(each.shape[:-1]), *(np.zeros(each.shape[:-1]) for _ in range(size))]
        for item in range(each.shape[-1]):
            for number in range(size, 0, -1):
                sums[number] = sums[number] + each[..., item] * sums[number - 1]
        found.append(sums[size])
    return found


def tie_weights(prevalence: Sequence[float], items: int) -> FloatArray:
    """[size] log prevalence of ties of 0 .. items segments; minus infinity where they are impossible, 0 for one."""
    weights = np.zeros(items + 1)
    weights[1:] = [1.0, *prevalence, *[0.0] * items][:items]
    with np.errstate(divide="ignore"):
        return np.log(weights)


def ranking_chance(ranks: IntArray, stages: IntArray) -> FloatArray:
    """[answer] probability of the same first choices at random: 1 / (n (n - 1) ...); 0 where there is a tie among them."""
    chance = np.ones(len(ranks))
    for stage in range(int(stages.max(initial=0))):
        size, left = (ranks == stage).sum(axis=-1), np.maximum((ranks >= stage).sum(axis=-1), 1)
        here = np.where(size == 1, 1.0 / left, 0.0)
        chance = np.where((stage < stages) & (size > 0), chance * here, chance)
    return chance


def tie_prevalence(value: FloatArray, ranks: IntArray, stages: IntArray, *, sweeps: int = 100) -> list[float]:
    """Prevalence of ties of 2, 3, ... at which as many are expected as there are, for [answer, segment] values.

    These are the likelihood equations; each sweep multiplies by the share of what was found to what is expected (MM
    algorithm, Hunter 2004). As many sizes as occur.
    """
    made = [(ranks == stage, ranks >= stage, stage < stages) for stage in range(int(stages.max(initial=0)))]
    sizes = [np.where(counts, chosen.sum(axis=-1), 0) for chosen, _, counts in made]
    largest = max([1, *(int(size.max(initial=0)) for size in sizes)])
    found = [sum(int((size == t).sum()) for size in sizes) for t in range(2, largest + 1)]
    weights = [float(count > 0) for count in found]
    parts: list[FloatArray] = []
    for chosen, left, counts in made:
        use = counts & chosen.any(axis=-1)
        highest = np.where(left, value, -np.inf)[use].max(axis=-1, initial=-np.inf)
        parts.append(np.stack(_sets(value[use] - highest[:, None], left[use], weights), axis=-1))
    sets = np.concatenate(parts) if parts else np.zeros((0, largest))
    for _ in range(sweeps if weights else 0):
        share = sets / (sets @ np.array([1.0, *weights]))[:, None]
        expected = share.sum(axis=0)[1:] * weights
        weights = [float(w * count / e) if count else 0.0 for w, count, e in zip(weights, found, expected, strict=True)]
    return weights


def cut_at(values: FloatArray, share: float, noise: Noise | None = None) -> float:
    """The cut-point below which `share` (in (0, 1)) of the values fall once noise is added.

    Solves mean sigmoid(cut - values) = share: the method of moments for cut-points.
    """
    start = float(logit(share))
    low, high = start + float(np.min(values)), start + float(np.max(values))
    normal = noise is Noise.NORMAL
    if low == high and not normal:
        return low
    if normal:  # a little wider, for the two noises differ in their tails
        low, high = low - abs(start), high + abs(start)

    def excess(cut: float) -> float:
        return float(np.mean(ndtr((cut - values) / PROBIT) if normal else expit(cut - values))) - share

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
