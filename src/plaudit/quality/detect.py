"""Who does not look, who copies, who rushes. Each test states its error rate over all annotators together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from plaudit.stats.crowd import Labels, OneCoin

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DetectConfig:
    """When an annotator is suspected."""

    error_rate: float = 0.01
    """what each of the tests of spam, pattern and copying aims at as the probability that anybody honest is suspected
    (Bonferroni); `python -m benchmarks.recovery` measures what it comes to, which is more for copying"""
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


def copies(labels: Labels, model: OneCoin, config: DetectConfig) -> list[Copy]:
    """Pairs of annotators who agree too often, worst first, at `error_rate` over all pairs.

    Expected is how often the others agree on the same questions, so that a question that all find easy is no evidence, times what the
    one-coin model says of this pair against those others; but no less than the model says by itself. The tail is that of a
    binomial with the same mean: a sum of unequal chances has no heavier one far out (Hoeffding 1956, theorem 5).
    """
    table, reach = _tables(labels, model)
    there = table >= 0
    shared = there.T.astype(np.int64) @ there.astype(np.int64)
    pairs = np.argwhere(np.triu(shared >= config.least, 1))
    found: list[Copy] = []
    for a, b in pairs:
        both = there[:, a] & there[:, b]
        mine, theirs = table[both, a], table[both, b]
        expected = _expected(table[both], reach[both], model, (int(a), int(b)))
        agreed, count = int(np.sum(mine == theirs)), len(mine)
        p_value = float(stats.binom.sf(agreed - 1, count, min(expected / count, 1.0)))
        if p_value * len(pairs) < config.error_rate:
            found.append(Copy(int(a), int(b), agreed, expected, count, p_value))
    return sorted(found, key=lambda one: one.p_value)


def _tables(labels: Labels, model: OneCoin) -> tuple[IntArray, FloatArray]:
    """First answers [item, annotator], -1 where there is none, and the accuracy of whoever gave each, 0 where there is none."""
    table = np.full((labels.items, labels.annotators), -1, dtype=np.int64)
    backwards = slice(None, None, -1)  # so that the first of several is written last
    table[labels.item[backwards], labels.annotator[backwards]] = labels.label[backwards]
    return table, np.where(table >= 0, model.accuracy, 0.0)


def _expected(table: IntArray, reach: FloatArray, model: OneCoin, pair: tuple[int, int]) -> float:
    """Expected number of equal answers of a pair on shared questions [question, annotator]."""
    classes = model.posterior.shape[1]

    def agree(first: FloatArray | float, second: FloatArray | float) -> FloatArray:
        return np.asarray(first * second + (1 - first) * (1 - second) / (classes - 1))

    own = float(agree(float(model.accuracy[pair[0]]), float(model.accuracy[pair[1]])))
    others = np.delete(table, pair, axis=1)
    size = np.sum(others >= 0, axis=1)
    votes = np.stack([np.sum(others == one, axis=1) for one in range(classes)], axis=1)
    among = np.sum(votes * (votes - 1), axis=1) / np.maximum(size * (size - 1), 1)
    typical = np.delete(reach, pair, axis=1).sum(axis=1) / np.maximum(size, 1)
    scaled = np.minimum(among * own / agree(typical, typical), 1.0)
    return float(max(np.sum(np.where(size >= 2, scaled, own)), own * len(table)))


def bursts(seconds: FloatArray, typical: float, config: DetectConfig) -> list[Burst]:
    """Stretches of at least `burst` answers that each took less than `fast` times the typical time [answer]; NaN ends one."""
    rushed = np.concatenate([[False], seconds < config.fast * typical, [False]])
    edges = np.flatnonzero(rushed[1:] != rushed[:-1])
    return [
        Burst(int(start), int(end - start))
        for start, end in zip(edges[::2], edges[1::2], strict=True)
        if end - start >= config.burst
    ]
