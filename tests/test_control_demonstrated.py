"""Learning from demonstrations in turns: whole episodes, equal bits, budgets; and few demonstrations are enough where a copy fails."""

import numpy as np
import pytest

from plaudit.control.config import PolicyConfig, PPOConfig, SACConfig
from plaudit.control.config_demonstrations import DemonstrationConfig
from plaudit.control.demonstrated import Demonstrations, learn_from, whole_episodes
from plaudit.control.learner import make_learner
from plaudit.control.logged import Episode
from plaudit.errors import ConfigError, LearningError
from plaudit.reward.config import RewardConfig, Trunk
from plaudit.worlds.evaluate import evaluate
from plaudit.worlds.toy import PointMass
from tests.control_examples import GRID, POINT_MASS, world
from tests.test_control_learning import optimum

SAC = PolicyConfig(sac=SACConfig(net=(32, 32), gamma=0.95))
QUICK = DemonstrationConfig(steps=240, rounds=2, samples=4)
SMALL = RewardConfig(members=2, hidden=(8,), steps=10)


def shown_by_the_regulator(count: int, seed: int, steps: int = 20) -> list[Episode]:
    """Episodes of the best controller from random starts."""
    env, found = PointMass(steps), []
    gains, _ = env.regulator()
    for episode in range(count):
        seen, done = [env.reset(seed=9000 + 1000 * seed + episode)[0]], []
        for gain in gains:
            done.append(np.array([-gain @ seen[-1]], np.float32))
            seen.append(env.step(done[-1])[0])
        found.append(Episode(np.array(seen), np.array(done)))
    return found


def learned(config, episodes, settings, reward, seed=0, id=POINT_MASS, **options):
    here = world(id, 5 if id == POINT_MASS else 2, **options)
    copy = make_learner(config, here, seed + 100)
    shown = Demonstrations.of(episodes, copy, seed=seed)
    learner = make_learner(config, here, seed)
    return learn_from(learner, shown, settings, reward=reward, seed=seed), learner, copy


@pytest.mark.parametrize("trunk", [Trunk.MLP, Trunk.GRU])
def test_one_seed_twice_gives_the_same_bits(trunk):
    reward = RewardConfig(members=2, hidden=(8,), steps=10, trunk=trunk)
    versions = set()
    for _ in range(2):
        found, learner, _ = learned(SAC, shown_by_the_regulator(3, 0, 5), QUICK, reward, steps=5)
        versions.add((found.model.version, learner.version))
        assert found.model.held_out
        assert found.metrics["demonstrations/effective_samples"] >= 1
        assert len(learner.world.behaviour) * 5 == 240
    assert len(versions) == 1


def test_choices_are_learned_from_too():
    """On the grid, with PPO: a demonstrator that goes down whenever it can."""
    here = world(GRID, 1, size=3, steps=6)
    seen = [here.reset(0)[0]]
    for _ in range(6):
        seen.append(here.step(np.array([1])).final_observations[0])
    episode = Episode(np.array(seen), np.full(6, 1))
    config = PolicyConfig(ppo=PPOConfig(net=(8,), n_steps=16, batch_size=32, n_epochs=2))
    settings = DemonstrationConfig(steps=300, rounds=2, samples=4)
    found, *_ = learned(config, [episode] * 3, settings, SMALL, id=GRID, size=3, steps=6)
    assert np.isfinite(found.metrics["demonstrations/log_likelihood"])


def test_whole_episodes_are_found_in_order():
    here = world(POINT_MASS, 2, steps=3)
    here.reset(0)
    for step in range(8):  # two whole episodes of each, and two steps of a third
        here.step(np.full((2, 1), step, np.float32))
    found = whole_episodes(here.behaviour)
    assert [one.actions[:, 0].tolist() for one in found] == [[0, 1, 2]] * 2 + [[3, 4, 5]] * 2
    np.testing.assert_array_equal(found[1].observations, here.behaviour.observations[:3, 1])
    assert len(whole_episodes(here.behaviour, 1)) == 2
    assert [len(one.actions) for one in whole_episodes(here.behaviour, 6, 2)] == [2, 2]
    assert whole_episodes(here.behaviour, 6, 3) == []


def test_what_cannot_be_learned_from_is_refused():
    with pytest.raises(LearningError, match="no demonstrations"):
        Demonstrations.of([], make_learner(SAC, world(POINT_MASS), 0), seed=0)
    with pytest.raises(ConfigError, match="more than 300 steps"):
        learned(SAC, shown_by_the_regulator(2, 0), DemonstrationConfig(steps=300, rounds=2, samples=5), SMALL, steps=20)
    for wrong in ({"episodes": -1}, {"rounds": 0}, {"samples": 0}, {"steps": 5, "rounds": 6}):
        with pytest.raises(ConfigError, match="out of range"):
            DemonstrationConfig(**wrong)


@pytest.mark.learning
def test_five_demonstrations_are_enough_where_a_copy_fails():
    """Share of the way from random actions (-32 on average) to the optimum (-2.9); the middle seed of three."""
    shares, copies = [], []
    for seed in (0, 1, 2):
        settings = DemonstrationConfig(steps=6000, rounds=10)
        _, learner, copy = learned(SAC, shown_by_the_regulator(5, seed), settings, RewardConfig(), seed, steps=20)
        best = optimum(learner.world)
        for found, policy in ((shares, learner), (copies, copy)):
            found.append(1 - (best - evaluate(learner.world.config, policy, 50, 0).returns.mean()) / (best + 32))
    assert np.median(shares) > 0.9
    assert min(shares) > min(copies)
