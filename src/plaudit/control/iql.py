"""Implicit Q-learning (Kostrikov et al. 2021, https://arxiv.org/abs/2110.06169) without autograd, in the form of SAC's networks.

One update on transitions of logged episodes; no action is ever valued that was not taken there:

    value:   V    <-  Adam on  mean |tau - [u < 0]| u^2,   u = min_i Q'_i(s, a) - V(s)                 (equation 5)
    actor:   pi   <-  Adam on  -mean min(exp(beta (min_i Q'_i(s, a) - V(s))), 100) log pi(a | s)       (equation 7)
    critics: Q_i  <-  Adam on  mean (Q_i(s, a) - y)^2,   y = r + gamma V(s')                           (equation 6)
    targets: Q'   <-  Q' + tau' (Q - Q')

in the order of the authors' code. The policy is exported as `stable_baselines3.SAC`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plaudit.control.box_nets import follow
from plaudit.control.config import SACConfig
from plaudit.control.config_offline import IQLConfig
from plaudit.control.files import Arrays, adam_arrays, load_adam, version_of
from plaudit.control.replay import Batch
from plaudit.control.sac_nets import SACNets
from plaudit.control.sb3 import light_optimizers
from plaudit.control.squashed import fit_squashed, unsquashed
from plaudit.models.kernels import Adam, FloatArray, Shape, Tape, with_ones
from plaudit.run.seeds import generator
from plaudit.worlds.vector import VectorWorld

HEAVIEST = np.float32(100.0)
"""largest weight of an action, as in the authors' code"""


