"""Playing an environment by hand: what is recorded is what the run itself would have recorded."""

from dataclasses import replace

import numpy as np
import pytest

from plaudit.worlds.behaviour import Cut
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.controls import checked, controls_of
from plaudit.worlds.lockstep import Lockstep
from plaudit.worlds.playing import Play, Start
from plaudit.worlds.render import Renderer
from plaudit.worlds.vector import VectorWorld
from tests.world_examples import random_actions

WORLDS = [
    "Pendulum-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "CartPole-v1",
    "Acrobot-v1",
    "FrozenLake-v1",
    "LunarLander-v3",
    "Reacher-v5",
    "Hopper-v5",
    "HalfCheetah-v5",
    "minigrid:MiniGrid-Empty-5x5-v0",
]
NEEDS = {
    "LunarLander": "Box2D",
    "Reacher": "mujoco",
    "Hopper": "mujoco",
    "HalfCheetah": "mujoco",
    "minigrid": "minigrid",
}


def config_of(name, **settings):
    for start, module in NEEDS.items():
        if name.startswith(start):
            pytest.importorskip(module)
    return WorldConfig(id=name, envs=1, **settings)


def behaviour_segment(config, *, time=0, length=6, seed=0):
    """A segment of a run's own behaviour by random actions."""
    world = VectorWorld(config, seed)
    world.reset(seed)
    rng = np.random.default_rng(seed)
    for _ in range(time + length):
        world.step(random_actions(world, rng))
    data = world.behaviour.data(Cut(0, time), length)
    world.close()
    return data


def act(play, steps, rng=None):
    """Press keys in turn."""
    binds = controls_of(play.env).binds
    for number in range(steps):
        if play.done:
            break
        action = binds[number // 2 % len(binds)].action
        play.step(checked(play.space, list(action) if isinstance(action, tuple) else action))


def replayed(config, seed, actions, lane=0):
    """Observations when the same actions follow the same reset, without pictures."""
    lockstep = Lockstep(config, len(config.tasks or ()) or 1)
    seen = [lockstep.reset(lane, seed, "again")]
    for action in actions:
        seen.append(lockstep.step(np.stack([action] * len(lockstep.envs)), [lane])[0][lane])
    lockstep.close()
    return np.stack(seen[:-1])


@pytest.mark.parametrize("name", WORLDS)
def test_recorded_actions_lead_to_the_recorded_observations(name):
    config = config_of(name)
    play = Play(config, Start(seed=11, length=1))
    act(play, 12)
    steps = play.steps
    play._start = replace(play._start, length=steps)
    shown = play.shown()
    assert (shown.start, len(shown.data)) == (0, steps)
    np.testing.assert_array_equal(shown.data.observations, replayed(config, 11, shown.data.actions))
    other = behaviour_segment(config, length=1)
    assert {name: array.dtype for name, array in shown.data.arrays().items()} == {
        name: array.dtype for name, array in other.arrays().items()
    }
    frames = Renderer(config).render(shown.data)
    assert len(frames) == steps
    play.close()


@pytest.mark.parametrize("name", WORLDS)
def test_going_on_with_the_same_actions_gives_the_same_segment(name):
    """A branch that does what was done before is what was there before: in simulators to the bit."""
    config = config_of(name)
    data = behaviour_segment(config, time=2 if "Lake" not in name else 0, length=3 if "Lake" in name else 6)
    play = Play(config, Start(seed=0, length=len(data), step=1, origin=2, keep=True), data)
    for action in data.actions[1:]:
        assert not play.done
        play.step(action)
    assert play.done
    again = play.shown()
    assert again.start == 2
    for key, array in data.arrays().items():
        np.testing.assert_array_equal(again.data.arrays()[key], array, err_msg=key)
    play.close()
