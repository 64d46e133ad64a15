"""Densities of answers for gradients: torch twins of `plaudit.stats.choice`, tested equal to it.

Values are tensors; what was answered comes as numpy arrays and is used without copying. Citations stand in the twin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def log_interval(value: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """log P(lower < value + standard logistic noise < upper); bounds may be infinite."""
    low, high = lower - value, upper - value
    return logsigmoid(high) + logsigmoid(-low) + torch.log(-torch.expm1(low - high))


def mix_lapse(log_prob: Tensor, chance: Tensor, lapse: float) -> Tensor:
    """log((1 - lapse) P + lapse chance)."""
    if lapse == 0:
        return log_prob
    return torch.logaddexp(log_prob + math.log1p(-lapse), torch.log(lapse * chance))


def comparison(
    difference: Tensor, side: IntArray, grade: IntArray, thresholds: Sequence[float], *, lapse: float = 0.0
) -> Tensor:
    """Log probability of comparisons: Bradley-Terry with ties and graded strength; see `plaudit.stats.choice.comparison`."""
    limits = np.array([*thresholds, np.inf])
    decided, graded = side != 0, grade > 0
    lower = np.where(decided, limits[np.maximum(grade - 1, 0)], -limits[0])
    upper = np.where(decided, np.where(graded, limits[grade], np.inf), limits[0])
    chance = np.where(decided, np.where(graded, 0.5 / len(thresholds), 0.5), 0.0)
    sign = np.where(decided, side, 1)
    value = _like(sign, difference) * difference
    return mix_lapse(log_interval(value, _like(lower, value), _like(upper, value)), _like(chance, value), lapse)


def rating(value: Tensor, grade: IntArray, cuts: Sequence[float], *, lapse: float = 0.0) -> Tensor:
    """Log probability of grades 0 .. len(cuts): cumulative logit."""
    limits = np.array([-np.inf, *cuts, np.inf])
    inside = log_interval(value, _like(limits[grade], value), _like(limits[grade + 1], value))
    return mix_lapse(inside, _like(np.array(1.0 / (len(cuts) + 1)), value), lapse)


def step(value: Tensor, score: FloatArray, cut: float, *, lapse: float = 0.0) -> Tensor:
    """Log likelihood of scores in [0, 1] for steps: Bernoulli with soft labels."""
    half, label = _like(np.array(0.5), value), _like(score, value)
    good = mix_lapse(logsigmoid(value - cut), half, lapse)
    bad = mix_lapse(logsigmoid(cut - value), half, lapse)
    return label * good + (1.0 - label) * bad


def _like(array: NDArray[np.generic], other: Tensor) -> Tensor:
    return torch.as_tensor(array).to(dtype=other.dtype, device=other.device)
