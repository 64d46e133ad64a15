"""A vector of environments that starts episodes by itself and keeps a record of all that happens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from plaudit.errors import WorldError
from plaudit.run.seeds import derive
from plaudit.worlds.behaviour import Behaviour, Layout
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.lockstep import Lockstep


@dataclass(frozen=True, slots=True)
class VectorStep:
    """What one step of all environments led to."""

    observations: NDArray[np.float32]
    """[env, entry], what the next action answers; where an episode ended, the first observation of the next one"""
    rewards: NDArray[np.float64]
    """[env], the environment's own"""
    terminated: NDArray[np.bool_]
    """[env], the episode is over and nothing follows"""
    truncated: NDArray[np.bool_]
    """[env], the episode was cut off; its future still has a value"""
    final_observations: NDArray[np.float32]
    """[env, entry], what the step itself led to, also where an episode ended"""


class VectorWorld:
    """`config.envs` copies of a world; every step is recorded in `behaviour`.

    Every episode is reset with a seed that depends only on (seed given to `reset`, environment, episode since then), so
    that a repeated stage sees the same episodes.

    Args:
        config: the world.
        seed: used by `reset` when it is not given one.

    Raises:
        WorldError: the world cannot be made or reset, see `make`.
    """

    def __init__(self, config: WorldConfig, seed: int) -> None:
        self._lockstep = Lockstep(config, config.envs)
        self.config = config
        self.name = config.id
        self.n_envs = config.envs
        self.observation_space: spaces.Box = self._lockstep.observation_space
        self.action_space: spaces.Box | spaces.Discrete = self._lockstep.action_space
        self.layout = layout_of(self._lockstep)
        self.behaviour = Behaviour(self.n_envs, self.layout)
        self._seed = seed
        self._begun = [0] * self.n_envs
        self._starts = np.ones(self.n_envs, dtype=np.bool_)
        self._seeds = np.zeros(self.n_envs, dtype=np.int32)
        self._observations: NDArray[np.float32] | None = None

    def reset(self, seed: int | None = None) -> NDArray[np.float32]:
        """Start a fresh episode everywhere. Returns observations [env, entry]. Raises WorldError when a reset fails."""
        self._seed = self._seed if seed is None else seed
        self._begun = [0] * self.n_envs
        observations = np.stack([self._begin(env) for env in range(self.n_envs)])
        self._observations = observations
        return observations.copy()

    def step(self, actions: object) -> VectorStep:
        """Act once everywhere and record it; episodes that end are followed by the next ones at once.

        Args:
            actions: [env, *action], float for Box and integer for Discrete; Box actions are not clipped.

        Raises:
            WorldError: an environment or an action is faulty (names environment, episode and step); `reset` to go on.
        """
        before, self._observations = self._observations, None
        if before is None:
            raise WorldError("The world has not been reset", next_step="call reset first, and again after an error")
        lockstep = self._lockstep
        taken = lockstep.check(actions)
        states, frames = lockstep.states(), lockstep.frames()
        observations, rewards, terminated, truncated = lockstep.step(taken.copy())  # an environment may write into it
        self.behaviour.append(
            before,
            taken,
            rewards=rewards,
            starts=self._starts,
            seeds=self._seeds,
            simulator=states,
            pixels=frames,
        )
        self._starts[:] = False
        final, ended = observations, terminated | truncated
        if ended.any():
            observations = observations.copy()
            for env in np.flatnonzero(ended):
                observations[env] = self._begin(int(env))
        self._observations = observations.copy()
        return VectorStep(observations, rewards, terminated, truncated, final)

    def task_of(self, env: int) -> int:
        """Number of the task that an environment does; 0 where there is only one."""
        return env % (len(self.config.tasks or ()) or 1)

    def name_of(self, env: int) -> str:
        """Name of the world, and of the task where there are several: what a segment of an environment says of both."""
        names = self.config.task_names
        return f"{self.name}#{names[self.task_of(env)]}" if names else self.name

    def close(self) -> None:
        """Close all environments."""
        self._lockstep.close()

    def _begin(self, env: int) -> NDArray[np.float32]:
        number = self._begun[env]
        seed = derive(self._seed, "episode", env, number) % 2**31  # more bits than this some environments refuse
        self._begun[env] = number + 1
        self._starts[env] = True
        self._seeds[env] = seed
        return self._lockstep.reset(env, seed, f"{number} since reset({self._seed})")


def layout_of(lockstep: Lockstep) -> Layout:
    """Shapes of what the lanes do in one step."""
    space = lockstep.action_space
    return Layout(
        observation=int(lockstep.observation_space.shape[0]),
        action=space.shape if isinstance(space, spaces.Box) else (),
        choices=int(space.n) if isinstance(space, spaces.Discrete) else None,
        simulator=lockstep.simulator_size,
        pixels=lockstep.pixels_shape,
    )
