"""The teaching file learns from the environment, from a person, and from both."""

import numpy as np
import pytest

from plaudit.control.reinforce import ReinforceConfig, train
from plaudit.errors import ConfigError, LearningError
from plaudit.worlds.evaluate import evaluate
from plaudit.worlds.toy import OneStep
from tests.control_examples import GRID, ONE_STEP, POINT_MASS, nothing, world


def likes_the_first_arm(batch):
    return batch.actions[..., 0].astype(np.float64)


def test_learns_from_the_environment_alone():
    here = world(GRID, envs=8, size=3, steps=8)
    policy = train(ReinforceConfig(updates=80, n_steps=16), here, human=nothing, seed=0)
    best = here._lockstep.envs[0].unwrapped.optimal_return()
    found = evaluate(here.config, policy, 200, 0).returns.mean()
    assert best - 0.3 < found <= best + 0.3


def test_learns_from_environment_and_human_together():
    """The person's favourite arm wins where it is worth more than the environment pays for the best; elsewhere not."""
    rewards = OneStep().rewards
    for weight in (0.3, 10.0):
        here = world(ONE_STEP, envs=8)
        policy = train(
            ReinforceConfig(updates=150, n_steps=16, human_weight=weight), here, human=likes_the_first_arm, seed=0
        )
        mixed = rewards + weight * np.eye(rewards.shape[1])[0]
        np.testing.assert_array_equal(policy.act(np.eye(len(rewards), dtype=np.float32)), mixed.argmax(axis=1))


def test_same_seed_same_policy():
    versions = {
        train(ReinforceConfig(updates=3), world(ONE_STEP), human=nothing, seed=seed).version for seed in (0, 0, 1)
    }
    assert len(versions) == 2


def test_scores_and_actions_out_of_range_are_refused():
    with pytest.raises(LearningError, match="score is out of range"):
        train(ReinforceConfig(updates=1), world(ONE_STEP), human=lambda batch: nothing(batch) + 1.5, seed=0)
    with pytest.raises(ConfigError, match="discrete actions"):
        train(ReinforceConfig(), world(POINT_MASS), human=nothing, seed=0)
