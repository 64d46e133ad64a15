"""Transitions for off-policy learners, read from the behaviour archive; nothing is stored twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.control.growing import Growing
from plaudit.control.rewards import Labels
from plaudit.worlds.behaviour import Behaviour
from plaudit.worlds.vector import VectorStep

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Batch:
    """Transitions of several updates, [update, row, ...]."""

    observations: Floats
    actions: NDArray[np.generic]
    """as the environment received them"""
    rewards: Floats
    """[update, row]"""
    following: Floats
    """observations after the step"""
    continues: Floats
    """[update, row], 0 where the episode was over for good, else 1: after a time limit the future keeps its value"""


class Replay:
    """Samples transitions of a behaviour with their labels.

    The archive holds what was seen before each step. What a step led to is the next row, except where an episode ended;
    there the final observation is kept here. A step is addressed as row x environments + environment; `_end` holds, for
    each, the place of its final observation, or -1.
    """

    def __init__(self, behaviour: Behaviour, labels: Labels) -> None:
        self._behaviour = behaviour
        self._labels = labels
        self._envs = behaviour.envs
        self._end = Growing(np.int32)
        self._finals = Growing(np.float32, (behaviour.layout.observation,))
        self._over = Growing(np.float32)
        self._usable = Growing(np.int64)
        self._waiting: NDArray[np.int64] = np.empty(0, np.int64)

    def __len__(self) -> int:
        """Number of transitions that can be sampled."""
        return len(self._usable)

    def begin(self) -> None:
        """Fresh episodes start here. Finds all usable transitions of the archive, in order of time."""
        episodes = self._behaviour.episodes
        followed = np.flatnonzero((episodes[1:] == episodes[:-1]).reshape(-1))
        self._fill()
        self._usable.replace(np.union1d(followed, np.flatnonzero(self._end.values >= 0)))
        self._waiting = np.empty(0, np.int64)

    def note(self, step: VectorStep) -> None:
        """Take in the outcome of the step that the archive has just recorded."""
        self._usable.extend(self._waiting)  # they have a next row now
        self._fill()
        steps = (len(self._behaviour) - 1) * self._envs + np.arange(self._envs)
        ended = step.terminated | step.truncated
        self._waiting = steps[~ended]
        if ended.any():
            self._finish(steps[ended], step.final_observations[ended], step.terminated[ended])

    def close(self, observations: Floats) -> None:
        """Episodes are cut off here; `observations` [env, entry] is what the newest step led to."""
        envs = self._waiting % self._envs
        self._finish(self._waiting, observations[envs], np.zeros(len(envs), np.bool_))
        self._waiting = np.empty(0, np.int64)

    def sample(self, rng: np.random.Generator, updates: int, rows: int) -> Batch:
        """Transitions drawn uniformly with replacement, for several updates at once."""
        behaviour = self._behaviour
        steps = self._usable.values[rng.integers(0, len(self._usable), updates * rows)]
        every = len(behaviour) * self._envs
        observations = behaviour.observations.reshape(every, -1)
        following = np.take(observations, steps + self._envs, axis=0, mode="clip")
        continues = np.ones(len(steps), np.float32)
        ends = self._end.values[steps]
        ended = np.flatnonzero(ends >= 0)
        following[ended] = self._finals.values[ends[ended]]
        continues[ended] -= self._over.values[ends[ended]]
        actions = behaviour.actions.reshape(every, *behaviour.layout.action)
        shape = (updates, rows)
        return Batch(
            observations=np.take(observations, steps, axis=0).reshape(*shape, -1),
            actions=np.take(actions, steps, axis=0).reshape(*shape, *behaviour.layout.action),
            rewards=np.take(self._labels.values, steps).reshape(shape),
            following=following.reshape(*shape, -1),
            continues=continues.reshape(shape),
        )

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What the archive does not hold, for saving. Episodes must be closed."""
        return {"end": self._end.values, "end.observation": self._finals.values, "end.over": self._over.values}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Inverse of `arrays`, for the archive as it is now."""
        self._end.replace(arrays["end"])
        self._finals.replace(arrays["end.observation"])
        self._over.replace(arrays["end.over"])
        self.begin()

    def _fill(self) -> None:
        """Steps that were recorded since have no end yet."""
        self._end.extend(np.full(len(self._behaviour) * self._envs - len(self._end), -1))

    def _finish(self, steps: NDArray[np.int64], observations: Floats, over: NDArray[np.bool_]) -> None:
        self._end.values[steps] = len(self._finals) + np.arange(len(steps))
        self._finals.extend(observations)
        self._over.extend(over)
        self._usable.extend(steps)