class IQLAgent:
    """Actor, critics, value function and their update.

    Args:
        config: the settings.
        world: gives the spaces.
        seed: of the initial weights.

    Raises:
        ConfigError: the actions are not continuous and bounded.
    """

    algorithm = "iql"
    train_freq = 1

    def __init__(self, config: IQLConfig, world: VectorWorld, seed: int) -> None:
        self.config = config
        self.batch_size, self.utd = config.batch_size, config.utd
        like_sac = SACConfig(
            net=config.net, batch_size=config.batch_size, learning_rate=config.learning_rate, gamma=config.gamma,
            tau=config.tau, ent_coef="0.01",
        )  # fmt: skip
        self.nets = SACNets(like_sac, world, seed)
        self._value_shape = Shape((self.nets.observation_size, *config.net, 1))
        self._value = _fresh(self._value_shape, generator(seed, "value"))
        self._value_blocks = self._value_shape.blocks(self._value)
        sizes = {"actor": len(self.nets.actor), "critic": len(self.nets.critic), "value": len(self._value)}
        self._adams = {name: Adam(size, config.learning_rate) for name, size in sizes.items()}
        self._room = _Room(self.nets, self._value_shape, config.batch_size)
        self._updates = 0

    @property
    def version(self) -> str:
        """Names the actor's weights."""
        return version_of(self.nets.actor)

    def act(self, observations: FloatArray, rng: np.random.Generator | None) -> NDArray[np.generic]:
        """Actions as the environment takes them."""
        return self.nets.act(observations, rng)

    def train(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        """One update for each entry of the batch's first axis; the losses of the last."""
        del rng
        losses: dict[str, float] = {}
        actions = self.nets.squashed(batch.actions)
        discounts = batch.continues * np.float32(self.config.gamma)
        with np.errstate(all="ignore"):  # what is not finite shows in the losses
            for index in range(len(batch.rewards)):
                self._room.take(batch.observations[index], actions[index], batch.following[index])
                losses = self._update(actions[index], batch.rewards[index], discounts[index])
        self._updates += len(batch.rewards)
        return losses | {"train/n_updates": float(self._updates), "train/learning_rate": self.config.learning_rate}

    def _update(self, actions: FloatArray, rewards: FloatArray, discounts: FloatArray) -> dict[str, float]:
        nets, room, adams, config = self.nets, self._room, self._adams, self.config
        rows = len(rewards)
        q = room.critic.forward(nets.target_blocks, room.past)[..., 0].min(axis=0)
        surplus = q - room.value.forward(self._value_blocks, room.present)[0, :, 0]
        share = np.where(surplus > 0, config.expectile, 1 - config.expectile).astype(np.float32)
        d_value = np.asarray(share * surplus * (-2 / rows), np.float32)[None, :, None]
        room.value.backward(self._value_blocks, d_value, room.value_gradients)
        adams["value"].step(self._value, room.value_gradient)
        future = discounts * room.value.forward(self._value_blocks, room.following)[0, :, 0]
        advantages = q - room.value.forward(self._value_blocks, room.present)[0, :, 0]
        weights = np.minimum(np.exp(np.float32(config.temperature) * advantages), HEAVIEST)
        output = room.actor.forward(nets.actor_blocks, room.present)[0]
        misfits = fit_squashed(output, unsquashed(actions), weights / np.float32(rows), room.d_actor[0])
        room.actor.backward(nets.actor_blocks, room.d_actor, room.actor_gradients)
        adams["actor"].step(nets.actor, room.actor_gradient)
        error = room.critic.forward(nets.critic_blocks, room.past) - (rewards + future)[:, None]
        room.critic.backward(nets.critic_blocks, np.asarray(error * (2 / rows), np.float32), room.critic_gradients)
        adams["critic"].step(nets.critic, room.critic_gradient)
        follow(nets.target, nets.critic, config.tau, room.critic_gradient)
        return {
            "train/actor_loss": float((weights * misfits).mean()),
            "train/critic_loss": float(np.vdot(error, error) / rows),
            "train/value_loss": float((share * surplus * surplus).mean()),
        }

    def arrays(self) -> Arrays:
        """Weights, optimisers and counters."""
        found: Arrays = self.nets.arrays() | {"value": self._value, "updates": np.array([self._updates])}
        for name, adam in self._adams.items():
            found |= adam_arrays(name, adam)
        return found

    def load(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        self.nets.load(arrays)
        self._value[:] = arrays["value"]
        self._updates = int(arrays["updates"][0])
        for name, adam in self._adams.items():
            load_adam(name, adam, arrays)

    def without_values(self, world: VectorWorld, seed: int) -> Arrays:
        """`arrays` with fresh critics and value function; the actor and its optimiser stay."""
        fresh = IQLAgent(self.config, world, seed).arrays()
        return self.arrays() | {n: fresh[n] for n in fresh if n.split(".")[0] in ("critic", "target", "value")}

    def export(self, path: Path) -> None:
        """Write a zip that `stable_baselines3.SAC.load` opens."""
        self.nets.hand_over({name: (adam.moments(), adam.steps) for name, adam in self._adams.items()})
        self.nets.model._n_updates = self._updates  # pyright: ignore[reportPrivateUsage] - no public name exists
        with light_optimizers():
            self.nets.model.save(path)


class _Room:
    """Buffers of one update."""

    def __init__(self, nets: SACNets, value: Shape, rows: int) -> None:
        seen, both = nets.observation_size, nets.observation_size + nets.action_size
        self.present, self.following = with_ones(1, rows, seen + 1), with_ones(1, rows, seen + 1)
        self.past = with_ones(1, rows, both + 1)
        self.actor, self.critic, self.value = (
            Tape(shape, rows) for shape in (nets.actor_shape, nets.critic_shape, value)
        )
        self.d_actor: FloatArray = np.empty((1, rows, 2 * nets.action_size), np.float32)
        self.actor_gradient, self.critic_gradient = np.empty_like(nets.actor), np.empty_like(nets.critic)
        self.value_gradient: FloatArray = np.empty(value.parameters, np.float32)
        self.actor_gradients = nets.actor_shape.blocks(self.actor_gradient)
        self.critic_gradients = nets.critic_shape.blocks(self.critic_gradient)
        self.value_gradients = value.blocks(self.value_gradient)
        self._seen = seen

    def take(self, observations: FloatArray, actions: FloatArray, following: FloatArray) -> None:
        """Take in one batch [row, ...]."""
        self.present[0, :, :-1], self.following[0, :, :-1] = observations, following
        self.past[0, :, : self._seen], self.past[0, :, self._seen : -1] = observations, actions


def _fresh(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Weights uniform in +-1 / sqrt(inputs), as torch starts linear layers."""
    weights = np.empty(shape.parameters, np.float32)
    for block in shape.blocks(weights):
        block[...] = rng.uniform(-1, 1, block.shape) / np.sqrt(block.shape[1] - 1)
    return weights
