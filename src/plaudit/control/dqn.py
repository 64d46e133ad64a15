"""Deep Q-network as a Stable-Baselines3 model, updated without autograd, equal to its own update to rounding.

    y = r + gamma max_a Q'(s', a),   Q  <-  Adam on  mean huber(Q(s, a) - y),   Q'  <-  Q before each burst of updates

Mnih et al. 2015, https://doi.org/10.1038/nature14236. Updates come in bursts, as in RL Baselines3 Zoo.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import DQN

from plaudit.control.config import DQNConfig
from plaudit.control.files import Arrays, adam_arrays, load_adam, version_of
from plaudit.control.replay import Batch
from plaudit.control.sb3 import WorldVecEnv, adopt, light_optimizers, linears, own_streams, write_moments
from plaudit.errors import ConfigError
from plaudit.models.kernels import Adam, FloatArray, Shape, Tape, Tapes, clip_norm, with_ones
from plaudit.worlds.vector import VectorWorld


class DQNAgent:
    """Network, target network and their update.

    Args:
        config: the settings.
        world: gives the spaces.
        seed: of the initial weights.

    Raises:
        ConfigError: the actions are not discrete.
    """

    algorithm = "dqn"

    def __init__(self, config: DQNConfig, world: VectorWorld, seed: int) -> None:
        space = world.action_space
        if not isinstance(space, spaces.Discrete):
            raise ConfigError(
                "DQN needs discrete actions", got=space, next_step="use [policy.sac] or [policy.ppo] instead"
            )
        self.config = config
        self.batch_size, self.utd, self.train_freq = config.batch_size, config.utd, config.train_freq
        self._actions, self._width = int(space.n), world.layout.observation
        self._shape = Shape((self._width, *config.net, self._actions))
        self._weights: FloatArray = np.zeros(self._shape.parameters, np.float32)
        self._target: FloatArray = np.zeros(self._shape.parameters, np.float32)
        self._gradient: FloatArray = np.zeros(self._shape.parameters, np.float32)
        self._blocks, self._gradients = self._shape.blocks(self._weights), self._shape.blocks(self._gradient)
        self._target_blocks = self._shape.blocks(self._target)
        self._adam = Adam(len(self._weights), config.learning_rate)
        self._tape = Tape(self._shape, config.batch_size)
        self._tapes = Tapes(self._shape)
        self._updates = 0
        self.model = self._build(world, seed)

    @property
    def version(self) -> str:
        """Names the network's weights."""
        return version_of(self._weights)

    @property
    def exploration_rate(self) -> float:
        """Share of random actions."""
        done = min(1.0, self._updates / self.utd / max(1, self.config.exploration_steps))
        return 1 + done * (self.config.exploration_final_eps - 1)

    def act(self, observations: FloatArray, rng: np.random.Generator | None) -> NDArray[np.generic]:
        """Best actions [n]; with a generator some of them random."""
        actions = self._tapes.forward(self._blocks, observations)[0].argmax(axis=1)
        if rng is None:
            return actions
        rows = len(actions)
        random = rng.random(rows) < self.exploration_rate
        return np.where(random, rng.integers(0, self._actions, rows), actions)

    def train(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        """A burst: one update for each entry of the batch's first axis; the loss of the last."""
        del rng
        updates, rows = batch.rewards.shape
        present, following = with_ones(updates, 1, rows, self._width + 1), with_ones(updates, 1, rows, self._width + 1)
        present[:, 0, :, :-1], following[:, 0, :, :-1] = batch.observations, batch.following
        discounts = batch.continues * np.float32(self.config.gamma)
        chosen = batch.actions.astype(np.intp)
        loss = 0.0
        self._target[:] = self._weights
        with np.errstate(all="ignore"):  # what is not finite shows in the loss
            for index in range(updates):
                best = self._tape.forward(self._target_blocks, following[index])[0].max(axis=1)
                loss = self._update(present[index], chosen[index], batch.rewards[index] + discounts[index] * best)
        self._updates += updates
        return {
            "train/loss": loss,
            "train/n_updates": float(self._updates),
            "train/learning_rate": self.config.learning_rate,
        }

    def _update(self, inputs: FloatArray, chosen: NDArray[np.intp], wanted: FloatArray) -> float:
        """One update; returns the loss."""
        every = np.arange(len(chosen))
        q = self._tape.forward(self._blocks, inputs)
        error = q[0, every, chosen] - wanted
        size = np.abs(error)
        d_output = np.zeros_like(q)
        d_output[0, every, chosen] = np.clip(error, -1, 1) / len(chosen)
        self._tape.backward(self._blocks, d_output, self._gradients)
        clip_norm(self._gradient, self.config.max_grad_norm)
        self._adam.step(self._weights, self._gradient)
        return float(np.where(size < 1, 0.5 * size * size, size - 0.5).mean())

    def arrays(self) -> Arrays:
        """Weights, optimiser and counter."""
        own: Arrays = {"weights": self._weights, "target": self._target, "updates": np.array([self._updates])}
        return own | adam_arrays("adam", self._adam)

    def load(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        self._weights[:], self._target[:] = arrays["weights"], arrays["target"]
        self._updates = int(arrays["updates"][0])
        load_adam("adam", self._adam, arrays)

    def without_values(self, world: VectorWorld, seed: int) -> Arrays:
        """Everything anew: the values are the policy. Exploration begins anew as well."""
        return DQNAgent(self.config, world, seed).arrays()

    @property
    def network(self) -> tuple[Shape, FloatArray]:
        """Shape and weights of what gives an action's value."""
        return self._shape, self._weights

    def export(self, path: Path) -> None:
        """Write a zip that `stable_baselines3.DQN.load` opens, with the optimiser's state."""
        model = self.model
        write_moments(model.policy.optimizer, self._weights, self._adam.moments(), self._adam.steps)
        model.num_timesteps, model.exploration_rate = round(self._updates / self.utd), self.exploration_rate
        model._n_updates = self._updates  # pyright: ignore[reportPrivateUsage] - no public name exists
        with light_optimizers():
            model.save(path)

    def _build(self, world: VectorWorld, seed: int) -> DQN:
        config = self.config
        with own_streams(seed), light_optimizers():
            model = DQN(
                "MlpPolicy",
                WorldVecEnv(world),
                learning_rate=config.learning_rate,
                buffer_size=1,
                batch_size=config.batch_size,
                gamma=config.gamma,
                train_freq=max(1, config.train_freq // world.n_envs),
                gradient_steps=max(1, round(config.train_freq * config.utd)),
                target_update_interval=max(config.train_freq, world.n_envs),
                exploration_final_eps=config.exploration_final_eps,
                max_grad_norm=config.max_grad_norm,
                policy_kwargs={"net_arch": list(config.net)},
                device="cpu",
            )
        model.buffer_size = 1_000_000  # Stable-Baselines3's default, for whoever loads the exported model
        for network, blocks in ((model.q_net, self._blocks), (model.q_net_target, self._target_blocks)):
            for layer, block in zip(linears(network), blocks, strict=True):
                adopt(layer, block[0])
        return model
