"""A world as Stable-Baselines3 takes it."""

import numpy as np
import pytest
from stable_baselines3 import A2C

from plaudit.control.sb3 import WorldVecEnv, own_streams
from tests.control_examples import ONE_STEP, first_entry, world

COUNTER = "tests.world_examples:Counter"


@pytest.mark.parametrize("truncates", [False, True])
def test_ends_of_episodes_are_told_as_stable_baselines_expects(truncates):
    env = WorldVecEnv(world(COUNTER, envs=2, length=2, truncates=truncates))
    start = env.reset()
    _, rewards, done, infos = env.step(np.array([0, 1]))
    assert not done.any()
    assert infos == [{}, {}]
    observations, rewards, done, infos = env.step(np.array([0, 1]))
    assert done.all()
    assert rewards.dtype == np.float32
    for env_index, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is truncates
        assert info["terminal_observation"].tolist() == [start[env_index, 0], 2]
        assert observations[env_index, 1] == 0


def test_seed_decides_the_episodes():
    starts = []
    for seed in (1, 1, 2):
        env = WorldVecEnv(world(COUNTER, envs=2))
        env.seed(seed)
        starts.append(env.reset().tolist())
    assert starts[0] == starts[1] != starts[2]


def test_learned_reward_pays_instead_of_the_environment():
    here = world(COUNTER, envs=3)
    env = WorldVecEnv(here, first_entry)
    env.reset()
    for _ in range(12):
        rewards = env.step(np.array([0, 1, 2]))[1]
    wanted = first_entry(here.behaviour.batch(slice(None)))[:, -1]
    np.testing.assert_allclose(rewards, wanted, rtol=1e-6)
    assert not np.array_equal(rewards, here.behaviour.rewards[-1])


def test_any_algorithm_of_stable_baselines_learns_in_it():
    here = world(ONE_STEP, envs=8)
    model = A2C("MlpPolicy", WorldVecEnv(here), learning_rate=5e-3, seed=0, policy_kwargs={"net_arch": []})
    model.learn(8000)
    best = here._lockstep.envs[0].unwrapped.rewards.argmax(axis=1)
    assert model.predict(np.eye(4, dtype=np.float32), deterministic=True)[0].tolist() == best.tolist()


def test_environments_are_out_of_reach():
    env = WorldVecEnv(world(COUNTER, envs=2))
    assert env.get_attr("render_mode") == [None, None]
    assert env.has_attr("render_mode")
    assert env.env_is_wrapped(object) == [False, False]
    for call in (lambda: env.get_attr("length"), lambda: env.set_attr("length", 3), lambda: env.env_method("reset")):
        with pytest.raises(AttributeError):
            call()
    env.close()


def test_own_streams_end_with_an_error_too():
    def fail():
        with own_streams(0):
            np.random.rand()
            raise ValueError("inside")

    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    with pytest.raises(ValueError, match="inside"):
        fail()
    np.testing.assert_array_equal(np.random.get_state()[1], before)
