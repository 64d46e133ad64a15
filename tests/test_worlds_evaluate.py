"""Measuring a policy on common starts."""

import gymnasium
import numpy as np
import pytest

from plaudit.errors import WorldError
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.evaluate import evaluate, start_seed
from plaudit.worlds.render import render


class Zero:
    version = "zero"

    def __init__(self, shape=()):
        self.shape, self.batches = shape, []

    def act(self, observations, deterministic=True):
        assert deterministic
        self.batches.append(len(observations))
        return np.zeros((len(observations), *self.shape), np.float32 if self.shape else int)


COUNTER = WorldConfig(id="tests.world_examples:Counter", envs=3, options={"length": 4})


def test_returns_by_hand():
    found = evaluate(COUNTER, Zero(), 5, 0)
    np.testing.assert_array_equal(found.returns, [1 + 2 + 3 + 4] * 5)
    np.testing.assert_array_equal(found.lengths, [4] * 5)
    np.testing.assert_array_equal(found.batch.observations[:, 0, 0], [(10_000 + i) % 97 for i in range(5)])
    assert found.batch.mask.all()


@pytest.mark.parametrize("seed", [0, 3])
def test_returns_are_those_of_plain_gymnasium(seed):
    found = evaluate(WorldConfig(id="Pendulum-v1", envs=2), Zero((1,)), 3, seed)
    env = gymnasium.make("Pendulum-v1")
    for episode, value in enumerate(found.returns):
        env.reset(seed=start_seed(seed, episode))
        expected = sum(float(env.step(np.zeros(1, np.float32))[1]) for _ in range(200))
        assert value == pytest.approx(expected, rel=1e-12)


def test_number_of_environments_changes_nothing():
    one = evaluate(WorldConfig(id="CartPole-v1", envs=1), Zero(), 5, 1)
    four = evaluate(WorldConfig(id="CartPole-v1", envs=4), Zero(), 5, 1)
    np.testing.assert_array_equal(one.returns, four.returns)
    np.testing.assert_array_equal(one.batch.observations, four.batch.observations)
    np.testing.assert_array_equal(one.first.simulator, four.first.simulator)


def test_batch_is_masked_where_episodes_have_ended():
    found = evaluate(WorldConfig(id="CartPole-v1", envs=4), Zero(), 4, 1)
    assert len(set(found.lengths.tolist())) > 1
    np.testing.assert_array_equal(found.batch.mask.sum(axis=1), found.lengths)
    assert not found.batch.observations[~found.batch.mask].any()


def test_policy_always_sees_batches_of_one_size():
    policy = Zero()
    evaluate(COUNTER, policy, 4, 0)
    assert set(policy.batches) == {3}


@pytest.mark.parametrize("name", ["CartPole-v1", "tests.world_examples:Counter"])
def test_first_episode_can_be_drawn(name):
    config = WorldConfig(id=name, envs=2)
    first = evaluate(config, Zero(), 2, 0).first
    assert len(render(config, first)) == len(first) == len(first.true_rewards)


def test_fewer_episodes_than_environments():
    assert len(evaluate(COUNTER, Zero(), 1, 0).returns) == 1


def test_no_episodes():
    with pytest.raises(WorldError, match=r"at least one episode"):
        evaluate(COUNTER, Zero(), 0, 0)
