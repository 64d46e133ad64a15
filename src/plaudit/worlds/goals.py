"""Worlds with a goal that stays where it is told, so that several goals are several tasks.

[world]
id = "plaudit.worlds.goals:Reacher"
tasks = [{ goal = [0.1, 0.1] }, { goal = [-0.1, 0.1] }]
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from plaudit.errors import WorldError
from plaudit.worlds.flat import Env, Info
from plaudit.worlds.make import quiet_mujoco

REACH = 0.2
"""metres from the centre within which Gymnasium's Reacher draws its goals"""


class FixedGoal(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Gymnasium's Reacher with the goal in one place, at rest.

    Args:
        env: Reacher.
        goal: [x, y] in metres.
    """

    def __init__(self, env: Env, goal: tuple[float, float]) -> None:
        super().__init__(env)
        self._goal = np.array(goal)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Any, Info]:
        """Start an episode: the arm anywhere near its start, the goal where it always is."""
        _, info = self.env.reset(seed=seed, options=options)
        inner: Any = self.env.unwrapped
        position, velocity = inner.data.qpos.copy(), inner.data.qvel.copy()
        position[-2:], velocity[-2:] = self._goal, 0.0
        inner.set_state(position, velocity)
        return inner._get_obs(), info


def Reacher(goal: Sequence[float] = (0.1, 0.1), render_mode: str | None = None) -> Env:  # noqa: N802 - read as a world
    """Gymnasium's Reacher-v4 (MuJoCo) whose goal never moves; episodes of 50 steps.

    Args:
        goal: [x, y] in metres, at most 0.2 from the centre.
        render_mode: Gymnasium's.

    Raises:
        WorldError: the goal is out of reach, or is no pair of numbers.
        MissingExtra: MuJoCo is not installed.
    """
    if len(goal) != 2 or not np.hypot(goal[0], goal[1]) <= REACH:
        raise WorldError("Reacher cannot reach this goal", got=list(goal), expected=f"[x, y] within {REACH} of [0, 0]")
    quiet_mujoco()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*out of date", category=DeprecationWarning)
        env = gymnasium.make("Reacher-v4", disable_env_checker=True, render_mode=render_mode)
    return FixedGoal(env, (float(goal[0]), float(goal[1])))
