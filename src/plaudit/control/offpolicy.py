"""The loop that the off-policy algorithms share: act, label, update; explore, save, restore."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plaudit.control.files import Arrays, load_arrays, save_arrays
from plaudit.control.replay import Batch, Replay
from plaudit.control.rewards import Labels, RewardFn
from plaudit.control.rollout import (
    REPORT_EVERY,
    Episodes,
    GoodWeights,
    explore,
    require_finite,
    require_finite_actions,
    vector_steps,
)
from plaudit.errors import LearningError
from plaudit.run.monitor import Monitor
from plaudit.run.seeds import derive, generator
from plaudit.worlds.vector import VectorWorld


class Agent(Protocol):
    """An off-policy algorithm: its networks and how they are updated."""

    algorithm: str
    """name in saved files"""
    batch_size: int
    """transitions of an update"""
    utd: float
    """updates per environment step"""
    train_freq: int
    """environment steps between two calls of `train`"""

    @property
    def version(self) -> str:
        """Names the acting weights."""
        ...

    def act(self, observations: NDArray[np.float32], rng: np.random.Generator | None) -> NDArray[np.generic]:
        """Actions [n, *action]; deterministic when there is no generator."""
        ...

    def train(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        """One update for each entry of the batch's first axis; the losses of the last."""
        ...

    def arrays(self) -> Arrays:
        """All that training changes, as views or copies."""
        ...

    def load(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        ...

    def without_values(self, world: VectorWorld, seed: int) -> Arrays:
        """`arrays` with fresh critics, and all else as it is."""
        ...

    def export(self, path: Path) -> None:
        """Write a zip that Stable-Baselines3 opens."""
        ...


class OffPolicyLearner:
    """A `Learner` around an off-policy agent."""

    def __init__(self, agent: Agent, world: VectorWorld) -> None:
        self.agent = agent
        self.world = world
        self._labels = Labels(world.behaviour)
        self._replay = Replay(world.behaviour, self._labels)

    @property
    def version(self) -> str:
        """Names the weights that act."""
        return self.agent.version

    def act(self, observations: NDArray[np.float32], deterministic: bool = True) -> NDArray[np.generic]:
        """Actions [n, *action] for observations [n, entry]; random ones differ from call to call."""
        return self.agent.act(observations, None if deterministic else np.random.default_rng())

    def explore(self, steps: int, seed: int, *, by_policy: bool = False) -> None:
        """Act at random, or as the policy does, for at least `steps` environment steps."""
        self._replay.begin()
        act = self.agent.act if by_policy else None
        self._replay.close(explore(self.world, steps, seed, self._replay.note, act))

    def set_reward(self, reward: RewardFn, environment_weight: float = 0.0) -> None:
        """Pay by `reward` from now on; all behaviour so far is labelled anew. Raises LearningError if it is not finite."""
        self._labels.set(reward, environment_weight)

    def improve(self, steps: int, seed: int, monitor: Monitor) -> dict[str, float]:
        """Train for at least `steps` environment steps from fresh episodes on.

        Everything random follows from `seed`.

        Raises:
            LearningError: no reward was set, or training diverged; then the policy is back at its last good weights.
            WorldError: the world failed.
        """
        if not self._labels.ready:
            raise LearningError("There is no reward to improve for", next_step="call set_reward first")
        good = GoodWeights(self._copy, self.agent.load)
        with good.kept():
            return self._improve(vector_steps(steps, self.world), seed, monitor, good)

    def _improve(self, rows: int, seed: int, monitor: Monitor, good: GoodWeights) -> dict[str, float]:
        agent, world, labels, replay = self.agent, self.world, self._labels, self._replay
        rng, episodes, losses = generator(seed, "improve"), Episodes(world.n_envs), dict[str, float]()
        observations = world.reset(derive(seed, "reset"))
        replay.begin()
        owed = 0.0
        for row in range(1, rows + 1):
            actions = agent.act(observations, rng)
            require_finite_actions(actions)
            step = world.step(actions)
            observations = step.observations
            replay.note(step)
            labels.catch_up()
            episodes.add(labels.values[-1], step.terminated | step.truncated)
            done = row * world.n_envs
            owed += world.n_envs * agent.utd
            due = done % agent.train_freq < world.n_envs or row == rows  # what is owed at the end is not lost
            updates = int(owed) if due else 0
            if updates and len(replay):
                owed -= updates
                losses = agent.train(replay.sample(rng, updates, agent.batch_size), rng)
                require_finite(losses)
            reported = row == rows or done % REPORT_EVERY < world.n_envs
            if reported and not good.follow(monitor.report(done, episodes.metrics() | losses)):
                break
        replay.close(observations)
        return episodes.metrics() | losses

    def reset_critic(self, seed: int) -> None:
        """Forget what was valued: fresh critics, and fresh optimisers for them."""
        self.agent.load(self.agent.without_values(self.world, seed))

    def save(self, folder: Path) -> None:
        """Write all that `restore` needs into a folder that exists; equal learners give equal bytes."""
        save_arrays(folder, self.agent.algorithm, self.agent.arrays() | self._replay.arrays())

    def restore(self, folder: Path) -> None:
        """Take up what `save` wrote; the world's behaviour must have been loaded already. Raises RunError."""
        found = load_arrays(folder, self.agent.algorithm, self.agent.arrays() | self._replay.arrays())
        self.agent.load(found)
        self._replay.load(found)

    def export(self, path: Path) -> None:
        """Write a zip that Stable-Baselines3 opens."""
        self.agent.export(path)

    def _copy(self) -> Arrays:
        return {name: array.copy() for name, array in self.agent.arrays().items()}
