"""What logged and scored actions say about a policy that did not choose them, and what can be learned from them.

N actions were drawn by a behaviour policy mu and scored. A weight is w = pi(action) / mu(action) for the policy pi that is asked
about; means of w times anything are means under pi (where mu chooses all that pi does), at the price of variance.
"""

from __future__ import annotations

import torch
from torch import Tensor

from plaudit.ops.advantages import groups_of

TINY = 1e-8


def importance_weights(logprobs: Tensor, behaviour: Tensor, *, highest: float = torch.inf) -> Tensor:
    """[N] min(pi / mu, highest), without gradients; a limit brings bias and takes variance (Ionides 2008).

    Args:
        logprobs: [N] log pi of the logged actions.
        behaviour: [N] log mu.
        highest: largest weight.
    """
    return torch.exp(logprobs.detach() - behaviour).clamp(max=highest)


def importance_value(scores: Tensor, weights: Tensor) -> Tensor:
    """[] mean(w s): unbiased for the mean score under pi if weights are not cut (Horvitz & Thompson 1952)."""
    return (weights * scores).mean()


def normalised_value(scores: Tensor, weights: Tensor) -> Tensor:
    """[] sum(w s) / sum(w): consistent, never beyond the scores there are (Swaminathan & Joachims 2015, self-normalised)."""
    return (weights * scores).sum() / weights.sum().clamp(min=TINY)


def doubly_robust_value(scores: Tensor, weights: Tensor, *, guessed: Tensor, under_policy: Tensor) -> Tensor:
    """[] mean(q(pi) + w (s - q)): unbiased whatever the guess q if weights are right, and exact if the guess is.

    Dudik et al. 2011, https://arxiv.org/abs/1103.4601, equation 2.

    Args:
        scores: [N].
        weights: [N].
        guessed: [N] q of the logged actions.
        under_policy: [N] mean of q under pi in the same contexts.
    """
    return (under_policy + weights * (scores - guessed)).mean()


def effective_samples(weights: Tensor) -> Tensor:
    """[] (sum w)^2 / sum w^2: so many samples of pi itself would say as much (Kish 1965)."""
    return weights.sum() ** 2 / (weights**2).sum().clamp(min=TINY)


def logged_advantages(scores: Tensor, prompt: Tensor) -> Tensor:
    """[N] how much better a logged answer is than others, in deviations over all.

    Compared with the mean of its prompt's answers where there are two or more, else with the mean of all.

    Args:
        scores: [N].
        prompt: [N] which prompt each answers, 0 .. G - 1.
    """
    found = groups_of(scores, prompt)
    several = (found.count > 1)[prompt]
    apart = scores - torch.where(several, found.mean[prompt], scores.mean())
    deviation = apart.pow(2).mean().sqrt()
    return apart / deviation if deviation > 0 else torch.zeros_like(apart)


def advantage_weights(advantages: Tensor, *, temperature: float, highest: float) -> Tensor:
    """[N] min(exp(A / temperature), highest): imitation by these weights leads to mu exp(A / temperature) / Z, the best policy
    at its distance from mu.

    AWR: Peng et al. 2019, https://arxiv.org/abs/1910.00177, equation 10; Peters & Schaal 2007.

    Args:
        advantages: [N].
        temperature: low learns from the best alone, high imitates everything alike.
        highest: largest weight; 20 in the paper.
    """
    return torch.exp(advantages / temperature).clamp(max=highest)
