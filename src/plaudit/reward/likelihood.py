"""What answers say about rewards. One class per kind of feedback: answers as arrays, and their likelihood.

A class says which steps of its segments it looks at, how their rewards become the values that annotators judge, and
which density of `plaudit.ops.preference` (for gradients) or its twin `plaudit.stats.choice` (for everything else) the
answers have. Values are in log-odds units, the unit of returns. The log likelihood of all answers is a sum, whatever
their kinds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from plaudit.stats import choice

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
IntArray = NDArray[np.int64]
GRADES = 4
"""grades that a comparison's strength in (0, 1] is read in: up to 1/4, 1/2, 3/4, 1"""


@dataclass(frozen=True, slots=True)
class AnswerModel:
    """How annotators turn values into answers; estimated on held-out answers by the method of moments."""

    lapse: float = 0.0
    """share of answers given at random"""
    thresholds: tuple[float, ...] = (0.0,)
    """of comparisons: below the first it is a tie, further ones divide the grades of strength"""
    cuts: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """of ratings, by number of levels"""
    step_cut: float = 0.0
    """value at which a step is as often called good as bad"""


class Densities(Protocol):
    """What `plaudit.stats.choice` and `plaudit.ops.preference` have in common; values are arrays or tensors."""

    def comparison(self, difference: Any, side: IntArray, grade: IntArray, thresholds: Any, *, lapse: float) -> Any:
        """Log probability of comparisons."""

    def rating(self, value: Any, grade: IntArray, cuts: Any, *, lapse: float) -> Any:
        """Log probability of grades."""

    def step(self, value: Any, score: FloatArray, cut: float, *, lapse: float) -> Any:
        """Log likelihood of step scores."""


