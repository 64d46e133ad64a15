"""Who does not look, who copies, who rushes. Each test states its error rate over all annotators together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from plaudit.stats.crowd import Labels

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
HUBER = 1.345
"""standard deviations of an agreement beyond which a pair counts less, in finding accuracies"""
SWEEPS = 50
"""times through all annotators, in finding accuracies that explain how often pairs agree"""


@dataclass(frozen=True, slots=True)
class DetectConfig:
    """When an annotator is suspected."""

    error_rate: float = 0.01
    """probability that anybody honest is suspected, for each of the tests of spam, side, pattern, copying and tiring (Bonferroni)"""
    least: int = 20
    """answers (or shared questions) below which nobody is suspected"""
    fast: float = 0.2
    """an answer is rushed when it took less than this share of everybody's median time"""
    burst: int = 8
    """rushed answers in a row that make a burst"""


@dataclass(frozen=True, slots=True)
class Spam:
    """Does an annotator agree with others as others agree among themselves?"""

    agreement: float
    """share of comparisons with other annotators' answers that agree, averaged over questions"""
    others: float
    """the same among the others, on the same questions"""
    chance: float
    """what answers that do not look at the question would reach"""
    p_value: float
    """of agreeing so little, for somebody who goes beyond chance at least half as far as the others do"""
    questions: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """Do the sides of an annotator's answers follow one another at random? (Wald & Wolfowitz 1940)"""

    runs: int
    """stretches of answers on one side"""
    expected: float
    p_value: float
    """two-sided"""
    answers: int


@dataclass(frozen=True, slots=True)
class Copy:
    """Two annotators who agree more than their reliabilities explain."""

    first: int
    second: int
    agreed: int
    """shared questions with equal answers"""
    expected: float
    shared: int
    p_value: float
    """one-sided, before correction"""


@dataclass(frozen=True, slots=True)
class Burst:
    """Rushed answers in a row."""

    start: int
    """number of the first among the annotator's answers"""
    length: int


def spam(labels: Labels, annotator: int) -> Spam | None:
    """Compare an annotator's agreement with the others' on questions that two or more others answered.

    Somebody who goes beyond chance at least half as far as the others passes, however hard the questions are; the mean over
    questions is tested with Student's t. None when there are fewer than two such questions.
    """
    votes = np.zeros((labels.items, labels.classes))
    np.add.at(votes, (labels.item, labels.label), 1.0)
    own = np.zeros_like(votes)
    mine = labels.annotator == annotator
    np.add.at(own, (labels.item[mine], labels.label[mine]), 1.0)
    others = votes - own
    size, given = others.sum(axis=1), own.sum(axis=1)
    usable = (size >= 2) & (given >= 1)
    if int(usable.sum()) < 2:
        return None
    others, own, size, given = others[usable], own[usable], size[usable], given[usable]
    agreed = np.sum(own * others, axis=1) / (given * size)
    among = np.sum(others * (others - 1), axis=1) / (size * (size - 1))
    chance = float(own.sum(axis=0) @ others.sum(axis=0)) / float(own.sum() * others.sum())
    beyond = agreed - chance - 0.5 * (among - chance)
    spread = float(np.std(beyond, ddof=1))
    mean = float(beyond.mean())
    if spread == 0:  # every question says the same
        return Spam(float(agreed.mean()), float(among.mean()), chance, float(mean >= 0), len(beyond))
    p_value = float(stats.t.cdf(mean / spread * np.sqrt(len(beyond)), len(beyond) - 1))
    return Spam(float(agreed.mean()), float(among.mean()), chance, p_value, len(beyond))


def pattern(side: IntArray) -> Pattern | None:
    """Runs test of the sides (1 or -1; ties are left out) in the order of the answers; None when one side never occurs.

    Where the order on the screen is drawn at random, so are the sides of the better segments.
    """
    side = side[side != 0]
    count, left = len(side), int(np.sum(side == 1))
    right = count - left
    if left == 0 or right == 0:
        return None
    runs = 1 + int(np.sum(side[1:] != side[:-1]))
    expected = 1 + 2 * left * right / count
    variance = (expected - 1) * (expected - 2) / (count - 1)
    if variance <= 0:
        return Pattern(runs, expected, 1.0, count)
    gap = max(abs(runs - expected) - 0.5, 0.0)  # continuity correction
    return Pattern(runs, expected, float(2 * stats.norm.sf(gap / np.sqrt(variance))), count)


