"""What happens to scores of completions before they become advantages: limits, scale, ends, length, tokens. [N] to [N] or [T].

A score that is NaN could not be given; it stays NaN until `token_rewards`, and takes no part in any statistics.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from plaudit.ops.advantages import groups_of
from plaudit.ops.tokens import last_tokens, segment_sum


def clipped(scores: Tensor, limit: float) -> Tensor:
    """Cut scores to +-limit (5 in DeepSpeed-Chat, 10 in OpenRLHF, 50 in safe-rlhf)."""
    return scores.clamp(-limit, limit)


@dataclass(frozen=True, slots=True)
class RunningScale:
    """Standard deviation of all scores so far (Welford 1962; merged by Chan et al. 1979). Plain numbers, to be kept in checkpoints."""

    count: float = 0.0
    """scores seen"""
    mean: float = 0.0
    """their mean"""
    squares: float = 0.0
    """sum of their squared distances from the mean"""

    def after(self, scores: Tensor) -> RunningScale:
        """The statistics with a batch of scores added; NaN are left out."""
        known = scores[~scores.isnan()].double()
        if len(known) == 0:
            return self
        size, mean = float(len(known)), float(known.mean())
        count, distance = self.count + size, mean - self.mean
        squares = self.squares + float(((known - mean) ** 2).sum()) + distance**2 * self.count * size / count
        return RunningScale(count, self.mean + distance * size / count, squares)

    def scaled(self, scores: Tensor) -> Tensor:
        """Scores divided by the standard deviation, not shifted: a baseline follows (Zheng et al. 2023, https://arxiv.org/abs/2307.04964)."""
        if self.count < 2 or self.squares <= 0:
            return scores
        return scores / (self.squares / (self.count - 1)) ** 0.5


def without_end(scores: Tensor, finished: Tensor, *, penalty: float) -> Tensor:
    """Take `penalty` from completions that did not end by themselves.

    Args:
        scores: [N].
        finished: [N] bool, whether a stop token ended it.
        penalty: >= 0.
    """
    return scores - penalty * (~finished).to(scores.dtype)


def overlong(lengths: Tensor, *, longest: int, buffer: int) -> Tensor:
    """[N] penalty to be added to scores: 0 up to longest - buffer tokens, falling to -1 at `longest`, and -1 beyond.

    DAPO: Yu et al. 2025, https://arxiv.org/abs/2503.14476, equation 13.

    Args:
        lengths: [N] in tokens.
        longest: the longest completion that is not punished in full.
        buffer: over how many tokens the penalty grows.
    """
    return -((lengths - (longest - buffer)) / buffer).clamp(0.0, 1.0)


def informative(scores: Tensor, group: Tensor) -> Tensor:
    """[G] bool: groups whose scores differ, the only ones whose advantages are not 0.

    DAPO's dynamic sampling keeps these, and samples more prompts until enough are left (equation 11: 0 < correct < G). What
    could not be scored is not counted. `1 - mean` of it is TRL's metric frac_reward_zero_std.
    """
    return groups_of(scores, group).deviation > 0


def token_rewards(
    scores: Tensor, kl: Tensor, lengths: Tensor, *, beta: float, earned: Tensor | None = None
) -> Tensor:  # fmt: skip
    """[T] r_t = -beta kl_t, and at the last token of each completion its score as well, or in steps.

    Ouyang et al. 2022, https://arxiv.org/abs/2203.02155, equation 2 without its last term, with the KL paid where it arises.

    Args:
        scores: [N]; one that is NaN adds nothing here, so its completion has to be left out of the loss by weights.
        kl: [T], k1 of each token (`kl.estimate`).
        lengths: [N].
        beta: price of a nat.
        earned: [T] what of scores is paid before the last token, see `in_steps`; None: nothing.
    """
    rewards = -beta * kl.detach()
    if earned is not None:
        return rewards + in_steps(scores, earned, lengths).nan_to_num(0.0)
    scored = (lengths > 0) & ~scores.isnan()
    rewards[last_tokens(lengths)[scored]] += scores[scored].to(rewards.dtype)
    return rewards


def in_steps(scores: Tensor, earned: Tensor, lengths: Tensor) -> Tensor:
    """[T] a completion's score, paid in steps: what `earned` says where a step ends, at its last token what is left; else NaN.

    The sum over a completion is its score, whatever was earned before its end.

    Args:
        scores: [N]; of one that is NaN all is NaN.
        earned: [T] at the last token of each step what it was worth, NaN elsewhere; what stands at a completion's last token
            is not read.
        lengths: [N], at least 1.
    """
    last = last_tokens(lengths)
    row = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    before = earned.to(scores.dtype).nan_to_num(0.0)
    before[last] = 0.0
    found = torch.where(scores.isnan()[row], torch.nan, earned.to(scores.dtype))
    found[last] = scores - segment_sum(before, row, len(lengths))
    return found


def tokens_scored(scores: Tensor, lengths: Tensor) -> Tensor:
    """[T] weights: 1 for tokens of completions that have a score, 0 for the others."""
    return torch.repeat_interleave((~scores.isnan()).to(scores.dtype), lengths)
