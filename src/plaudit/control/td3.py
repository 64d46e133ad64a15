"""Twin delayed deterministic policy gradient as a Stable-Baselines3 model, updated in place without autograd (td3_update.py).

    learner.export("policy.zip")
    model = stable_baselines3.TD3.load("policy.zip")

Fujimoto et al. 2018, https://arxiv.org/abs/1802.09477.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plaudit.control.config import TD3Config
from plaudit.control.files import Arrays, version_of
from plaudit.control.replay import Batch
from plaudit.control.sb3 import light_optimizers, write_moments
from plaudit.control.td3_nets import TD3Nets
from plaudit.control.td3_update import TD3Update
from plaudit.models.kernels import FloatArray
from plaudit.worlds.vector import VectorWorld


class TD3Agent:
    """Networks, and how they are updated."""

    algorithm = "td3"

    def __init__(self, config: TD3Config, world: VectorWorld, seed: int) -> None:
        self.batch_size, self.utd, self.train_freq = config.batch_size, config.utd, 1
        self.nets = TD3Nets(config, world, seed)
        self.update = TD3Update(self.nets)

    @property
    def version(self) -> str:
        """Names the actor's weights."""
        return version_of(self.nets.actor)

    def act(self, observations: FloatArray, rng: np.random.Generator | None) -> NDArray[np.generic]:
        """Actions as the environment takes them."""
        return self.nets.act(observations, rng)

    def train(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        """One update for each entry of the batch's first axis; the losses of the last."""
        losses = self.update.train(batch, rng)
        return losses | {
            "train/n_updates": float(self.update.updates),
            "train/learning_rate": self.nets.config.learning_rate,
        }

    def arrays(self) -> Arrays:
        """Weights, optimisers and counters."""
        return self.nets.arrays() | self.update.arrays()

    def load(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        self.nets.load(arrays)
        self.update.load(arrays)

    def without_values(self, world: VectorWorld, seed: int) -> Arrays:
        """`arrays` with fresh critics; the actor and its optimiser stay."""
        fresh = TD3Agent(self.nets.config, world, seed).arrays()
        return self.arrays() | {name: fresh[name] for name in fresh if name.split(".")[0] in ("critic", "target")}

    def export(self, path: Path) -> None:
        """Write a zip that `stable_baselines3.TD3.load` opens, with the optimisers' state."""
        nets, model, adams = self.nets, self.nets.model, self.update.adams
        write_moments(model.actor.optimizer, nets.actor, adams["actor"].moments(), adams["actor"].steps)
        write_moments(model.critic.optimizer, nets.critic, adams["critic"].moments(), adams["critic"].steps)
        model.num_timesteps = round(self.update.updates / self.utd)
        model._n_updates = self.update.updates  # pyright: ignore[reportPrivateUsage] - no public name exists
        with light_optimizers():
            model.save(path)
