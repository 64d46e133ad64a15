"""Settings of PPO on completions."""

from __future__ import annotations

from dataclasses import dataclass, field

from plaudit.errors import ConfigError
from plaudit.language.group_config import refuse_both
from plaudit.language.update import Schedule, UpdateConfig
from plaudit.ops.policy import Correction


def _usual() -> UpdateConfig:
    return UpdateConfig(learning_rate=5e-5, schedule=Schedule.CONSTANT)


def _faster() -> UpdateConfig:
    return UpdateConfig(learning_rate=2e-4, schedule=Schedule.CONSTANT)


@dataclass(frozen=True, slots=True)
class PPOConfig:
    """PPO on completions, paid by a reward at their end and by the distance to the reference at each token."""

    steps: int = 100
    """rollouts to learn from, those for the critic alone included"""
    prompts: int = 64
    """prompts per rollout"""
    samples: int = 1
    """completions per prompt"""
    max_tokens: int = 128
    """longest completion"""
    temperature: float = 1.0
    """what logits are divided by, in sampling and in every log-probability"""
    epochs: int = 4
    """times that a rollout is learned from"""
    minibatches: int = 1
    """optimiser steps per epoch"""
    update: UpdateConfig = field(default_factory=_usual)
    """the policy's optimiser"""
    critic_update: UpdateConfig = field(default_factory=_faster)
    """the critic's optimiser"""
    critic_warmup: int = 0
    """rollouts, at first, from which only the critic learns"""
    discount: float = 1.0
    """gamma"""
    trace: float = 0.95
    """lambda of the advantages: 0 trusts the critic, 1 the rewards"""
    clip: float = 0.2
    """a ratio stops to pay this far from 1"""
    dual_clip: float | None = None
    """the loss is at most so many times the advantage where that is negative; above 1"""
    value_clip: float | None = 0.2
    """a value stops to pay this far from what it was before the rollout's first step; none: it goes anywhere"""
    kl: float = 0.05
    """price of a nat of distance to the reference, paid by each token's reward (k1)"""
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
    whiten_rewards: bool = False
    """scale tokens' rewards of a rollout to deviation 1, before the advantages"""
    score_scale: bool = False
    """divide scores by the deviation of all scores so far"""
    score_limit: float | None = None
    """scores are cut to +- this"""
    missing_end: float = 0.0
    """taken off the score of a completion that did not end by itself"""
    checkpoint_every: int = 10
    """rollouts between checkpoints, where there is a folder for them"""

    def __post_init__(self) -> None:
        counts = (self.steps, self.prompts, self.samples, self.max_tokens, self.epochs, self.minibatches)
        prices = (self.kl, self.missing_end, self.critic_warmup, self.discount, self.trace)
        shares = max(self.discount, self.trace) <= 1 and 0 < self.clip < 1
        if min(counts) < 1 or min(prices) < 0 or not shares or not self.temperature > 0:
            raise ConfigError(
                "The settings of PPO are out of range",
                got=self,
                expected="counts >= 1, prices >= 0, discount and trace <= 1, 0 < clip < 1, temperature > 0",
            )
        refuse_both(self.trust_sampler, self.correction)

    @property
    def single(self) -> bool:
        """Whether a rollout is one optimiser step, so that the policy that learns is the one before the first step."""
        return self.epochs * self.minibatches == 1
