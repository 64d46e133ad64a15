"""Cloning: every policy becomes what it was shown, stops in time, and goes on to learn."""

import numpy as np
import pytest

from plaudit.control.cloning import clone
from plaudit.control.config_offline import CloneConfig
from plaudit.control.ppo_heads import HALF_LOG_TAU
from plaudit.errors import ConfigError, LearningError
from plaudit.run.monitor import Unwatched
from plaudit.run.seeds import generator
from tests.control_examples import SMALL, first_entry, small

QUICK = CloneConfig(epochs=60, batch_size=64, learning_rate=5e-3)


def shown(learner, steps: int = 1500):
    """Observations and what to do there: a bounded function of the first entry, or the action of its band."""
    layout = learner.world.layout
    seen = generator(0, "shown").uniform(-1, 1, (steps, layout.observation)).astype(np.float32)
    if layout.choices is None:
        space = learner.world.action_space
        return seen, (0.8 * space.high * np.sin(2 * seen[:, :1])).astype(np.float32)
    return seen, np.minimum(((seen[:, 0] + 1) / 2 * layout.choices).astype(np.int64), layout.choices - 1)


@pytest.mark.parametrize("algorithm", SMALL)
def test_every_policy_becomes_what_it_was_shown(algorithm):
    learner = small(algorithm)
    seen, done = shown(learner)
    found = clone(learner, seen, done, QUICK, seed=1)
    assert found["clone/loss_heldout"] < found["clone/loss_before"]
    fresh = generator(1, "fresh").permutation(len(seen))[:300]
    acts = learner.act(seen[fresh])
    if learner.world.layout.choices is None:
        assert np.abs(acts - done[fresh]).mean() < 0.1 * learner.world.action_space.high[0]
    else:
        assert (acts == done[fresh]).mean() > 0.85
    learner.explore(64, 1, by_policy=True)
    learner.set_reward(first_entry)
    learner.improve(96, 1, Unwatched())


@pytest.mark.parametrize("algorithm", SMALL)
def test_one_seed_twice_gives_the_same_bits_and_only_the_policy_moves(algorithm):
    versions = set()
    for _ in range(2):
        learner = small(algorithm)
        clone(learner, *shown(learner, 200), CloneConfig(epochs=2), seed=4)
        versions.add(learner.version)
        other = small(algorithm)
        if algorithm == "sac":
            np.testing.assert_array_equal(learner.agent.nets.critic, other.agent.nets.critic)
        if algorithm.startswith("ppo"):
            row = np.ones((1, learner.world.layout.observation), np.float32)
            np.testing.assert_array_equal(learner.nets.values(row), other.nets.values(row))
    assert len(versions) == 1


def test_the_best_pass_is_kept_and_patience_ends_it():
    """Actions that have nothing to do with what was seen: more passes only fit the noise."""
    learner = small("ppo discrete")
    seen, _ = shown(learner, 120)
    noise = generator(2, "noise").integers(0, 4, 120)
    found = clone(learner, seen, noise, CloneConfig(epochs=500, learning_rate=3e-2, patience=7, batch_size=8), seed=0)
    assert found["clone/epochs"] < 100
    assert found["clone/loss_heldout"] <= found["clone/loss_before"]


def test_a_ppo_clone_spreads_like_its_teacher():
    learner = small("ppo")
    seen, done = shown(learner, 4000)
    noisy = done + 0.5 * generator(3, "noise").standard_normal(done.shape).astype(np.float32)
    found = clone(learner, seen, noisy, QUICK, seed=1)
    assert np.exp(learner.nets.log_std) == pytest.approx([0.5], rel=0.15)
    # the fitted spread makes held-out steps as likely as a normal distribution of that spread can
    squares = 2 * found["clone/loss_heldout"]
    entropy = float(learner.nets.log_std[0]) + HALF_LOG_TAU + 0.5
    likeliest = 0.5 * np.log(2 * np.pi * np.e * squares)
    assert entropy == pytest.approx(likeliest, abs=0.02)


def test_without_steps_or_settings_that_fit_it_is_refused():
    learner = small("sac")
    seen, done = shown(learner, 10)
    for wrong in ((seen[:1], done[:1]), (seen, done[:5]), (seen * np.nan, done)):
        with pytest.raises(LearningError, match="cannot be cloned"):
            clone(learner, *wrong, QUICK, seed=0)
    with pytest.raises(ConfigError, match="held_out"):
        CloneConfig(held_out=1.0)
    with pytest.raises(ConfigError, match="cannot start as a clone"):
        clone(object(), seen, done, QUICK, seed=0)
