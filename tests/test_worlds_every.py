"""Every environment that Gymnasium can make here: act, cut, save, load, draw; or a clear error."""

import gymnasium
import numpy as np
import pytest

from plaudit.errors import MissingExtra, WorldError
from plaudit.worlds.behaviour import Behaviour
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.render import Renderer
from plaudit.worlds.vector import VectorWorld
from tests.world_examples import random_actions

FAST = ["CartPole-v1", "Pendulum-v1", "FrozenLake-v1", "Blackjack-v1"]
TOYS = [f"plaudit.worlds.toy:{name}" for name in ("GridWorld", "PointMass", "OneStep")]
EVERY = sorted(set(gymnasium.registry) - set(FAST))
REFUSED = {"tabular/CliffWalking-v0": r"The action space is not supported. Got: Box\(0, 3, \(1,\), int32\)"}
"""usable in Gymnasium, refused here on purpose"""


def round_trip(config, folder):
    world = VectorWorld(config, 0)
    world.reset(0)
    rng = np.random.default_rng(0)
    for _ in range(30):
        world.step(random_actions(world, rng))
    world.behaviour.save(folder / "behaviour")
    again = Behaviour(world.n_envs, world.layout)
    again.load(folder / "behaviour")
    world.close()
    length = 3 if (world.behaviour.episodes[2:] == world.behaviour.episodes[:-2]).any() else 1
    cut = again.cut(length, 1, rng)[0]
    with Renderer(config) as renderer:
        return renderer.render(again.data(cut, length), every=length)


def check(config, folder):
    frames = round_trip(config, folder)
    assert frames.ndim == 4
    assert len(frames) == 1
    assert frames.std() > 0


@pytest.mark.parametrize("name", FAST + TOYS)
@pytest.mark.parametrize("horizon", [None, 12])
def test_world_from_acting_to_drawing(name, horizon, tmp_path):
    check(WorldConfig(id=name, envs=2, horizon=horizon), tmp_path)


def makeable(name):
    try:
        gymnasium.make(name).close()
    except Exception:  # noqa: BLE001 - whatever it is, Gymnasium cannot make it
        return False
    return True


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EVERY)
def test_every_world_from_acting_to_drawing(name, tmp_path):
    if name in REFUSED or not makeable(name):
        with pytest.raises((WorldError, MissingExtra), match=REFUSED.get(name, r"Got: .*Next: ")):
            VectorWorld(WorldConfig(id=name, envs=2), 0)
    else:
        check(WorldConfig(id=name, envs=2), tmp_path)
