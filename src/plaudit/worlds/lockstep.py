"""Several copies of one world, stepped together in this process. The only caller of `env.step`.

Processes or threads per environment cost more than they bring on few cores: gymnasium's own environments take 5 to 100
microseconds per step, a message between processes takes longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from plaudit.errors import WorldError
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.flat import flat_of
from plaudit.worlds.make import make
from plaudit.worlds.pixels import Camera, Pixels, Shape, shrink
from plaudit.worlds.simulator import Simulator, simulator_of
from plaudit.worlds.watchdog import Hang, Watchdog


@dataclass(frozen=True, slots=True)
class Lane:
    """Where one copy is; for messages."""

    episode: str
    seed: int


class Lockstep:
    """`count` copies of a world. Nothing that an environment does wrong passes unnamed.

    Args:
        config: the world.
        count: number of copies ("lanes").
        render_mode: Gymnasium's, for example "rgb_array".

    Raises:
        WorldError: as `make`; and when the first reset fails.
    """

    def __init__(self, config: WorldConfig, count: int, render_mode: str | None = None) -> None:
        self.config = config
        tasks = len(config.tasks or ()) or 1
        self.envs = [make(config, render_mode, task=lane % tasks) for lane in range(count)]
        first = self.envs[0]
        assert isinstance(first.observation_space, spaces.Box)  # by Flat
        assert isinstance(first.action_space, spaces.Box | spaces.Discrete)  # by check_actions
        self.observation_space: spaces.Box = first.observation_space
        self.action_space: spaces.Box | spaces.Discrete = first.action_space
        self._steps = [env.step for env in self.envs]
        self._all = tuple(range(count))
        self._discrete = isinstance(self.action_space, spaces.Discrete)
        self._width = int(self.observation_space.shape[0])
        self._lanes = [Lane("before the first", 0)] * count
        self._elapsed = np.zeros(count, dtype=np.int64)
        self._watchdog = Watchdog(config.step_seconds)
        self._simulators: list[Simulator | None] = [None] * count
        self.simulator_size: int | None = None
        self._flats = [flat_of(env) for env in self.envs]
        image, side = self._flats[0].image_shape, config.pixels
        self._cameras = (
            [Camera(env, side, config.id) for env in self.envs] if side is not None and image is None else None
        )
        self.pixels_shape: Shape | None = image if side is None else (side, side, 3 if image is None else image[2])
        for lane in range(min(tasks, count)):
            self._require_like_first(lane)
            self.reset(lane, 0, "trial")
        sizes = {None if one is None else one.size for one in self._simulators[:tasks]}
        self.simulator_size = sizes.pop() if len(sizes) == 1 else None
        if self._cameras is not None:
            self.frames([0])  # a world that draws nothing is refused at once

    def reset(self, lane: int, seed: int, episode: str) -> NDArray[np.float32]:
        """Start an episode in one lane. Returns the first observation [entry]. Raises WorldError when that fails."""
        self._lanes[lane] = Lane(episode, seed)
        self._elapsed[lane] = 0
        env = self.envs[lane]
        try:
            with self._watchdog:
                observation, _ = env.reset(seed=seed)
                if self._simulators[lane] is None:
                    self._simulators[lane] = simulator_of(env)
        except Hang as hang:
            raise self._hung("reset", lane) from hang
        except Exception as error:
            raise self._failed("reset", lane, error) from error
        observation = np.array(observation, dtype=np.float32)
        if not np.isfinite(observation).all():
            raise self._not_finite("an observation", observation, lane)
        return observation

    def step(
        self, actions: NDArray[np.generic], lanes: Sequence[int] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Act once in every lane, or in those given; the rows of the others are zero.

        Args:
            actions: [lane, *action], one row for every lane; `check` them first.
            lanes: which lanes act.

        Returns:
            observations [lane, entry], rewards [lane], terminated [lane], truncated [lane].

        Raises:
            WorldError: an environment raised, hung, or gave what is no finite number of the right shape.
        """
        count = len(self.envs)
        observations = np.zeros((count, self._width), dtype=np.float32)
        rewards = np.zeros(count)
        terminated, truncated = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
        given = actions.tolist() if self._discrete else actions  # numpy's own integers are slow to compute with
        steps, lane = self._steps, 0
        self._elapsed += 1
        try:
            with self._watchdog:
                for lane in self._all if lanes is None else lanes:
                    observations[lane], rewards[lane], terminated[lane], truncated[lane], _ = steps[lane](given[lane])
        except Hang as hang:
            raise self._hung("step", lane) from hang
        except Exception as error:
            raise self._failed("step", lane, error) from error
        if not np.isfinite(observations).all() or not np.isfinite(rewards).all():
            raise self._first_not_finite(observations, rewards)
        return observations, rewards, terminated, truncated

    def check(self, actions: object) -> NDArray[np.generic]:
        """A private copy of `actions` [lane, *action] in the type that environments get.

        Raises:
            WorldError: wrong shape, not finite, or no such action.
        """
        space = self.action_space
        array = np.array(actions)
        shape = (len(self.envs), *(space.shape or ()))
        if array.shape != shape:
            raise WorldError("The policy's actions have the wrong shape", got=array.shape, expected=shape)
        if isinstance(space, spaces.Box):
            array = array.astype(space.dtype, copy=False)
            if not np.isfinite(array).all():
                raise WorldError(
                    "The policy gave an action that is not finite",
                    got=array.tolist(),
                    next_step="lower the learning rate",
                )
        else:
            if array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= space.n:
                raise WorldError(
                    "The policy gave an action that does not exist", got=array.tolist(), expected=f"0 .. {space.n - 1}"
                )
            array = array.astype(np.int64, copy=False)
        return array

    def states(self) -> NDArray[np.float64] | None:
        """Simulator states [lane, k] as they are now, after all were reset; None when the world cannot save them."""
        if self.simulator_size is None:
            return None
        states = np.empty((len(self.envs), self.simulator_size))
        for simulator, row in zip(self._simulators, states, strict=True):
            assert simulator is not None  # lanes are alike, and reset
            simulator.save(row)
        return states

    def frames(self, lanes: Sequence[int] | None = None) -> Pixels | None:
        """Pictures [lane, height, width, channel] of what every lane, or each of those given, sees now.

        None when the world records no pictures. The rows of other lanes are zero.

        Raises:
            WorldError: a lane could not be drawn.
        """
        if self.pixels_shape is None:
            return None
        frames = np.zeros((len(self.envs), *self.pixels_shape), dtype=np.uint8)
        lane = 0
        try:
            with self._watchdog:
                for lane in self._all if lanes is None else lanes:
                    frames[lane] = self._frame(lane)
        except Hang as hang:
            raise self._hung("render", lane) from hang
        except Exception as error:
            raise self._failed("render", lane, error) from error
        return frames

    def _frame(self, lane: int) -> Pixels:
        if self._cameras is not None:
            return self._cameras[lane].take()
        image = self._flats[lane].image
        return image if self.config.pixels is None else shrink(image, self.config.pixels)

    def _require_like_first(self, lane: int) -> None:
        """Raise WorldError when a task has other spaces than the first."""
        here, first = self.envs[lane], self.envs[0]
        found = (here.observation_space.shape, here.action_space, self._flats[lane].image_shape)
        wanted = (first.observation_space.shape, first.action_space, self._flats[0].image_shape)
        if found != wanted:
            raise WorldError(
                "The tasks of a world have different spaces",
                got=f"{self.config.task_names[lane]}: {found}",
                expected=f"{self.config.task_names[0]}: {wanted}",
                next_step="leave that task out of world.tasks, or wrap it so that its spaces are the same",
            )

    def simulator(self, lane: int) -> Simulator | None:
        """Access to the simulator of one lane."""
        return self._simulators[lane]

    def close(self) -> None:
        """Close all environments."""
        self._watchdog.close()
        for env in self.envs:
            env.close()

    def _where(self, lane: int) -> str:
        found = self._lanes[lane]
        return (
            f"{self.config.id}, environment {lane}, episode {found.episode} (reset seed {found.seed}), "
            f"step {int(self._elapsed[lane])}"
        )

    def _failed(self, what: str, lane: int, error: Exception) -> WorldError:
        if isinstance(error, WorldError):
            what = f"{error.what} ({self._where(lane)})"
            return WorldError(what, got=error.got, expected=error.expected, next_step=error.next_step)
        return WorldError(
            f"The environment raised an error in {what}",
            got=f"{type(error).__name__}: {error}, in {self._where(lane)}",
            next_step="correct the environment; the traceback is above",
        )

    def _hung(self, what: str, lane: int) -> WorldError:
        self._watchdog.let_go()
        return WorldError(
            f"The environment did not come back from {what}",
            got=f"more than {self.config.step_seconds:g} s in {self._where(lane)}",
            next_step="correct the environment, or raise world.step_seconds if it is only slow",
        )

    def _first_not_finite(self, observations: NDArray[np.float32], rewards: NDArray[np.float64]) -> WorldError:
        lane = int(np.flatnonzero(~(np.isfinite(observations).all(axis=1) & np.isfinite(rewards)))[0])
        if not np.isfinite(rewards[lane]):
            return self._not_finite("a reward", rewards[lane], lane)
        return self._not_finite("an observation", observations[lane], lane)

    def _not_finite(self, what: str, value: object, lane: int) -> WorldError:
        return WorldError(
            f"The environment gave {what} that is not finite",
            got=f"{np.array2string(np.asarray(value), threshold=20)} in {self._where(lane)}",
            expected="finite numbers",
            next_step="correct the environment, or clip its actions",
        )
