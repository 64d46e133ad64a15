"""Losses of pairs of completions: the policy learns from comparisons directly (DPO and kin), or a reward model does.

P pairs. How much more probable a completion became is h = log policy(completion) - log reference(completion), summed over
its tokens, prompt excluded; Rafailov et al. 2023, https://arxiv.org/abs/2305.18290, call beta h the implicit reward.
"""

from __future__ import annotations

import enum
from typing import assert_never

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from plaudit.ops.tokens import segment_sum

LOG_HALF = -0.6931471805599453


class Direct(enum.Enum):
    """What a pair loses, with m = beta (h_chosen - h_rejected)."""

    SIGMOID = "sigmoid"
    """-log sigma(m) (DPO, Rafailov et al. 2023, equation 7); with smoothing e, -(1 - e) log sigma(m) - e log sigma(-m) (cDPO, Mitchell 2023)"""
    ROBUST = "robust"
    """(-(1 - e) log sigma(m) + e log sigma(-m)) / (1 - 2 e): what SIGMOID would be without flips (Chowdhury et al. 2024, https://arxiv.org/abs/2403.00409)"""
    HINGE = "hinge"
    """max(0, 1 - m) (SLiC, Zhao et al. 2023, https://arxiv.org/abs/2305.10425; RSO, Liu et al. 2023)"""
    IPO = "ipo"
    """(h_chosen - h_rejected - 1 / (2 beta))^2 (Azar et al. 2023, https://arxiv.org/abs/2310.12036, equation 17)"""


class Alone(enum.Enum):
    """What a pair loses where there is no reference, with l the mean log-probability of a completion's tokens."""

    SIMPO = "simpo"
    """-log sigma(beta (l_chosen - l_rejected) - gamma) (Meng et al. 2024, https://arxiv.org/abs/2405.14734, equation 6)"""
    ORPO = "orpo"
    """-beta log sigma(log odds_chosen - log odds_rejected), odds = p / (1 - p) with p = exp(l): what is added to the chosen
    ones' negative log-likelihood (Hong et al. 2024, https://arxiv.org/abs/2403.07691, equations 4, 6 and 7; beta is its lambda)"""


def averaged(how: Direct) -> bool:
    """Whether h is a mean over tokens instead of a sum.

    Libraries disagree on IPO: TRL and LLaMA-Factory divide by the length (its authors told TRL that the paper's results
    have it so), OpenRLHF does not. We do; the square would otherwise be of a number that grows with the length.
    """
    return how is Direct.IPO


def implicit(logprobs: Tensor, reference: Tensor, row: Tensor, *, mean: bool = False) -> Tensor:
    """[N] h of each completion: how much more probable the policy makes it than the reference does.

    Args:
        logprobs: [T] of tokens under the policy.
        reference: [N] log-probability of each whole completion under the reference, which may be kept; no gradient.
        row: [T].
        mean: divide by the length, see `averaged`.
    """
    found = segment_sum(logprobs, row, len(reference)) - reference.detach()
    return found / torch.bincount(row, minlength=len(reference)).clamp(min=1) if mean else found


def pair_loss(chosen: Tensor, rejected: Tensor, *, how: Direct, beta: float, smoothing: float = 0.0) -> Tensor:
    """[P] loss of each pair.

    Args:
        chosen: [P] h of the completions that were preferred.
        rejected: [P] h of the others.
        how: which loss.
        beta: how dear it is to leave the reference; for IPO the paper's tau.
        smoothing: e < 1/2, chance that an answer is the wrong way round, for SIGMOID and ROBUST.

    Raises ValueError for smoothing outside [0, 1/2).
    """
    if not 0 <= smoothing < 0.5:
        raise ValueError(f"smoothing must be in [0, 0.5), got {smoothing}")
    margin = beta * (chosen - rejected)
    match how:
        case Direct.SIGMOID:
            return -(1 - smoothing) * logsigmoid(margin) - smoothing * logsigmoid(-margin)
        case Direct.ROBUST:
            flipped = smoothing * logsigmoid(-margin)
            return (flipped - (1 - smoothing) * logsigmoid(margin)) / (1 - 2 * smoothing)
        case Direct.HINGE:
            return torch.relu(1 - margin)
        case Direct.IPO:
            return (chosen - rejected - 1 / (2 * beta)) ** 2
        case _:
            assert_never(how)


def alone_loss(
    chosen: Tensor, rejected: Tensor, *, how: Alone, beta: float, margin: float = 0.0, smoothing: float = 0.0
) -> Tensor:
    """[P] loss of each pair, without a reference.

    Args:
        chosen: [P] l of the completions that were preferred: mean log-probability of their tokens, at most 0.
        rejected: [P] l of the others.
        how: which loss.
        beta: how steep it is; of ORPO the weight.
        margin: gamma, by how much beta l should differ, for SIMPO.
        smoothing: e < 1/2, chance that an answer is the wrong way round, for SIMPO.

    Raises ValueError for smoothing outside [0, 1/2).
    """
    if not 0 <= smoothing < 0.5:
        raise ValueError(f"smoothing must be in [0, 0.5), got {smoothing}")
    match how:
        case Alone.SIMPO:
            ahead = beta * (chosen - rejected) - margin
            return -(1 - smoothing) * logsigmoid(ahead) - smoothing * logsigmoid(-ahead)
        case Alone.ORPO:
            return -beta * logsigmoid(log_odds(chosen) - log_odds(rejected))
        case _:
            assert_never(how)


def log_odds(logprob: Tensor) -> Tensor:
    """log(p / (1 - p)) of log p < 0; what rounding has made 0 is taken for the next number below."""
    logp = logprob.clamp(max=-torch.finfo(logprob.dtype).eps)
    return logp - torch.where(logp < LOG_HALF, torch.log1p(-torch.exp(logp)), torch.log(-torch.expm1(logp)))


def reward_pair_loss(
    chosen: Tensor, rejected: Tensor, *, margin: Tensor | float = 0.0, centring: float = 0.0
) -> Tensor:
    """[P] -log sigma(s_chosen - s_rejected - margin) + centring (s_chosen + s_rejected)^2, for rewards of whole texts.

    Bradley & Terry 1952; margins: Touvron et al. 2023, https://arxiv.org/abs/2307.09288, equation 2; centring keeps scores
    near 0, which pairs alone leave open: Eisenstein et al. 2023, https://arxiv.org/abs/2312.09244, equation 2.

    Args:
        chosen: [P] scores.
        rejected: [P].
        margin: [P] by how much the chosen one is meant to be better.
        centring: weight, 0.01 in the paper.
    """
    return -logsigmoid(chosen - rejected - margin) + centring * (chosen + rejected) ** 2
