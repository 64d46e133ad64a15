"""What SAC and TD3 share: bounded actions, two critics with their targets, and what an update reads."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import ContinuousCritic

from plaudit.control.config import SACConfig, TD3Config
from plaudit.control.replay import Batch
from plaudit.control.sb3 import adopt, linears
from plaudit.errors import ConfigError
from plaudit.models.kernels import FloatArray, Shape, with_ones
from plaudit.worlds.vector import VectorWorld


class BoxNets:
    """Two critics and two target critics in vectors, and actions between the environment's bounds and [-1, 1].

    Args:
        config: the settings.
        world: gives the spaces.
        name: of the algorithm, for messages.

    Raises:
        ConfigError: the actions are not continuous and bounded.
    """

    def __init__(self, config: SACConfig | TD3Config, world: VectorWorld, name: str) -> None:
        space = world.action_space
        if not isinstance(space, spaces.Box) or not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
            raise ConfigError(
                f"{name} needs continuous actions within finite bounds",
                got=space,
                next_step="use [policy.ppo] or [policy.dqn] instead",
            )
        self.rows, self.gamma = config.batch_size, config.gamma
        self.low: FloatArray = space.low.reshape(-1).astype(np.float32)
        self.span: FloatArray = space.high.reshape(-1).astype(np.float32) - self.low
        self.action_shape = space.shape
        self.observation_size = world.layout.observation
        self.action_size = len(self.low)
        self.critic_shape = Shape((self.observation_size + self.action_size, *config.net, 1), members=2)
        self.critic: FloatArray = np.zeros(self.critic_shape.parameters, np.float32)
        self.target: FloatArray = np.zeros(self.critic_shape.parameters, np.float32)
        self.critic_blocks = self.critic_shape.blocks(self.critic)
        self.target_blocks = self.critic_shape.blocks(self.target)

    def squashed(self, actions: NDArray[np.generic]) -> FloatArray:
        """Actions of the environment [..., *action] as the critics see them, in [-1, 1]: [..., entry]."""
        flat = actions.reshape(*actions.shape[: actions.ndim - len(self.action_shape)], -1).astype(
            np.float32, copy=False
        )
        return 2 * (flat - self.low) / self.span - 1

    def unsquashed(self, actions: FloatArray) -> FloatArray:
        """Inverse of `squashed`: [n, entry] to [n, *action]."""
        found = self.low + np.float32(0.5) * (actions + 1) * self.span
        return found.reshape(len(actions), *self.action_shape).astype(np.float32, copy=False)

    def adopt_critics(self, critic: ContinuousCritic, target: ContinuousCritic) -> None:
        """Put the model's critics into the vectors."""
        for critics, blocks in ((critic, self.critic_blocks), (target, self.target_blocks)):
            for member, network in enumerate(critics.q_networks):
                adopt_network(network, blocks, member)


def adopt_network(network: torch.nn.Module, blocks: list[FloatArray], member: int = 0) -> None:
    """Move a network's linear layers into blocks [member, input + 1, output], see `adopt`."""
    for layer, block in zip(linears(network), blocks, strict=True):
        adopt(layer, block[member])


def follow(target: FloatArray, weights: FloatArray, tau: float, scratch: FloatArray) -> None:
    """Move `target` by a share `tau` of the way to `weights`."""
    np.subtract(weights, target, out=scratch)
    scratch *= tau
    target += scratch


class Given:
    """What an update reads, for up to `room` updates; action columns are filled in as the updates go."""

    def __init__(self, nets: BoxNets, room: int) -> None:
        rows, observation = nets.rows, nets.observation_size
        both = observation + nets.action_size
        self.room = room
        self.actor: FloatArray = with_ones(room, 1, 2 * rows, observation + 1)
        """observations, then the following ones"""
        self.past: FloatArray = with_ones(room, 1, rows, both + 1)
        self.present: FloatArray = with_ones(room, 1, rows, both + 1)
        self.future: FloatArray = with_ones(room, 1, rows, both + 1)
        self.rewards: FloatArray = np.empty((room, rows), np.float32)
        self.discounts: FloatArray = np.empty((room, rows), np.float32)

    def take(self, nets: BoxNets, batch: Batch) -> None:
        """Take in all that does not depend on the weights."""
        updates, rows = batch.rewards.shape
        size = nets.observation_size
        self.actor[:updates, 0, :rows, :-1] = batch.observations
        self.actor[:updates, 0, rows:, :-1] = batch.following
        for inputs, observations in (
            (self.past, batch.observations),
            (self.present, batch.observations),
            (self.future, batch.following),
        ):
            inputs[:updates, 0, :, :size] = observations
        self.past[:updates, 0, :, size:-1] = nets.squashed(batch.actions)
        self.rewards[:updates] = batch.rewards
        self.discounts[:updates] = batch.continues * np.float32(nets.gamma)
