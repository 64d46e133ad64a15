"""Settings of policy gradients on groups of completions, and those of published algorithms by name."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plaudit.errors import ConfigError
from plaudit.language.update import Schedule, UpdateConfig
from plaudit.ops.advantages import Scale
from plaudit.ops.kl import Penalty
from plaudit.ops.policy import Correction, Level
from plaudit.ops.tokens import Average
from plaudit.records.codec import to_json


class Baseline(enum.Enum):
    """What makes an advantage of a score."""

    GROUP = "group"
    """the mean of its group taken off, and divided by `scale` (GRPO)"""
    OTHERS = "others"
    """the mean of the others of its group taken off (RLOO)"""
    WHITENED = "whitened"
    """returns of tokens, shifted and scaled over the rollout (REINFORCE++)"""
    GROUP_WHITENED = "group-whitened"
    """the same, the mean of the group taken off before (REINFORCE++ with baseline)"""


class Paid(enum.Enum):
    """Where the distance to the reference is paid."""

    LOSS = "loss"
    """as a part of the loss"""
    REWARD = "reward"
    """taken off the reward, by k1: off a completion's score, or off each token's reward for WHITENED"""


@dataclass(frozen=True, slots=True)
class GroupConfig:
    """Settings of a policy gradient on groups; `preset` has those of published algorithms."""

    steps: int = 100
    """rollouts to learn from"""
    prompts: int = 8
    """prompts per rollout"""
    samples: int = 8
    """completions per prompt"""
    max_tokens: int = 128
    """longest completion"""
    temperature: float = 1.0
    """what logits are divided by, in sampling and in every log-probability"""
    epochs: int = 1
    """times that a rollout is learned from"""
    minibatches: int = 1
    """optimiser steps per epoch"""
    update: UpdateConfig = field(
        default_factory=lambda: UpdateConfig(learning_rate=5e-5, schedule=Schedule.CONSTANT, betas=(0.9, 0.99))
    )
    """the optimiser"""
    baseline: Baseline = Baseline.GROUP
    """what a score is compared with"""
    scale: Scale = Scale.GROUP
    """what a group's deviations are divided by, for the baseline `group`"""
    level: Level = Level.TOKEN
    """of what the probability ratio is one"""
    clip_low: float = 0.2
    """a ratio below 1 - clip_low stops to pay"""
    clip_high: float = 0.2
    """a ratio above 1 + clip_high stops to pay"""
    clip_negative: float | None = None
    """two-sided clipping: a ratio counts at most so much where the advantage is negative"""
    cispo: float | None = None
    """instead of clipping, log-probabilities are weighed with the ratio, cut to this (CISPO)"""
    average: Average = Average.SEQUENCES
    """what losses of tokens are averaged over"""
    kl: float = 0.04
    """price of a nat of distance to the reference"""
    kl_paid: Paid = Paid.LOSS
    """where it is paid"""
    kl_penalty: Penalty = Penalty.K3
    """by which estimator, in the loss"""
    kl_target: float | None = None
    """distance in nats per completion that `kl` is adapted to; none: it stays"""
    kl_horizon: float = 10_000.0
    """completions over which a steady deviation of 20 % changes `kl` by a fifth"""
    entropy: float = 0.0
    """reward of a nat of a token's entropy"""
    correction: Correction | None = None
    """how tokens are weighed whose sampler was not quite the policy; none where one engine samples and trains in fp32"""
    trust_sampler: bool = False
    """take the sampler's log-probabilities for the policy's before the first step: one pass less, right where one engine samples and trains in fp32"""
    score_limit: float | None = None
    """scores are cut to +- this"""
    missing_end: float = 0.0
    """taken off the score of a completion that did not end by itself"""
    overlong: float = 0.0
    """share of max_tokens, at their end, over which the score falls by up to 1"""
    mask_truncated: bool = False
    """learn nothing from completions that did not end by themselves"""
    redraws: int = 0
    """how often more prompts are asked in place of those whose scores are all the same (dynamic sampling)"""
    checkpoint_every: int = 10
    """rollouts between checkpoints, where there is a folder for them"""

    def __post_init__(self) -> None:
        counts = (self.prompts, self.samples, self.max_tokens, self.epochs, self.minibatches, self.steps)
        prices = (self.kl, self.missing_end, self.overlong, self.redraws, self.clip_low, self.clip_high)
        if min(counts) < 1 or min(prices) < 0 or not self.temperature > 0 or max(self.clip_low, self.overlong) > 1:
            raise ConfigError(
                "The settings of the group algorithm are out of range",
                got=self,
                expected="counts >= 1, prices and clips >= 0, clip_low and overlong <= 1, temperature > 0",
            )
        refuse_both(self.trust_sampler, self.correction)
        if self.samples < 2 and self.baseline is not Baseline.WHITENED:
            raise ConfigError(
                "A group of one has nothing to be compared with", got="samples = 1", expected="2 or more",
                next_step='take the preset "reinforce++", whose baseline is the mean over the rollout',
            )  # fmt: skip

    @property
    def single(self) -> bool:
        """Whether a rollout is one optimiser step, so that the policy that learns is the one before the first step."""
        return self.epochs * self.minibatches == 1


