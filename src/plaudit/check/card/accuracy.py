"""How often a reward is right, where it is less right than elsewhere, what it overrates, and whether it knows how sure to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, stdtr

from plaudit.check.card.material import Material, Pair
from plaudit.check.card.signal import TRIVIAL
from plaudit.check.card.traits import FEATURES, differences, slices
from plaudit.run.seeds import derive
from plaudit.stats.calibration import calibration, temperature
from plaudit.stats.clustered import ClusteredMean, Robust, clustered_difference, clustered_mean
from plaudit.stats.intervals import Interval
from plaudit.stats.logistic import swayed
from plaudit.stats.undefined import Undefined

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FEW = 1000
"""clusters above which CR2's matrix is large, and CR1's interval the same"""
LEAST = 20
"""pairs and prompts, inside and outside of a slice, below which nothing is said of it"""
VARIES = 0.05
"""share of the pairs that must differ in a feature"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval over prompts; no ends where there are too few."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Rival:
    """A scorer that knows nothing of what is said."""

    name: str
    accuracy: Estimate
    ahead: Estimate
    """accuracy of the reward minus its own, on the same pairs"""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A slice in which accuracy differs from that elsewhere."""

    dimension: str
    value: str
    pairs: int
    accuracy: Estimate
    difference: Estimate
    """accuracy in the slice minus accuracy elsewhere"""
    p: float
    q: float = 1.0
    """share of false ones among all findings of the card that are at least as sure"""
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Leaning:
    """What judges made of a feature at equal reward."""

    feature: str
    overrated: Estimate
    """log-odds that judges, at equal reward, take the one with less of it, by standard deviation of differences in the feature; below 0:
    the reward underrates it"""
    p: float
    q: float = 1.0
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions that were about equally sure."""

    confidence: float
    right: float
    count: int


@dataclass(frozen=True, slots=True)
class Calibrated:
    """How sure a reward is, and how often right, on prompts that the temperature was not fitted on."""

    temperature: float
    """fitted on half of the prompts: above 1, the reward is too sure of itself; it has meaning for rewards in log-odds only"""
    error: float
    """expected calibration error as it is, over bins of equal size"""
    error_after: float
    """the same with the temperature"""
    loss: float
    """mean negative log-likelihood of the judgements as it is, in nats"""
    loss_after: float
    bins: tuple[Bin, ...]
    """with the temperature"""


def right(margins: Floats) -> Floats:
    """[pair] 1 where the better one scores higher, one half where both score alike."""
    return np.where(margins == 0, 0.5, (margins > 0).astype(np.float64))


def clusters_of(pairs: Sequence[Pair]) -> Ints:
    """[pair] number of its prompt."""
    return np.unique([one.prompt for one in pairs], return_inverse=True)[1].astype(np.int64)


def estimate(values: Floats, clusters: Ints) -> Estimate:
    """Mean with its interval over clusters."""
    found = averaged(values, clusters)
    if isinstance(found, Undefined):
        return Estimate(float(np.mean(values)))
    return of_interval(found.interval)


def averaged(values: Floats, clusters: Ints) -> ClusteredMean | Undefined:
    """Mean with its error robust to clusters."""
    many = len(values) > FEW and len(np.unique(clusters)) > FEW
    return clustered_mean(values, clusters, robust=Robust.CR1 if many else Robust.CR2)


def of_interval(found: Interval) -> Estimate:
    """For the card, whose numbers are finite."""
    ends = [one if math.isfinite(one) else None for one in (found.low, found.high)]
    return Estimate(found.value, *ends)


def rivals(material: Material, margins: Floats) -> tuple[Rival, ...]:
    """The trivial scorers on the same pairs; one that never tells two texts apart is left out."""
    clusters, ours = clusters_of(material.pairs), right(margins)
    found: list[Rival] = []
    for name, signal in TRIVIAL.items():
        theirs = differences(material.pairs, signal.score(material.items)[0])
        if theirs.any():
            gained = estimate(ours - right(theirs), clusters)
            found.append(Rival(name, estimate(right(theirs), clusters), gained))
    return tuple(found)


def suspicions(material: Material, margins: Floats) -> tuple[Suspicion, ...]:
    """Every slice that is large enough, and has enough outside of it."""
    clusters, values = clusters_of(material.pairs), right(margins)
    found: list[Suspicion] = []
    for (dimension, value), inside in slices(material).items():
        sizes = [min(int(side.sum()), len(np.unique(clusters[side]))) for side in (inside, ~inside)]
        if min(sizes) < LEAST:
            continue
        apart = clustered_difference(values, ~inside, clusters)
        if isinstance(apart, Undefined):
            continue
        accuracy = estimate(values[inside], clusters[inside])
        p = two_sided(apart.interval.value, apart.error, apart.freedom)
        found.append(Suspicion(dimension, value, int(inside.sum()), accuracy, of_interval(apart.interval), p))
    return tuple(found)


def leanings(material: Material, margins: Floats) -> tuple[Leaning, ...]:
    """What judges say of length, Markdown, courtesies and repetition once the reward has spoken: P(better) = sigmoid(a reward + b feature).

    A reward that overrates a feature is right about the rest only when judges take the one with less of it: b < 0. All
    features stand in one fit, so that one is not blamed for another.
    """
    if not margins.any():
        return ()
    pairs, names = material.pairs, list[str]()
    columns = [margins / _size(margins)]
    for name, of in FEATURES.items():
        apart = differences(pairs, of(material.items))
        if (apart != 0).mean() >= VARIES:
            names.append(name)
            columns.append(apart / _size(apart))
    clusters = clusters_of(pairs)
    fit = swayed(np.stack(columns, axis=1), clusters)
    if isinstance(fit, Undefined) or fit.clusters < LEAST:
        return ()
    found: list[Leaning] = []
    for name, value, error in zip(names, -fit.coefficients[1:], fit.errors[1:], strict=True):
        half = 1.96 * float(error)
        p = two_sided(float(value), float(error), fit.clusters - 1.0)
        found.append(Leaning(name, Estimate(float(value), float(value) - half, float(value) + half), p))
    return tuple(found)


def calibrated(pairs: Sequence[Pair], margins: Floats, seed: int) -> Calibrated | None:
    """On the prompts of one half with the temperature of the other; None where a half has fewer than 20 pairs."""
    fitted_on = np.array([derive(seed, "calibration", one.prompt) % 2 == 0 for one in pairs], dtype=np.bool_)
    if min(int(fitted_on.sum()), int((~fitted_on).sum())) < LEAST or not margins[fitted_on].any():
        return None
    cooled = temperature(margins[fitted_on])
    shown = margins[~fitted_on]
    before, after = (calibration(expit(np.abs(shown / t)), right(shown)) for t in (1.0, cooled))
    losses = [float(np.logaddexp(0, -shown / t).mean()) for t in (1.0, cooled)]
    rows = zip(after.confidence.tolist(), after.right.tolist(), after.count.tolist(), strict=True)
    return Calibrated(cooled, before.error, after.error, losses[0], losses[1], tuple(Bin(*row) for row in rows))


def two_sided(value: float, error: float, freedom: float) -> float:
    """p value of a mean being 0, by Student's t."""
    return one_sided(abs(value), error, freedom) * 2 if value else 1.0


def one_sided(value: float, error: float, freedom: float) -> float:
    """p value of a mean being 0 or less."""
    if error <= 0:
        return 0.0 if value > 0 else 1.0
    return float(stdtr(freedom, -value / error))


def _size(values: Floats) -> float:
    return float(np.sqrt((values**2).mean()))
