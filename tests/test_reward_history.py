"""Rewards that remember see behaviour episode by episode, and labels are what one episode at a time would give."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.control import rewards
from plaudit.control.rewards import Labels
from plaudit.errors import RecordError
from plaudit.loop.run import Run
from plaudit.records import StepBatch
from plaudit.reward.config import RewardConfig, Trunk
from plaudit.reward.history import Remembering
from tests.control_examples import ONE_STEP, POINT_MASS, world
from tests.loop_examples import fingerprint, small


def so_far(batch):
    """The sum of the first entry over the steps of the item up to now."""
    return np.cumsum(batch.observations[..., 0].astype(np.float64), axis=1)


@settings(deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4), st.integers(0, 99))
def test_memory_ends_with_the_episode(ends, seed):
    episodes = np.cumsum(ends, axis=1)
    observations = np.random.default_rng(seed).normal(size=(*episodes.shape, 2)).astype(np.float32)
    batch = StepBatch(observations, observations[..., :1], np.ones(episodes.shape, dtype=bool))
    found = Remembering(so_far).by_episode(batch, episodes)
    for item, row in enumerate(episodes):
        total = 0.0
        for step, episode in enumerate(row):
            total = observations[item, step, 0] + (total if step and row[step - 1] == episode else 0.0)
            assert found[item, step] == pytest.approx(total, abs=1e-5)


def test_what_cannot_be_cut_is_refused():
    batch = StepBatch(np.zeros((1, 3, 1), np.float32), np.zeros((1, 3, 1), np.float32), np.array([[True, True, False]]))
    with pytest.raises(RecordError, match="cut into episodes"):
        Remembering(so_far).by_episode(batch, np.zeros((1, 3), int))
    with pytest.raises(RecordError, match="cut into episodes"):
        Remembering(so_far).by_episode(batch, np.zeros((1, 2), int))


@pytest.mark.parametrize("config", [POINT_MASS, ONE_STEP])
@pytest.mark.parametrize("chunk", [7, 2048])
def test_labels_of_a_reward_that_remembers(config, chunk, monkeypatch):
    monkeypatch.setattr(rewards, "CHUNK", chunk)
    here, rng = world(config), np.random.default_rng(0)
    here.reset(0)
    labels = Labels(here.behaviour)
    for row in range(70):
        shape = (here.n_envs, *here.layout.action)
        discrete = here.layout.choices is not None
        here.step(rng.integers(0, 2, shape) if discrete else rng.uniform(-1, 1, shape).astype(np.float32))
        if row == 40:
            labels.set(Remembering(so_far), 0.0)
            shift, scale = expected(here.behaviour).mean(), expected(here.behaviour).std()
        if row > 40 and row % 3 == 0:
            labels.catch_up()
    labels.catch_up()
    assert here.behaviour.episodes.max() > 0
    np.testing.assert_allclose(labels.values, (expected(here.behaviour) - shift) / scale, atol=1e-4)


def expected(behaviour):
    """[time, env], one episode at a time."""
    found = np.zeros(behaviour.episodes.shape)
    for env in range(behaviour.envs):
        for episode in np.unique(behaviour.episodes[:, env]):
            rows = behaviour.episodes[:, env] == episode
            found[rows, env] = np.cumsum(behaviour.observations[rows, env, 0])
    return found


@pytest.mark.slow
def test_a_run_with_memory_and_pseudo_labels_repeats_itself(tmp_path):
    settings_ = RewardConfig(
        trunk=Trunk.GRU, hidden=(8,), members=2, steps=10, pseudo_weight=0.5, pseudo_confidence=0.6
    )
    for name in ("one", "two"):
        with Run.create(replace(small(), reward=settings_), tmp_path / name) as run:
            run.finish()
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "two")
