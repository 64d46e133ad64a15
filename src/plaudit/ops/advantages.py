"""How much better completions were than expected: baselines from groups, whitening, GAE. No gradient flows through any of it.

Scores are [N], one per completion; `group` [N] says which prompt each belongs to. A score that is NaN could not be given
(a checker failed, a judge refused): it takes no part in any mean and its advantage is 0. It does not count as a score of 0.
A completion that stands alone in its group has nothing to be compared with, and a group whose scores are all the same tells
nothing: their advantages are 0.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import torch
from torch import Tensor

from plaudit.ops.tokens import last_tokens

TINY = 1e-4
"""added to standard deviations of scores (TRL); verl has 1e-6, OpenRLHF 1e-9"""


class Scale(enum.Enum):
    """What a group's deviations are divided by."""

    GROUP = "group"
    """the standard deviation of the group (GRPO): prompts on which all nearly agree count as much as the others"""
    BATCH = "batch"
    """the standard deviation of all scores of the step"""
    NONE = "none"
    """nothing (Dr. GRPO)"""


@dataclass(frozen=True, slots=True)
class Groups:
    """Statistics of groups, without scores that are NaN."""

    mean: Tensor
    """[G]; 0 where nothing could be scored"""
    deviation: Tensor
    """[G] standard deviation, unbiased; 0 for fewer than two scores, and exactly 0 where all are the same"""
    count: Tensor
    """[G] scores that are not NaN, as float"""


def groups_of(scores: Tensor, group: Tensor) -> Groups:
    """Mean, standard deviation and count of each group."""
    number = int(group.max()) + 1 if len(group) else 0
    known = ~scores.isnan()
    values, member = scores[known], group[known]
    count = scores.new_zeros(number).index_add(0, member, torch.ones_like(values))
    mean = scores.new_zeros(number).index_add(0, member, values) / count.clamp(min=1)
    squares = scores.new_zeros(number).index_add(0, member, (values - mean[member]) ** 2)
    variance = squares / (count - 1).clamp(min=1)
    lowest = scores.new_full((number,), torch.inf).scatter_reduce(0, member, values, "amin")
    highest = scores.new_full((number,), -torch.inf).scatter_reduce(0, member, values, "amax")
    return Groups(mean, torch.where(lowest < highest, variance.sqrt(), torch.zeros_like(variance)), count)


def from_group_means(scores: Tensor, group: Tensor, *, scale: Scale = Scale.GROUP, tiny: float = TINY) -> Tensor:
    """A_i = (s_i - mean of its group) / (standard deviation + tiny).

    GRPO: Shao et al. 2024, https://arxiv.org/abs/2402.03300, section 4.1.2. Dr. GRPO (no division): Liu et al. 2025,
    https://arxiv.org/abs/2503.20783.

    Args:
        scores: [N].
        group: [N].
        scale: what is divided by.
        tiny: added to the standard deviation.
    """
    found = groups_of(scores, group)
    deviations = scores - found.mean[group]
    if scale is Scale.GROUP:
        deviations = deviations / (found.deviation[group] + tiny)
    elif scale is Scale.BATCH:
        deviations = deviations / (groups_of(scores, torch.zeros_like(group)).deviation + tiny)
    same = (found.deviation == 0)[group]
    return deviations.masked_fill(same | scores.isnan(), 0.0)


def leave_one_out(scores: Tensor, group: Tensor, *, standardised: bool = False, tiny: float = TINY) -> Tensor:
    """A_i = s_i - mean of the OTHER scores of its group, an unbiased baseline (RLOO).

    Ahmadian et al. 2024, https://arxiv.org/abs/2402.14740, section 2; after Kool et al. 2019. It is n / (n - 1) times what
    Dr. GRPO has.

    Args:
        scores: [N].
        group: [N].
        standardised: shift and scale the advantages that there are, over all groups, to mean 0 and standard deviation 1.
        tiny: added to that standard deviation.
    """
    found = groups_of(scores, group)
    share = found.count / (found.count - 1).clamp(min=1)
    advantages = ((scores - found.mean[group]) * share[group]).masked_fill((found.deviation == 0)[group], 0.0)
    nothing = scores.isnan() | (found.count < 2)[group]
    if standardised:
        known = advantages.masked_fill(nothing, torch.nan)
        whole = groups_of(known, torch.zeros_like(group))
        advantages = (known - whole.mean) / (whole.deviation + tiny)
    return advantages.masked_fill(nothing, 0.0)


