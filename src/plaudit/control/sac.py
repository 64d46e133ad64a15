"""Soft actor-critic as a Stable-Baselines3 model, with its updates done by numpy, torch or JAX.

    learner.export("policy.zip")
    model = stable_baselines3.SAC.load("policy.zip")

Haarnoja et al. 2018, https://arxiv.org/abs/1812.05905.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, assert_never

import numpy as np
from numpy.typing import NDArray

from plaudit.control.config import Backend, SACConfig
from plaudit.control.files import Arrays, version_of
from plaudit.control.replay import Batch
from plaudit.control.sac_jax import JaxUpdate
from plaudit.control.sac_nets import SACNets
from plaudit.control.sac_torch import TorchUpdate
from plaudit.control.sac_update import NumpyUpdate
from plaudit.control.sb3 import light_optimizers
from plaudit.models.kernels import FloatArray
from plaudit.worlds.vector import VectorWorld


class Update(Protocol):
    """Changes SAC's networks in place."""

    def train(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        """One update for each entry of the batch's first axis; the losses of the last."""
        ...

    def arrays(self) -> Arrays:
        """State of the optimisers."""
        ...

    def load(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        ...

    def hand_over(self) -> None:
        """Give the optimisers of the Stable-Baselines3 model their state."""
        ...


class SACAgent:
    """Networks, and one of three ways to update them."""

    algorithm = "sac"

    def __init__(self, config: SACConfig, world: VectorWorld, seed: int) -> None:
        self.batch_size, self.utd, self.train_freq = config.batch_size, config.utd, 1
        self.nets = SACNets(config, world, seed)
        self.update: Update = _update_for(config.backend, self.nets)
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
        self._updates += len(batch.rewards)
        losses = self.update.train(batch, rng)
        return losses | {"train/n_updates": float(self._updates), "train/learning_rate": self.nets.config.learning_rate}

    def arrays(self) -> Arrays:
        """Weights, optimisers and counters."""
        return self.nets.arrays() | self.update.arrays() | {"updates": np.array([self._updates])}

    def load(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        self.nets.load(arrays)
        self.update.load(arrays)
        self._updates = int(arrays["updates"][0])

    def without_values(self, world: VectorWorld, seed: int) -> Arrays:
        """`arrays` with fresh critics; the actor, the entropy coefficient and their optimisers stay."""
        fresh = SACAgent(self.nets.config, world, seed).arrays()
        return self.arrays() | {name: fresh[name] for name in fresh if name.split(".")[0] in ("critic", "target")}

    def export(self, path: Path) -> None:
        """Write a zip that `stable_baselines3.SAC.load` opens, with the optimisers' state."""
        self.update.hand_over()
        model = self.nets.model
        model.num_timesteps = round(self._updates / self.utd)
        model._n_updates = self._updates  # pyright: ignore[reportPrivateUsage] - no public name exists
        with light_optimizers():
            model.save(path)


def _update_for(backend: Backend, nets: SACNets) -> Update:
    match backend:
        case Backend.NUMPY:
            return NumpyUpdate(nets)
        case Backend.TORCH:
            return TorchUpdate(nets)
        case Backend.JAX:
            return JaxUpdate(nets)
        case _:
            assert_never(backend)
