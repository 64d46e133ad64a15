"""Losses of policies: what to minimise, given log-probabilities of actions and how good these were.

`policy_gradient_loss` and `clipped_loss` are means over a batch of actions. The others give one value per element (tokens
[T], or whole completions [N]) and leave it to `tokens.average` what is divided by.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import torch
from torch import Tensor

from plaudit.ops.kl import WIDEST
from plaudit.ops.tokens import segment_mean, segment_sum


def policy_gradient_loss(log_probs: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
    """-mean(log pi(a|s) A), whose gradient is the policy gradient's negative.

    Williams 1992, https://doi.org/10.1007/BF00992696, equation 11, with A in place of reward minus baseline.

    Args:
        log_probs: log-probabilities of the actions taken, any shape.
        advantages: of the same shape; no gradient flows through them.
    """
    return -(log_probs * advantages.detach()).mean()


def clipped_loss(
    log_probs: torch.Tensor, old_log_probs: torch.Tensor, advantages: torch.Tensor, clip_range: float
) -> torch.Tensor:
    """-mean min(ratio A, clip(ratio, 1 - clip_range, 1 + clip_range) A),  ratio = pi(a|s) / pi_old(a|s).

    Schulman et al. 2017, https://arxiv.org/abs/1707.06347, equation 7.

    Args:
        log_probs: log-probabilities of the actions taken, under the policy that learns.
        old_log_probs: the same under the policy that acted.
        advantages: of the same shape.
        clip_range: how far a ratio may move from 1 before it stops to pay.
    """
    ratio = torch.exp(log_probs - old_log_probs.detach())
    clipped = torch.clamp(ratio, 1 - clip_range, 1 + clip_range)
    return -torch.min(ratio * advantages.detach(), clipped * advantages.detach()).mean()


class Level(enum.Enum):
    """Of what a probability ratio is one."""

    TOKEN = "token"
    """of each token"""
    SEQUENCE = "sequence"
    """of the whole completion, the product over its tokens (RLOO)"""
    GEOMETRIC = "geometric"
    """of the whole completion, the geometric mean over its tokens (GSPO, Zheng et al. 2025, https://arxiv.org/abs/2507.18071, equation 7)"""


@dataclass(frozen=True, slots=True)
class Clip:
    """Where a probability ratio stops to pay."""

    low: float = 0.2
    """below 1 - low"""
    high: float = 0.2
    """above 1 + high; 0.28 in DAPO ("clip-higher", Yu et al. 2025, https://arxiv.org/abs/2503.14476, section 3.1)"""
    delta: float | None = None
    """the ratio counts at most so much where the advantage is negative (two-sided clipping, INTELLECT-2, 2025, https://arxiv.org/abs/2505.07291); > 1 + high"""
    dual: float | None = None
    """the loss is at most dual x |advantage| where that is negative (dual clip, Ye et al. 2020, https://arxiv.org/abs/1912.09729); > 1"""


def log_ratios(logprobs: Tensor, old: Tensor, row: Tensor, *, count: int, level: Level) -> Tensor:
    """log pi / pi_old: [T] of tokens, or [count] of completions. No gradient through `old`.

    Cut to +-20 per token, so that its exponent stays finite.

    Args:
        logprobs: [T].
        old: [T].
        row: [T].
        count: N.
        level: what the ratio is of.
    """
    found = (logprobs - old.detach()).clamp(-WIDEST, WIDEST)
    match level:
        case Level.TOKEN:
            return found
        case Level.SEQUENCE:
            return segment_sum(found, row, count).clamp(-WIDEST, WIDEST)
        case Level.GEOMETRIC:
            return segment_mean(found, row, count)


def surrogate(log_ratio: Tensor, advantages: Tensor, clip: Clip) -> Tensor:
    """-min(ratio A, clip(ratio, 1 - low, 1 + high) A) of each element, with the further limits that `clip` has.

    Schulman et al. 2017, https://arxiv.org/abs/1707.06347, equation 7.

    Args:
        log_ratio: of tokens or completions.
        advantages: of the same shape.
        clip: the limits.
    """
    advantages = advantages.detach()
    ratio = log_ratio.exp()
    within = ratio.clamp(1 - clip.low, 1 + clip.high)
    if clip.delta is not None:
        ratio = ratio.clamp(max=clip.delta)
    loss = -torch.min(ratio * advantages, within * advantages)
    if clip.dual is not None:
        loss = torch.where(advantages < 0, torch.min(loss, -clip.dual * advantages), loss)
    return loss


def clipped_low(log_ratio: Tensor, advantages: Tensor, clip: Clip) -> Tensor:
    """Where the ratio is below its limit and the advantage negative: 1, else 0. Its mean is clip_ratio/low_mean."""
    return ((log_ratio.exp() < 1 - clip.low) & (advantages < 0)).to(log_ratio.dtype)


def clipped_high(log_ratio: Tensor, advantages: Tensor, clip: Clip) -> Tensor:
    """Where the ratio is above its limit and the advantage positive: 1, else 0. Its mean is clip_ratio/high_mean."""
    return ((log_ratio.exp() > 1 + clip.high) & (advantages > 0)).to(log_ratio.dtype)


def weighted_gradient(logprobs: Tensor, log_ratio: Tensor, advantages: Tensor, *, highest: float) -> Tensor:
    """-min(ratio, highest) A log pi of each token, no gradient through the ratio: no token loses its gradient (CISPO).

    MiniMax-M1, 2025, https://arxiv.org/abs/2506.13585, equation 4.

    Args:
        logprobs: [T].
        log_ratio: [T].
        advantages: [T].
        highest: what ratios are cut to.
    """
    return -log_ratio.detach().exp().clamp(max=highest) * advantages.detach() * logprobs


class Beyond(enum.Enum):
    """What an importance weight outside of its bounds becomes."""

    TRUNCATE = "truncate"
    """the bound (truncated importance sampling, Ionides 2008)"""
    MASK = "mask"
    """0: the token or completion teaches nothing (masked importance sampling, IcePop)"""


@dataclass(frozen=True, slots=True)
class Correction:
    """How tokens are weighed whose sampler is not quite the policy that is trained (another engine, lower precision, old weights)."""

    level: Level = Level.TOKEN
    """of what the weights are"""
    beyond: Beyond = Beyond.TRUNCATE
    """what becomes of weights outside of the bounds"""
    lowest: float = 0.0
    """lower bound"""
    highest: float = 2.0
    """upper bound"""


def sampler_weights(old: Tensor, sampler: Tensor, row: Tensor, *, count: int, correction: Correction) -> Tensor:
    """[T] pi_old / sampler within bounds, without gradient; multiplies the loss of each token after clipping, before the KL.

    A token whose probability the sampler did not report (NaN) differs by nothing.

    Args:
        old: [T] by the trainer's own forward, before the first step.
        sampler: [T] as recorded while sampling.
        row: [T].
        count: N.
        correction: level and bounds.
    """
    difference = torch.nan_to_num(old.detach() - sampler.detach(), nan=0.0)
    found = log_ratios(difference, torch.zeros_like(difference), row, count=count, level=correction.level).exp()
    if correction.beyond is Beyond.TRUNCATE:
        found = found.clamp(correction.lowest, correction.highest)
    else:
        found = found.masked_fill((found < correction.lowest) | (found > correction.highest), 0.0)
    return found if correction.level is Level.TOKEN else found[row]


def value_loss(values: Tensor, returns: Tensor, old_values: Tensor, *, clip: float | None = None) -> Tensor:
    """max((V - R)^2, (V_old + clip(V - V_old, +-clip) - R)^2) / 2 of each token; (V - R)^2 / 2 without clip.

    As in OpenAI's PPO2, and in nine libraries since.

    Args:
        values: [T] of the critic that learns.
        returns: [T].
        old_values: [T] of the critic when the advantages were computed.
        clip: how far a value may move before it stops to pay.
    """
    loss = (values - returns.detach()) ** 2
    if clip is not None:
        moved = old_values.detach() + (values - old_values.detach()).clamp(-clip, clip)
        loss = torch.max(loss, (moved - returns.detach()) ** 2)
    return loss / 2


def explained_variance(values: Tensor, returns: Tensor) -> Tensor:
    """1 - Var(R - V) / Var(R): 1 is a perfect critic, 0 no better than a constant; NaN where returns do not vary."""
    variance = returns.var(correction=0)
    share = 1 - (returns - values).var(correction=0) / variance
    return share.where(variance > 0, torch.full_like(share, torch.nan))


def entropy_bonus(entropies: Tensor, coefficient: float) -> Tensor:
    """-coefficient H of each token, to be averaged over tokens whatever the policy's loss is averaged over (TRL).

    Williams & Peng 1991, https://doi.org/10.1080/09540099108946587.
    """
    return -coefficient * entropies
