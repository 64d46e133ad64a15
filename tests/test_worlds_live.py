"""Playing an environment by hand: what is recorded is what the run itself would have recorded."""

import io
import json
import subprocess
import sys
import threading
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from PIL import Image

from plaudit.errors import ConfigError, WorldError
from plaudit.worlds.behaviour import Cut
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.controls import checked, controls_of
from plaudit.worlds.live import BEHIND, FRAMES_PER_SECOND, Player, _Clock, serve
from plaudit.worlds.lockstep import Lockstep
from plaudit.worlds.playing import Play
from plaudit.worlds.render import Renderer
from plaudit.worlds.vector import VectorWorld
from plaudit.worlds.wire import FRAME, JSON, Start, read, said, segment_data, setup
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


def test_only_what_is_chosen_counts_and_by_default_the_end():
    play = Play(WorldConfig(id="Pendulum-v1", envs=1), Start(seed=4, length=5))
    act(play, 12)
    whole = replayed(WorldConfig(id="Pendulum-v1", envs=1), 4, play._behaviour.actions[:, 0])
    for first, start in ((None, 7), (0, 0), (3, 3)):
        shown = play.shown(first)
        assert shown.start == start
        np.testing.assert_array_equal(shown.data.observations, whole[start : start + 5])
    with pytest.raises(WorldError, match="no such stretch"):
        play.shown(8)
    play.close()


def test_too_little_cannot_be_handed_in():
    play = Play(WorldConfig(id="Pendulum-v1", envs=1), Start(seed=4, length=5))
    act(play, 4)
    assert not play.enough
    with pytest.raises(WorldError, match="Too little"):
        play.shown()
    play.close()


def test_an_episode_that_ends_early_counts_as_it_is():
    play = Play(WorldConfig(id="CartPole-v1", envs=1), Start(seed=1, length=60))
    while not play.done:
        play.step(np.asarray(1))
    assert play.enough
    assert len(play.shown().data) == play.steps < 60
    with pytest.raises(WorldError, match="over"):
        play.step(np.asarray(1))
    play.close()


def test_with_a_horizon_time_passes_by_itself_once_all_stands_still():
    config = WorldConfig(id="CartPole-v1", envs=1, horizon=100)
    play = Play(config, Start(seed=1, length=60))
    while not play.done:
        play.step(np.asarray(1))
    data = play.shown().data
    assert len(data) == 60
    assert data.observations[-1, -1] == 1  # absorbed
    np.testing.assert_array_equal(data.observations, replayed(config, 1, data.actions))
    play.close()


def test_begin_again_is_the_very_same_start():
    play = Play(WorldConfig(id="Pendulum-v1", envs=1), Start(seed=4, length=3))
    act(play, 3)
    first = play.shown().data.arrays()
    play.reset()
    assert (play.steps, play.enough) == (0, False)
    act(play, 3)
    for name, array in play.shown().data.arrays().items():
        np.testing.assert_array_equal(array, first[name])
    play.close()


@pytest.mark.parametrize("name", ["Pendulum-v1", "tests.world_examples:Counter"])
def test_a_demonstration_from_a_stored_step_is_the_person_s_alone(name):
    config = WorldConfig(id=name, envs=1, options={"length": 30} if "Counter" in name else {})
    data = behaviour_segment(config, time=3, length=6)
    play = Play(config, Start(seed=0, length=4, step=2, origin=3), data)
    act(play, 4)
    shown = play.shown()
    assert shown.start == 5
    np.testing.assert_array_equal(shown.data.observations[0], data.observations[2])
    np.testing.assert_array_equal(Renderer(config).render(shown.data)[0], Renderer(config).render(data)[2])
    play.close()