def from_steps(rewards: Tensor, lengths: Tensor, group: Tensor, *, scale: Scale = Scale.GROUP) -> Tensor:
    """[T] of each token, the sum of what the steps that end at it or after it are better than the steps of its group.

    GRPO with process supervision: Shao et al. 2024, https://arxiv.org/abs/2402.03300, section 4.1.3.

    Args:
        rewards: [T] of each step at its last token; NaN where no step ends.
        lengths: [N].
        group: [N].
        scale: what a step's difference from the mean of its group's steps is divided by.
    """
    return sums_ahead(from_group_means(rewards, torch.repeat_interleave(group, lengths), scale=scale), lengths)


def whiten(values: Tensor, *, weights: Tensor | None = None, shift: bool = True) -> Tensor:
    """Scale to variance 1 (unbiased, + 1e-8) and shift to mean 0 over all tokens of the rollout, not of a micro-batch.

    Args:
        values: [T], of all tokens.
        weights: [T], tokens with 0 take no part and become 0.
        shift: False keeps the mean, for rewards (a baseline comes later).
    """
    used = torch.ones_like(values, dtype=torch.bool) if weights is None else weights > 0
    counted = values[used]
    if len(counted) == 0:
        return torch.zeros_like(values)
    mean = counted.mean()
    variance = ((counted - mean) ** 2).sum() / max(len(counted) - 1, 1)
    scaled = (values - mean) * torch.rsqrt(variance + 1e-8)
    return (scaled if shift else scaled + mean).where(used, torch.zeros_like(values))


def sums_ahead(values: Tensor, lengths: Tensor, *, decay: float = 1.0) -> Tensor:
    """G_t = v_t + decay G_{t+1} within each completion: discounted sums to its end.

    One step per position for all completions at once, those that are long enough.

    Args:
        values: [T], not changed.
        lengths: [N].
        decay: 1 for returns of text.
    """
    found = values.detach().clone()
    order = torch.argsort(lengths, descending=True)
    last, sizes = last_tokens(lengths)[order], lengths[order]
    reaching = torch.bincount(sizes, minlength=1).flip(0).cumsum(0).flip(0).tolist()  # how many are at least that long
    for back in range(1, len(reaching) - 1):
        here = last[: reaching[back + 1]] - back
        found[here] += decay * found[here + 1]
    return found


def gae(rewards: Tensor, values: Tensor, lengths: Tensor, *, trace: float, discount: float = 1.0) -> Tensor:
    """Generalised advantage estimates of tokens; returns for the critic are these plus `values`.

    A_t = delta_t + discount trace A_{t+1},   delta_t = r_t + discount V_{t+1} - V_t   (Schulman et al. 2016,
    https://arxiv.org/abs/1506.02438, equations 11, 12 and 16). After the last token comes nothing, whether the completion
    ended by itself or was cut off: no library has a value for text that was not written.

    Args:
        rewards: [T].
        values: [T], V before each token was written.
        lengths: [N].
        trace: lambda; 0 trusts the values, 1 the rewards.
        discount: gamma.
    """
    values = values.detach()
    following = torch.cat([values[1:], values.new_zeros(1)])[: len(values)]
    following[last_tokens(lengths)[lengths > 0]] = 0.0
    return sums_ahead(rewards + discount * following - values, lengths, decay=discount * trace)


def reinforce_plus_plus(
    rewards: Tensor, lengths: Tensor, *, baseline: Tensor | None = None, weights: Tensor | None = None
) -> Tensor:
    """REINFORCE++: sums of rewards to the end of the completion, whitened over all tokens of the rollout.

    Hu et al. 2025, https://arxiv.org/abs/2501.03262. Plain: rewards are a score at the last token minus beta KL (k1) at each
    (`scores.token_rewards`). With baseline (for groups): the score has the mean of its group taken off, and the KL (k2)
    stands in the loss instead, so rewards are `scores.token_rewards(scores, zeros, ...)`, `baseline` its `groups_of(...).mean[group]`.

    Args:
        rewards: [T].
        lengths: [N].
        baseline: [N], taken from every token's return.
        weights: [T], tokens with 0 are left out; those of completions that could not be scored have to be.
    """
    returns = sums_ahead(rewards, lengths)
    if baseline is not None:
        returns = returns - torch.repeat_interleave(baseline, lengths)
    return whiten(returns, weights=weights)
