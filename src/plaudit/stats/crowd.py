"""Who is right when annotators disagree about classes: majority, Dawid & Skene, and the one-coin model.

All three take labels in long form and give a posterior over each item's true class. EM runs in the log domain from the
majority's shares, so equal data give equal results.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, logsumexp, xlogy

from plaudit.stats.intervals import Interval

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Labels:
    """Class labels, one entry per answer. Numbers count from 0."""

    item: IntArray
    """[answer]"""
    annotator: IntArray
    """[answer]"""
    label: IntArray
    """[answer]"""
    items: int
    annotators: int
    classes: int

    def __post_init__(self) -> None:
        if not len(self.item) == len(self.annotator) == len(self.label):
            raise ValueError(f"{len(self.item)} items, {len(self.annotator)} annotators, {len(self.label)} labels")
        for name, values, bound in (
            ("item", self.item, self.items),
            ("annotator", self.annotator, self.annotators),
            ("label", self.label, self.classes),
        ):
            if len(values) and not (values.min() >= 0 and values.max() < bound):
                raise ValueError(f"{name} numbers must lie in 0 .. {bound - 1}")


@dataclass(frozen=True, slots=True)
class DawidSkene:
    """What the EM of Dawid & Skene (1979) found."""

    posterior: FloatArray
    """[item, class] probability of each true class"""
    confusion: FloatArray
    """[annotator, true class, answer] probability of each answer"""
    prevalence: FloatArray
    """[class] share of true classes"""
    objective: FloatArray
    """[iteration] log likelihood plus log prior; never decreases"""
    converged: bool


@dataclass(frozen=True, slots=True)
class OneCoin:
    """Every annotator is right with one probability, whatever the truth."""

    posterior: FloatArray
    """[item, class]"""
    accuracy: FloatArray
    """[annotator] posterior mode"""
    right: FloatArray
    """[annotator] expected number of right answers"""
    given: FloatArray
    """[annotator] number of answers"""
    objective: FloatArray
    """[iteration]"""
    converged: bool

    def interval(self, annotator: int, level: float = 0.95) -> Interval:
        """Accuracy with its credible interval: Beta(1 + right, 1 + wrong), given the posterior of the items."""
        right, given = float(self.right[annotator]), float(self.given[annotator])
        low, high = betaincinv(1 + right, 1 + given - right, [(1 - level) / 2, (1 + level) / 2])
        return Interval((1 + right) / (2 + given), float(low), float(high))


def majority_vote(labels: Labels) -> FloatArray:
    """Shares of answers [item, class]; an item without answers gets equal shares."""
    votes = np.zeros((labels.items, labels.classes))
    np.add.at(votes, (labels.item, labels.label), 1.0)
    empty = votes.sum(axis=1) == 0
    votes[empty] = 1.0
    return votes / votes.sum(axis=1, keepdims=True)


def dawid_skene(
    labels: Labels, *, right: float = 0.01, wrong: float = 0.01, tolerance: float = 1e-8, iterations: int = 1000
) -> DawidSkene:
    """A confusion matrix per annotator (Dawid & Skene 1979, eq. 2.3 to 2.5), by EM.

    Args:
        labels: the answers.
        right: pseudo-answers on the diagonal of each confusion matrix; with few answers per annotator use about 4.
        wrong: pseudo-answers off the diagonal; about 1 with few answers.
        tolerance: stop when the objective grows by less than this share.
        iterations: at most so many.
    """
    pseudo = np.full((labels.classes, labels.classes), wrong) + np.eye(labels.classes) * (right - wrong)
    posterior = majority_vote(labels)
    seen: list[float] = []
    while True:
        confusion = np.tile(pseudo, (labels.annotators, 1, 1))
        np.add.at(confusion.transpose(0, 2, 1), (labels.annotator, labels.label), posterior[labels.item])
        confusion /= confusion.sum(axis=2, keepdims=True)
        prevalence = posterior.mean(axis=0)
        with np.errstate(divide="ignore"):
            log_confusion, log_prevalence = np.log(confusion), np.log(prevalence)
        joint = np.tile(log_prevalence, (labels.items, 1))
        np.add.at(joint, labels.item, log_confusion[labels.annotator, :, labels.label])
        evidence = np.asarray(logsumexp(joint, axis=1, keepdims=True))
        posterior = np.exp(joint - evidence)
        prior = float(np.sum(xlogy(pseudo, confusion)))
        seen.append(float(evidence.sum()) + prior)
        done = _settled(seen, tolerance)
        if done or len(seen) >= iterations:
            return DawidSkene(posterior, confusion, prevalence, np.array(seen), done)


def one_coin(
    labels: Labels, *, right: float = 2.0, wrong: float = 1.0, tolerance: float = 1e-8, iterations: int = 1000
) -> OneCoin:
    """One accuracy per annotator, wrong answers spread evenly; for annotators with few answers (under 50 or so).

    Args:
        labels: the answers, of at least two classes.
        right: pseudo-answers that were right, for each annotator.
        wrong: pseudo-answers that were wrong.
        tolerance: stop when the objective grows by less than this share.
        iterations: at most so many.
    """
    if labels.classes < 2:
        raise ValueError(f"{labels.classes} classes leave nothing to be right or wrong about")
    given = np.bincount(labels.annotator, minlength=labels.annotators).astype(np.float64)
    posterior = majority_vote(labels)
    seen: list[float] = []
    while True:
        hits = np.bincount(labels.annotator, posterior[labels.item, labels.label], minlength=labels.annotators)
        accuracy = (hits + right) / (given + right + wrong)
        prevalence = posterior.mean(axis=0)
        odds = np.log(accuracy) - np.log1p(-accuracy) + np.log(labels.classes - 1)
        base = np.bincount(
            labels.item, (np.log1p(-accuracy) - np.log(labels.classes - 1))[labels.annotator], minlength=labels.items
        )
        with np.errstate(divide="ignore"):
            joint = np.tile(np.log(prevalence), (labels.items, 1)) + base[:, None]
        np.add.at(joint, (labels.item, labels.label), odds[labels.annotator])
        evidence = np.asarray(logsumexp(joint, axis=1, keepdims=True))
        posterior = np.exp(joint - evidence)
        prior = float(np.sum(right * np.log(accuracy) + wrong * np.log1p(-accuracy)))
        seen.append(float(evidence.sum()) + prior)
        done = _settled(seen, tolerance)
        if done or len(seen) >= iterations:
            hits = np.bincount(labels.annotator, posterior[labels.item, labels.label], minlength=labels.annotators)
            return OneCoin(posterior, accuracy, hits.astype(np.float64), given, np.array(seen), done)


def _settled(seen: list[float], tolerance: float) -> bool:
    return len(seen) > 1 and abs(seen[-1] - seen[-2]) <= tolerance * max(abs(seen[-1]), 1.0)