def test_a_task_is_the_one_of_the_segment():
    pytest.importorskip("mujoco")
    tasks = ({"goal": [0.1, 0.1]}, {"goal": [-0.1, 0.1]})
    config = WorldConfig(id="plaudit.worlds.goals:Reacher", envs=2, tasks=tasks)
    world = VectorWorld(config, 0)
    world.reset(0)
    for _ in range(4):
        world.step(np.zeros((2, 2), np.float32))
    data = world.behaviour.data(Cut(1, 0), 4)
    fresh, branched = Play(config, Start(seed=0, length=2, task=1)), Play(config, Start(seed=0, length=2, step=1), data)
    for play in (fresh, branched):
        act(play, 2)
        assert (play.shown().data.observations[:, -2:] == [0, 1]).all()
        play.close()


@pytest.mark.parametrize(
    "config",
    [
        WorldConfig(id="Pendulum-v1", envs=1, pixels=16),
        WorldConfig(id="tests.world_examples:Counter", envs=1, pixels=8, options={"length": 30}),
        WorldConfig(id="tests.world_examples:Seen", envs=1),
        WorldConfig(id="tests.world_examples:Seen", envs=1, pixels=8),
    ],
    ids=["drawn from states", "drawn by replaying", "observed", "observed and shrunk"],
)
def test_pictures_are_those_that_the_run_would_have_recorded(config):
    data = behaviour_segment(config, time=1, length=4)
    play = Play(config, Start(seed=0, length=4, step=2, origin=1, keep=True), data)
    assert play.frame().shape[0] > 16
    for action in data.actions[2:]:
        play.step(action)
    np.testing.assert_array_equal(play.shown().data.pixels, data.pixels)
    play.close()


def test_what_cannot_be_gone_on_from_is_refused():
    config = WorldConfig(id="Pendulum-v1", envs=1)
    data = behaviour_segment(config)
    start = Start(seed=0, length=6, step=1, keep=True)
    for wrong, words in (
        (replace(data, simulator=None), "Nobody can go on"),
        (replace(data, simulator=data.simulator[:, :2]), "do not fit"),
    ):
        with pytest.raises(WorldError, match=words):
            Play(config, start, wrong)
    with pytest.raises(WorldError, match="no such step"):
        Play(config, replace(start, step=6), data)
    counter = WorldConfig(id="tests.world_examples:Counter", envs=1, options={"length": 30})
    seen = behaviour_segment(counter)
    with pytest.raises(WorldError, match="not reproducible"):
        Play(counter, start, replace(seen, observations=seen.observations + 1))


def test_true_rewards_are_not_made_up():
    config = WorldConfig(id="Pendulum-v1", envs=1)
    data = behaviour_segment(config)
    for given in (data.true_rewards, None):
        play = Play(config, Start(seed=0, length=6, step=2, keep=True), replace(data, true_rewards=given))
        act(play, 4)
        assert (play.shown().data.true_rewards is None) == (given is None)
        play.close()


# controls


def env_of(name, **settings):
    return Lockstep(config_of(name, **settings), 1).envs[0]


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_has_keys_that_do_all_it_can(name):
    env = env_of(name)
    controls = controls_of(env)
    keys = [one.key for one in controls.binds]
    assert len(set(keys)) == len(keys)
    for bind in controls.binds:
        checked(env.action_space, list(bind.action) if isinstance(bind.action, tuple) else bind.action)
    if isinstance(env.action_space, gymnasium.spaces.Discrete):
        done = {one.action for one in controls.binds} | ({controls.idle} - {None})
        assert done == set(range(env.action_space.n))
    else:
        moved = np.array([one.action for one in controls.binds])
        assert ((moved > 0).any(axis=0) & (moved < 0).any(axis=0)).all()
        assert {end for pad in controls.pads for pair in (pad.x, pad.y) if pair for end in pair} == set(
            range(len(keys))
        )


@pytest.mark.parametrize(
    ("name", "left"),
    [("Pendulum-v1", "ArrowLeft"), ("Reacher-v5", "ArrowLeft"), ("MountainCarContinuous-v0", "ArrowLeft")],
)
def test_pads_point_as_their_arrows(name, left):
    controls = controls_of(env_of(name))
    pad = controls.pads[0]
    assert controls.binds[pad.x[0]].key == left
    if pad.y is not None:
        assert [controls.binds[end].key for end in pad.y] == ["ArrowDown", "ArrowUp"]


