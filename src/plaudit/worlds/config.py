"""Settings of a world. Needs no Gymnasium, so that run files can be read anywhere."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ConfigError

SMALLEST, LARGEST = 8, 512
"""sides of recorded pictures"""


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """The environment that the policy acts in."""

    id: str = "Pendulum-v1"
    """Gymnasium id (`Pendulum-v1`, or `module:Id-v0` when a module registers it), or a factory as `module:function`"""
    envs: int = 8
    """copies that are stepped together in this process"""
    horizon: int | None = None
    """exact length of every episode: after a termination the last observation repeats, with an extra entry `absorbed`;
    when not given, episodes end as the environment ends them"""
    options: dict[str, Any] = field(default_factory=dict)
    """keyword arguments of the environment, for example { is_slippery = false }"""
    step_seconds: float = 60.0
    """longest that one step of all copies, or one reset, may take before the run stops with a message"""
    pixels: int | None = None
    """side of a square picture [pixels, pixels, 3] that is drawn of every step and recorded beside the observation, for
    reward models that look at pictures; a world that observes images has them recorded by itself, this only shrinks
    them. The policy reads the vector"""
    tasks: tuple[dict[str, Any] | str, ...] | None = None
    """several tasks for one policy and one reward model: tables of keyword arguments that are added to `options`, or ids
    of worlds with equal spaces. Copy i does task i mod n, and its observation ends with the task as one-hot entries"""
    keys: dict[str, Any] | None = None
    """what keys do when a person acts by hand in the studio: the browser's names of keys and actions, for example
    { ArrowLeft = 0, ArrowRight = 2, idle = 1 } or { ArrowLeft = [-1.0], ArrowRight = [1.0] }; `idle` is done while none is
    held; empty: what `plaudit.worlds.controls` has for the world"""

    def __post_init__(self) -> None:
        if self.envs < 1 or (self.horizon is not None and self.horizon < 1):
            raise ConfigError(
                "The settings of [world] are out of range",
                got=f"envs {self.envs}, horizon {self.horizon}",
                expected="envs >= 1 and horizon >= 1",
            )
        if not (math.isfinite(self.step_seconds) and self.step_seconds > 0):
            raise ConfigError("world.step_seconds is out of range", got=self.step_seconds, expected="a number > 0")
        if self.pixels is not None and not SMALLEST <= self.pixels <= LARGEST:
            raise ConfigError(
                "world.pixels is out of range", got=self.pixels, expected=f"a side from {SMALLEST} to {LARGEST}"
            )
        if self.tasks is not None and (len(set(self.task_names)) != len(self.tasks) or len(self.tasks) < 2):
            raise ConfigError(
                "world.tasks names no set of tasks", got=list(self.tasks), expected="at least two, all different"
            )
        for name, action in (self.keys or {}).items():
            numbers: list[Any] = action if isinstance(action, list) else [action]
            if not name or not numbers or not all(_is_number(number) for number in numbers):
                raise ConfigError(
                    "world.keys is no table of actions",
                    got=f"{name!r}: {action!r}",
                    expected="the name of a key, and the number of an action or a list of finite numbers",
                )
        if len(self.tasks or ()) > self.envs:
            raise ConfigError(
                "There are more tasks than copies of the world",
                got=f"{len(self.tasks or ())} world.tasks, {self.envs} world.envs",
                next_step="raise world.envs to a multiple of the number of tasks",
            )

    @property
    def task_names(self) -> tuple[str, ...]:
        """A name for each of `tasks`: the id, or the options as `name=value`; () when there is only one task."""
        return tuple(
            task if isinstance(task, str) else ",".join(f"{name}={json.dumps(task[name])}" for name in sorted(task))
            for task in self.tasks or ()
        )

    def one_task(self, number: int) -> WorldConfig:
        """The world of one task, as if there were no others."""
        match (self.tasks or ({},))[number]:
            case str() as name:
                return replace(self, id=name, tasks=None)
            case options:
                return replace(self, options={**self.options, **options}, tasks=None)


def task_seen(config: WorldConfig, observation: NDArray[np.float32]) -> int:
    """Number of the task that an observation [entry] was made in, as its one-hot entries say."""
    if config.tasks is None:
        return 0
    end = len(observation) - (config.horizon is not None)  # `absorbed` is the last
    return int(np.argmax(observation[end - len(config.tasks) : end]))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
