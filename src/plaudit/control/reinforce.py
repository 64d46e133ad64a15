"""The policy gradient, read from top to bottom: learn from the environment's reward plus a person's score of every step.

    policy = train(ReinforceConfig(), world, human=scores, seed=0)
    policy.act(observations)

A person who watches says of each step how good it was, from 0 to 1. Here that is a function of a batch of steps; a
reward model that was fitted to step feedback is one, and so is a rule. This file is for reading; in a run file
[policy.reinforce] is the same with a baseline, for any actions (a2c.py), and for real work there is PPO.

Williams 1992, https://doi.org/10.1007/BF00992696.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import nn

from plaudit.control.files import version_of
from plaudit.control.sb3 import own_streams
from plaudit.errors import ConfigError, LearningError
from plaudit.ops.policy import policy_gradient_loss
from plaudit.ops.returns import discounted
from plaudit.records import StepBatch
from plaudit.run.seeds import derive
from plaudit.worlds.vector import VectorWorld


@dataclass(frozen=True, slots=True)
class ReinforceConfig:
    """Settings of the policy gradient."""

    net: tuple[int, ...] = (32,)
    """hidden layers of the policy (tanh)"""
    updates: int = 100
    """gradient steps"""
    n_steps: int = 64
    """steps of every environment between two gradient steps"""
    learning_rate: float = 1e-2
    """step size of Adam"""
    gamma: float = 0.95
    """discount factor"""
    human_weight: float = 1.0
    """what the best score of a step, 1, is worth beside the environment's reward"""


class SoftmaxPolicy(nn.Module):
    """Probabilities of discrete actions."""

    def __init__(self, observation: int, net: tuple[int, ...], actions: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in pairwise((observation, *net)):
            layers += [nn.Linear(inside, outside), nn.Tanh()]
        self.logits = nn.Sequential(*layers, nn.Linear((observation, *net)[-1], actions))

    def forward(self, observations: NDArray[np.float32]) -> torch.distributions.Categorical:
        """The distribution over actions at each of the observations [..., entry]."""
        return torch.distributions.Categorical(logits=self.logits(torch.from_numpy(observations)))

    @property
    def version(self) -> str:
        """Names the weights."""
        return version_of(*(weights.detach().numpy() for weights in self.parameters()))

    @torch.no_grad()
    def act(self, observations: NDArray[np.float32], deterministic: bool = True) -> NDArray[np.generic]:
        """Actions [n] for observations [n, entry]."""
        distribution = self(observations)
        return (distribution.probs.argmax(dim=-1) if deterministic else distribution.sample()).numpy()


def train(
    config: ReinforceConfig, world: VectorWorld, *, human: Callable[[StepBatch], NDArray[np.float64]], seed: int
) -> SoftmaxPolicy:
    """Train a policy on environment reward + human_weight x human score.

    Args:
        config: the settings.
        world: where it acts; its actions must be discrete.
        human: scores [item, step] in [0, 1] for a batch of steps, an item being an environment.
        seed: of everything random.

    Raises:
        ConfigError: the actions are not discrete.
        LearningError: a score is not in [0, 1].
    """
    if not isinstance(world.action_space, spaces.Discrete):
        raise ConfigError("This policy gradient needs discrete actions", got=world.action_space, next_step="use PPO")
    with own_streams(seed):
        policy = SoftmaxPolicy(world.layout.observation, config.net, int(world.action_space.n))
        optimizer = torch.optim.Adam(policy.parameters(), lr=config.learning_rate)
        observations = world.reset(derive(seed, "reset"))
        for _ in range(config.updates):
            # act
            ends = np.zeros((config.n_steps, world.n_envs), dtype=np.bool_)
            for time in range(config.n_steps):
                step = world.step(policy.act(observations, deterministic=False))
                ends[time] = step.terminated | step.truncated
                observations = step.observations

            # what was it worth?
            seen = slice(len(world.behaviour) - config.n_steps, None)
            scores = human(world.behaviour.batch(seen)).T
            if not ((scores >= 0) & (scores <= 1)).all():
                raise LearningError(
                    "A human score is out of range", got=f"{scores.min()} .. {scores.max()}", expected="0 .. 1"
                )
            rewards = world.behaviour.rewards[seen] + config.human_weight * scores
            returns = discounted(rewards, ends, config.gamma)
            advantages = (returns - returns.mean()) / (returns.std() + 1e-8)

            # make what was better than average more likely
            log_probs = policy(world.behaviour.observations[seen]).log_prob(
                torch.from_numpy(world.behaviour.actions[seen])
            )
            loss = policy_gradient_loss(log_probs, torch.from_numpy(advantages))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return policy
