"""Losses of policies: what to minimise, given log-probabilities of actions and how good these were."""

from __future__ import annotations

import torch


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
