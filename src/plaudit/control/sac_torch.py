"""SAC's update by Stable-Baselines3 itself: the reference for the other backends."""

from __future__ import annotations

import numpy as np
import torch
from stable_baselines3.common.logger import configure
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from plaudit.control.files import Arrays
from plaudit.control.replay import Batch
from plaudit.control.sac_nets import SACNets
from plaudit.control.sb3 import own_streams, read_moments, write_moments
from plaudit.models.kernels import FloatArray

LOSSES = ("train/actor_loss", "train/critic_loss", "train/ent_coef", "train/ent_coef_loss")


class TorchUpdate:
    """Calls `stable_baselines3.SAC.train`, with batches that were drawn outside in place of its replay buffer."""

    def __init__(self, nets: SACNets) -> None:
        model = nets.model
        model.set_logger(configure(None, []))
        self._nets, self._feed = nets, _Feed(nets)
        model.replay_buffer = self._feed  # pyright: ignore[reportAttributeAccessIssue] - only `sample` is called
        self._optimizers: dict[str, tuple[torch.optim.Optimizer, FloatArray]] = {
            "actor": (model.actor.optimizer, nets.actor),
            "critic": (model.critic.optimizer, nets.critic),
        }
        if model.ent_coef_optimizer is not None:
            self._optimizers["alpha"] = model.ent_coef_optimizer, nets.log_alpha

    def train(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        """One update for each entry of the batch's first axis. Returns the mean losses."""
        model = self._nets.model
        self._feed.fill(batch)
        with own_streams(int(rng.integers(2**63))):
            model.train(*batch.rewards.shape)
        found = model.logger.name_to_value
        return {name: float(found[name]) for name in LOSSES if name in found}

    def arrays(self) -> Arrays:
        """State of the optimisers."""
        found: Arrays = {}
        for name, (optimizer, parameters) in self._optimizers.items():
            first, second, steps = read_moments(optimizer, parameters)
            found |= {f"{name}.first": first, f"{name}.second": second, f"{name}.steps": np.array([steps])}
        return found

    def load(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        for name, (optimizer, parameters) in self._optimizers.items():
            moments = np.asarray(arrays[f"{name}.first"], np.float32), np.asarray(arrays[f"{name}.second"], np.float32)
            write_moments(optimizer, parameters, moments, int(arrays[f"{name}.steps"][0]))

    def hand_over(self) -> None:
        """The model's own optimisers did the work already."""


class _Feed:
    """Stands where Stable-Baselines3's replay buffer would."""

    def __init__(self, nets: SACNets) -> None:
        self._nets = nets
        self._waiting: list[ReplayBufferSamples] = []

    def fill(self, batch: Batch) -> None:
        """Line up the updates of a batch."""
        actions = self._nets.squashed(batch.actions)
        self._waiting = [
            ReplayBufferSamples(
                torch.from_numpy(batch.observations[index]),
                torch.from_numpy(actions[index]),
                torch.from_numpy(batch.following[index]),
                torch.from_numpy(1 - batch.continues[index])[:, None],
                torch.from_numpy(batch.rewards[index])[:, None],
            )
            for index in reversed(range(len(batch.rewards)))
        ]

    def sample(self, batch_size: int, env: object = None) -> ReplayBufferSamples:
        """The next update's transitions."""
        del batch_size, env
        return self._waiting.pop()
