"""What sways annotators, and in what they differ: fitted on held-out answers between gradient steps, like cut-points.

Everything here is a few numbers beside many answers, and penalised maximum likelihood by search over a grid: the same
candidates for all annotators at once, then a parabola through the best three. Priors shrink to what holds for all, so
who gave few answers is judged like anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from plaudit.reward.config import Nuisance, Trait
from plaudit.reward.evidence import AnswerModel, Evidence
from plaudit.reward.likelihood import Comparisons, Ratings

FloatArray = NDArray[np.float64]
WEIGHTS = np.linspace(-4.0, 4.0, 41)
"""of nuisance, per standard deviation of it; a normal prior of deviation 1"""
LOG_RATIONALITY = np.linspace(-2.0, 2.0, 21)
"""a normal prior of deviation SPREAD around 0"""
LAPSES = np.concatenate([[0.0, 0.01, 0.02, 0.03, 0.04], np.linspace(0.05, 0.9, 18)])
"""a beta prior around the lapse for all, as heavy as LAPSE_ANSWERS answers"""
SHIFTS = np.linspace(-4.0, 4.0, 41)
"""of cut-points; a normal prior of deviation 1"""
LOG_SCALES = np.linspace(-1.5, 1.5, 16)
"""of cut-points; a normal prior of deviation SPREAD"""
DECISIONS = np.geomspace(0.2, 4.0, 13)
"""mean time of a decision between equals, in medians of all times"""
BESIDES = np.linspace(0.0, 1.0, 6)
"""time in which nothing is decided, in times that one answer in twenty falls short of"""
NEARBY = np.array([0.85, 0.92, 1.0, 1.08, 1.15])
"""where to look again around the best of these"""
SAYS = (0.0, 0.25, 0.5, 1.0)
"""how far values count for times, where they count fully for answers"""
MINUTE = 60.0
"""seconds: times that have nothing to do with the question are evenly spread to here, or to the longest"""
SPREAD = 0.5
LAPSE_ANSWERS = 10.0


class Judged(Protocol):
    """Answers of one kind with values that their member did not learn from."""

    @property
    def evidence(self) -> Evidence:
        """The answers."""
        ...

    def fits(self, annotators: AnswerModel) -> FloatArray:
        """[answer] log likelihood."""
        ...


def swayed(found: Sequence[Judged], annotators: AnswerModel, which: Sequence[Nuisance]) -> AnswerModel:
    """The weights of nuisance at which answers are likeliest, one after the other, the others as they were."""
    weights = dict(annotators.nuisance or {})
    for name in (one.value for one in which):
        swayable = [v for v in found if v.evidence.asked and name in v.evidence.asked.nuisance]
        covariates = [v.evidence.asked.nuisance[name].ravel() for v in swayable if v.evidence.asked]
        scale = float(np.sqrt(np.mean(np.concatenate(covariates) ** 2))) if covariates else 0.0
        if scale == 0:  # nothing differs in it
            continue
        fits = -(WEIGHTS[:, None] ** 2) / 2
        for number, weight in enumerate((WEIGHTS / scale).tolist()):
            trial = replace(annotators, nuisance=weights | {name: weight})
            fits[number] += sum(float(v.fits(trial).sum()) for v in swayable)
        weights[name] = float(_peak(WEIGHTS, fits)[0]) / scale
    return replace(annotators, nuisance=weights)


def differing(found: Sequence[Judged], annotators: AnswerModel, which: Sequence[Trait]) -> AnswerModel:
    """Each annotator's traits; rationality and cut-points differ around those of all, weighted by answers."""
    names = next((v.evidence.asked.names for v in found if v.evidence.asked), ())
    if Trait.LAPSE in which:
        usual = annotators.lapse
        prior = LAPSE_ANSWERS * (xlogy(usual, LAPSES) + xlogy(1 - usual, 1 - LAPSES))
        fits = _fits(found, names, LAPSES, lambda one: replace(annotators, lapses=dict.fromkeys(names, one)))
        annotators = replace(annotators, lapses=_named(names, LAPSES[(fits + prior[:, None]).argmax(axis=0)]))
    if Trait.RATIONALITY in which:
        grid = np.exp(LOG_RATIONALITY)
        fits = _fits(found, names, grid, lambda one: replace(annotators, rationality=dict.fromkeys(names, one)))
        logs = _centred(_peak(LOG_RATIONALITY, fits - (LOG_RATIONALITY[:, None] / SPREAD) ** 2 / 2), found)
        annotators = replace(annotators, rationality=_named(names, np.exp(logs)))
    rated = [v for v in found if isinstance(v.evidence, Ratings)]
    return _stretched(rated, annotators, names) if rated and Trait.CUTS in which else annotators


