"""Transitions drawn from the archive are the ones that happened, ends of episodes included."""

import numpy as np
import pytest

from plaudit.control.replay import Replay
from plaudit.control.rewards import Labels
from plaudit.run.seeds import generator
from tests.control_examples import nothing, world

COUNTER = "tests.world_examples:Counter"


def filled(rows, *, envs=3, stretches=1, **options):
    """A world that counts, stepped in fresh stretches, with its replay and the true transitions by (observation, action)."""
    here = world(COUNTER, envs=envs, **options)
    labels = Labels(here.behaviour)
    replay = Replay(here.behaviour, labels)
    truth, rng = {}, generator(0, "actions")
    for stretch in range(stretches):
        observations = here.reset(stretch)
        replay.begin()
        for _ in range(rows):
            actions = rng.integers(0, 3, envs)
            step = here.step(actions)
            replay.note(step)
            for env in range(envs):
                key = (len(here.behaviour) - 1, env)
                truth[key] = (
                    observations[env],
                    actions[env],
                    step.rewards[env],
                    step.final_observations[env],
                    step.terminated[env],
                )
            observations = step.observations
        replay.close(observations)
    labels.set(nothing, 1.0)
    return here, replay, truth


def drawn(replay, count=3000):
    batch = replay.sample(np.random.default_rng(0), 2, count)
    assert batch.observations.shape == (2, count, 2)
    assert batch.rewards.shape == batch.continues.shape == batch.actions.shape == (2, count)
    for row in range(count):
        yield (
            batch.observations[1, row],
            batch.actions[1, row],
            batch.rewards[1, row],
            batch.following[1, row],
            batch.continues[1, row],
        )


@pytest.mark.parametrize("truncates", [False, True])
def test_transitions_are_those_that_happened(truncates):
    _, replay, truth = filled(13, length=5, truncates=truncates)
    wanted = {(*o, a, r, *f, 0.0 if over else 1.0) for o, a, r, f, over in truth.values()}
    found = {(*o, a, r, *f, c) for o, a, r, f, c in drawn(replay)}
    assert found == wanted
    assert len(replay) == len(truth)
    # the counter steps by one also where an episode ended: nothing leaks from the next episode
    assert all(row[5] == row[1] + 1 and row[4] == row[0] for row in found)
    assert (0.0 in {row[-1] for row in found}) is not truncates


def test_stretches_that_were_cut_off_go_on_in_value():
    here, replay, truth = filled(4, length=100, stretches=3)
    assert len(replay) == len(truth) == 3 * 4 * 3
    assert all(c == 1.0 and f[1] == o[1] + 1 for o, _, _, f, c in drawn(replay))
    assert len(here.behaviour) == 12


def test_newest_step_can_be_drawn_once_it_is_known_what_it_led_to():
    here = world(COUNTER, envs=2, length=100)
    labels = Labels(here.behaviour)
    replay = Replay(here.behaviour, labels)
    here.reset(0)
    replay.begin()
    for expected in (0, 2, 4):
        replay.note(here.step(np.zeros(2, np.int64)))
        assert len(replay) == expected


def test_steps_that_nobody_noted_are_left_out_where_their_end_is_unknown():
    here, replay, _ = filled(6, envs=1, length=4)
    here.reset(7)
    for _ in range(3):  # not noted
        here.step(np.zeros(1, np.int64))
    replay.begin()
    assert len(replay) == 6 + 2


@pytest.mark.parametrize("rows", [1, 7])
def test_loaded_replay_draws_the_same(rows):
    here, replay, _ = filled(rows, length=3, stretches=2)
    here.reset(9)
    replay.begin()
    copy = Replay(here.behaviour, replay._labels)
    copy.load({name: array.copy() for name, array in replay.arrays().items()})
    for one, other in zip(drawn(replay, 200), drawn(copy, 200), strict=True):
        for first, second in zip(one, other, strict=True):
            np.testing.assert_array_equal(first, second)
