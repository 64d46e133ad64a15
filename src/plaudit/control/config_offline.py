"""Settings of exploration for its own sake, of cloning, and of learning from logged episodes. Needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from plaudit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ExploreConfig:
    """What the policy is paid for finding new states, beside the learned reward (all off by default) and in `loop.pretrain`."""

    uncertainty: float = 0.0
    """weight of the reward members' standard deviation at the first step of the run (RUNE, Liang et al. 2022, use 0.05)"""
    entropy: float = 0.0
    """weight of the state-entropy bonus at the first step of the run: standardised log distance to the `neighbours`-th state"""
    half_life: int = 2000
    """environment steps in which both weights halve; they change from round to round"""
    neighbours: int = 5
    """which nearest neighbour tells how new a state is, also in `loop.pretrain`"""

    def __post_init__(self) -> None:
        weights = (self.uncertainty, self.entropy)
        if not all(math.isfinite(w) and w >= 0 for w in weights) or self.half_life < 1 or self.neighbours < 1:
            raise ConfigError(
                "The settings of [explore] are out of range",
                got=self,
                expected="uncertainty >= 0, entropy >= 0, half_life >= 1, neighbours >= 1",
            )


@dataclass(frozen=True, slots=True)
class CloneConfig:
    """Behaviour cloning before the first question: the policy starts as a copy of whoever acted in logged episodes."""

    logged: str = ""
    """directory of a finished run, or a behaviour.safetensors file; the cloned policy then acts in `loop.warmup`"""
    epochs: int = 100
    """most passes over the episodes"""
    batch_size: int = 128
    """steps per gradient step"""
    learning_rate: float = 1e-3
    """step size of Adam"""
    held_out: float = 0.1
    """share of the steps, in stretches, that only tells when to stop"""
    patience: int = 5
    """stop after so many passes without a better held-out loss, and go back to the best"""

    def __post_init__(self) -> None:
        counts = (self.epochs, self.batch_size, self.patience)
        rate_fits = math.isfinite(self.learning_rate) and self.learning_rate > 0
        if min(counts) < 1 or not rate_fits or not 0 < self.held_out < 1:
            raise ConfigError(
                "The settings of [policy.clone] are out of range",
                got=self,
                expected="epochs, batch_size, patience >= 1, learning_rate > 0, 0 < held_out < 1",
            )


@dataclass(frozen=True, slots=True)
class IQLConfig:
    """Implicit Q-learning (Kostrikov et al. 2021): learns from logged episodes alone, for continuous actions."""

    logged: str = ""
    """directory of a finished run, or a behaviour.safetensors file, with as many environments as `world.envs`"""
    net: tuple[int, ...] = (64, 64)
    """hidden layers of the actor, of each of the two critics and of the value function (ReLU)"""
    batch_size: int = 128
    """transitions per update"""
    learning_rate: float = 1e-3
    """step size of Adam"""
    gamma: float = 0.98
    """discount factor"""
    tau: float = 0.01
    """share of the critics that the target critics take over with each update"""
    utd: float = 1.0
    """updates per step of the budget; no step is taken in the environment"""
    expectile: float = 0.7
    """0.5: the value of what was done; towards 1: of the best that was done"""
    temperature: float = 3.0
    """actions weigh exp(temperature x advantage), in standard deviations of the reward; 0 clones behaviour"""

    def __post_init__(self) -> None:
        rates = (self.learning_rate, self.utd)
        if (
            min((self.batch_size, *self.net), default=0) < 1
            or not all(math.isfinite(rate) and rate > 0 for rate in rates)
            or not (0 <= self.gamma <= 1 and 0 < self.tau <= 1 and 0 < self.expectile < 1)
            or not (math.isfinite(self.temperature) and self.temperature >= 0)
        ):
            raise ConfigError(
                "The settings of [policy.iql] are out of range",
                got=self,
                expected="sizes >= 1, learning_rate, utd > 0, 0 <= gamma <= 1, 0 < tau <= 1, 0 < expectile < 1, temperature >= 0",
            )
