"""Orders, choices and flags as evidence: answers about the returns of whole segments.

A ranking, a demonstration (chosen over the policy's own samples) and a correction (chosen over what it corrects) differ
only in how many choices were made and what was there to choose from, so one class holds all three. A kind of its own
needs no more than `log_prob` on top of `Returns`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from plaudit.reward.evidence import (
    AnswerModel,
    Asked,
    Densities,
    FloatArray,
    IndexArray,
    IntArray,
    Look,
    Prediction,
    heard,
    spread_evenly,
)
from plaudit.stats import choice


@dataclass(frozen=True, slots=True)
class Returns:
    """Answers whose values are the returns of their segments: [answer, segment]."""

    segments: IndexArray
    question: IndexArray
    lengths: IndexArray
    """[answer, segment] steps of the segments"""
    asked: Asked | None

    def look(self, rows: IndexArray, crop: int, rng: np.random.Generator | None) -> Look:
        """See `Evidence`."""
        return spread_evenly(self.lengths[rows], crop, rng)

    def values(self, rewards: Tensor, weights: Tensor, rows: IndexArray) -> Tensor:
        """Return of each segment."""
        del rows
        return (rewards * weights).sum(-1)

    def judgements(self, rows: IndexArray) -> FloatArray:
        """See `Evidence`."""
        return np.ones(len(rows))

    def calibrate(self, annotators: AnswerModel, values: FloatArray) -> AnswerModel:
        """Nothing but the returns plays a part."""
        del values
        return annotators

    def predict(self, annotators: AnswerModel, values: FloatArray) -> Prediction:
        """No prediction."""
        del annotators, values
        return Prediction(np.zeros(0), np.zeros(0))


@dataclass(frozen=True, slots=True)
class Choices(Returns):
    """Orders of segments, or the best of them: Plackett-Luce with ties. All answers are about equally many segments."""

    ranks: IntArray
    """[answer, segment] 0 for the best, equal for ties"""
    stages: IntArray
    """[answer] how many choices were made: 1 where only the best is known"""
    ties: bool
    """whether the form allowed ties"""

    def log_prob(self, values: Any, rows: IndexArray, annotators: AnswerModel, densities: Densities) -> Any:
        """See `Evidence`."""
        values, lapse = heard(self.asked, values, rows, annotators)
        return densities.ranking(values, self.ranks[rows], self.stages[rows], self._prevalence(annotators), lapse=lapse)

    def judgements(self, rows: IndexArray) -> FloatArray:
        """Choices between at least two."""
        left = self.ranks[rows, :, None] >= np.arange(int(self.stages.max()))
        real = (left.sum(axis=1) > 1) & (np.arange(left.shape[2]) < self.stages[rows][:, None])
        return np.maximum(real.sum(axis=1), 1).astype(np.float64)

    def calibrate(self, annotators: AnswerModel, values: FloatArray) -> AnswerModel:
        """Ties of every size are as frequent as they were."""
        if not self.ties:
            return annotators
        values, _ = heard(self.asked, values, np.arange(len(values)), annotators)
        found = choice.tie_prevalence(values, self.ranks, self.stages)
        return replace(annotators, ties=(annotators.ties or {}) | {str(self.ranks.shape[1]): found})

    def predict(self, annotators: AnswerModel, values: FloatArray) -> Prediction:
        """Which segment is best, where one is."""
        rows = np.flatnonzero((self.ranks == 0).sum(axis=1) == 1)
        value, lapse = heard(self.asked, values[rows], rows, annotators)
        share = np.exp(value - value.max(axis=1, initial=-np.inf, keepdims=True))
        best = (share / share.sum(axis=1, keepdims=True)).max(axis=1, initial=0.0)
        right = self.ranks[rows, value.argmax(axis=1)] == 0
        return Prediction((1 - lapse) * best + lapse / value.shape[1], right.astype(np.float64))

    def _prevalence(self, annotators: AnswerModel) -> list[float]:
        return (annotators.ties or {}).get(str(self.ranks.shape[1]), []) if self.ties else []


@dataclass(frozen=True, slots=True)
class Flags(Returns):
    """Whether segments violate a constraint, by their cost: Bernoulli with soft labels, P(flag) = sigmoid(cost - cut)."""

    severity: FloatArray
    """[answer, 1] 0 no violation, 1 the worst"""

    def log_prob(self, values: Any, rows: IndexArray, annotators: AnswerModel, densities: Densities) -> Any:
        """See `Evidence`."""
        values, lapse = heard(self.asked, values, rows, annotators)
        lapse = lapse[:, None] if isinstance(lapse, np.ndarray) else lapse
        return densities.step(values, self.severity[rows], annotators.flag_at, lapse=lapse)[..., 0]

    def calibrate(self, annotators: AnswerModel, values: FloatArray) -> AnswerModel:
        """The mean severity is as high as it was, up to half an answer."""
        values, _ = heard(self.asked, values, np.arange(len(values)), annotators)
        share = (float(self.severity.sum()) + 0.5) / (len(self.severity) + 1)
        return replace(annotators, flag_cut=choice.cut_at(values[:, 0], 1 - share))

    def predict(self, annotators: AnswerModel, values: FloatArray) -> Prediction:
        """Flagged or not, whatever is likelier."""
        values, lapse = heard(self.asked, values, np.arange(len(values)), annotators)
        flagged = np.exp(choice.step(values[:, 0], np.ones(len(values)), annotators.flag_at, lapse=lapse))
        severity = self.severity[:, 0]
        return Prediction(np.maximum(flagged, 1 - flagged), np.where(flagged >= 0.5, severity, 1 - severity))
