"""Observations as flat float32 vectors, and which spaces plaudit works with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from plaudit.errors import WorldError
from plaudit.worlds.encode import FloatVector, encoder
from plaudit.worlds.pixels import Pixels, Shape

Env = gymnasium.Env[Any, Any]
Info = dict[str, Any]


class Flat(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Every observation as a vector: Box flattened, Discrete one-hot, the rest as `gymnasium.spaces.flatten` does.

    Numbers keep their scale. Two kinds of entries enter otherwise, alone or inside of a Tuple or Dict: images (uint8, at
    least 32 x 32) as a thumbnail from 0 to 1, grey if they have colours, 16 x 16; and text of spaces that Gymnasium
    cannot flatten, such as MiniGrid's missions, as counts of its words in 32 drawers. The first image is `image`, whole.

    Args:
        env: the environment.
        task: number of its task and number of tasks; given, the vector ends with the task as one-hot entries.

    Raises:
        WorldError: a space has no flat form; later, an observation is outside of its space's shape or range.
    """

    def __init__(self, env: Env, task: tuple[int, int] | None = None) -> None:
        super().__init__(env)
        flatten, box, self._picture = encoder(env.observation_space)
        self._flatten, self.observation_space = (flatten, box) if task is None else _with_task(flatten, box, task)

    @property
    def image_shape(self) -> Shape | None:
        """[height, width, channel] of observed images; None when the world observes none."""
        return None if self._picture is None else self._picture.shape

    @property
    def image(self) -> Pixels:
        """The newest observed image, [height, width, channel]."""
        assert self._picture is not None  # the caller has asked for its shape
        return self._picture.newest

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[FloatVector, Info]:
        """Start an episode. Returns the observation [entry], and Gymnasium's info."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._flatten(observation), info

    def step(self, action: Any) -> tuple[FloatVector, Any, bool, bool, Info]:
        """Act once. Returns what Gymnasium's `step` does, with the observation as [entry]."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._flatten(observation), reward, terminated, truncated, info


def _with_task(
    flatten: Callable[[Any], FloatVector], space: spaces.Box, task: tuple[int, int]
) -> tuple[Callable[[Any], FloatVector], spaces.Box]:
    number, count = task
    mark = np.eye(count, dtype=np.float32)[number]

    def marked(observation: Any) -> FloatVector:
        return np.append(flatten(observation), mark)

    low, high = np.append(space.low, np.zeros_like(mark)), np.append(space.high, np.ones_like(mark))
    return marked, spaces.Box(low, high, dtype=np.float32)


def flat_of(env: Env) -> Flat:
    """The `Flat` inside of what `make` returns."""
    while not isinstance(env, Flat):
        assert isinstance(env, gymnasium.Wrapper)
        env = env.env
    return env


def check_actions(env: Env) -> None:
    """Raise WorldError unless the action space is a Box of floats, or Discrete from 0."""
    space = env.action_space
    match space:
        case spaces.Box() if np.issubdtype(space.dtype, np.floating):
            return
        case spaces.Discrete() if space.start == 0:
            return
        case _:
            raise WorldError(
                "The action space is not supported",
                got=space,
                expected="Box of floating-point numbers, or Discrete that starts at 0",
                next_step="wrap it with gymnasium.wrappers.TransformAction, and give the wrapped one as a factory",
            )
