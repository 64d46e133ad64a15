"""How far a student's next-token distributions are from a teacher's: what distillation minimises."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def divergence(student: Tensor, teacher: Tensor, *, mix: float) -> Tensor:
    """[T] nats between the two at each token: the generalised Jensen-Shannon divergence.

    mix KL(teacher || m) + (1 - mix) KL(student || m), m = (1 - mix) student + mix teacher; at 0 KL(teacher || student), which
    covers all that the teacher does, at 1 KL(student || teacher), which keeps to what it does most.

    Agarwal et al. 2024, https://arxiv.org/abs/2306.13649, equation 1 (with TRL's limits).

    Args:
        student: [T, vocabulary] logits.
        teacher: [T, vocabulary] logits; no gradient.
        mix: in [0, 1].

    Raises ValueError for another mix.
    """
    if not 0 <= mix <= 1:
        raise ValueError(f"mix must be in [0, 1], got {mix}")
    ours, theirs = torch.log_softmax(student, -1), torch.log_softmax(teacher.detach(), -1)
    if mix == 0:
        return (theirs.exp() * (theirs - ours)).sum(-1)
    if mix == 1:
        return (ours.exp() * (ours - theirs)).sum(-1)
    between = torch.logaddexp(ours + math.log1p(-mix), theirs + math.log(mix))
    return mix * (theirs.exp() * (theirs - between)).sum(-1) + (1 - mix) * (ours.exp() * (ours - between)).sum(-1)
