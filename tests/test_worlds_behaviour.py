"""The record of what happened, and the segments cut from it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import WorldError
from plaudit.worlds.behaviour import REFERENCE_STEPS, Behaviour, Cut, Layout

DISCRETE = Layout(observation=2, action=(), choices=3, simulator=None)
BOX = Layout(observation=2, action=(2,), choices=None, simulator=1)


def recorded(starts, layout=DISCRETE):
    """Row t, environment e: observation (t, e), action (t + e) % 3, reward 10 t + e, seed 100 e + episode, state t."""
    behaviour, episode = Behaviour(len(starts[0]), layout), -np.ones(len(starts[0]), int)
    for t, row in enumerate(np.asarray(starts, bool)):
        episode += row
        envs = np.arange(len(row))
        action = (t + envs) % 3 if layout.choices else np.stack([envs, envs + t], axis=1)
        behaviour.append(
            np.stack([np.full(len(row), t), envs], axis=1).astype(np.float32),
            action,
            rewards=10.0 * t + envs,
            starts=row,
            seeds=(100 * envs + episode).astype(np.int32),
            simulator=None if layout.simulator is None else np.full((len(row), 1), float(t)),
        )
    return behaviour


TWO = [[1, 1], [0, 0], [0, 1], [1, 0], [0, 0], [0, 0]]
"""environment 0: steps 0-2 and 3-5; environment 1: 0-1 and 2-5"""
ALL = np.random.default_rng


def test_cuts_are_all_stretches_within_one_episode():
    cuts = recorded(TWO).cut(3, 100, ALL(0))
    assert {(cut.env, cut.time) for cut in cuts} == {(0, 0), (0, 3), (1, 2), (1, 3)}
    assert len(cuts) == 4


def test_newest_cuts_end_in_the_newest_share():
    behaviour = recorded([[1]] + [[0]] * 99)
    cuts = behaviour.cut(10, 20, ALL(0), newest=0.3)
    assert len({cut.time for cut in cuts}) == 20
    assert all(cut.time + 10 > 70 for cut in cuts)


def test_newest_cuts_reach_back_as_far_as_needed():
    behaviour = recorded([[1]] + [[0]] * 99)
    assert {cut.time for cut in behaviour.cut(10, 50, ALL(0), newest=0.1)} == set(range(41, 91))


def test_no_episode_long_enough_says_what_to_do():
    with pytest.raises(WorldError, match=r"no episode of 5 steps.*world.horizon"):
        recorded(TWO).cut(5, 1, ALL(0))


def test_data_of_a_replayed_segment():
    data = recorded(TWO).data(Cut(env=1, time=3), 2)
    np.testing.assert_array_equal(data.observations, [[3, 1], [4, 1]])
    np.testing.assert_array_equal(data.actions, [1, 2])
    np.testing.assert_array_equal(data.true_rewards, [31, 41])
    assert data.reset_seed == 101
    np.testing.assert_array_equal(data.prefix_actions, [0])
    assert data.simulator is None


def test_data_with_simulator_states_needs_nothing_to_replay():
    data = recorded(TWO, BOX).data(Cut(env=1, time=3), 2)
    np.testing.assert_array_equal(data.simulator, [[3], [4]])
    assert data.reset_seed is None
    assert data.prefix_actions is None


@pytest.mark.parametrize(("time", "length"), [(1, 3), (4, 3), (-1, 2)])
def test_data_never_leaves_the_episode(time, length):
    with pytest.raises(WorldError, match=r"leaves its episode"):
        recorded(TWO).data(Cut(env=0, time=time), length)


def test_data_does_not_change_with_the_record():
    behaviour = recorded(TWO)
    data = behaviour.data(Cut(0, 0), 2)
    behaviour.observations[:] = -1
    np.testing.assert_array_equal(data.observations, [[0, 0], [1, 0]])


def test_batch_of_cuts_has_one_hot_actions():
    batch = recorded(TWO).batch([Cut(0, 0), Cut(1, 3)], 2)
    np.testing.assert_array_equal(batch.observations[:, :, 0], [[0, 1], [3, 4]])
    np.testing.assert_array_equal(batch.actions, [[[1, 0, 0], [0, 1, 0]], [[0, 1, 0], [0, 0, 1]]])
    assert batch.mask.all()


def test_batch_of_no_cuts():
    assert recorded(TWO).batch([], 2).actions.shape == (0, 2, 3)


def test_batch_of_a_time_slice_has_one_item_per_environment():
    batch = recorded(TWO, BOX).batch(slice(1, 4))
    np.testing.assert_array_equal(batch.observations[1], [[1, 1], [2, 1], [3, 1]])
    np.testing.assert_array_equal(batch.actions[1], [[1, 2], [1, 3], [1, 4]])


def test_newest_steps_come_with_their_true_rewards():
    batch, rewards = recorded(TWO).newest_steps(0.35)
    np.testing.assert_array_equal(rewards, [30, 31, 40, 41, 50, 51])
    np.testing.assert_array_equal(batch.observations[:, 0, 0], [3, 3, 4, 4, 5, 5])


def test_reference_is_everything_while_that_is_little():
    np.testing.assert_array_equal(recorded(TWO).reference().observations[:, 0, 0], np.repeat(np.arange(6), 2))


def test_reference_thins_out_evenly():
    behaviour = recorded([[1] * 8] + [[0] * 8] * 1999)
    reference = behaviour.reference()
    assert len(reference.mask) == REFERENCE_STEPS
    times = reference.observations[:, 0, 0]
    assert (times[0], times[-1]) == (0, 1999)
    assert set(np.diff(times)) == {0.0, 1.0}


def test_names_and_places_within_episodes():
    behaviour = recorded(TWO)
    assert [behaviour.episode_name(Cut(1, t)) for t in (1, 2)] == ["e1/k0", "e1/k1"]
    assert [behaviour.step_in_episode(Cut(1, t)) for t in range(6)] == [0, 1, 0, 1, 2, 3]


@pytest.mark.parametrize("layout", [DISCRETE, BOX])
def test_save_and_load_keep_every_bit(layout, tmp_path):
    behaviour, again = recorded(TWO, layout), Behaviour(2, layout)
    behaviour.save(tmp_path / "one")
    again.load(tmp_path / "one")
    again.save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    np.testing.assert_array_equal(again.episodes, behaviour.episodes)
    assert len(again) == 6


def test_loaded_record_grows_on(tmp_path):
    recorded(TWO).save(tmp_path / "one")
    again = Behaviour(2, DISCRETE)
    again.load(tmp_path / "one")
    row = np.zeros(2)
    again.append(
        np.zeros((2, 2), np.float32),
        row.astype(int),
        rewards=row,
        starts=row == 0,
        seeds=row.astype(np.int32),
        simulator=None,
    )
    np.testing.assert_array_equal(again.episodes[:, 0], [0, 0, 0, 1, 1, 1, 2])


def test_record_of_another_world_is_refused(tmp_path):
    recorded(TWO).save(tmp_path / "one")
    with pytest.raises(WorldError, match=r"does not fit this world"):
        Behaviour(2, BOX).load(tmp_path / "one")


@pytest.mark.parametrize("content", [None, b"nonsense"])
def test_unreadable_record(content, tmp_path):
    if content is not None:
        (tmp_path / "one").write_bytes(content)
    with pytest.raises(WorldError, match=r"cannot be read"):
        Behaviour(2, DISCRETE).load(tmp_path / "one")


rows = st.integers(1, 3).flatmap(
    lambda envs: st.lists(st.lists(st.booleans(), min_size=envs, max_size=envs), min_size=1, max_size=25)
)


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(1, 6), st.integers(1, 30), st.one_of(st.none(), st.floats(0.05, 1)), st.integers(0, 9))
def test_cuts_are_distinct_and_what_a_slow_search_finds(starts, length, count, newest, seed):
    starts[0] = [True] * len(starts[0])
    behaviour = recorded(starts)
    possible = {
        (env, time)
        for env in range(len(starts[0]))
        for time in range(len(starts) - length + 1)
        if not any(starts[t][env] for t in range(time + 1, time + length))
    }
    if not possible:
        with pytest.raises(WorldError):
            behaviour.cut(length, count, ALL(seed), newest)
        return
    cuts = behaviour.cut(length, count, ALL(seed), newest)
    found = {(cut.env, cut.time) for cut in cuts}
    assert found <= possible
    assert len(found) == len(cuts) == min(count, len(possible))
    for cut in cuts:
        steps = behaviour.step_in_episode(cut)
        data = behaviour.data(cut, length)
        assert len(data) == length
        assert len(data.prefix_actions) == steps
        assert starts[cut.time - steps][cut.env]


@settings(max_examples=30, deadline=None)
@given(rows)
def test_starts_and_episodes_say_the_same(starts):
    starts[0] = [True] * len(starts[0])
    behaviour = recorded(starts)
    np.testing.assert_array_equal(behaviour.starts, starts)
    np.testing.assert_array_equal(behaviour.episodes, np.cumsum(starts, axis=0) - 1)


def test_record_outgrows_its_first_room():
    behaviour = recorded([[1]] + [[0]] * 3000)
    np.testing.assert_array_equal(behaviour.rewards[:, 0], 10.0 * np.arange(3001))
