"""What the loop sees of an algorithm, and how one is made."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch

from plaudit.control.a2c import A2CNets, REINFORCENets
from plaudit.control.config import Backend, DQNConfig, PolicyConfig, PPOConfig, SACConfig
from plaudit.control.dqn import DQNAgent
from plaudit.control.iql import IQLAgent
from plaudit.control.offline import OfflineLearner
from plaudit.control.offpolicy import OffPolicyLearner
from plaudit.control.onpolicy import OnPolicyLearner
from plaudit.control.ppo_nets import PPONets
from plaudit.control.rewards import RewardFn
from plaudit.control.sac import SACAgent
from plaudit.control.td3 import TD3Agent
from plaudit.control.trpo import TRPONets
from plaudit.run.monitor import Monitor
from plaudit.worlds.evaluate import Policy
from plaudit.worlds.vector import VectorWorld


class Learner(Policy, Protocol):
    """A policy that is being trained in a world. It sees no annotators and no members, only a reward and a monitor."""

    world: VectorWorld

    def explore(self, steps: int, seed: int, *, by_policy: bool = False) -> None:
        """Act at random, or as the policy does, for at least `steps` environment steps."""
        ...

    def set_reward(self, reward: RewardFn, environment_weight: float = 0.0) -> None:
        """Pay by `reward`, standardised, plus `environment_weight` x the environment's own, from now on and in hindsight."""
        ...

    def improve(self, steps: int, seed: int, monitor: Monitor) -> dict[str, float]:
        """Train for at least `steps` environment steps from fresh episodes on. Returns metrics.

        Everything random follows from `seed`: after `restore` it comes to the same bits as without interruption.
        """
        ...

    def reset_critic(self, seed: int) -> None:
        """Forget what was valued; the policy stays, but for DQN, whose values are its policy."""
        ...

    def save(self, folder: Path) -> None:
        """Write all that `restore` needs, but for the world's behaviour, into a folder that exists."""
        ...

    def restore(self, folder: Path) -> None:
        """Take up what `save` wrote, after the world's behaviour was loaded. The reward must be set anew."""
        ...

    def export(self, path: Path) -> None:
        """Write a zip that the algorithm's class in Stable-Baselines3 opens."""
        ...


def make_learner(config: PolicyConfig, world: VectorWorld, seed: int) -> Learner:
    """The learner that a config asks for, with fresh weights.

    Args:
        config: which algorithm, and its settings.
        world: where it acts.
        seed: of the initial weights.

    Raises:
        ConfigError: the algorithm does not fit the world's actions.
        MissingExtra: the backend, or the algorithm's library, is not installed.
    """
    if config.ppo is not None:
        return OnPolicyLearner(PPONets(config.ppo, world, seed), world)
    if config.a2c is not None:
        return OnPolicyLearner(A2CNets(config.a2c, world, seed), world)
    if config.trpo is not None:
        return OnPolicyLearner(TRPONets(config.trpo, world, seed), world)
    if config.reinforce is not None:
        return OnPolicyLearner(REINFORCENets(config.reinforce, world, seed), world)
    if config.dqn is not None:
        return OffPolicyLearner(DQNAgent(config.dqn, world, seed), world)
    if config.td3 is not None:
        return OffPolicyLearner(TD3Agent(config.td3, world, seed), world)
    if config.iql is not None:
        return OfflineLearner(IQLAgent(config.iql, world, seed), world, config.iql.logged)
    return OffPolicyLearner(SACAgent(config.sac or SACConfig(), world, seed), world)


def fix_torch_threads(threads: int) -> None:
    """Fix the number of torch's threads, since results depend on it."""
    torch.set_num_threads(threads)


__all__ = [
    "Backend", "DQNConfig", "Learner", "PPOConfig", "Policy", "PolicyConfig", "RewardFn", "SACConfig", "fix_torch_threads",
    "make_learner",
]  # fmt: skip
