"""Episodes of a fixed length."""

import gymnasium
import numpy as np
import pytest

from plaudit.worlds.config import WorldConfig
from plaudit.worlds.evaluate import evaluate
from plaudit.worlds.make import make
from plaudit.worlds.vector import VectorWorld


def play(env, action=0, seed=1):
    observation, _ = env.reset(seed=seed)
    seen, paid, over = [observation], [], []
    while not (over and (over[-1][0] or over[-1][1])):
        observation, reward, terminated, truncated, _ = env.step(action)
        seen.append(observation)
        paid.append(reward)
        over.append((terminated, truncated))
    return np.array(seen), paid, over


def test_episode_by_hand():
    env = make(WorldConfig(id="tests.world_examples:Counter", horizon=5, options={"length": 3}))
    seen, paid, over = play(env)
    np.testing.assert_array_equal(seen, [[1, 0, 0], [1, 1, 0], [1, 2, 0], [1, 3, 1], [1, 3, 1], [1, 3, 1]])
    assert paid == [1, 2, 3, 0, 0]
    assert over == [(False, False)] * 4 + [(False, True)]
    assert env.observation_space.contains(seen[-1])


def test_inner_truncation_absorbs_too():
    env = make(WorldConfig(id="tests.world_examples:Counter", horizon=4, options={"length": 2, "truncates": True}))
    seen, paid, _ = play(env)
    assert paid == [1, 2, 0, 0]
    np.testing.assert_array_equal(seen[:, 2], [0, 0, 1, 1, 1])


def test_horizon_takes_the_place_of_the_time_limit():
    env = make(WorldConfig(id="Pendulum-v1", horizon=300))
    seen, paid, _ = play(env, np.zeros(1, np.float32))
    assert len(paid) == 300
    assert not seen[:, -1].any()


def test_horizon_may_cut_an_episode_short():
    env = make(WorldConfig(id="tests.world_examples:Counter", horizon=2))
    assert play(env)[2] == [(False, False), (False, True)]


def test_next_episode_is_not_absorbed():
    env = make(WorldConfig(id="tests.world_examples:Counter", horizon=5, options={"length": 3}))
    play(env)
    np.testing.assert_array_equal(play(env)[1], [1, 2, 3, 0, 0])


def test_length_and_ends_say_nothing_about_termination():
    world = VectorWorld(WorldConfig(id="CartPole-v1", envs=3, horizon=40), 0)
    observations = world.reset(1)
    ends = []
    for _ in range(120):
        leaning = observations[:, 2] + 0.5 * observations[:, 3] > 0
        step = world.step(np.array([leaning[0], 0, 1]).astype(int))  # one balances, two fall
        assert not step.terminated.any()
        observations = step.observations
        ends.append(step.truncated)
    fell = world.behaviour.observations[:, :, -1].any(axis=0)
    np.testing.assert_array_equal(fell, [False, True, True])
    expected = np.tile((np.arange(1, 121) % 40 == 0)[:, None], (1, 3))
    np.testing.assert_array_equal(ends, expected)
    np.testing.assert_array_equal(world.behaviour.starts[1:], expected[:-1])


class Balance:
    version = "balance"

    def act(self, observations, deterministic=True):
        return (observations[:, 2] + 0.5 * observations[:, 3] > 0).astype(int)


class Lean(Balance):
    version = "lean"

    def act(self, observations, deterministic=True):
        return np.ones(len(observations), int)


@pytest.mark.parametrize("policy", [Balance(), Lean()])
def test_cartpole_pays_its_upright_steps_of_500(policy):
    found = evaluate(WorldConfig(id="CartPole-v1", envs=4, horizon=500), policy, 4, 0)
    env = gymnasium.make("CartPole-v1")
    for episode, hidden in enumerate(found.returns):
        observation, _ = env.reset(seed=10_000 + episode)
        upright, over = 0, False
        while not over:
            observation, _, terminated, truncated, _ = env.step(int(policy.act(observation[None])[0]))
            upright, over = upright + 1, terminated or truncated
        assert hidden == upright
    np.testing.assert_array_equal(found.lengths, 500)
    assert (found.returns == 500).all() == (policy.version == "balance")
    absorbed = found.batch.observations[:, :, -1].astype(bool)
    for row, flag in zip(found.batch.observations, absorbed, strict=True):
        assert len(np.unique(row[flag], axis=0)) <= 1
