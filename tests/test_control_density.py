"""Densities of policies: they integrate to one, agree with Stable-Baselines3, and stay when the policy learns on."""

import numpy as np
import pytest
import torch

from plaudit.control.density import density, uniform
from plaudit.errors import ConfigError
from plaudit.run.monitor import Unwatched
from tests.control_examples import first_entry, small, world

SEEN = np.array([[0.3, -0.2], [1.0, 2.0]], np.float32)


def test_a_squashed_policy_integrates_to_one_and_agrees_with_stable_baselines3():
    learner = small("sac")
    found = density(learner)
    actions = np.linspace(-4.9999, 4.9999, 20_001, dtype=np.float32)[:, None]
    for row in SEEN:
        logs = found(np.tile(row, (len(actions), 1)), actions)
        assert np.trapezoid(np.exp(logs), actions[:, 0]) == pytest.approx(1, abs=1e-3)
    actor = learner.agent.nets.model.actor
    mean, log_std, _ = actor.get_action_dist_params(torch.from_numpy(SEEN))
    squashed = np.array([[0.4], [-0.9]], np.float32)
    theirs = actor.action_dist.proba_distribution(mean, log_std).log_prob(torch.from_numpy(squashed))
    np.testing.assert_allclose(found(SEEN, 5 * squashed), theirs.detach().numpy() - np.log(5), atol=1e-4)


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "reinforce"])
def test_a_plain_gaussian_integrates_to_one(algorithm):
    actions = np.linspace(-12, 12, 4001, dtype=np.float32)[:, None]
    logs = density(small(algorithm))(np.tile(SEEN[:1], (len(actions), 1)), actions)
    assert np.trapezoid(np.exp(logs), actions[:, 0]) == pytest.approx(1, abs=1e-3)


def test_choices_sum_to_one_and_random_ones_are_equal():
    learner = small("ppo discrete")
    seen, choices = np.tile(learner.world.reset(0)[:1], (4, 1)), np.arange(4)
    assert np.exp(density(learner)(seen, choices)).sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(uniform(learner.world)(seen, choices), -np.log(4))
    here = world("plaudit.worlds.toy:PointMass")
    np.testing.assert_allclose(uniform(here)(SEEN, SEEN[:, :1]), -np.log(10))


@pytest.mark.parametrize("algorithm", ["sac", "ppo"])
def test_a_density_stays_when_the_policy_learns_on(algorithm):
    learner = small(algorithm)
    found, done = density(learner), np.array([[0.5], [-1.0]], np.float32)
    before = found(SEEN, done)
    learner.explore(64, 0)
    learner.set_reward(first_entry)
    learner.improve(128, 0, Unwatched())
    np.testing.assert_array_equal(found(SEEN, done), before)
    assert np.abs(density(learner)(SEEN, done) - before).max() > 1e-4


@pytest.mark.parametrize("algorithm", ["dqn", "td3"])
def test_policies_without_a_density_are_refused(algorithm):
    with pytest.raises(ConfigError, match="no density"):
        density(small(algorithm))
