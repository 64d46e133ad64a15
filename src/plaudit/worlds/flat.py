"""Observations as flat float32 vectors, and which spaces plaudit works with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from plaudit.errors import WorldError

FloatVector = NDArray[np.float32]
Env = gymnasium.Env[Any, Any]
Info = dict[str, Any]


class Flat(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Every observation as a vector: Box flattened, Discrete one-hot, the rest as `gymnasium.spaces.flatten` does.

    Numbers keep their scale. Raises WorldError for spaces that have no flat form, and for observations outside of
    their space's shape or range.
    """

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        inner = env.observation_space
        if not inner.is_np_flattenable:
            raise WorldError(
                "The observation space has no flat form",
                got=inner,
                expected="Box, Discrete, MultiDiscrete, MultiBinary, or a Tuple or Dict of these",
                next_step="wrap the environment so that it returns one of these",
            )
        self._flatten, self.observation_space = _flattener(inner)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[FloatVector, Info]:
        """Start an episode. Returns the observation [entry], and Gymnasium's info."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._flatten(observation), info

    def step(self, action: Any) -> tuple[FloatVector, Any, bool, bool, Info]:
        """Act once. Returns what Gymnasium's `step` does, with the observation as [entry]."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._flatten(observation), reward, terminated, truncated, info


def _flattener(space: spaces.Space[Any]) -> tuple[Callable[[Any], FloatVector], spaces.Box]:
    match space:
        case spaces.Box():
            low, high = (np.asarray(bound, dtype=np.float32).reshape(-1) for bound in (space.low, space.high))
            return _BoxFlattener(space.shape), spaces.Box(low, high, dtype=np.float32)
        case spaces.Discrete():
            return _OneHot(int(space.start), int(space.n)), spaces.Box(0.0, 1.0, (int(space.n),), dtype=np.float32)
        case _:
            return _general(space), _general_space(space)


class _BoxFlattener:
    """Box observations, on the hot path."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def __call__(self, observation: Any) -> FloatVector:
        array = np.asarray(observation, dtype=np.float32)
        if array.shape != self._shape:
            raise WorldError("An observation has the wrong shape", got=array.shape, expected=self._shape)
        return array.reshape(-1)


class _OneHot:
    """Discrete observations."""

    def __init__(self, start: int, count: int) -> None:
        self._start = start
        self._rows = np.eye(count, dtype=np.float32)

    def __call__(self, observation: Any) -> FloatVector:
        index = int(observation) - self._start
        if not 0 <= index < len(self._rows):
            expected = f"{self._start} .. {self._start + len(self._rows) - 1}"
            raise WorldError("An observation is outside of its space", got=observation, expected=expected)
        return self._rows[index].copy()


def _general(space: spaces.Space[Any]) -> Callable[[Any], FloatVector]:
    def flatten(observation: Any) -> FloatVector:
        if not space.contains(observation):
            raise WorldError("An observation is outside of its space", got=repr(observation)[:200], expected=space)
        return np.asarray(spaces.flatten(space, observation), dtype=np.float32)

    return flatten


def _general_space(space: spaces.Space[Any]) -> spaces.Box:
    flat = spaces.flatten_space(space)
    assert isinstance(flat, spaces.Box)  # is_np_flattenable says so
    return spaces.Box(np.asarray(flat.low, np.float32), np.asarray(flat.high, np.float32), dtype=np.float32)


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
