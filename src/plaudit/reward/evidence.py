"""What all kinds of answers have in common: who answered and how, and what a kind has to say of itself.

Values are in log-odds units, the unit of returns. What an annotator judges is not quite the value: where the user asks
for it, what distracts people (which segment was shown first, which is longer) is added to it, and how rational the
annotator is multiplies it. `heard` does both, for every kind; densities see only the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from plaudit.stats.choice import Noise

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AnswerModel:
    """How annotators turn values into answers; estimated on held-out answers.

    What is None is not part of the model, and leaves no trace in its file.
    """

    lapse: float = 0.0
    """share of answers given at random"""
    thresholds: tuple[float, ...] = (0.0,)
    """of comparisons: below the first it is a tie, further ones divide the grades of strength"""
    cuts: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """of ratings, by number of levels"""
    step_cut: float = 0.0
    """value at which a step is as often called good as bad"""
    flag_cut: float | None = None
    """of a cost head: value at which a segment is as often flagged as not"""
    ties: dict[str, list[float]] | None = None
    """of rankings, by number of segments: prevalence of ties of two, of three, ..."""
    noise: Noise | None = None
    """of comparisons; None: logistic"""
    nuisance: dict[str, float] | None = None
    """log-odds for what is no merit: `position`, first on the screen against last; `length`, per step"""
    rationality: dict[str, float] | None = None
    """by annotator, what values are multiplied with; 1 for the population"""
    lapses: dict[str, float] | None = None
    """by annotator; `lapse` for the population"""
    stretch: dict[str, list[float]] | None = None
    """by annotator, shift of the cut-points of ratings and scale about their middle; 0 and 1 for the population"""
    timing: tuple[float, float, float, float] | None = None
    """of comparisons: mean seconds of a decision between equals, seconds besides deciding, what values are multiplied with
    where times are concerned (0 where times say nothing), and the longest time in seconds"""

    @property
    def flag_at(self) -> float:
        """`flag_cut`, or 0 before there is one."""
        return 0.0 if self.flag_cut is None else self.flag_cut


class Densities(Protocol):
    """What `plaudit.stats.choice` and `plaudit.ops.preference` have in common; values are arrays or tensors."""

    def comparison(
        self, difference: Any, side: IntArray, grade: IntArray, thresholds: Any, *, lapse: Any, noise: Noise | None
    ) -> Any:
        """Log probability of comparisons."""

    def rating(self, value: Any, grade: IntArray, cuts: Any, *, lapse: Any) -> Any:
        """Log probability of grades."""

    def step(self, value: Any, score: FloatArray, cut: float, *, lapse: Any) -> Any:
        """Log likelihood of step scores."""

    def ranking(self, value: Any, ranks: IntArray, stages: IntArray, prevalence: Any, *, lapse: Any) -> Any:
        """Log probability of orders."""

    def response_time(
        self, log_odds: Any, seconds: FloatArray, longest_mean: float, *, motor: float, outlier: float, longest: float
    ) -> Any:
        """Log density of times."""


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


@dataclass(frozen=True, slots=True)
class Asked:
    """Who answered, and what might have distracted them."""

    names: tuple[str, ...]
    """annotators of all kinds of answers"""
    who: IndexArray
    """[answer] which of `names` answered"""
    nuisance: Mapping[str, FloatArray]
    """[answer, judgement] what `AnswerModel.nuisance` is multiplied with, where the kind has a place for it"""

    def of(self, table: Mapping[str, float], usual: float, rows: IndexArray) -> FloatArray:
        """[answer] what a table says of the annotators, `usual` where it says nothing."""
        return np.array([table.get(name, usual) for name in self.names])[self.who[rows]]


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

    @property
    def asked(self) -> Asked | None:
        """Who was asked, and how; None where nobody was."""
        ...

    def look(self, rows: IndexArray, crop: int, rng: np.random.Generator | None) -> Look:
        """Which steps to look at: `crop` of each segment, or all of them without `rng`."""
        ...

    def values(self, rewards: Tensor, weights: Tensor, rows: IndexArray) -> Tensor:
        """[member, answer, segment, step] rewards of a look to [member, answer, judgement] values; linear in the rewards."""
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


def heard(asked: Asked | None, values: Any, rows: IndexArray, annotators: AnswerModel) -> tuple[Any, Any]:
    """Values as their annotators judge them, and the share of answers that each gives at random.

    rationality (value + sum over nuisances of weight times covariate). Values come back as they are where the model says
    nothing of either.
    """
    if asked is None:
        return values, annotators.lapse
    for name, weight in (annotators.nuisance or {}).items():
        if name in asked.nuisance:
            values = values + like(weight * asked.nuisance[name][rows], values)
    if annotators.rationality is not None:
        values = like(asked.of(annotators.rationality, 1.0, rows)[:, None], values) * values
    if annotators.lapses is None:
        return values, annotators.lapse
    return values, asked.of(annotators.lapses, annotators.lapse, rows)


def like(array: NDArray[Any], values: Any) -> Any:
    """An array of the same sort as `values`: torch's or numpy's."""
    return values.new_tensor(array) if isinstance(values, Tensor) else array


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
