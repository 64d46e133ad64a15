"""A small world that works until a test breaks it, and works again once it is mended: `tests.fault_worlds:Shaky`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import gymnasium
import numpy as np
from gymnasium import spaces

from plaudit.loop.config import RunConfig
from plaudit.run.config import from_table


class Broken:
    """What is wrong with every Shaky at the moment; None when nothing is."""

    kind: str | None = None


@contextmanager
def broken(kind: str) -> Iterator[None]:
    """Break all Shaky worlds for a while."""
    Broken.kind = kind
    try:
        yield
    finally:
        Broken.kind = None


class Shaky(gymnasium.Env):
    """A point on a line, pushed by the action; paid for being in the middle. Episodes last 30 steps."""

    def __init__(self):
        self.observation_space = spaces.Box(-10, 10, (2,), dtype=np.float32)
        self.action_space = spaces.Box(-1, 1, (1,), dtype=np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if Broken.kind == "raises in reset":
            raise ConnectionError("the simulator has gone")
        self.place, self.t = float(self.np_random.uniform(-1, 1)), 0
        return self._observation(), {}

    def step(self, action):
        self.t += 1
        if self.t == 7:
            self._fault()
        self.place = float(np.clip(self.place + 0.1 * action[0], -10, 10))
        reward = np.nan if Broken.kind == "NaN reward" and self.t == 7 else -abs(self.place)
        return self._observation(), reward, False, self.t >= 30, {}

    def _observation(self):
        seen = np.array([self.place, self.t / 30], dtype=np.float32)
        match Broken.kind:
            case "NaN":
                return seen * np.float32(np.nan)
            case "wrong shape":
                return seen[:1]
            case _:
                return seen

    def _fault(self):
        match Broken.kind:
            case "raises":
                raise KeyError("joint_7")
            case "hangs":
                time.sleep(60)
            case "is interrupted":
                raise KeyboardInterrupt
            case _:
                pass


def shaky(**world) -> RunConfig:
    """A run of two rounds in Shaky."""
    return from_table(
        RunConfig,
        {
            "name": "shaky",
            "seed": 2,
            "world": {"id": "tests.fault_worlds:Shaky", "envs": 2, "step_seconds": 1.0, **world},
            "ask": {"labels": 8, "segment_length": 10, "last_at": 1.0},
            "reward": {"members": 2, "hidden": [8], "steps": 4},
            "policy": {"sac": {"net": [8, 8], "batch_size": 8}},
            "loop": {"steps": 160, "warmup": 80, "rounds": 2},
            "check": {"episodes": 2, "episodes_between": 2, "videos": False},
        },
    )