def timed(found: Sequence[Judged], annotators: AnswerModel) -> AnswerModel:
    """The mean time of a decision between equals, the time besides, and how far values count for times, at which the times
    of comparisons are likeliest. Where they have nothing to do with values, they then teach nothing.
    """
    held = [v for v in found if isinstance(v.evidence, Comparisons) and v.evidence.timed.any()]
    parts = [v.evidence for v in held if isinstance(v.evidence, Comparisons)]
    known = [part.seconds[part.timed] for part in parts if part.seconds is not None]
    if not known:
        return replace(annotators, timing=None)
    seconds = np.concatenate(known)
    soonest, longest = float(np.quantile(seconds, 0.05)), max(MINUTE, float(seconds.max()))

    def fits(timing: tuple[float, float, float]) -> float:
        trial = replace(annotators, timing=(*timing, longest))
        return sum(float(v.fits(trial).sum()) for v in held)

    means, besides = (float(np.median(seconds)) * DECISIONS).tolist(), (soonest * BESIDES).tolist()
    best = max([(one, two, says) for one in means for two in besides for says in (0.0, 1.0)], key=fits)
    for _ in range(2):
        means, besides = (best[0] * NEARBY).tolist(), (best[1] + soonest * (NEARBY - 1)).clip(0).tolist()
        best = max([(one, two, says) for one in means for two in besides for says in SAYS], key=fits)
    return replace(annotators, timing=(*best, longest))


def _stretched(found: Sequence[Judged], annotators: AnswerModel, names: tuple[str, ...]) -> AnswerModel:
    """Shift and scale of each annotator's cut-points of ratings, in turn."""
    known = annotators.stretch or {}
    scales = np.log([known.get(name, [0.0, 1.0])[1] for name in names])

    def trial(shift: FloatArray | float, scale: FloatArray | float) -> AnswerModel:
        shift, scale = (np.broadcast_to(one, len(names)) for one in (shift, scale))
        pairs = np.stack([shift, np.exp(scale)], axis=1).tolist()
        return replace(annotators, stretch=dict(zip(names, pairs, strict=True)))

    fits = _fits(found, names, SHIFTS, lambda one: trial(one, scales))
    shifts = _centred(_peak(SHIFTS, fits - SHIFTS[:, None] ** 2 / 2), found)
    fits = _fits(found, names, LOG_SCALES, lambda one: trial(shifts, one))
    scales = _centred(_peak(LOG_SCALES, fits - (LOG_SCALES[:, None] / SPREAD) ** 2 / 2), found)
    return trial(shifts, scales)


def _fits(
    found: Sequence[Judged], names: tuple[str, ...], grid: FloatArray, trial: Callable[[float], AnswerModel]
) -> FloatArray:
    """[candidate, annotator] log likelihood of the annotator's answers."""
    total = np.zeros((len(grid), len(names)))
    for number, candidate in enumerate(grid.tolist()):
        model = trial(candidate)
        for v in found:
            if v.evidence.asked is not None:
                total[number] += np.bincount(v.evidence.asked.who, v.fits(model), minlength=len(names))
    return total


def _peak(grid: FloatArray, fits: FloatArray) -> FloatArray:
    """[column] where the parabola through the best candidate and its neighbours is highest; the grid is even."""
    best = fits.argmax(axis=0)
    middle, columns = np.clip(best, 1, len(grid) - 2), np.arange(fits.shape[1])
    left, centre, right = (fits[middle + step, columns] for step in (-1, 0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        move = (left - right) / (2 * (left - 2 * centre + right))
    inside = np.isfinite(move) & (best == middle)
    return np.where(inside, grid[middle] + np.where(inside, move, 0.0) * (grid[1] - grid[0]), grid[best])


def _centred(values: FloatArray, found: Sequence[Judged]) -> FloatArray:
    """[annotator] differences from the mean over answers: what all share belongs to the reward, or to the cut-points.

    Who gave no answer is like all.
    """
    counts = np.zeros(len(values))
    for v in found:
        if v.evidence.asked is not None:
            counts += np.bincount(v.evidence.asked.who, minlength=len(values))
    return np.where(counts > 0, values - np.average(values, weights=counts), 0.0)


def _named(names: tuple[str, ...], values: FloatArray) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))
