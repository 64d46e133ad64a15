"""The loop that the on-policy algorithms share: act, label, update; explore, save, restore."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plaudit.control.actor_critic import ActorCritic, Steps
from plaudit.control.files import Arrays, load_arrays, save_arrays, version_of
from plaudit.control.rewards import Labels, RewardFn
from plaudit.control.rollout import (
    Episodes,
    GoodWeights,
    explore,
    require_finite,
    require_finite_actions,
    vector_steps,
)
from plaudit.control.sb3 import light_optimizers
from plaudit.errors import LearningError
from plaudit.models.kernels import FloatArray, with_ones
from plaudit.ops.returns import gae
from plaudit.run.monitor import Monitor
from plaudit.run.seeds import derive, generator
from plaudit.worlds.vector import VectorWorld

Returns = NDArray[np.float64]


class OnPolicyLearner:
    """A `Learner` around an on-policy algorithm's networks."""

    def __init__(self, nets: ActorCritic, world: VectorWorld) -> None:
        self.nets, self.world = nets, world
        self._labels = Labels(world.behaviour)
        self._steps = 0

    @property
    def version(self) -> str:
        """Names the weights that act."""
        return version_of(self.nets.weights)

    def act(self, observations: NDArray[np.float32], deterministic: bool = True) -> NDArray[np.generic]:
        """Actions [n, *action] for observations [n, entry]; random ones differ from call to call."""
        return self.nets.clip(self.nets.draw(observations, None if deterministic else np.random.default_rng()))

    def explore(self, steps: int, seed: int, *, by_policy: bool = False) -> None:
        """Act at random, or as the policy does, for at least `steps` environment steps."""
        explore(self.world, steps, seed, lambda _: None, self._draw if by_policy else None)

    def _draw(self, observations: FloatArray, rng: np.random.Generator) -> NDArray[np.generic]:
        return self.nets.clip(self.nets.draw(observations, rng))

    def set_reward(self, reward: RewardFn, environment_weight: float = 0.0) -> None:
        """Pay by `reward` from now on. Raises LearningError if it is not finite on the behaviour so far."""
        self._labels.set(reward, environment_weight)

    def improve(self, steps: int, seed: int, monitor: Monitor) -> dict[str, float]:
        """Train for at least `steps` environment steps from fresh episodes on.

        The steps are cut into equal rollouts of about `n_steps`. Everything random follows from `seed`.

        Raises:
            LearningError: no reward was set, or training diverged; then the policy is back at its last good weights.
            WorldError: the world failed.
        """
        if not self._labels.ready:
            raise LearningError("There is no reward to improve for", next_step="call set_reward first")
        good = GoodWeights(self._copy, self._load)
        with good.kept():
            return self._improve(vector_steps(steps, self.world), seed, monitor, good)

    def _improve(self, rows: int, seed: int, monitor: Monitor, good: GoodWeights) -> dict[str, float]:
        rng, episodes = generator(seed, "improve"), Episodes(self.world.n_envs)
        observations = self.world.reset(derive(seed, "reset"))
        losses: dict[str, float] = {}
        rollouts = max(1, round(rows / self.nets.n_steps))
        edges = [round(rows * index / rollouts) for index in range(rollouts + 1)]
        for start, end in pairwise(edges):
            steps, observations = self._collect(observations, end - start, rng, episodes)
            before = self._copy()
            losses = self._update(steps, rng)
            require_finite(losses)
            # what this update led to shows in the next losses only
            if not good.follow(monitor.report(end * self.world.n_envs, episodes.metrics() | losses), before):
                break
        return episodes.metrics() | losses

    def _collect(
        self, observations: FloatArray, length: int, rng: np.random.Generator, episodes: Episodes
    ) -> tuple[Steps, FloatArray]:
        """Act for `length` steps of the vector; returns them, flat and ready to learn from, and what was seen last."""
        world, nets = self.world, self.nets
        inputs = with_ones(length, world.n_envs, world.layout.observation + 1)
        ends, drawn = np.zeros((length, world.n_envs), np.bool_), list[NDArray[np.generic]]()
        cut_off, finals = np.zeros((length, world.n_envs), np.bool_), list[FloatArray]()
        for row in range(length):
            inputs[row, :, :-1] = observations
            drawn.append(nets.draw(observations, rng))
            require_finite_actions(drawn[-1])
            step = world.step(nets.clip(drawn[-1]))
            ends[row] = step.terminated | step.truncated
            cut_off[row] = step.truncated & ~step.terminated
            finals.extend(step.final_observations[cut_off[row]])
            observations = step.observations
        self._labels.catch_up()
        self._steps += length * world.n_envs
        rewards = self._labels.values[-length:].astype(np.float64)
        for paid, ended in zip(rewards, ends, strict=True):
            episodes.add(paid, ended)
        if finals:  # a time limit takes nothing away from the future
            rewards[cut_off] += self.nets.gamma * self.nets.values(np.array(finals))
        return self._ready(inputs, np.stack(drawn), rewards, ends, self.nets.values(observations)), observations

    def _ready(
        self, inputs: FloatArray, drawn: NDArray[np.generic], rewards: Returns, ends: NDArray[np.bool_], after: Returns
    ) -> Steps:  # fmt: skip
        """Advantages and returns of a rollout [time, env, ...], flattened."""
        flat = inputs.reshape(-1, inputs.shape[-1])
        actions = drawn.reshape(len(flat), *drawn.shape[2:])
        output, found = self.nets.forward(flat)
        log_probs, _ = self.nets.head.evaluate(output, actions)
        values = found.reshape(rewards.shape).astype(np.float64)
        advantages = gae(rewards, values, after, ends, discount=self.nets.gamma, trace=self.nets.gae_lambda)
        returns = (advantages + values).astype(np.float32).reshape(-1)
        return Steps(flat, actions, log_probs, advantages.astype(np.float32).reshape(-1), returns)

    def _update(self, steps: Steps, rng: np.random.Generator) -> dict[str, float]:
        """Learn from a rollout. Returns the losses."""
        nets = self.nets
        with np.errstate(all="ignore"):  # what is not finite shows in the losses
            losses = nets.train(steps, rng)
            spread, std = float(np.var(steps.returns)), nets.std
            unexplained = float(np.var(steps.advantages))  # returns minus values
        return losses | {
            "train/explained_variance": 1 - unexplained / spread if spread else 0.0,
            "train/learning_rate": nets.learning_rate,
            "train/n_updates": float(nets.updates),
            **({} if std is None else {"train/std": std}),
        }

    def reset_critic(self, seed: int) -> None:
        """Forget what was valued: a fresh value function, and a fresh optimiser."""
        self.nets.reset_value(seed, self.world)

    def save(self, folder: Path) -> None:
        """Write all that `restore` needs into a folder that exists; equal learners give equal bytes."""
        save_arrays(folder, self.nets.algorithm, self._arrays())

    def restore(self, folder: Path) -> None:
        """Take up what `save` wrote. Raises RunError."""
        self._load(load_arrays(folder, self.nets.algorithm, self._arrays()))

    def export(self, path: Path) -> None:
        """Write a zip that the algorithm's class in Stable-Baselines3 opens, with the optimiser's state."""
        self.nets.hand_over()
        model = self.nets.model
        model.num_timesteps = self._steps
        model._n_updates = self.nets.updates  # pyright: ignore[reportPrivateUsage] - no public name exists
        with light_optimizers():
            model.save(path)

    def _arrays(self) -> Arrays:
        own: Arrays = {
            "weights": self.nets.weights,
            "updates": np.array([self.nets.updates]),
            "steps": np.array([self._steps]),
        }
        return own | self.nets.optimizer()

    def _load(self, arrays: Arrays) -> None:
        self.nets.weights[:] = arrays["weights"]
        self.nets.updates, self._steps = int(arrays["updates"][0]), int(arrays["steps"][0])
        self.nets.load_optimizer(arrays)

    def _copy(self) -> Arrays:
        return {name: array.copy() for name, array in self._arrays().items()}
