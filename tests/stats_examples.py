"""Answers drawn from known values, for the tests of statistics and for benchmarks/feedback_statistics.py."""

import numpy as np
from scipy.special import expit

from plaudit.stats.crowd import Labels
from plaudit.stats.ranking import Comparisons, bradley_terry

N = np.nan
TEXTBOOK = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
    ]
).T
"""Krippendorff's example: [unit, annotator]"""


def labels_of(rows, items, annotators, classes):
    item, who, label = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return Labels(item, who, label, items, annotators, classes)


def three_classes() -> tuple[Labels, np.ndarray, np.ndarray]:
    """300 items, 5 of 20 annotators each: the same draws as benchmarks/feedback_statistics.py gives to crowd-kit."""
    rng = np.random.default_rng(11)
    truth, accuracy = rng.integers(0, 3, 300), rng.uniform(0.4, 0.95, 20)
    rows = []
    for item in range(300):
        for who in rng.choice(20, 5, replace=False):
            right = rng.random() < accuracy[who]
            rows.append((item, int(who), int(truth[item] if right else (truth[item] + rng.integers(1, 3)) % 3)))
    return labels_of(rows, 300, 20, 3), truth, accuracy


def draw(rng: np.random.Generator, items: int, count: int, *, tie: float = 0.0, order: float = 0.0, scale: float = 1.0):
    """Comparisons from known values."""
    value = rng.normal(size=items) * scale
    first = rng.integers(0, items, count)
    second = (first + rng.integers(1, items, count)) % items
    felt = value[first] - value[second] + order + rng.logistic(size=count)
    side = np.where(np.abs(felt) < tie, 0, np.sign(felt)).astype(np.int64)
    return Comparisons(first, second, side, items), value


def golden() -> Comparisons:
    """300 comparisons of 12 items: the same draws as benchmarks/feedback_statistics.py gives to choix and evalica."""
    return draw(np.random.default_rng(7), 12, 300)[0]


def crowd(seed: int, *, annotators: int = 20, labels: int = 200, items: int = 50, tie: float = 0.0):
    """Comparisons by annotators with reliabilities between chance and certainty."""
    rng = np.random.default_rng(seed)
    eta, value = rng.uniform(0.5, 1.0, annotators), rng.normal(size=items) * 1.5
    who = np.repeat(np.arange(annotators), labels)
    first = rng.integers(0, items, len(who))
    second = (first + rng.integers(1, items, len(who))) % items
    turned = np.where(rng.random(len(who)) < eta[who], 1, -1)
    felt = turned * (value[first] - value[second]) + rng.logistic(size=len(who))
    side = np.where(np.abs(felt) < tie, 0, np.sign(felt)).astype(np.int64)
    return Comparisons(first, second, side, items), who, eta, value


def biased(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """200 answers of one biased annotator among 20 of no bias on average: which side was taken, known and fitted advantages, bias."""
    rng = np.random.default_rng(seed)
    items, people, labels = 30, 20, 200
    value, bias = rng.normal(size=items) * 1.5, rng.uniform(-1.0, 1.0, people)
    who = np.repeat(np.arange(people), labels)
    first = rng.integers(0, items, len(who))
    second = (first + rng.integers(1, items, len(who))) % items
    advantage = value[first] - value[second]
    took = rng.random(len(who)) < expit(advantage + bias[who])
    fit = bradley_terry(Comparisons(first, second, np.where(took, 1, -1), items), scale=3.0)
    fitted = fit.value[first] - fit.value[second]
    mine = who == 0
    return took[mine].astype(float), advantage[mine], fitted[mine], float(bias[0])
