"""Labels: learned reward computed once, standardised, mixed with the environment's."""

import numpy as np
import pytest

from plaudit.control.rewards import CHUNK, Labels
from plaudit.errors import LearningError
from plaudit.run.seeds import generator
from tests.control_examples import GRID, ONE_STEP, POINT_MASS, first_entry, nothing, world


def walk(world, rows, seed=0):
    """Random actions; returns the labels' behaviour."""
    rng = generator(seed, "walk")
    world.reset(seed)
    for _ in range(rows):
        discrete = world.layout.choices is not None
        shape = (world.n_envs, *world.layout.action)
        world.step(
            rng.integers(0, world.layout.choices, shape) if discrete else rng.uniform(-1, 1, shape).astype(np.float32)
        )
    return world.behaviour


def raw(reward, behaviour):
    """[time, env], one step at a time."""
    return np.stack([reward(behaviour.batch(slice(t, t + 1)))[:, 0] for t in range(len(behaviour))])


def test_labels_have_mean_zero_and_spread_one():
    behaviour = walk(world(POINT_MASS), 30)
    labels = Labels(behaviour)
    labels.set(first_entry, 0.0)
    wanted = raw(first_entry, behaviour)
    np.testing.assert_allclose(labels.values, (wanted - wanted.mean()) / wanted.std(), atol=1e-5)


def test_new_steps_keep_shift_and_scale_until_the_reward_changes():
    here = world(POINT_MASS)
    labels = Labels(walk(here, 30))
    labels.set(first_entry, 0.0)
    before = raw(first_entry, here.behaviour)
    shift, scale = before.mean(), before.std()
    walk(here, 10, seed=1)
    labels.catch_up()
    everything = raw(first_entry, here.behaviour)
    np.testing.assert_allclose(labels.values, (everything - shift) / scale, atol=1e-5)
    labels.set(first_entry, 0.0)
    np.testing.assert_allclose(labels.values, (everything - everything.mean()) / everything.std(), atol=1e-5)


def test_environment_reward_is_added_by_weight_and_left_as_it_is():
    behaviour = walk(world(POINT_MASS), 20)
    labels = Labels(behaviour)
    labels.set(nothing, 1.0)
    np.testing.assert_allclose(labels.values, behaviour.rewards, rtol=1e-6)
    labels.set(first_entry, 0.0)
    learned = labels.values.copy()
    labels.set(first_entry, 0.25)
    np.testing.assert_allclose(labels.values, learned + 0.25 * behaviour.rewards, atol=1e-5)


def test_constant_reward_is_not_blown_up():
    behaviour = walk(world(POINT_MASS), 20)
    labels = Labels(behaviour)
    labels.set(lambda batch: np.full(batch.mask.shape, 0.1) + 1e-12 * batch.observations[..., 0], 0.0)
    assert np.abs(labels.values).max() < 1e-6


def test_reward_is_asked_once_per_step():
    here, asked = world(GRID), []

    def counting(batch):
        asked.append(batch.mask.size)
        assert batch.actions.shape[-1] == 4  # one-hot
        return first_entry(batch)

    labels = Labels(walk(here, 30))
    labels.set(counting, 0.0)
    walk(here, 5, seed=1)
    labels.catch_up()
    labels.catch_up()
    assert sum(asked) == 35 * here.n_envs == labels.values.size


def test_long_behaviour_is_labelled_in_pieces():
    sizes = []

    def counting(batch):
        sizes.append(batch.mask.shape[1])
        return first_entry(batch)

    here = world(ONE_STEP, envs=1)
    labels = Labels(walk(here, CHUNK + 7))
    labels.set(counting, 0.0)
    assert sizes == [CHUNK, 7]
    assert len(labels.values) == CHUNK + 7


def test_reward_before_any_behaviour():
    here = world(POINT_MASS)
    labels = Labels(here.behaviour)
    assert not labels.ready
    labels.set(first_entry, 0.0)
    assert labels.ready
    assert labels.values.shape == (0, 4)
    walk(here, 3)
    labels.catch_up()
    np.testing.assert_allclose(labels.values, raw(first_entry, here.behaviour), rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_reward_that_is_not_finite_is_refused(bad):
    labels = Labels(walk(world(POINT_MASS), 5))
    labels.set(first_entry, 0.0)
    before = labels.values.copy()
    with pytest.raises(LearningError, match="not finite"):
        labels.set(lambda batch: np.where(np.arange(batch.mask.size).reshape(batch.mask.shape) == 3, bad, 1.0), 0.0)
    np.testing.assert_array_equal(labels.values, before)
    labels.catch_up()
