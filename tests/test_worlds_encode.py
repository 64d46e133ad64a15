"""Observations of named entries: goals, directions, missions."""

import zlib

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from plaudit.errors import WorldError
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.encode import DRAWERS, encoder
from plaudit.worlds.make import make
from tests.test_worlds_pixels import played

NAMED = "tests.world_examples:Named"


def test_goals_are_flattened_as_gymnasium_does():
    env = make(WorldConfig(id=NAMED, options={"mission": False}))
    env.reset(seed=5)
    observation, *_ = env.step(0)
    np.testing.assert_array_equal(observation, [5, 1, -5, -1, 2.5, 0.5])
    inner = env.unwrapped
    np.testing.assert_array_equal(observation, spaces.flatten(inner.observation_space, inner.look()))


def test_a_mission_is_counted_word_by_word():
    behaviour = played(WorldConfig(id=NAMED, envs=2)).behaviour
    vector = behaviour.observations[:, 0]
    assert vector.shape[1] == 4 + DRAWERS + 2
    np.testing.assert_array_equal(vector[:, :4], np.eye(4)[[0, 1, 2, 3, 0, 0]])
    counts = np.zeros(DRAWERS)
    for word in ("go", "to", "the", "red", "ball", "to", "win"):
        counts[zlib.crc32(word.encode()) % DRAWERS] += 1
    np.testing.assert_array_equal(vector[:, 4:-2], [counts] * 6)
    np.testing.assert_array_equal(vector[:, -1], [0, 1, 2, 3, 4, 0])


def test_entries_lie_one_inside_of_another():
    space = spaces.Tuple((spaces.Dict(b=spaces.Discrete(2), a=spaces.Box(0, 9, (1,), np.float32)), spaces.Discrete(2)))
    picture = spaces.Box(0, 255, (32, 32), np.uint8)
    encode, box, found = encoder(spaces.Dict(inner=space, picture=picture))
    black = np.zeros((32, 32), np.uint8)
    vector = encode({"inner": ({"a": np.array([7.0]), "b": 1}, 0), "picture": black})
    np.testing.assert_array_equal(vector, [0, 1, 7, 1, 0] + [0] * 256)
    assert box.shape == vector.shape
    assert found.shape == (32, 32, 1)


def test_a_part_without_a_form_is_named():
    space = spaces.Dict(picture=spaces.Box(0, 255, (32, 32), np.uint8), many=spaces.Sequence(spaces.Discrete(2)))
    with pytest.raises(WorldError, match=r"no flat form. Got: Sequence"):
        encoder(space)


def test_minigrid_with_its_mission():
    pytest.importorskip("minigrid")
    config = WorldConfig(id="minigrid:MiniGrid-GoToDoor-5x5-v0", envs=1)
    behaviour = played(config, 8).behaviour
    env = gymnasium.make("MiniGrid-GoToDoor-5x5-v0")
    seen, _ = env.reset(seed=int(behaviour.seeds[0, 0]))
    first = behaviour.observations[0, 0]
    assert first.shape == (4 + 7 * 7 * 3 + DRAWERS,)
    np.testing.assert_array_equal(first[:4], np.eye(4)[seen["direction"]])
    np.testing.assert_array_equal(first[4 : 4 + 147], seen["image"].reshape(-1))
    assert first[-DRAWERS:].sum() == len(seen["mission"].split())


@pytest.mark.parametrize(("name", "advice"), [("MiniGrid-Nowhere-v9", "minigrid:"), ("dm_control/a-b-v0", "shimmy:")])
def test_worlds_of_other_packages_say_how_to_name_them(name, advice):
    with pytest.raises(WorldError, match=f'write "{advice}{name}"'):
        make(WorldConfig(id=name))
