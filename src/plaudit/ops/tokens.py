"""Sums and averages over ragged tokens, whose parts add up: N micro-batches give the loss and the gradient of one batch.

Tensors are flat: T tokens of N completions, one after the other, with `row` [T] (which completion a token belongs to, not
decreasing) and N completions in all; completions without tokens are allowed. Nothing is padded.

What a loss is divided by is counted over the WHOLE optimiser step before that is cut up (`totals`), and every micro-batch is
divided by it. A mean of micro-batch means is another loss whenever lengths differ (a fault that trainers still have).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor


class Average(enum.Enum):
    """What losses of tokens are averaged over; it decides how much a long completion counts."""

    TOKENS = "tokens"
    """mean over all tokens of the step (DAPO, Yu et al. 2025, https://arxiv.org/abs/2503.14476, equation 8; PPO; SFT)"""
    SEQUENCES = "sequences"
    """mean over completions of the mean over their tokens: long ones' tokens count less (GRPO, Shao et al. 2024, https://arxiv.org/abs/2402.03300, eq. 3)"""
    SUMS = "sums"
    """mean over completions of their sum over tokens (REINFORCE and RLOO of whole completions)"""
    CONSTANT = "constant"
    """sum over tokens / (completions x longest completion allowed): every token counts the same in every step (Dr. GRPO, Liu et al. 2025, https://arxiv.org/abs/2503.20783)"""


@dataclass(frozen=True, slots=True)
class Totals:
    """What one optimiser step averages over, before it is cut into micro-batches."""

    tokens: float
    """tokens that count, each with its weight"""
    sequences: float
    """completions of which at least one token counts"""


def rows_of(lengths: Tensor) -> Tensor:
    """[N] lengths to [T]: which completion each token belongs to."""
    return torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)


def last_tokens(lengths: Tensor) -> Tensor:
    """[N] index of each completion's last token; meaningless for completions without tokens."""
    return lengths.cumsum(0) - 1


def segment_sum(values: Tensor, row: Tensor, count: int) -> Tensor:
    """[T] to [count]: sum over each completion's tokens."""
    return values.new_zeros(count).index_add(0, row, values)


def segment_mean(values: Tensor, row: Tensor, count: int, *, weights: Tensor | None = None) -> Tensor:
    """[T] to [count]: mean over each completion's tokens, by `weights` [T] if there are any; 0 where nothing counts."""
    if weights is None:
        return segment_sum(values, row, count) / torch.bincount(row, minlength=count).clamp(min=1)
    mass = segment_sum(weights, row, count)
    total = segment_sum(_counted(values, weights), row, count)
    return total / torch.where(mass > 0, mass, torch.ones_like(mass))


def totals(row: Tensor, count: int, *, weights: Tensor | None = None) -> Totals:
    """Count what a whole optimiser step averages over.

    Args:
        row: [T] which completion each token belongs to.
        count: N.
        weights: [T] >= 0 what each token counts; 0 excludes it, and a completion with nothing but zeros altogether. TRL
            divides by completions that are masked whole as well; verl and OpenRLHF do not, nor do we.
    """
    if weights is None:
        return Totals(float(len(row)), float(torch.unique_consecutive(row).numel()))
    return Totals(float(weights.sum()), float((segment_sum(weights, row, count) > 0).sum()))


def average(
    losses: Tensor, row: Tensor, *, how: Average, whole: Totals, weights: Tensor | None = None, longest: int = 0
) -> Tensor:
    """A micro-batch's share of the loss of the whole step, a scalar; the shares add up to `average` of the whole.

    Args:
        losses: [T] of the tokens of whole completions.
        row: [T] which completion each belongs to, counted from 0.
        how: what is averaged over.
        whole: `totals` of all tokens of the optimiser step.
        weights: [T] as given to `totals`. What they exclude may be anything, NaN too.
        longest: for CONSTANT, how long a completion may become.

    Raises ValueError for CONSTANT without `longest`.
    """
    counted = losses if weights is None else _counted(losses, weights)
    match how:
        case Average.TOKENS:
            return counted.sum() / max(whole.tokens, 1.0)
        case Average.SEQUENCES:
            count = int(row[-1]) + 1 if len(row) else 0
            return segment_mean(losses, row, count, weights=weights).sum() / max(whole.sequences, 1.0)
        case Average.SUMS:
            return counted.sum() / max(whole.sequences, 1.0)
        case Average.CONSTANT:
            if longest < 1:
                raise ValueError(f"an average over a constant needs the longest completion allowed, got {longest}")
            return counted.sum() / (max(whole.sequences, 1.0) * longest)
        case _:
            assert_never(how)


def negative_log_likelihood(logprobs: Tensor, row: Tensor, *, whole: Totals, weights: Tensor | None = None) -> Tensor:
    """-sum_t w_t log p(token_t) / sum_t w_t over the whole step: maximum likelihood of completions (SFT).

    Args:
        logprobs: [T] of the tokens of completions; prompts do not stand among them.
        row: [T].
        whole: `totals` of the step, with the same weights.
        weights: [T] what each token counts, for instance `weights_of_completions[row]`; all the same if None.
    """
    return average(-logprobs, row, how=Average.TOKENS, whole=whole, weights=weights)


def _counted(values: Tensor, weights: Tensor) -> Tensor:
    # not weights * values alone: 0 x NaN is NaN, forwards and backwards
    return torch.where(weights > 0, values, torch.zeros_like(values)) * weights
