"""How far a policy has moved from its reference: estimators of KL(policy || reference) from single tokens, and a controller.

With r = log policy(token) - log reference(token) of a token that the policy drew (Schulman 2020,
http://joschu.net/blog/kl-approx.html):

    k1 = r                     unbiased, may be negative, large variance
    k2 = r^2 / 2               biased, never negative
    k3 = exp(-r) - 1 + r       unbiased, never negative

What is right as an ESTIMATE is not right as a LOSS. As part of the reward (no gradient through it), k1 gives the gradient of
the KL; k3 there gives grad KL(policy || reference) - grad KL(reference || policy). As part of the loss (gradient through it):

    k1    grad log policy, whose mean is 0: no penalty at all, so it is not offered
    k2    r grad log policy: the gradient of the KL, for tokens that the policy itself drew
    k3    (1 - exp(-r)) grad log policy: the gradient of KL(reference || policy), another divergence (GRPO as published)

Two repairs of k3 have its value and k2's gradient: times the ratio policy/old, which also is right for tokens that an older
policy drew (DeepSeek-V3.2, https://arxiv.org/abs/2512.02556; TRL's default), and straight through (verl's "k3+").
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import assert_never

import torch
from torch import Tensor

WIDEST = 20.0
"""log ratios are cut to +-WIDEST before they become exponents; what is cut has no gradient"""


class Estimator(enum.Enum):
    """A token's KL, for rewards and for watching."""

    K1 = "k1"
    K2 = "k2"
    K3 = "k3"


class Penalty(enum.Enum):
    """A token's KL as a part of the loss: what gradient it has."""

    K2 = "k2"
    """that of KL(policy || reference), for tokens of the policy itself"""
    K3 = "k3"
    """that of KL(reference || policy): GRPO as published"""
    K3_WEIGHTED = "k3-weighted"
    """that of KL(policy || reference), for tokens of the old policy too"""
    K3_STRAIGHT = "k3-straight"
    """k2's, under k3's value"""


def estimate(logprobs: Tensor, reference: Tensor, how: Estimator, *, largest: float | None = None) -> Tensor:
    """KL(policy || reference) of each token, of any shape; see the module for where it may be used.

    Args:
        logprobs: of tokens under the policy.
        reference: of the same tokens under the reference; no gradient flows there.
        how: which estimator.
        largest: cut estimates to +-largest (10 in OpenRLHF and NeMo RL); not at all if None.
    """
    log_ratio = (logprobs - reference.detach()).clamp(-WIDEST, WIDEST)
    match how:
        case Estimator.K1:
            found = log_ratio
        case Estimator.K2:
            found = log_ratio**2 / 2
        case Estimator.K3:
            found = torch.expm1(-log_ratio) + log_ratio
        case _:
            assert_never(how)
    return found if largest is None else found.clamp(-largest, largest)


def penalty(logprobs: Tensor, reference: Tensor, how: Penalty, *, old: Tensor | None = None) -> Tensor:
    """KL of each token with a gradient through `logprobs`, to be added to the loss times its coefficient.

    Args:
        logprobs: [T] under the policy that learns.
        reference: [T] under the reference.
        how: which value and gradient.
        old: [T] under the policy that drew the tokens, for K3_WEIGHTED; the learning policy's own if None.
    """
    match how:
        case Penalty.K2:
            return estimate(logprobs, reference, Estimator.K2)
        case Penalty.K3:
            return estimate(logprobs, reference, Estimator.K3)
        case Penalty.K3_WEIGHTED:
            behaviour = logprobs.detach() if old is None else old.detach()
            ratio = (logprobs - behaviour).clamp(-WIDEST, WIDEST).exp()
            return ratio * estimate(logprobs, reference, Estimator.K3)
        case Penalty.K3_STRAIGHT:
            slope = estimate(logprobs, reference, Estimator.K2)
            return slope - slope.detach() + estimate(logprobs, reference, Estimator.K3).detach()
        case _:
            assert_never(how)


@dataclass(frozen=True, slots=True)
class Controller:
    """A KL coefficient that follows a target (Ziegler et al. 2019, https://arxiv.org/abs/1909.08593, section 2.2).

    e = clip(KL / target - 1, -0.2, 0.2);  coefficient <- coefficient (1 + e samples / horizon)
    """

    coefficient: float
    """what the penalty is multiplied with now"""
    target: float
    """KL per completion, in nats, that is aimed at"""
    horizon: float = 10_000.0
    """samples over which a steady deviation of 20 % changes the coefficient by a fifth"""

    def after(self, kl: float, samples: int) -> Controller:
        """The controller after a batch of so many samples whose penalised KL was `kl`, per completion; unchanged where that is NaN."""
        error = min(max(kl / self.target - 1.0, -0.2), 0.2)
        if error != error:  # NaN
            return self
        return replace(self, coefficient=self.coefficient * (1.0 + error * samples / self.horizon))
