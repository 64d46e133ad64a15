"""Small worlds, rewards and learners that several test modules use."""

from __future__ import annotations

from importlib.util import find_spec

import gymnasium
import numpy as np
from gymnasium import spaces

from plaudit.control.config import (
    A2CConfig,
    DQNConfig,
    PolicyConfig,
    PPOConfig,
    REINFORCEConfig,
    SACConfig,
    TD3Config,
    TRPOConfig,
)
from plaudit.control.learner import Learner, make_learner
from plaudit.run.monitor import Signal
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.vector import VectorWorld

POINT_MASS, GRID, ONE_STEP = (f"plaudit.worlds.toy:{name}" for name in ("PointMass", "GridWorld", "OneStep"))
SMALL = {
    "sac": (POINT_MASS, PolicyConfig(sac=SACConfig(net=(8, 8), batch_size=16))),
    "ppo": (POINT_MASS, PolicyConfig(ppo=PPOConfig(net=(8, 8), n_steps=16, batch_size=24, n_epochs=2))),
    "ppo discrete": (GRID, PolicyConfig(ppo=PPOConfig(net=(8,), n_steps=16, batch_size=32, n_epochs=2, ent_coef=0.01))),
    "dqn": (ONE_STEP, PolicyConfig(dqn=DQNConfig(net=(8, 8), batch_size=16, exploration_steps=100, train_freq=16))),
    "td3": (POINT_MASS, PolicyConfig(td3=TD3Config(net=(8, 8), batch_size=16, random_eps=0.1))),
    "a2c": (POINT_MASS, PolicyConfig(a2c=A2CConfig(net=(8, 8), n_steps=4))),
    "a2c discrete": (GRID, PolicyConfig(a2c=A2CConfig(net=(8,), n_steps=4, ent_coef=0.01))),
    "reinforce": (POINT_MASS, PolicyConfig(reinforce=REINFORCEConfig(net=(8,), n_steps=16))),
    "reinforce discrete": (ONE_STEP, PolicyConfig(reinforce=REINFORCEConfig(net=(8,), n_steps=16))),
}
if find_spec("sb3_contrib"):  # the extra `contrib`
    trpo = PolicyConfig(trpo=TRPOConfig(net=(8,), n_steps=16, batch_size=24, n_critic_updates=2))
    SMALL |= {"trpo": (POINT_MASS, trpo), "trpo discrete": (GRID, trpo)}
"""world and settings of each algorithm, as small as they can be"""


def world(id: str, envs: int = 4, **options) -> VectorWorld:
    return VectorWorld(WorldConfig(id=id, envs=envs, options=options), 0)


def small(algorithm: str, seed: int = 3) -> Learner:
    id, config = SMALL[algorithm]
    return make_learner(config, world(id), seed)


def nothing(batch):
    """A learned reward that says nothing."""
    return np.zeros(batch.mask.shape)


def first_entry(batch):
    """A learned reward that likes the first entry of observations and dislikes effort."""
    return 2.0 * batch.observations[..., 0].astype(np.float64) - 0.1 * np.abs(batch.actions).sum(axis=-1) + 7.0


class Listener:
    """A monitor that remembers, and says what it was told to."""

    def __init__(self, *signals: Signal) -> None:
        self.heard: list[tuple[int, dict[str, float]]] = []
        self._signals = list(signals)

    def report(self, step, metrics):
        self.heard.append((step, dict(metrics)))
        return self._signals.pop(0) if self._signals else Signal.GO


class Matrix(gymnasium.Env):
    """Actions are 2 x 2, with bounds that differ; pays for being near the upper ones."""

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.observation_space = spaces.Box(-1, 1, (3,), np.float32)
        self.action_space = spaces.Box(
            np.array([[-1, 0], [2, -5]], np.float32), np.array([[1, 3], [4, -4]], np.float32)
        )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._left = 7
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), {}

    def step(self, action):
        self._left -= 1
        return (
            self.np_random.uniform(-1, 1, 3).astype(np.float32),
            float((action - self.action_space.low).sum()),
            False,
            self._left == 0,
            {},
        )
