"""Answers of a simulated annotator who looks, one function for each kind of question. They are unsigned: `Teacher` adds who and how long.

Each is a noisily rational choice by perceived value (`ask.perception`), so the likelihoods of `reward/likelihood.py` describe it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from plaudit.ask.perception import FloatArray, Seen, conflict, favours, liked, weights, worth
from plaudit.ask.teacher_config import TeacherConfig
from plaudit.errors import RecordError
from plaudit.records import Choice, Comparison, Query, Ranking, Rating, StepFeedback


@dataclass(frozen=True, slots=True)
class Mind:
    """An annotator at one question."""

    config: TeacherConfig
    rng: np.random.Generator
    """the answer's own stream"""
    skips: bool
    lapses: bool

    def noise(self, size: int) -> FloatArray:
        """Logistic: difference + noise > 0 has probability sigmoid(difference / temperature)."""
        return self.config.temperature * self.rng.logistic(size=size)


def compare(mind: Mind, query: Query, seen: Sequence[Seen]) -> tuple[Comparison, float]:
    """A comparison, and the gap between what both are worth to the annotator."""
    config = mind.config
    rewards = [liked(one, config.taste) for one in seen]
    bonus = favours(config, query, [len(one) for one in rewards])
    gap = worth(rewards[0], config.discount) - worth(rewards[1], config.discount) + (bonus[0] - bonus[1])
    felt = gap + mind.noise(1).item()
    if mind.skips:
        choice = Choice.SKIP
    elif conflict(config, *seen):
        choice = Choice.INCOMPARABLE
    elif _finds_equal(config, *rewards):
        choice = Choice.TIE
    elif mind.lapses:
        choice = (Choice.FIRST, Choice.SECOND)[int(mind.rng.integers(2))]
    elif felt == 0:
        choice = Choice.TIE
    else:
        choice = Choice.FIRST if felt > 0 else Choice.SECOND
    return Comparison(id="", query=query.id, annotator="", choice=choice), gap


def rate(mind: Mind, query: Query, seen: Seen) -> tuple[Rating, float]:
    """A grade, and how far the return is from the nearest cut-point."""
    if query.levels is None:
        raise RecordError("A rating query declares no scale", got=query.id, expected="levels")
    low, high = mind.config.scale
    rewards = liked(seen, mind.config.taste)
    weigh = weights(mind.config.discount, len(rewards))
    judged = rewards if weigh is None else rewards * (weigh * len(rewards) / weigh.sum())
    value = (judged.sum() + mind.noise(1).item()) / len(rewards)
    cuts = low + (high - low) * np.arange(1, query.levels) / query.levels
    grade = int(mind.rng.integers(query.levels)) if mind.lapses else int(np.searchsorted(cuts, value, side="right"))
    gap = float(np.min(np.abs(judged.sum() - cuts * len(rewards))))
    given = None if mind.skips else grade
    return Rating(id="", query=query.id, annotator="", value=given, levels=query.levels), gap


def score(mind: Mind, query: Query, seen: Seen) -> StepFeedback:
    """A score for every step."""
    low, high = mind.config.scale
    rewards = liked(seen, mind.config.taste)
    noisy = rewards + mind.noise(len(rewards))
    scores = mind.rng.random(len(rewards)) if mind.lapses else np.clip((noisy - low) / (high - low), 0.0, 1.0)
    return StepFeedback(
        id="",
        query=query.id,
        annotator="",
        steps=() if mind.skips else tuple(range(len(rewards))),
        scores=() if mind.skips else tuple(scores.tolist()),
    )


def rank(mind: Mind, query: Query, seen: Sequence[Seen]) -> Ranking:
    """An order by return plus Gumbel noise, which is Plackett and Luce's (Yellott 1977); neighbours that seem equal share a place."""
    config = mind.config
    rewards = [liked(one, config.taste) for one in seen]
    returns = np.array([worth(one, config.discount) for one in rewards])
    felt = returns + favours(config, query, [len(one) for one in rewards])
    felt = felt + config.temperature * mind.rng.gumbel(size=len(seen))
    order = mind.rng.permutation(len(seen)) if mind.lapses else np.argsort(-felt, kind="stable")
    ranks, place = np.zeros(len(seen), dtype=np.int64), 0
    for before, after in pairwise(order.tolist()):
        same = _finds_equal(config, rewards[before], rewards[after]) or felt[before] == felt[after]
        place += not same
        ranks[after] = place
    return Ranking(id="", query=query.id, annotator="", ranks=() if mind.skips else tuple(ranks.tolist()))


def sees_nothing_good(config: TeacherConfig, seen: Sequence[Seen]) -> bool:
    """Whether no segment's mean reward is above `skip_below`."""
    if config.skip_below == 0:
        return False
    low, high = config.scale
    best = max(float(liked(one, config.taste).mean()) for one in seen)
    return best <= low + config.skip_below * (high - low)


def _finds_equal(config: TeacherConfig, first: FloatArray, second: FloatArray) -> bool:
    if config.equal == 0:
        return False
    low, high = config.scale
    steps = (len(first) + len(second)) / 2
    return abs(float(first.sum() - second.sum())) < config.equal * (high - low) * steps
