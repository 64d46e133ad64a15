"""Values of items and reliabilities of annotators together: crowd Bradley-Terry (Chen, Bennett, Collins-Thompson & Horvitz
2013, WSDM, eq. 4): annotator k answers as a Bradley-Terry annotator would with probability eta_k, else the opposite.

    P(first wins | k) = eta_k P(d) + (1 - eta_k) P(-d)

where P is the density of `plaudit.stats.choice.comparison`; an annotator of the run file who lapses at rate l has
eta = 1 - l / 2, and one below 1/2 tells the opposite of what others see. A tie says nothing about reliability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from plaudit.stats.choice import comparison
from plaudit.stats.intervals import Interval
from plaudit.stats.ranking import Comparisons
from plaudit.stats.undefined import Undefined

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
GRID = logit(np.linspace(0.0005, 0.9995, 2000))
"""log-odds of eta at which a posterior is worked out"""


@dataclass(frozen=True, slots=True)
class Priors:
    """What is believed before any answer."""

    scale: float = 2.0
    """standard deviation of item values, in log-odds units"""
    eta_mean: float = 2.0
    """mean of logit eta: 2 is right 88 % of the time on clear questions; it must be above 0, or all signs could flip"""
    eta_scale: float = 1.0
    """standard deviation of logit eta"""


@dataclass(frozen=True, slots=True)
class CrowdFit:
    """Most likely values and reliabilities."""

    value: FloatArray
    """[item] log-odds units, mean 0"""
    eta: FloatArray
    """[annotator] posterior median given the values"""
    low: FloatArray
    """[annotator] lower end of the 95 % credible interval given the values"""
    high: FloatArray
    """[annotator] its upper end"""
    converged: bool

    def interval(self, annotator: int) -> Interval:
        """Reliability of one annotator."""
        return Interval(float(self.eta[annotator]), float(self.low[annotator]), float(self.high[annotator]))


def log_prob(difference: FloatArray, side: IntArray, eta: FloatArray, *, tie: float = 0.0) -> FloatArray:
    """log P of answers [answer] with eta [..., answer]; `tie` is half the width of the zone of ties."""
    grade = np.zeros(len(side), dtype=np.int64)
    straight = comparison(difference, side, grade, [tie])
    turned = comparison(-difference, side, grade, [tie])
    with np.errstate(divide="ignore"):
        return np.logaddexp(np.log(eta) + straight, np.log1p(-eta) + turned)


def crowd_bradley_terry(
    data: Comparisons, annotator: IntArray, annotators: int, *, tie: float = 0.0, priors: Priors | None = None
) -> CrowdFit | Undefined:
    """Maximum a posteriori fit by L-BFGS with an analytic gradient, from equal values and the prior's reliability.

    Args:
        data: the comparisons; ties are used when `tie` is above 0 and left out otherwise.
        annotator: [answer] who gave each.
        annotators: how many there are; one without answers keeps the prior.
        tie: half the width of the zone of ties, for example from `bradley_terry`.
        priors: see `Priors`.
    """
    priors = Priors() if priors is None else priors
    kept = (data.side != 0) | (tie > 0)
    if not np.any(data.side[kept] != 0):
        return Undefined("no comparison was decided")
    first, second, side, who = data.first[kept], data.second[kept], data.side[kept], annotator[kept]
    times = data.times[kept]

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        value, log_odds = theta[: data.items], theta[data.items :]
        eta = expit(log_odds)[who]
        difference = value[first] - value[second]
        found = log_prob(difference, side, eta, tie=tie)
        by_value, by_eta = _slopes(difference, side, eta, tie)
        pull = (log_odds - priors.eta_mean) / priors.eta_scale**2
        total = times @ found - 0.5 * np.sum((value / priors.scale) ** 2)
        total -= 0.5 * float(np.sum(pull * (log_odds - priors.eta_mean)))
        weighted = times * by_value / np.exp(found)
        values = np.bincount(first, weighted, minlength=data.items) - np.bincount(
            second, weighted, minlength=data.items
        )
        rates = np.bincount(who, times * by_eta * eta * (1 - eta) / np.exp(found), minlength=annotators)
        return -float(total), -np.concatenate([values - value / priors.scale**2, rates - pull])

    start = np.concatenate([np.zeros(data.items), np.full(annotators, priors.eta_mean)])
    fit = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-13, "gtol": 1e-7})
    value = fit.x[: data.items]
    given = _Given(value[first] - value[second], side, who, times)
    eta, low, high = _posteriors(given, annotators, tie=tie, priors=priors)
    return CrowdFit(value - value.mean(), eta, low, high, converged=bool(fit.success))


def reliability_given(
    difference: FloatArray, side: IntArray, annotator: IntArray, annotators: int, *, priors: Priors | None = None
) -> FloatArray:
    """Posterior medians of eta when the items' values are known: what any joint estimate can at best reach."""
    priors = Priors() if priors is None else priors
    given = _Given(difference, side, annotator, np.ones(len(side)))
    return _posteriors(given, annotators, tie=0.0, priors=priors)[0]


def _slopes(difference: FloatArray, side: IntArray, eta: FloatArray, tie: float) -> tuple[FloatArray, FloatArray]:
    """dP / d difference and dP / d eta; a tie is as likely when turned, so its density does not depend on eta."""
    sign = np.where(side == 0, 1, side)
    straight, turned = expit(sign * difference - tie), expit(-sign * difference - tie)
    decided = sign * (eta * straight * (1 - straight) - (1 - eta) * turned * (1 - turned))
    upper, lower = expit(tie - difference), expit(-tie - difference)
    tied = lower * (1 - lower) - upper * (1 - upper)
    by_value = np.where(side == 0, tied, decided)
    return by_value, np.where(side == 0, 0.0, straight - turned)


@dataclass(frozen=True, slots=True)
class _Given:
    """Answers to questions whose values are taken as known."""

    difference: FloatArray
    side: IntArray
    who: IntArray
    times: FloatArray


def _posteriors(
    given: _Given, annotators: int, *, tie: float, priors: Priors
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Median and 95 % limits [annotator] of eta, worked out on a grid."""
    prior = -0.5 * ((GRID - priors.eta_mean) / priors.eta_scale) ** 2
    # density on an even grid of eta, so the prior of logit eta is divided by d eta / d logit
    prior = prior - log_expit(GRID) - log_expit(-GRID)
    order = np.argsort(given.who, kind="stable")
    bounds = np.searchsorted(given.who[order], np.arange(annotators + 1))
    found = np.zeros((3, annotators))
    for k in range(annotators):
        own = order[bounds[k] : bounds[k + 1]]
        density = prior.copy()
        if len(own):
            each = log_prob(given.difference[own], given.side[own], expit(GRID)[:, None], tie=tie)
            density += each @ given.times[own]
        mass = np.cumsum(np.exp(density - density.max()))
        found[:, k] = np.interp(np.array([0.5, 0.025, 0.975]) * mass[-1], mass, expit(GRID))
    return found[0], found[1], found[2]
