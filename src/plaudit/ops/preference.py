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

from plaudit.stats.choice import FAR, PROBIT, Noise, grade_limits, ranking_chance, tie_weights
from plaudit.stats.choice import response_time as time_density

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def log_interval(value: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """log P(lower < value + standard logistic noise < upper); bounds may be infinite."""
    low, high = lower - value, upper - value
    return logsigmoid(high) + logsigmoid(-low) + torch.log(-torch.expm1(low - high))


def log_normal_interval(value: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """log P(lower < value + normal noise < upper); bounds may be infinite."""
    low, high = ((bound.clamp(-FAR * PROBIT, FAR * PROBIT) - value) / PROBIT for bound in (lower, upper))
    flip = low + high > 0
    near = torch.special.log_ndtr(torch.where(flip, -low, high))
    far = torch.special.log_ndtr(torch.where(flip, -high, low))
    return near + torch.log(-torch.expm1(far - near))


def mix_lapse(log_prob: Tensor, chance: Tensor, lapse: float | FloatArray) -> Tensor:
    """log((1 - lapse) P + lapse chance)."""
    if isinstance(lapse, np.ndarray):
        share = _like(lapse, log_prob)
        return torch.logaddexp(log_prob + torch.log1p(-share), torch.log(share * chance))
    if lapse == 0:
        return log_prob
    return torch.logaddexp(log_prob + math.log1p(-lapse), torch.log(lapse * chance))


def comparison(
    difference: Tensor,
    side: IntArray,
    grade: IntArray,
    thresholds: Sequence[float],
    *,
    lapse: float | FloatArray = 0.0,
    noise: Noise | None = None,
) -> Tensor:
    """Log probability of comparisons: Bradley-Terry with ties and graded strength; see `plaudit.stats.choice.comparison`."""
    limits = np.array([*thresholds, np.inf])
    decided, graded = side != 0, grade > 0
    lower = np.where(decided, limits[np.maximum(grade - 1, 0)], -limits[0])
    upper = np.where(decided, np.where(graded, limits[grade], np.inf), limits[0])
    chance = np.where(decided, np.where(graded, 0.5 / len(thresholds), 0.5), 0.0)
    sign = np.where(decided, side, 1)
    value = _like(sign, difference) * difference
    inside = log_normal_interval if noise is Noise.NORMAL else log_interval
    return mix_lapse(inside(value, _like(lower, value), _like(upper, value)), _like(chance, value), lapse)


def rating(
    value: Tensor, grade: IntArray, cuts: Sequence[float] | FloatArray, *, lapse: float | FloatArray = 0.0
) -> Tensor:
    """Log probability of grades 0 .. levels - 1: cumulative logit."""
    lower, upper, levels = grade_limits(grade, cuts)
    inside = log_interval(value, _like(lower, value), _like(upper, value))
    return mix_lapse(inside, _like(np.array(1.0 / levels), value), lapse)


def step(value: Tensor, score: FloatArray, cut: float, *, lapse: float | FloatArray = 0.0) -> Tensor:
    """Log likelihood of scores in [0, 1], of steps or of whole segments: Bernoulli with soft labels."""
    half, label = _like(np.array(0.5), value), _like(score, value)
    good = mix_lapse(logsigmoid(value - cut), half, lapse)
    bad = mix_lapse(logsigmoid(cut - value), half, lapse)
    return label * good + (1.0 - label) * bad


def ranking(
    value: Tensor,
    ranks: IntArray,
    stages: IntArray,
    prevalence: Sequence[float] = (),
    *,
    lapse: float | FloatArray = 0.0,
) -> Tensor:
    """Log probability of orders: Plackett-Luce with Davidson-Luce ties; see `plaudit.stats.choice.ranking`."""
    total = value.new_zeros(value.shape[:-1])
    logs = tie_weights(prevalence, value.shape[-1])
    for stage in range(int(stages.max(initial=0))):
        chosen, left = ranks == stage, ranks >= stage
        counts = chosen.any(axis=-1) & (stage < stages)
        size = np.maximum(chosen.sum(axis=-1), 1)
        # where the stage was not reached, all of it is replaced by zeros before anything infinite can be met
        here = torch.from_numpy(left | ~counts[:, None]).to(value.device)
        highest = value.detach().masked_fill(~here, -torch.inf).amax(-1, keepdim=True)
        relative = (value - highest).masked_fill(~here, 0.0)
        mass = torch.stack(_sets(relative, here, 1 + len(prevalence)), -1) @ value.new_tensor([1.0, *prevalence])
        mean = (relative * _like(chosen, value)).sum(-1) / _like(size, value)
        gain = _like(logs[size], value) + mean - mass.log()
        total = total + gain.masked_fill(torch.from_numpy(~counts).to(value.device), 0.0)
    return mix_lapse(total, _like(ranking_chance(ranks, stages), value), lapse)


def response_time(
    log_odds: Tensor,
    seconds: FloatArray,
    longest_mean: float,
    *,
    motor: float = 0.0,
    outlier: float = 0.0,
    longest: float = 60.0,
) -> Tensor:
    """Log density of response times; see `plaudit.stats.choice.response_time`.

    By Girsanov's theorem the drift changes the density of a passage without drift by cosh(odds / 2) exp(-odds^2 time / 2).
    """
    decided = np.maximum(seconds - motor, 0.0)
    still = time_density(np.zeros(decided.shape), seconds, longest_mean, motor=motor)
    time = _like(decided / (4.0 * longest_mean), log_odds)
    drifts = torch.logaddexp(log_odds / 2, -log_odds / 2) - math.log(2.0) - log_odds**2 * time / 2
    within = np.where((seconds > 0) & (seconds <= longest), 1.0 / longest, 0.0)
    return mix_lapse(_like(still, log_odds) + drifts, _like(within, log_odds), outlier)


def _sets(relative: Tensor, left: Tensor, largest: int) -> list[Tensor]:
    """[..., answer] for t = 1 .. largest: sum over the sets of t segments of the geometric mean of exp(value)."""
    found: list[Tensor] = []
    for size in range(1, largest + 1):
        each = (relative / size).exp().masked_fill(~left, 0.0)
        sums = [torch.ones_like(each[..., 0]), *(torch.zeros_like(each[..., 0]) for _ in range(size))]
        for item in each.unbind(-1):
            for number in range(size, 0, -1):
                sums[number] = sums[number] + item * sums[number - 1]
        found.append(sums[size])
    return found


def _like(array: NDArray[np.generic], other: Tensor) -> Tensor:
    return torch.as_tensor(array).to(dtype=other.dtype, device=other.device)
