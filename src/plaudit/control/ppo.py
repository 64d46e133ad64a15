"""Proximal policy optimisation as a Stable-Baselines3 model; acting, labelling and updating are done here.

learner.export("policy.zip")
model = stable_baselines3.PPO.load("policy.zip")
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from plaudit.control.config import PPOConfig
from plaudit.control.files import Arrays, adam_arrays, load_adam, load_arrays, save_arrays, version_of
from plaudit.control.ppo_nets import PPONets, Steps
from plaudit.control.rewards import Labels, RewardFn
from plaudit.control.rollout import Episodes, explore, require_finite, require_finite_actions, vector_steps
from plaudit.control.sb3 import light_optimizers, write_moments
from plaudit.errors import LearningError
from plaudit.models.kernels import FloatArray, with_ones
from plaudit.ops.returns import gae
from plaudit.run.monitor import Monitor, Signal
from plaudit.run.seeds import derive, generator
from plaudit.worlds.vector import VectorWorld

Returns = NDArray[np.float64]


class PPOLearner:
    """A `Learner` for PPO.

    Args:
        config: the settings.
        world: where it acts.
        seed: of the initial weights.
    """

    algorithm = "ppo"

    def __init__(self, config: PPOConfig, world: VectorWorld, seed: int) -> None:
        self.config, self.world = config, world
        self.nets = PPONets(config, world, seed)
        self._labels = Labels(world.behaviour)
        self._updates, self._steps = 0, 0

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
        good = [self._copy()]  # at the start, and after the newest rollout
        try:
            return self._improve(vector_steps(steps, self.world), seed, monitor, good)
        except LearningError:
            self._load(good[-1])
            raise

    def _improve(self, rows: int, seed: int, monitor: Monitor, good: list[Arrays]) -> dict[str, float]:
        rng, episodes = generator(seed, "improve"), Episodes(self.world.n_envs)
        observations = self.world.reset(derive(seed, "reset"))
        losses: dict[str, float] = {}
        rollouts = max(1, round(rows / self.config.n_steps))
        edges = [round(rows * index / rollouts) for index in range(rollouts + 1)]
        for start, end in pairwise(edges):
            steps, observations = self._collect(observations, end - start, rng, episodes)
            losses = self._update(steps, rng)
            require_finite(losses)
            match monitor.report(end * self.world.n_envs, episodes.metrics() | losses):
                case Signal.GO:
                    good[1:] = [self._copy()]
                case Signal.STOP:
                    break
                case Signal.ROLL_BACK:
                    self._load(good[0])
                    break
                case _ as never:
                    assert_never(never)
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
            rewards[cut_off] += self.config.gamma * self.nets.values(np.array(finals))
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
        advantages = gae(rewards, values, after, ends, discount=self.config.gamma, trace=self.config.gae_lambda)
        returns = (advantages + values).astype(np.float32).reshape(-1)
        return Steps(flat, actions, log_probs, advantages.astype(np.float32).reshape(-1), returns)

    def _update(self, steps: Steps, rng: np.random.Generator) -> dict[str, float]:
        """Several passes over a rollout in random batches. Returns mean losses."""
        config, nets, found = self.config, self.nets, list[dict[str, float]]()
        with np.errstate(all="ignore"):  # what is not finite shows in the losses
            for _ in range(config.n_epochs):
                shuffled = steps[rng.permutation(len(steps))]
                for start in range(0, len(steps), config.batch_size):
                    found.append(nets.update(shuffled[start : start + config.batch_size]))
                    if nets.moved_too_far(found[-1]):
                        break
                self._updates += 1
                if nets.moved_too_far(found[-1]):
                    break
            losses = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
            spread, std = float(np.var(steps.returns)), nets.std
            unexplained = float(np.var(steps.advantages))  # returns minus values
        return losses | {
            "train/loss": losses["train/policy_gradient_loss"]
            + config.ent_coef * losses["train/entropy_loss"]
            + config.vf_coef * losses["train/value_loss"],
            "train/explained_variance": 1 - unexplained / spread if spread else 0.0,
            "train/clip_range": config.clip_range,
            "train/learning_rate": config.learning_rate,
            "train/n_updates": float(self._updates),
            **({} if std is None else {"train/std": std}),
        }

    def reset_critic(self, seed: int) -> None:
        """Forget what was valued: a fresh value function, and a fresh optimiser."""
        self.nets.reset_value(seed, self.world)

    def save(self, folder: Path) -> None:
        """Write all that `restore` needs into a folder that exists; equal learners give equal bytes."""
        save_arrays(folder, self.algorithm, self._arrays())

    def restore(self, folder: Path) -> None:
        """Take up what `save` wrote. Raises RunError."""
        self._load(load_arrays(folder, self.algorithm, self._arrays()))

    def export(self, path: Path) -> None:
        """Write a zip that `stable_baselines3.PPO.load` opens, with the optimiser's state."""
        model, adam = self.nets.model, self.nets.adam
        write_moments(model.policy.optimizer, self.nets.weights, adam.moments(), adam.steps)
        model.num_timesteps = self._steps
        model._n_updates = self._updates  # pyright: ignore[reportPrivateUsage] - no public name exists
        with light_optimizers():
            model.save(path)

    def _arrays(self) -> Arrays:
        own: Arrays = {
            "weights": self.nets.weights,
            "updates": np.array([self._updates]),
            "steps": np.array([self._steps]),
        }
        return own | adam_arrays("adam", self.nets.adam)

    def _load(self, arrays: Arrays) -> None:
        self.nets.weights[:] = arrays["weights"]
        self._updates, self._steps = int(arrays["updates"][0]), int(arrays["steps"][0])
        load_adam("adam", self.nets.adam, arrays)

    def _copy(self) -> Arrays:
        return {name: array.copy() for name, array in self._arrays().items()}
