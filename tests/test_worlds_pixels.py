"""Pictures beside the observation: what is drawn or taken, where it goes, and that nothing changes without them."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.control.sb3 import WorldVecEnv
from plaudit.errors import ConfigError, RecordError, WorldError
from plaudit.records import SegmentData, StepBatch, to_json
from plaudit.worlds.behaviour import Behaviour, Cut
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.evaluate import evaluate
from plaudit.worlds.pixels import image_shape, shrink
from plaudit.worlds.render import render
from plaudit.worlds.vector import VectorWorld
from tests.test_worlds_evaluate import Zero
from tests.world_examples import random_actions, shade

COUNTER = "tests.world_examples:Counter"


def played(config, steps=6, seed=0):
    world, rng = VectorWorld(config, seed), np.random.default_rng(seed)
    world.reset(seed)
    for _ in range(steps):
        world.step(random_actions(world, rng))
    world.close()
    return world


def test_each_step_has_the_picture_of_what_was_seen_before_it():
    behaviour = played(WorldConfig(id=COUNTER, envs=2, pixels=16)).behaviour
    assert behaviour.pixels.shape == (6, 2, 16, 16, 3)
    step = behaviour.observations[:, :, 1]
    np.testing.assert_array_equal(step[:, 0], [0, 1, 2, 3, 4, 0])  # the sixth begins the next episode
    shades = np.vectorize(shade)(step.astype(int))
    np.testing.assert_array_equal(behaviour.pixels, np.broadcast_to(shades[:, :, None, None, None], (6, 2, 16, 16, 3)))


def test_pictures_change_nothing_else():
    for name in (COUNTER, "Pendulum-v1", "CartPole-v1"):
        plain, drawn = (played(WorldConfig(id=name, envs=2, pixels=side), 30).behaviour for side in (None, 16))
        assert plain.pixels is None
        np.testing.assert_array_equal(plain.observations, drawn.observations)
        np.testing.assert_array_equal(plain.rewards, drawn.rewards)


def test_pendulum_drawn_small_shows_the_angle():
    behaviour = played(WorldConfig(id="Pendulum-v1", envs=1, pixels=32), 40).behaviour
    dark = behaviour.pixels[:, 0, :, :, 1] < 200
    rows, columns = (np.arange(32) - 15.5 for _ in range(2))
    towards = np.stack([(dark * -rows[:, None]).sum((1, 2)), (dark * -columns[None]).sum((1, 2))], axis=1)
    towards = towards / np.linalg.norm(towards, axis=1, keepdims=True)
    cos, sin = behaviour.observations[:, 0, 0], behaviour.observations[:, 0, 1]
    assert (towards * np.stack([cos, sin], axis=1)).sum(axis=1).min() > 0.9


def test_batches_segments_and_evaluations_carry_them():
    world = played(WorldConfig(id=COUNTER, envs=2, pixels=16))
    behaviour = world.behaviour
    assert behaviour.batch(slice(1, 4)).pixels.shape == (2, 3, 16, 16, 3)
    cuts = [Cut(0, 1), Cut(1, 2)]
    np.testing.assert_array_equal(behaviour.batch(cuts, 2).pixels[1], behaviour.pixels[2:4, 1])
    np.testing.assert_array_equal(behaviour.data(cuts[1], 2).pixels, behaviour.pixels[2:4, 1])
    assert behaviour.reference().pixels.shape == behaviour.newest_steps(1.0)[0].pixels.shape == (12, 1, 16, 16, 3)
    found = evaluate(WorldConfig(id=COUNTER, envs=2, pixels=16), Zero(), 3, 0)
    assert found.batch.pixels.shape == (3, 5, 16, 16, 3)
    np.testing.assert_array_equal(found.batch.pixels[2, :, 0, 0, 0], [shade(t) for t in range(5)])
    np.testing.assert_array_equal(found.first.pixels, found.batch.pixels[0])


def test_a_reward_from_pictures_pays_in_stable_baselines():
    world = VectorWorld(WorldConfig(id=COUNTER, envs=2, pixels=16), 0)
    env = WorldVecEnv(world, lambda batch: batch.pixels[..., 0, 0, 0].astype(float))
    env.reset()
    for step in range(3):
        assert env.step(np.zeros(2, int))[1].tolist() == [shade(step)] * 2


def test_a_picture_for_people_is_not_the_small_one():
    config = WorldConfig(id=COUNTER, envs=1, pixels=16)
    data = played(config).behaviour.data(Cut(0, 0), 3)
    assert render(config, data).shape == (3, 20, 30, 3)


def test_saved_and_loaded(tmp_path):
    world = played(WorldConfig(id=COUNTER, envs=2, pixels=16))
    world.behaviour.save(tmp_path / "one")
    again = Behaviour(2, world.layout)
    again.load(tmp_path / "one")
    np.testing.assert_array_equal(again.pixels, world.behaviour.pixels)
    with pytest.raises(WorldError, match="does not fit this world"):
        played(WorldConfig(id=COUNTER, envs=2)).behaviour.load(tmp_path / "one")


def test_arrays_of_a_segment_come_back_and_without_pictures_are_as_ever():
    data = played(WorldConfig(id=COUNTER, envs=1, pixels=16)).behaviour.data(Cut(0, 1), 2)
    again = SegmentData.from_arrays(data.arrays())
    np.testing.assert_array_equal(again.pixels, data.pixels)
    plain = played(WorldConfig(id=COUNTER, envs=1)).behaviour.data(Cut(0, 1), 2)
    assert set(plain.arrays()) == {"observations", "actions", "true_rewards", "prefix_actions", "reset_seed"}
    assert SegmentData.from_arrays(plain.arrays()).pixels is None


def test_a_batch_with_too_few_pictures_is_refused():
    steps = np.zeros((2, 3, 1), np.float32)
    with pytest.raises(RecordError, match=r"pixels \(2, 2"):
        StepBatch(steps, steps, np.ones((2, 3), bool), np.zeros((2, 2, 8, 8, 1), np.uint8))


@pytest.mark.parametrize("name", ["Blind", "BreaksWhenDrawn"])
def test_a_world_that_draws_nothing_is_refused_at_once(name):
    with pytest.raises(WorldError, match=r"render|picture"):
        VectorWorld(WorldConfig(id=f"tests.world_examples:{name}", envs=1, pixels=16), 0)


@pytest.mark.parametrize("side", [0, 7, 513])
def test_sides_out_of_range(side):
    with pytest.raises(ConfigError, match=r"world\.pixels is out of range"):
        WorldConfig(pixels=side)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((40, 50, 3), (40, 50, 3)),
        ((40, 50), (40, 50, 1)),
        ((4, 84, 84), (84, 84, 4)),
        ((1, 64, 64, 3), (64, 64, 3)),
        ((31, 50, 3), None),
        ((7, 7, 3), None),
        ((100,), None),
        ((40, 50, 60), None),
    ],
)
def test_what_counts_as_an_image(shape, expected):
    assert image_shape(spaces.Box(0, 255, shape, np.uint8)) == expected
    assert image_shape(spaces.Box(0, 255, shape, np.float32)) is None


@pytest.mark.parametrize("kind", ["colour", "grey", "stack", "dict"])
@pytest.mark.parametrize("side", [None, 8])
def test_observed_images_are_recorded_by_themselves(kind, side):
    config = WorldConfig(id="tests.world_examples:Seen", envs=2, options={"kind": kind}, pixels=side)
    world = played(config)
    height, width = (48, 32) if side is None else (side, side)
    channels = {"colour": 3, "grey": 1, "stack": 4, "dict": 3}[kind]
    assert world.behaviour.pixels.shape == (6, 2, height, width, channels)
    step = np.array([0, 1, 2, 3, 4, 0])
    for channel in range(channels):
        np.testing.assert_array_equal(world.behaviour.pixels[:, 0, 0, 0, channel], step * 10 + channel)
    vector = world.behaviour.observations[:, 0]
    thumbnail = 16 * 16 * (4 if kind == "stack" else 1)
    assert vector.shape[1] == thumbnail + (2 if kind == "dict" else 0)
    grey = step * 10 + (1 if channels == 3 else 0)
    np.testing.assert_allclose(vector[:, 0], grey / 255, rtol=1e-6)
    if kind == "dict":
        np.testing.assert_array_equal(vector[:, -2:], np.stack([step, step], axis=1))


def test_an_image_of_another_shape_is_refused():
    world = VectorWorld(WorldConfig(id="tests.world_examples:Seen", envs=1, options={"kind": "wrong"}), 0)
    world.reset(0)
    with pytest.raises(WorldError, match=r"image has the wrong shape.*step 1"):
        world.step(np.zeros(1, int))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_shrinking_takes_means_of_areas(channels, high, wide, seed):
    image = np.random.default_rng(seed).integers(256, size=(8 * high, 8 * wide, channels)).astype(np.uint8)
    slow = image.reshape(8, high, 8, wide, channels).mean(axis=(1, 3))
    np.testing.assert_allclose(shrink(image, 8), slow, atol=1.01)


def test_settings_without_pictures_are_written_as_before():
    assert not {"pixels", "tasks"} & set(json.loads(json.dumps(to_json(WorldConfig()))))


def test_mujoco_draws_on_when_another_world_was_closed():
    pytest.importorskip("mujoco")
    config = WorldConfig(id="Reacher-v5", envs=2, pixels=32)
    alone = played(config, 4).behaviour.pixels
    world, rng = VectorWorld(config, 0), np.random.default_rng(0)
    world.reset(0)
    for step in range(4):
        other = VectorWorld(WorldConfig(id="InvertedPendulum-v5", envs=1, pixels=16), 0)
        if step % 2:
            other.close()
        world.step(random_actions(world, rng))
        np.testing.assert_array_equal(world.behaviour.pixels[step], alone[step])
    assert (alone[0, 0] != alone[0, 1]).any()
    world.close()


def test_pendulum_drawn_small_is_what_it_draws_itself(monkeypatch):
    small = played(WorldConfig(id="Pendulum-v1", envs=1, pixels=32), 5).behaviour.pixels
    monkeypatch.setattr("plaudit.worlds.pixels.images_kept", nullcontext)
    np.testing.assert_array_equal(played(WorldConfig(id="Pendulum-v1", envs=1, pixels=32), 5).behaviour.pixels, small)
    monkeypatch.setattr("plaudit.worlds.pixels._draw_small", lambda inner, side: None)
    whole = played(WorldConfig(id="Pendulum-v1", envs=1, pixels=32), 5).behaviour.pixels
    assert np.abs(whole.astype(int) - small).mean() < 3
