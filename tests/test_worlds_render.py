"""Drawing segments."""

import numpy as np
import pytest

from plaudit.errors import WorldError
from plaudit.records import SegmentData
from plaudit.worlds.behaviour import Cut
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.make import make
from plaudit.worlds.render import TALLEST, Renderer, render
from plaudit.worlds.vector import VectorWorld
from tests.world_examples import random_actions, shade


def behaviour_of(config, steps=40):
    world = VectorWorld(config, 0)
    world.reset(0)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        world.step(random_actions(world, rng))
    world.close()
    return world.behaviour


@pytest.mark.parametrize(
    "name", ["CartPole-v1", "Pendulum-v1", "CliffWalkingSlippery-v1", "plaudit.worlds.toy:GridWorld"]
)
def test_frames_from_states_are_those_of_the_episode(name):
    config = WorldConfig(id=name, envs=1)
    behaviour = behaviour_of(config, 8)
    assert not behaviour.starts[1:].any()  # one episode
    frames = render(config, behaviour.data(Cut(0, 3), 4))
    with Renderer(config) as live:
        live._lockstep.reset(0, int(behaviour.seeds[0, 0]), "live")
        for time in range(7):
            if time >= 3:
                np.testing.assert_array_equal(frames[time - 3], live._frame())
            live._lockstep.step(behaviour.actions[time])


def test_replayed_frames_are_those_of_the_episode():
    config = WorldConfig(id="tests.world_examples:Counter", envs=2, options={"length": 10})
    data = behaviour_of(config).data(Cut(1, 13), 5)
    np.testing.assert_array_equal(render(config, data)[:, 0, 0, 0], [shade(step) for step in (3, 4, 5, 6, 7)])


def test_some_frames_only():
    config = WorldConfig(id="tests.world_examples:Counter", envs=1, options={"length": 10})
    with Renderer(config) as renderer:
        frames = renderer.render(behaviour_of(config).data(Cut(0, 10), 8), every=3)
    np.testing.assert_array_equal(frames[:, 0, 0, 0], [shade(step) for step in (0, 3, 6)])


def test_absorbed_steps_are_drawn_as_they_stood():
    config = WorldConfig(id="CartPole-v1", envs=1, horizon=60)
    frames = render(config, behaviour_of(config, 60).data(Cut(0, 50), 5))
    assert (frames == frames[0]).all()


def test_frames_are_shrunk_to_the_height_that_people_need():
    config = WorldConfig(id="Pendulum-v1", envs=1)
    assert render(config, behaviour_of(config).data(Cut(0, 0), 2)).shape == (2, TALLEST, TALLEST, 3)


def test_mujoco_draws_small():
    pytest.importorskip("mujoco")
    config = WorldConfig(id="Reacher-v5", envs=1)
    frames = render(config, behaviour_of(config).data(Cut(0, 5), 2))
    assert frames.shape == (2, 240, 320, 3)
    assert np.std(frames[0]) > 5
    assert (frames[0] != frames[1]).any()


@pytest.mark.parametrize(
    ("name", "fps"), [("Pendulum-v1", 30), ("CartPole-v1", 50), ("tests.world_examples:Counter", 8)]
)
def test_speed_is_the_worlds_own(name, fps):
    with Renderer(WorldConfig(id=name)) as renderer:
        assert renderer.fps == fps


def test_world_that_says_no_speed():
    with Renderer(WorldConfig(id="tests.world_examples:Blind")) as renderer:
        assert renderer.fps == 30


def test_world_whose_replay_leads_elsewhere():
    config = WorldConfig(id="tests.world_examples:Irreproducible", envs=1)
    with pytest.raises(WorldError, match=r"not reproducible.*step 0 of the segment.*get_state"):
        render(config, behaviour_of(config).data(Cut(0, 0), 2))


@pytest.mark.parametrize(("name", "message"), [("Blind", r"has no picture"), ("BreaksWhenDrawn", r"no font")])
def test_world_that_cannot_be_drawn(name, message):
    config = WorldConfig(id=f"tests.world_examples:{name}", envs=1)
    with pytest.raises(WorldError, match=message):
        render(config, behaviour_of(config).data(Cut(0, 0), 2))


def test_segment_of_another_world():
    data = behaviour_of(WorldConfig(id="CartPole-v1", envs=1)).data(Cut(0, 0), 2)
    with pytest.raises(WorldError, match=r"do not fit the world"):
        render(WorldConfig(id="plaudit.worlds.toy:GridWorld"), data)


def test_segment_with_nothing_to_draw_from():
    data = SegmentData(observations=np.zeros((2, 2), np.float32), actions=np.zeros(2, int))
    with pytest.raises(WorldError, match=r"neither simulator states nor a reset seed"):
        render(WorldConfig(id="tests.world_examples:Counter"), data)


def test_drawing_leaves_no_screen_needed():
    env = make(WorldConfig(id="MountainCar-v0"), "rgb_array")
    env.reset(seed=0)
    assert env.render().std() > 0
    env.close()