@pytest.mark.parametrize(
    ("name", "keys", "idle", "turns"),
    [
        ("CartPole-v1", {"KeyA": 0, "KeyD": 1}, None, True),
        ("MountainCar-v0", {"KeyA": 0, "KeyD": 2, "idle": 1}, 1, False),
        ("Pendulum-v1", {"ArrowLeft": [9.0], "ArrowRight": [-1.0]}, (0.0,), False),
        ("Pendulum-v1", {"KeyA": [1], "idle": [0.5]}, (0.5,), False),
    ],
)
def test_a_run_file_can_say_what_keys_do(name, keys, idle, turns):
    controls = controls_of(env_of(name), keys)
    assert [one.key for one in controls.binds] == [key for key in keys if key != "idle"]
    assert (controls.idle, controls.turns) == (idle, turns)
    if name == "Pendulum-v1":
        assert controls.binds[0].action[0] <= 2.0  # within bounds
        assert len(controls.pads) == ("ArrowLeft" in keys)


@pytest.mark.parametrize("keys", [{"KeyA": 2}, {"KeyA": [0.5]}, {"KeyA": -1}])
def test_keys_that_do_what_the_world_cannot_are_refused(keys):
    with pytest.raises(WorldError, match="no such action"):
        controls_of(env_of("CartPole-v1"), keys)


@pytest.mark.parametrize("keys", [{"": 1}, {"KeyA": "left"}, {"KeyA": []}, {"KeyA": True}, {"KeyA": [float("nan")]}])
def test_keys_are_checked_with_the_run_file(keys):
    with pytest.raises(ConfigError, match=r"world\.keys"):
        WorldConfig(keys=keys)


class Many(gymnasium.Env):
    def __init__(self, discrete=0, entries=1):
        self.observation_space = gymnasium.spaces.Box(0, 1, (1,))
        box = gymnasium.spaces.Box(-np.inf, np.inf, (entries,))
        self.action_space = gymnasium.spaces.Discrete(discrete) if discrete else box

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}


def test_worlds_that_nobody_knows_have_keys_in_order():
    controls = controls_of(Many(discrete=12))
    assert ([one.action for one in controls.binds], controls.turns) == (list(range(12)), True)
    assert [pad.y is None for pad in controls_of(Many(entries=1)).pads] == [True]
    five = controls_of(Many(entries=5))
    assert ([one.key for one in five.binds[:4]], len(five.pads)) == (["KeyA", "KeyQ", "KeyS", "KeyW"], 3)
    assert (five.low[0], five.high[0], five.pads[-1].x) == (-1.0, 1.0, None)
    for env in (Many(discrete=50), Many(entries=10)):
        with pytest.raises(WorldError, match=r"world\.keys"):
            controls_of(env)


@pytest.mark.parametrize(
    ("space", "action"),
    [
        (gymnasium.spaces.Discrete(2), 2),
        (gymnasium.spaces.Discrete(2), True),
        (gymnasium.spaces.Discrete(2), [0]),
        (gymnasium.spaces.Box(-1, 1, (2,)), [0.0]),
        (gymnasium.spaces.Box(-1, 1, (2,)), [0.0, None]),
        (gymnasium.spaces.Box(-1, 1, (2,)), [0.0, float("inf")]),
        (gymnasium.spaces.Box(-1, 1, (2,)), 0),
    ],
)
def test_actions_from_a_page_are_checked(space, action):
    with pytest.raises(WorldError, match="no such action"):
        checked(space, action)


# the process


def told(payload):
    """Messages of what a process said."""
    source = io.BytesIO(payload)
    found = []
    while (message := read(source)) is not None:
        found.append(message)
    return found


