"""Going back to a recorded state, and on from there."""

import numpy as np
import pytest

from plaudit.worlds.config import WorldConfig
from plaudit.worlds.make import make
from plaudit.worlds.simulator import restore, simulator_of
from plaudit.worlds.vector import VectorWorld
from tests.world_examples import random_actions

WORLDS = [
    "Pendulum-v1",
    "CartPole-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Acrobot-v1",
    "Reacher-v4",
    "Reacher-v5",
    "HalfCheetah-v5",
    "Hopper-v5",
    "Humanoid-v5",
    "FrozenLake-v1",
    "CliffWalkingSlippery-v1",
    "Taxi-v4",
    "plaudit.worlds.toy:GridWorld",
    "plaudit.worlds.toy:PointMass",
    "plaudit.worlds.toy:OneStep",
]


def recorded(config, steps, seed=0):
    world = VectorWorld(config, seed)
    world.reset(seed)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        world.step(random_actions(world, rng))
    return world.behaviour


def follows(env, behaviour, start, horizon):
    """Go back to row `start` of environment 0, and compare what the same actions lead to."""
    simulator = simulator_of(env)
    restore(env, simulator, behaviour.simulator[start, 0], behaviour.observations[start, 0])
    for time in range(start, min(start + horizon, len(behaviour) - 1)):
        if behaviour.starts[time + 1, 0]:
            return
        action = behaviour.actions[time, 0]
        observation, *_ = env.step(int(action) if action.ndim == 0 else action)
        np.testing.assert_array_equal(
            observation, behaviour.observations[time + 1, 0], err_msg=f"{start} -> {time + 1}"
        )


@pytest.mark.filterwarnings("ignore:.*out of date:DeprecationWarning")
@pytest.mark.parametrize("name", WORLDS)
def test_same_actions_from_a_restored_state_lead_to_the_recorded_observations(name):
    if name.split("-")[0] in ("Reacher", "HalfCheetah", "Hopper", "Humanoid"):
        pytest.importorskip("mujoco")
    config = WorldConfig(id=name, envs=1)
    behaviour = recorded(config, 120)
    for start in (0, 1, 37, 90):
        env = make(config)
        env.reset(seed=999)
        follows(env, behaviour, start, 30)


def test_absorbed_episode_goes_on_absorbed():
    config = WorldConfig(id="CartPole-v1", envs=1, horizon=60)
    behaviour = recorded(config, 60)
    absorbed = behaviour.observations[:, 0, -1]
    start = int(np.argmax(absorbed))
    assert 0 < start < 50
    for begin in (start - 2, start + 3):
        env = make(config)
        env.reset(seed=999)
        follows(env, behaviour, begin, 8)


@pytest.mark.parametrize("name", ["Blackjack-v1", "tests.world_examples:Counter", "tests.world_examples:ClaimsStates"])
def test_worlds_without_a_simulator(name):
    env = make(WorldConfig(id=name))
    env.reset(seed=0)
    assert simulator_of(env) is None


def test_subclass_of_a_known_world_is_not_taken_for_it():
    from gymnasium.envs.classic_control import PendulumEnv

    class Windy(PendulumEnv):
        """Has state of its own, which nobody would restore."""

    assert simulator_of(Windy()) is None
