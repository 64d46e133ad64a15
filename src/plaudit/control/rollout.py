"""What all learners share while they act: random behaviour, training episodes, reports."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from plaudit.control.files import Arrays
from plaudit.errors import LearningError
from plaudit.run.monitor import Signal
from plaudit.run.seeds import derive, generator
from plaudit.worlds.vector import VectorStep, VectorWorld

REPORT_EVERY = 1000
"""environment steps between two reports to the monitor"""
NEWEST = 100
"""training episodes that their mean return is taken over, as in Stable-Baselines3"""


def vector_steps(steps: int, world: VectorWorld) -> int:
    """Steps of the whole vector that make up at least `steps` environment steps."""
    return math.ceil(steps / world.n_envs)


Act = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.generic]]
"""random actions [env, *action] for observations [env, entry]"""


def explore(
    world: VectorWorld, steps: int, seed: int, note: Callable[[VectorStep], None], act: Act | None = None
) -> NDArray[np.float32]:
    """Actions of `act`, or uniformly random ones, from fresh episodes on; `note` hears of every step. Returns what was seen last."""
    space, rng = copy.deepcopy(world.action_space), generator(seed, "explore")
    space.seed(derive(seed, "explore") % 2**32)
    observations = world.reset(derive(seed, "reset"))
    for _ in range(vector_steps(steps, world)):
        uniform = act is None
        step = world.step(
            np.stack([space.sample() for _ in range(world.n_envs)]) if uniform else act(observations, rng)
        )
        note(step)
        observations = step.observations
    return observations


class Episodes:
    """Returns and lengths of training episodes, in the reward that the learner sees."""

    def __init__(self, envs: int) -> None:
        self._returns, self._lengths = np.zeros(envs), np.zeros(envs)
        self._ended: deque[tuple[float, float]] = deque(maxlen=NEWEST)

    def add(self, rewards: NDArray[np.floating], ended: NDArray[np.bool_]) -> None:
        """Take in one step, both [env]."""
        self._returns += rewards
        self._lengths += 1
        if ended.any():
            self._ended.extend(zip(self._returns[ended].tolist(), self._lengths[ended].tolist(), strict=True))
            self._returns[ended] = 0
            self._lengths[ended] = 0

    def metrics(self) -> dict[str, float]:
        """Means over the newest episodes; empty before the first has ended."""
        if not self._ended:
            return {}
        returns, lengths = np.mean(np.array(self._ended), axis=0)
        return {"rollout/ep_rew_mean": float(returns), "rollout/ep_len_mean": float(lengths)}


class GoodWeights:
    """Copies of the weights to go back to: of the start, and the newest ones that are known to be sound.

    Args:
        copy: of the weights as they are.
        load: puts a copy back.
    """

    def __init__(self, copy: Callable[[], Arrays], load: Callable[[Arrays], None]) -> None:
        self._copy, self._load = copy, load
        self._start = self._newest = copy()

    @contextmanager
    def kept(self) -> Generator[None]:
        """Put the newest good weights back when learning fails inside."""
        try:
            yield
        except LearningError:
            self._load(self._newest)
            raise

    def follow(self, signal: Signal, newest: Arrays | None = None) -> bool:
        """Do as a monitor says. Returns whether to go on; then `newest` are good, by default the weights as they are."""
        match signal:
            case Signal.GO:
                self._newest = self._copy() if newest is None else newest
            case Signal.STOP:
                pass
            case Signal.ROLL_BACK:
                self._load(self._start)
            case _ as never:
                assert_never(never)
        return signal is Signal.GO


def require_finite(values: Mapping[str, float]) -> None:
    """Raise LearningError when a loss is not finite."""
    bad = {name: value for name, value in values.items() if not math.isfinite(value)}
    if bad:
        raise LearningError(
            "Training diverged: a loss is not finite",
            got=bad,
            next_step="lower learning_rate in [policy]; the policy was put back to its last good weights",
        )


def require_finite_actions(actions: NDArray[np.generic]) -> None:
    """Raise LearningError when an action is not finite."""
    if actions.dtype.kind == "f" and not np.isfinite(actions).all():
        raise LearningError(
            "Training diverged: the policy gave an action that is not finite",
            got=actions.tolist(),
            next_step="lower learning_rate in [policy]; the policy was put back to its last good weights",
        )