def copies(labels: Labels, config: DetectConfig) -> list[Copy]:
    """Pairs of annotators who agree too often, worst first, at `error_rate` over all pairs.

    Expected is how often the others agree on the same questions, so that a question that all find easy is no evidence, times what
    the one-coin model says of this pair against those others; but no less than the model says by itself. The tail is that of a
    binomial with the same mean: a sum of unequal chances has no heavier one far out (Hoeffding 1956, theorem 5).

    The model's accuracies come from how often pairs agree, pairs that are suspected left out and others that stand out counting
    less: a likelihood takes two who copy for the only ones who know. The worst pair is found first, then everything anew without.
    """
    table = _table(labels)
    there = table >= 0
    shared = there.T.astype(np.int64) @ there.astype(np.int64)
    pairs = [(int(a), int(b)) for a, b in np.argwhere(np.triu(shared >= config.least, 1))]
    same = np.sum(
        [(table == one).T.astype(np.int64) @ (table == one).astype(np.int64) for one in range(labels.classes)], axis=0
    )
    usable = np.zeros(shared.shape, dtype=np.bool_)
    for a, b in pairs:
        usable[a, b] = usable[b, a] = True
    suspected: list[tuple[int, int]] = []
    while True:
        found = _tested(table, _accuracy(same, shared, usable, labels.classes), pairs, classes=labels.classes)
        beyond = [one for one in found if one.p_value * len(pairs) < config.error_rate]
        fresh = [one for one in beyond if (one.first, one.second) not in suspected]
        if not fresh:
            return sorted(beyond, key=lambda one: one.p_value)
        worst = min(fresh, key=lambda one: one.p_value)
        suspected.append((worst.first, worst.second))
        usable[worst.first, worst.second] = usable[worst.second, worst.first] = False


def _table(labels: Labels) -> IntArray:
    """First answers [item, annotator], -1 where there is none."""
    table = np.full((labels.items, labels.annotators), -1, dtype=np.int64)
    backwards = slice(None, None, -1)  # so that the first of several is written last
    table[labels.item[backwards], labels.annotator[backwards]] = labels.label[backwards]
    return table


def _accuracy(same: IntArray, shared: IntArray, usable: NDArray[np.bool_], classes: int) -> FloatArray:
    """[annotator] accuracies that explain how often pairs agree, by Huber's loss, so that single pairs do not take over.

    With one-coin errors the agreement of two beyond chance, (P - 1/K) / (1 - 1/K), is the product of (K a - 1) / (K - 1) of each.
    """
    beyond = (same / np.maximum(shared, 1) - 1 / classes) / (1 - 1 / classes)
    middle = float(np.median(beyond[usable])) if usable.any() else 0.0
    skill = np.full(len(same), np.sqrt(max(middle, 0.01)))
    typical = HUBER / np.sqrt(np.maximum(shared, 1))
    for _ in range(SWEEPS):
        off = np.abs(beyond - np.outer(skill, skill))
        weight = np.where(usable, shared * np.minimum(1.0, typical / np.maximum(off, 1e-12)), 0.0)
        for k in range(len(skill)):
            mass = float(weight[k] @ skill**2)
            skill[k] = np.clip(float(weight[k] @ (beyond[k] * skill)) / mass, -1.0, 1.0) if mass > 0 else skill[k]
    return (1 + (classes - 1) * np.maximum(skill, -1 / (classes - 1))) / classes


def _tested(table: IntArray, accuracy: FloatArray, pairs: list[tuple[int, int]], *, classes: int) -> list[Copy]:
    there, found = table >= 0, list[Copy]()
    reach = np.where(there, accuracy, 0.0)
    for a, b in pairs:
        both = there[:, a] & there[:, b]
        agreed, count = int(np.sum(table[both, a] == table[both, b])), int(both.sum())
        expected = _expected(
            table[both], reach[both], (a, b), own=_agree(accuracy[a], accuracy[b], classes), classes=classes
        )
        p_value = float(stats.binom.sf(agreed - 1, count, min(expected / count, 1.0)))
        found.append(Copy(a, b, agreed, expected, count, p_value))
    return found


def _agree(first: FloatArray, second: FloatArray, classes: int) -> FloatArray:
    """How often two of some accuracy agree."""
    return np.asarray(first * second + (1 - first) * (1 - second) / (classes - 1))


def _expected(table: IntArray, reach: FloatArray, pair: tuple[int, int], *, own: FloatArray, classes: int) -> float:
    """Expected number of equal answers of a pair on shared questions [question, annotator]; `reach` is who answered's accuracy."""
    others = np.delete(table, pair, axis=1)
    size = np.sum(others >= 0, axis=1)
    votes = np.stack([np.sum(others == one, axis=1) for one in range(classes)], axis=1)
    among = np.sum(votes * (votes - 1), axis=1) / np.maximum(size * (size - 1), 1)
    typical = np.delete(reach, pair, axis=1).sum(axis=1) / np.maximum(size, 1)
    scaled = np.minimum(among * own / _agree(typical, typical, classes), 1.0)
    return float(max(np.sum(np.where(size >= 2, scaled, own)), float(own) * len(table)))


def bursts(seconds: FloatArray, typical: float, config: DetectConfig) -> list[Burst]:
    """Stretches of at least `burst` answers that each took less than `fast` times the typical time [answer]; NaN ends one."""
    rushed = np.concatenate([[False], seconds < config.fast * typical, [False]])
    edges = np.flatnonzero(rushed[1:] != rushed[:-1])
    return [
        Burst(int(start), int(end - start))
        for start, end in zip(edges[::2], edges[1::2], strict=True)
        if end - start >= config.burst
    ]