def test_the_process_ends_with_its_parent_and_prints_into_nothing():
    config = WorldConfig(id="Pendulum-v1", envs=1)
    process = subprocess.Popen(
        [sys.executable, "-m", "plaudit.worlds.live"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdin.write(setup(config, Start(seed=1, length=3)))
    process.stdin.flush()
    ready, first = read(process.stdout), read(process.stdout)
    assert json.loads(ready[1])["ready"]
    assert json.loads(first[1]) == {"step": 0, "done": False, "enough": False, "again": 0}
    assert Image.open(io.BytesIO(read(process.stdout)[1])).format == "JPEG"
    process.stdin.write(said({"go": True}))
    process.stdin.close()  # as when the studio is killed
    assert process.wait(timeout=20) == 1
    process.stdout.close()


class Sink(io.BytesIO):
    """Keeps what was written."""

    def close(self):
        pass


def played(config, start, wishes, data=None):
    """What the process says when it hears all wishes at once; what ends the source ends the process, so one must end it."""
    sink = Sink()
    serve(Patient(setup(config, start, data) + b"".join(said(wish) for wish in wishes)), sink)
    return told(sink.getvalue())


class Patient(io.BytesIO):
    """A source that does not end, so that the listener does not end this process."""

    def read(self, size=-1):
        found = super().read(size)
        if size and not found:
            threading.Event().wait()
        return found


def test_turns_are_taken_one_by_one_and_handed_in():
    config = WorldConfig(id="plaudit.worlds.toy:GridWorld", envs=1)
    wishes = [{"go": True}, *({"action": action} for action in (0, 1, 0)), {"end": True}]
    messages = played(config, Start(seed=2, length=3), wishes)
    states = [json.loads(payload) for kind, payload in messages if kind == JSON]
    assert [one["step"] for one in states if "step" in one] == [0, 1, 2, 3]
    assert states[-1] == {"shown": True, "start": 0}
    data = segment_data(messages[-1][1])
    assert data.actions.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(data.observations, replayed(config, 2, data.actions))


def test_an_end_that_comes_too_early_changes_nothing():
    wishes = [{"end": True}, {"go": True}, {"action": 0}, {"end": True}]
    messages = played(WorldConfig(id="plaudit.worlds.toy:GridWorld", envs=1), Start(seed=2, length=1), wishes)
    assert json.loads(messages[-2][1]) == {"shown": True, "start": 0}


@pytest.mark.parametrize(
    ("config", "wishes", "words"),
    [
        (WorldConfig(id="CartPole-v1", envs=1, options={"colour": 1}), [], "colour"),
        (WorldConfig(id="tests.world_examples:Blind", envs=1), [], "no picture"),
        (WorldConfig(id="CartPole-v1", envs=1), [{"dance": True}], "understand"),
        (WorldConfig(id="tests.world_examples:NaN", envs=1), [{"go": True}, *[{"action": 1}] * 3], "not finite"),
    ],
)
def test_errors_of_the_world_are_said(config, wishes, words):
    last = json.loads(played(config, Start(seed=0, length=3), wishes)[-1][1])
    assert words in last["error"]


def test_a_world_runs_at_its_speed_and_draws_at_most_so_often():
    sink = Sink()
    play = Play(WorldConfig(id="Pendulum-v1", envs=1), Start(seed=0, length=5))
    player = Player(play, controls_of(play.env), sink)
    player._clock = _Clock(1 / 100)
    now = 0.0
    player.hear({"speed": 0.5})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("plaudit.worlds.live.time.perf_counter", lambda: now)
        player.hear({"go": True})
        while now < 0.4:
            assert player.wait() is not None
            player.tick()
            now += 0.001
        steps = play.steps
        drawn = sum(kind == FRAME for kind, _ in told(sink.getvalue()))
        player.hear({"pause": True})
        player.tick()
    assert player.wait() is None
    assert steps == 20  # 0.4 s at 100 Hz, at half speed
    assert drawn <= 0.4 * FRAMES_PER_SECOND + 1
    play.close()


def test_who_lags_does_not_race():
    clock = _Clock(0.1)
    clock.go(0.0)
    clock.stepped(10.0)
    assert clock.step_at == 10.0 - BEHIND


def test_the_process_needs_no_torch_and_no_database():
    code = (
        "import plaudit.worlds.live, sys; "
        "heavy = {'torch', 'jax', 'transformers', 'stable_baselines3', 'sqlalchemy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
