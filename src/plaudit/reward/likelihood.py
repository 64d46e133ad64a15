"""What answers say about rewards. One class per kind of feedback: answers as arrays, and their likelihood.

A class says which steps of its segments it looks at, how their rewards become the values that annotators judge, and
which density of `plaudit.ops.preference` (for gradients) or its twin `plaudit.stats.choice` (for everything else) the
answers have. Values are in log-odds units, the unit of returns. The log likelihood of all answers is a sum, whatever
their kinds. Orders, choices and flags are in `plaudit.reward.choices`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from plaudit.reward.evidence import (
    AnswerModel,
    Asked,
    Densities,
    Evidence,
    FloatArray,
    IndexArray,
    IntArray,
    Look,
    Prediction,
    heard,
    like,
    spread_evenly,
)
from plaudit.stats import choice

GRADES = 4
"""grades that a comparison's strength in (0, 1] is read in: up to 1/4, 1/2, 3/4, 1"""
STRAY = 0.05
"""share of the times that have nothing to do with the question: people look away"""
__all__ = [
    "GRADES",
    "STRAY",
    "AnswerModel",
    "Comparisons",
    "Densities",
    "Evidence",
    "Look",
    "Prediction",
    "Ratings",
    "StepScores",
]


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Which of two segments has the higher return: Bradley-Terry with ties and grades."""

    segments: IndexArray
    question: IndexArray
    lengths: IndexArray
    """[answer, segment] steps of the segments"""
    side: IntArray
    """[answer] 1 the first is better, -1 the second, 0 a tie"""
    grade: IntArray
    """[answer] how much better, 1 .. GRADES; 0 when the form did not ask"""
    asked: Asked | None = None
    """who answered, and how; None for answers that nobody gave"""
    seconds: FloatArray | None = None
    """[answer] how long it took; NaN where nobody knows"""

    def look(self, rows: IndexArray, crop: int, rng: np.random.Generator | None) -> Look:
        """See `Evidence`."""
        return spread_evenly(self.lengths[rows], crop, rng)

    def values(self, rewards: Tensor, weights: Tensor, rows: IndexArray) -> Tensor:
        """Difference of the two returns."""
        del rows
        returns = (rewards * weights).sum(-1)
        return returns[..., :1] - returns[..., 1:]

    def log_prob(self, values: Any, rows: IndexArray, annotators: AnswerModel, densities: Densities) -> Any:
        """See `Evidence`."""
        values, lapse = heard(self.asked, values, rows, annotators)
        side, grade, limits = self.side[rows], self.grade[rows], annotators.thresholds
        said = densities.comparison(values[..., 0], side, grade, limits, lapse=lapse, noise=annotators.noise)
        if annotators.timing is None or self.seconds is None:
            return said
        mean, motor, says, longest = annotators.timing
        timed = self.timed[rows]
        seconds = np.where(timed, self.seconds[rows], longest)
        more = densities.response_time(
            says * values[..., 0], seconds, mean, motor=motor, outlier=STRAY, longest=longest
        )
        return said + like(timed, said) * more

    @property
    def timed(self) -> NDArray[np.bool_]:
        """[answer] whether the time says something: it is known, and one side was taken."""
        return (
            np.zeros(len(self.side), np.bool_) if self.seconds is None else np.isfinite(self.seconds) & (self.side != 0)
        )

    def judgements(self, rows: IndexArray) -> FloatArray:
        """See `Evidence`."""
        return np.ones(len(rows))

    def calibrate(self, annotators: AnswerModel, values: FloatArray) -> AnswerModel:
        """Ties are as frequent as they were. Without ties and grades this is plain Bradley-Terry."""
        values, _ = heard(self.asked, values, np.arange(len(values)), annotators)
        both = np.concatenate([values[:, 0], -values[:, 0]])
        ties = float(np.sum(self.side == 0)) / (len(values) + 1)
        graded = self.grade[self.grade > 0]
        steps = np.arange(1, GRADES) if len(graded) else np.arange(0)
        # grades that nobody gave keep a small share, so that their first answer is a surprise and no impossibility
        below = np.array([(np.sum(graded <= step) + step / GRADES) / (len(graded) + 1) for step in steps])
        shares = np.concatenate([[ties], ties + (1 - ties) * below])
        thresholds = tuple(
            choice.cut_at(both, (1 + share) / 2, annotators.noise) if share > 0 else 0.0 for share in shares.tolist()
        )
        return replace(annotators, thresholds=thresholds)

    def predict(self, annotators: AnswerModel, values: FloatArray) -> Prediction:
        """Ties are left out: the likeliest answer is hardly ever a tie."""
        rows = np.flatnonzero(self.side)
        side = self.side[rows]
        up = replace(self, side=np.ones_like(self.side), grade=np.zeros_like(self.grade))
        first = up.log_prob(values[rows], rows, annotators, choice)
        second = replace(up, side=-up.side).log_prob(values[rows], rows, annotators, choice)
        value = heard(self.asked, values[rows], rows, annotators)[0][:, 0]
        odds = np.abs(first - second)
        return Prediction(1 / (1 + np.exp(-odds)), np.where(value == 0, 0.5, np.sign(value) == side))


@dataclass(frozen=True, slots=True)
class Ratings:
    """Grades of single segments by their mean reward: cumulative logit.

    The mean counts as often as an average segment has steps, so that it has the unit and noise of a return.
    """

    segments: IndexArray
    question: IndexArray
    lengths: IndexArray
    """[answer, 1] steps of the segments"""
    grade: IntArray
    """[answer] 0 .. levels - 1"""
    levels: int
    """grades on the scale; answers on other scales are evidence of their own"""
    asked: Asked | None = None
    """who answered, and how; None for answers that nobody gave"""

    def look(self, rows: IndexArray, crop: int, rng: np.random.Generator | None) -> Look:
        """See `Evidence`."""
        return spread_evenly(self.lengths[rows], crop, rng)

    def values(self, rewards: Tensor, weights: Tensor, rows: IndexArray) -> Tensor:
        """Mean reward, times the average length."""
        del rows
        return float(self.lengths.mean()) * (rewards * weights).sum(-1) / weights.sum(-1)

    def log_prob(self, values: Any, rows: IndexArray, annotators: AnswerModel, densities: Densities) -> Any:
        """See `Evidence`."""
        values, lapse = heard(self.asked, values, rows, annotators)
        return densities.rating(values[..., 0], self.grade[rows], self._cuts(annotators, rows), lapse=lapse)

    def judgements(self, rows: IndexArray) -> FloatArray:
        """See `Evidence`."""
        return np.ones(len(rows))

    def calibrate(self, annotators: AnswerModel, values: FloatArray) -> AnswerModel:
        """Every grade is as frequent as it was, up to half an answer."""
        values, _ = heard(self.asked, values, np.arange(len(values)), annotators)
        steps = np.arange(1, self.levels)
        below = [(float(np.sum(self.grade < step)) + step / self.levels) / (len(self.grade) + 1) for step in steps]
        cuts = [choice.cut_at(values[:, 0], share) for share in below]
        return replace(annotators, cuts=annotators.cuts | {str(self.levels): cuts})

    def predict(self, annotators: AnswerModel, values: FloatArray) -> Prediction:
        """The likeliest grade."""
        rows = np.arange(len(values))
        each = [replace(self, grade=np.full(len(rows), grade)) for grade in range(self.levels)]
        chances = np.exp(np.stack([one.log_prob(values, rows, annotators, choice) for one in each]))
        return Prediction(chances.max(axis=0), np.asarray(chances.argmax(axis=0) == self.grade, dtype=np.float64))

    def _cuts(self, annotators: AnswerModel, rows: IndexArray) -> list[float] | FloatArray:
        """Cut-points of all, or [answer, level - 1] of the annotators: shifted, and stretched about their middle."""
        cuts = annotators.cuts[str(self.levels)]
        if self.asked is None or annotators.stretch is None:
            return cuts
        shift = self.asked.of({name: one[0] for name, one in annotators.stretch.items()}, 0.0, rows)
        scale = self.asked.of({name: one[1] for name, one in annotators.stretch.items()}, 1.0, rows)
        middle = float(np.mean(cuts))
        return middle + shift[:, None] + scale[:, None] * (np.array(cuts) - middle)


@dataclass(frozen=True, slots=True)
class StepScores:
    """Scores of single steps: Bernoulli with soft labels.

    A step is judged as if it went on for an average segment, which gives it the unit and noise of a return.
    """

    segments: IndexArray
    question: IndexArray
    positions: IndexArray
    """[answer, judgement] steps that were judged, padded with 0"""
    scores: FloatArray
    """[answer, judgement] 1 good, 0 bad"""
    judged: NDArray[np.bool_]
    """[answer, judgement] False on padding"""
    length: float
    """mean steps of the segments"""
    asked: Asked | None = None
    """who answered, and how; None for answers that nobody gave"""

    def look(self, rows: IndexArray, crop: int, rng: np.random.Generator | None) -> Look:
        """All judged steps: there is nothing to gain from a sample."""
        del crop, rng
        return Look(self.positions[rows][:, None], self.judged[rows][:, None].astype(np.float32))

    def values(self, rewards: Tensor, weights: Tensor, rows: IndexArray) -> Tensor:
        """Reward of each step, times the average length."""
        del weights, rows
        return self.length * rewards[:, :, 0]

    def log_prob(self, values: Any, rows: IndexArray, annotators: AnswerModel, densities: Densities) -> Any:
        """See `Evidence`."""
        values, lapse = heard(self.asked, values, rows, annotators)
        lapse = lapse[:, None] if isinstance(lapse, np.ndarray) else lapse
        each = densities.step(values, self.scores[rows], annotators.step_cut, lapse=lapse)
        return (each * like(self.judged[rows], each)).sum(-1)

    def judgements(self, rows: IndexArray) -> FloatArray:
        """See `Evidence`."""
        return self.judged[rows].sum(axis=1).astype(np.float64)

    def calibrate(self, annotators: AnswerModel, values: FloatArray) -> AnswerModel:
        """The mean score is as high as it was, up to half a step."""
        values, _ = heard(self.asked, values, np.arange(len(values)), annotators)
        scores = self.scores[self.judged]
        good = (float(scores.sum()) + 0.5) / (len(scores) + 1)
        return replace(annotators, step_cut=choice.cut_at(values[self.judged], 1 - good))

    def predict(self, annotators: AnswerModel, values: FloatArray) -> Prediction:
        """Good or bad, whatever is likelier."""
        values, lapse = heard(self.asked, values, np.arange(len(values)), annotators)
        value, score = values[self.judged], self.scores[self.judged]
        own = lapse if np.ndim(lapse) == 0 else np.broadcast_to(lapse[:, None], values.shape)[self.judged]
        good = np.exp(choice.step(value, np.ones_like(value), annotators.step_cut, lapse=own))
        return Prediction(np.maximum(good, 1 - good), np.where(good >= 0.5, score, 1 - score))
