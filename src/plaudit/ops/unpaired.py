"""Losses of single completions that somebody found good or bad, without a partner to compare them with (KTO, APO-zero).

As in `plaudit.ops.direct`, h = log policy(completion) - log reference(completion), summed over tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor


def unpaired_loss(h: Tensor, good: Tensor, *, beta: float, drift: Tensor | float = 0.0) -> Tensor:
    """[N] 1 - sigma(beta (h - z)) of good completions, 1 - sigma(beta (z - h)) of bad ones.

    KTO: Ethayarajh et al. 2024, https://arxiv.org/abs/2402.01306, equation 7, without its weights. With z = 0 it is
    APO-zero: D'Oosterlinck et al. 2024, https://arxiv.org/abs/2408.06266, equation 7, without pairs.

    Args:
        h: [N].
        good: [N] bool.
        beta: how dear it is to leave the reference.
        drift: z, what h is of completions that were not judged (`drifted`); no gradient flows through it.
    """
    ahead = h - (drift.detach() if isinstance(drift, Tensor) else drift)
    return torch.sigmoid(-beta * torch.where(good, ahead, -ahead))


def drifted(h: Tensor) -> Tensor:
    """[] z = max(0, mean h) of completions that answer other prompts: how far the policy has gone everywhere alike, in nats.

    Ethayarajh et al. 2024, section 4.2.
    """
    return h.mean().clamp(min=0.0).detach()