@dataclass(frozen=True, slots=True)
class Look:
    """Steps that stand for a segment."""

    positions: IndexArray
    """[answer, segment, step] which steps"""
    weights: NDArray[np.float32]
    """[answer, segment, step] how many steps each stands for; 0 on padding"""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of answers that can be predicted right or wrong."""

    confidence: FloatArray
    """[judgement] probability of the likeliest answer"""
    right: FloatArray
    """[judgement] 1 where that was the answer, 0 where not; between for soft labels"""


class Evidence(Protocol):
    """Answers of one kind. `rows` picks some of them; a value array is [..., answer, judgement]."""

    @property
    def segments(self) -> IndexArray:
        """[answer, segment] which segments an answer is about."""
        ...

    @property
    def question(self) -> IndexArray:
        """[answer] number of the question, counted over all kinds in the order of first answers."""
        ...

    def look(self, rows: IndexArray, crop: int, rng: np.random.Generator | None) -> Look:
        """Which steps to look at: `crop` of each segment, or all of them without `rng`."""
        ...

    def values(self, rewards: Tensor, weights: Tensor, rows: IndexArray) -> Tensor:
        """[member, answer, segment, step] rewards of a look to [member, answer, judgement] values."""
        ...

    def log_prob(self, values: Any, rows: IndexArray, annotators: AnswerModel, densities: Densities) -> Any:
        """[..., answer] log likelihood."""
        ...

    def judgements(self, rows: IndexArray) -> FloatArray:
        """[answer] how many judgements an answer holds."""
        ...

    def calibrate(self, annotators: AnswerModel, values: FloatArray) -> AnswerModel:
        """Cut-points that explain the shares of the answers, given [answer, judgement] values."""
        ...

    def predict(self, annotators: AnswerModel, values: FloatArray) -> Prediction:
        """How sure, and how right, the likeliest answers are, given [answer, judgement] values."""
        ...


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
        side, grade = self.side[rows], self.grade[rows]
        return densities.comparison(values[..., 0], side, grade, annotators.thresholds, lapse=annotators.lapse)

    def judgements(self, rows: IndexArray) -> FloatArray:
        """See `Evidence`."""
        return np.ones(len(rows))

    def calibrate(self, annotators: AnswerModel, values: FloatArray) -> AnswerModel:
        """Ties are as frequent as they were. Without ties and grades this is plain Bradley-Terry."""
        both = np.concatenate([values[:, 0], -values[:, 0]])
        ties = float(np.sum(self.side == 0)) / (len(values) + 1)
        graded = self.grade[self.grade > 0]
        steps = np.arange(1, GRADES) if len(graded) else np.arange(0)
        # grades that nobody gave keep a small share, so that their first answer is a surprise and no impossibility
        below = np.array([(np.sum(graded <= step) + step / GRADES) / (len(graded) + 1) for step in steps])
        shares = np.concatenate([[ties], ties + (1 - ties) * below])
        thresholds = tuple(choice.cut_at(both, (1 + share) / 2) if share > 0 else 0.0 for share in shares.tolist())
        return replace(annotators, thresholds=thresholds)

    def predict(self, annotators: AnswerModel, values: FloatArray) -> Prediction:
        """Ties are left out: the likeliest answer is hardly ever a tie."""
        value, side = values[self.side != 0, 0], self.side[self.side != 0]
        ungraded = np.zeros_like(side)
        first = choice.comparison(value, np.ones_like(side), ungraded, annotators.thresholds, lapse=annotators.lapse)
        second = choice.comparison(value, -np.ones_like(side), ungraded, annotators.thresholds, lapse=annotators.lapse)
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

    def look(self, rows: IndexArray, crop: int, rng: np.random.Generator | None) -> Look:
        """See `Evidence`."""
        return spread_evenly(self.lengths[rows], crop, rng)

    def values(self, rewards: Tensor, weights: Tensor, rows: IndexArray) -> Tensor:
        """Mean reward, times the average length."""
        del rows
        return float(self.lengths.mean()) * (rewards * weights).sum(-1) / weights.sum(-1)

    def log_prob(self, values: Any, rows: IndexArray, annotators: AnswerModel, densities: Densities) -> Any:
        """See `Evidence`."""
        return densities.rating(values[..., 0], self.grade[rows], self._cuts(annotators), lapse=annotators.lapse)

    def judgements(self, rows: IndexArray) -> FloatArray:
        """See `Evidence`."""
        return np.ones(len(rows))

    def calibrate(self, annotators: AnswerModel, values: FloatArray) -> AnswerModel:
        """Every grade is as frequent as it was, up to half an answer."""
        steps = np.arange(1, self.levels)
        below = [(float(np.sum(self.grade < step)) + step / self.levels) / (len(self.grade) + 1) for step in steps]
        cuts = [choice.cut_at(values[:, 0], share) for share in below]
        return replace(annotators, cuts=annotators.cuts | {str(self.levels): cuts})

    def predict(self, annotators: AnswerModel, values: FloatArray) -> Prediction:
        """The likeliest grade."""
        grades = np.arange(self.levels)[:, None]
        cuts = self._cuts(annotators)
        chances = np.exp(choice.rating(values[:, 0], grades, cuts, lapse=annotators.lapse))
        return Prediction(chances.max(axis=0), np.asarray(chances.argmax(axis=0) == self.grade, dtype=np.float64))

    def _cuts(self, annotators: AnswerModel) -> list[float]:
        return annotators.cuts[str(self.levels)]


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
        each = densities.step(values, self.scores[rows], annotators.step_cut, lapse=annotators.lapse)
        judged = self.judged[rows]
        return (each * (each.new_tensor(judged) if isinstance(each, Tensor) else judged)).sum(-1)

    def judgements(self, rows: IndexArray) -> FloatArray:
        """See `Evidence`."""
        return self.judged[rows].sum(axis=1).astype(np.float64)

    def calibrate(self, annotators: AnswerModel, values: FloatArray) -> AnswerModel:
        """The mean score is as high as it was, up to half a step."""
        scores = self.scores[self.judged]
        good = (float(scores.sum()) + 0.5) / (len(scores) + 1)
        return replace(annotators, step_cut=choice.cut_at(values[self.judged], 1 - good))

    def predict(self, annotators: AnswerModel, values: FloatArray) -> Prediction:
        """Good or bad, whatever is likelier."""
        value, score = values[self.judged], self.scores[self.judged]
        good = np.exp(choice.step(value, np.ones_like(value), annotators.step_cut, lapse=annotators.lapse))
        return Prediction(np.maximum(good, 1 - good), np.where(good >= 0.5, score, 1 - score))


def spread_evenly(lengths: IndexArray, crop: int, rng: np.random.Generator | None) -> Look:
    """All steps of segments where that is asked for (`rng` None) or cheap; else one random step of each of `crop` equal parts.

    The weighted sum of such a sample is an unbiased estimate of the sum over all steps, and a precise one where
    neighbouring steps are alike.
    """
    longest = int(lengths.max())
    if rng is None or longest <= crop:
        steps = np.arange(longest)
        mask = steps < lengths[..., None]
        return Look(np.where(mask, steps, 0), mask.astype(np.float32))
    places = np.arange(crop) + rng.random((*lengths.shape, crop))
    positions = (places * (lengths[..., None] / crop)).astype(np.intp)
    weights = np.repeat((lengths[..., None] / crop).astype(np.float32), crop, axis=-1)
    return Look(np.minimum(positions, lengths[..., None] - 1), weights)
