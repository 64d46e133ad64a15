"""What faulty environments and policies do, and which message names it."""

import signal
import threading
import time

import numpy as np
import pytest

from plaudit.errors import WorldError
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.evaluate import evaluate
from plaudit.worlds.vector import VectorWorld
from plaudit.worlds.watchdog import Hang, Watchdog


def world(name, **settings):
    return VectorWorld(WorldConfig(id=f"tests.world_examples:{name}", envs=2, **settings), 0)


def run(world, steps=6):
    world.reset(7)
    for _ in range(steps):
        world.step(np.zeros((2, *(world.action_space.shape or ())), int))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NaN", r"an observation that is not finite.*environment 0, episode 0 since reset\(7\).*step 3"),
        ("InfiniteReward", r"a reward that is not finite.*inf in .*step 1"),
        ("WrongShape", r"An observation has the wrong shape .*environment 0.*Got: \(1,\).*Expected: \(2,\)"),
        ("OutsideSpace", r"outside of its space .*step 2.*Got: 2.*Expected: 0 .. 1"),
        ("OutsideDict", r"outside of its space .*step 1.*Got: 1.*Expected: Dict"),
        (
            "Raises",
            r"raised an error in step.*KeyError: 'joint_7', in tests.world_examples:Raises, environment 0.*step 3",
        ),
        ("OldStep", r"raised an error in step.*not enough values to unpack"),
    ],
)
def test_fault_in_step_is_named_with_its_place(name, message):
    with pytest.raises(WorldError, match=message):
        run(world(name))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("RaisesInReset", r"raised an error in reset.*OSError: no licence"),
        ("NaNInReset", r"an observation that is not finite"),
    ],
)
def test_fault_in_reset_shows_before_anything_is_run(name, message):
    with pytest.raises(WorldError, match=message):
        world(name)


@pytest.mark.parametrize("name", ["Sleeps", "SpinsAndSwallows"])
def test_hanging_step_is_ended(name):
    with pytest.raises(WorldError, match=r"did not come back from step.*more than 0.2 s in .*environment 0, episode 0"):
        run(world(name, step_seconds=0.2))


def test_hanging_reset_is_ended():
    with pytest.raises(WorldError, match=r"did not come back from reset"):
        world("SleepsInReset", step_seconds=0.2)


def test_hanging_step_is_ended_in_a_thread_too():
    found = []

    def body():
        try:
            run(world("SpinsAndSwallows", step_seconds=0.2))
        except WorldError as error:
            found.append(str(error))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(20)
    assert found
    assert "did not come back from step" in found[0]


def test_late_bark_in_a_thread_arrives_once_and_inside():
    found = []

    def body():
        watchdog = Watchdog(0.02)
        for seconds in (0.0, 0.1, 0.0, 0.1):
            try:
                with watchdog:
                    time.sleep(seconds)
                found.append("fine")
            except Hang:
                found.append("hang")
        time.sleep(0.1)
        watchdog.close()

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(20)
    assert found == ["fine", "hang", "fine", "hang"]


def test_alarm_of_the_program_is_put_back():
    rang = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rang.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 50)
        run(world("Counter"))
        assert signal.getitimer(signal.ITIMER_REAL)[0] == pytest.approx(50, abs=20)
        signal.raise_signal(signal.SIGALRM)
        assert rang == [signal.SIGALRM]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_after_an_error_the_world_wants_a_reset():
    faulty = world("NaN")
    with pytest.raises(WorldError):
        run(faulty)
    with pytest.raises(WorldError, match=r"has not been reset"):
        faulty.step(np.zeros(2, int))
    faulty.reset(1)
    faulty.step(np.zeros(2, int))


def test_failed_step_is_not_recorded():
    faulty = world("NaN")
    with pytest.raises(WorldError):
        run(faulty)
    assert len(faulty.behaviour) == 2


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((2, 1), int), r"wrong shape"),
        (np.array([0.0, 1.0]), r"does not exist"),
        (np.array([0, 3]), r"does not exist.*0 .. 2"),
        (np.array([-1, 0]), r"does not exist"),
    ],
)
def test_discrete_action_that_does_not_fit(actions, message):
    fine = world("Counter")
    fine.reset(0)
    with pytest.raises(WorldError, match=message):
        fine.step(actions)


def test_action_that_is_not_finite():
    pendulum = VectorWorld(WorldConfig(envs=2), 0)
    pendulum.reset(0)
    with pytest.raises(WorldError, match=r"action that is not finite"):
        pendulum.step(np.array([[0.0], [np.nan]]))


def test_endless_episode_is_noticed(monkeypatch):
    monkeypatch.setattr("plaudit.worlds.evaluate.LONGEST", 50)

    class Still:
        version = "still"

        def act(self, observations, deterministic=True):
            return np.zeros(len(observations), int)

    with pytest.raises(WorldError, match=r"does not end.*50 steps.*world.horizon"):
        evaluate(WorldConfig(id="tests.world_examples:Endless", envs=2), Still(), 2, 0)
