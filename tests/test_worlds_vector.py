"""Stepping several environments together."""

import numpy as np
import pytest

from plaudit.run.seeds import derive
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.vector import VectorWorld
from tests.world_examples import random_actions


def counters(envs=2, **options):
    return VectorWorld(WorldConfig(id="tests.world_examples:Counter", envs=envs, options=options), 0)


def seed_of(seed, env, episode):
    return derive(seed, "episode", env, episode) % 2**31


def test_steps_by_hand():
    world = counters(length=2)
    first = world.reset(5)
    marks = [[seed_of(5, env, episode) % 97 for episode in range(2)] for env in range(2)]
    np.testing.assert_array_equal(first, [[marks[0][0], 0], [marks[1][0], 0]])

    middle = world.step([0, 1])
    np.testing.assert_array_equal(middle.observations, [[marks[0][0], 1], [marks[1][0], 1]])
    np.testing.assert_array_equal(middle.final_observations, middle.observations)
    np.testing.assert_array_equal(middle.rewards, [1, 1])
    assert not middle.terminated.any()

    last = world.step([2, 2])
    np.testing.assert_array_equal(last.final_observations, [[marks[0][0], 2], [marks[1][0], 2]])
    np.testing.assert_array_equal(last.observations, [[marks[0][1], 0], [marks[1][1], 0]])
    assert last.terminated.all()
    assert not last.truncated.any()

    seen = world.behaviour
    np.testing.assert_array_equal(seen.observations[:, 0], [[marks[0][0], 0], [marks[0][0], 1]])
    np.testing.assert_array_equal(seen.actions, [[0, 1], [2, 2]])
    np.testing.assert_array_equal(seen.rewards, [[1, 1], [2, 2]])
    np.testing.assert_array_equal(seen.starts, [[True, True], [False, False]])
    np.testing.assert_array_equal(seen.seeds, [[seed_of(5, 0, 0), seed_of(5, 1, 0)]] * 2)


def test_truncation_is_told_from_termination():
    world = counters(length=1, truncates=True)
    world.reset(0)
    step = world.step([0, 0])
    assert step.truncated.all()
    assert not step.terminated.any()


def test_reset_begins_new_episodes_in_the_record():
    world = counters()
    for _ in range(2):
        world.reset(5)
        world.step([0, 0])
        world.step([0, 0])
    np.testing.assert_array_equal(world.behaviour.episodes[:, 0], [0, 0, 1, 1])
    np.testing.assert_array_equal(world.behaviour.starts[:, 0], [True, False, True, False])


@pytest.mark.parametrize("name", ["Pendulum-v1", "FrozenLake-v1", "CartPole-v1", "HalfCheetah-v5", "BipedalWalker-v3"])
def test_equal_reset_seeds_give_equal_behaviour_whatever_came_before(name):
    if name == "HalfCheetah-v5":
        pytest.importorskip("mujoco")
    elif name == "BipedalWalker-v3":
        pytest.importorskip("Box2D")

    def rows(world, rng):
        world.reset(3)
        before = len(world.behaviour)
        for _ in range(100):
            world.step(random_actions(world, rng))
        return world.behaviour.observations[before:], world.behaviour.rewards[before:]

    fresh = VectorWorld(WorldConfig(id=name, envs=3), 0)
    used = VectorWorld(WorldConfig(id=name, envs=3), 1)
    rows(used, np.random.default_rng(9))
    for one, other in zip(rows(fresh, np.random.default_rng(1)), rows(used, np.random.default_rng(1)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_resumed_record_equals_the_uninterrupted_one(tmp_path):
    def act(world, seed):
        rng = np.random.default_rng(seed)
        world.reset(seed)
        for _ in range(12):
            world.step(rng.integers(3, size=2))

    whole, first, second = counters(length=6), counters(length=6), counters(length=6)
    act(whole, 1), act(whole, 2)
    act(first, 1)
    first.behaviour.save(tmp_path / "half")
    second.behaviour.load(tmp_path / "half")
    act(second, 2)
    whole.behaviour.save(tmp_path / "whole")
    second.behaviour.save(tmp_path / "resumed")
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "resumed").read_bytes()


def test_recorded_action_is_what_the_policy_gave_even_if_the_environment_writes_into_it():
    world = VectorWorld(WorldConfig(id="tests.world_examples:WritesIntoAction", envs=2), 0)
    world.reset(0)
    actions = np.full((2, 2), 0.5, np.float32)
    world.step(actions)
    np.testing.assert_array_equal(world.behaviour.actions[0], 0.5)
    np.testing.assert_array_equal(actions, 0.5)


def test_caller_may_write_into_what_it_gets():
    world = counters()
    world.reset(1)[:] = 7
    world.step([0, 0]).observations[:] = 7
    world.step([0, 0])
    np.testing.assert_array_equal(world.behaviour.observations[:, 0, 1], [0, 1])


def test_action_types_are_those_of_the_space():
    pendulum = VectorWorld(WorldConfig(envs=2), 0)
    pendulum.reset(0)
    pendulum.step([[0.5], [1.0]])
    assert pendulum.behaviour.actions.dtype == np.float32
    assert pendulum.layout.simulator == 4
    assert counters().behaviour.actions.dtype == np.int64