def refuse_both(trust: bool, correction: Correction | None) -> None:
    """Raise ConfigError where the sampler is trusted and corrected at once."""
    if trust and correction is not None:
        raise ConfigError(
            "The sampler's log-probabilities cannot be corrected by themselves",
            got="trust_sampler with correction",
            expected="one of them",
            next_step="correct where another engine samples, trust where it is the same",
        )


PRESET = "grpo"
"""what is taken where nobody names an algorithm"""
PRESETS: dict[str, GroupConfig] = {
    "grpo": GroupConfig(),
    "dr-grpo": GroupConfig(scale=Scale.NONE, average=Average.CONSTANT, kl=0.0),
    "dapo": GroupConfig(clip_high=0.28, average=Average.TOKENS, kl=0.0, overlong=0.2, redraws=3),
    "rloo": GroupConfig(
        baseline=Baseline.OTHERS, level=Level.SEQUENCE, kl=0.05, kl_paid=Paid.REWARD, samples=4,
    ),
    "reinforce++": GroupConfig(
        baseline=Baseline.WHITENED, average=Average.TOKENS, kl=0.01, kl_paid=Paid.REWARD, samples=1, prompts=64,
    ),
    "reinforce++-baseline": GroupConfig(
        baseline=Baseline.GROUP_WHITENED, average=Average.TOKENS, kl=0.001, kl_penalty=Penalty.K2,
    ),
    "gspo": GroupConfig(level=Level.GEOMETRIC, clip_low=3e-4, clip_high=4e-4, kl=0.0),
    "cispo": GroupConfig(average=Average.TOKENS, cispo=5.0, kl=0.0),
}  # fmt: skip


def preset(name: str) -> GroupConfig:
    """Settings of a published algorithm, to be changed with `dataclasses.replace`.

    grpo                  Shao et al. 2024, https://arxiv.org/abs/2402.03300
    dr-grpo               Liu et al. 2025, https://arxiv.org/abs/2503.20783
    dapo                  Yu et al. 2025, https://arxiv.org/abs/2503.14476
    rloo                  Ahmadian et al. 2024, https://arxiv.org/abs/2402.14740
    reinforce++           Hu et al. 2025, https://arxiv.org/abs/2501.03262, and reinforce++-baseline
    gspo                  Zheng et al. 2025, https://arxiv.org/abs/2507.18071
    cispo                 MiniMax 2025, https://arxiv.org/abs/2506.13585

    Raises ConfigError for other names.
    """
    if name not in PRESETS:
        raise ConfigError("There is no such algorithm", got=name, expected=f"one of {', '.join(PRESETS)}")
    return PRESETS[name]


def with_preset(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table of a run file that holds `preset` and `group`: with the algorithm's settings where `group` does not say otherwise.

    What is wrong in the table is left to whoever reads it. Raises ConfigError where no algorithm has the preset's name.
    """
    name, said = table.get("preset", PRESET), table.get("group", {})
    if not isinstance(name, str) or not isinstance(said, dict):
        return dict(table)
    usual: dict[str, Any] = to_json(preset(name))
    nested = {key: {**usual[key], **value} for key, value in said.items() if isinstance(value, dict) and usual.get(key)}
    return {**table, "group": usual | said | nested}
