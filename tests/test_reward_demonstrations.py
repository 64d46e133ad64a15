"""The sampled reward of maximum entropy: its objective by hand, bounded, and right where all trajectories can be counted."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plaudit.errors import LearningError
from plaudit.records import StepBatch
from plaudit.reward.config import RewardConfig, Trunk
from plaudit.reward.demonstrations import Trajectories, fit_demonstrations, objective
from plaudit.reward.model import RewardModel
from plaudit.run.seeds import generator

EXACT = RewardConfig(
    members=1, trunk=Trunk.LINEAR, squares=False, steps=800, batch=64, learning_rate=0.05, weight_decay=0.0, return_penalty=0.0
)  # fmt: skip
SHARES = np.array([0.6, 0.3, 0.1])


def chosen(counts, log_density, start=None) -> Trajectories:
    """Episodes of one step that choose one of three arms; what is seen is where one starts."""
    arms = np.repeat(np.arange(len(counts)), counts)
    seen = np.zeros(len(arms)) if start is None else np.full(len(arms), start)
    batch = StepBatch(
        seen[:, None, None].astype(np.float32),
        np.eye(3, dtype=np.float32)[arms][:, None],
        np.ones((len(arms), 1), np.bool_),
    )
    return Trajectories(batch, np.asarray(log_density)[arms])


def joined(*parts: Trajectories) -> Trajectories:
    columns = [[getattr(part.batch, name) for part in parts] for name in ("observations", "actions", "mask")]
    return Trajectories(StepBatch(*map(np.concatenate, columns)), np.concatenate([part.log_density for part in parts]))


def preference(model, start=0.0):
    """Share of each arm that a reward implies."""
    scores = model.score(chosen([1, 1, 1], np.zeros(3), start).batch).mean
    return np.exp(scores) / np.exp(scores).sum()


def test_the_objective_by_hand():
    demonstrated, sampled = torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0, 2.0]])
    expected = 2 - math.log((1 + math.e + math.e**2) / 3)
    assert objective(demonstrated, sampled).item() == pytest.approx(expected, rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    arrays(float, 6, elements=st.floats(-3, 3)), arrays(float, 6, elements=st.floats(-5, 5)), st.floats(0, 1e4)
)  # fmt: skip
def test_the_objective_is_bounded_by_the_densities_of_the_demonstrations(returns, log_density, scale):
    """Two demonstrations among six trajectories; the textbook's difference of means grows with the scale for ever."""
    gains = torch.tensor(scale * returns)[None]
    found = objective(gains[:, :2], gains - torch.tensor(log_density)).item()
    assert found <= math.log(6) + log_density[:2].mean() + 1e-6 * (1 + scale)
    written = (gains[0, :2].mean() - gains[0, 2:].mean()).item()
    assert written == pytest.approx(scale * (returns[:2].mean() - returns[2:].mean()), abs=1e-9 * (1 + scale))


@pytest.mark.parametrize("counts", [(20, 20, 20), (48, 6, 6)], ids=["even samples", "lopsided samples"])
def test_arms_are_liked_as_often_as_demonstrated_whoever_drew_the_samples(counts):
    q = np.array(counts) / 60
    mixture = np.log((10 * SHARES + 60 * q) / 70)
    found = fit_demonstrations(chosen([6, 3, 1], mixture), chosen(counts, mixture), config=EXACT, seed=0)
    np.testing.assert_allclose(preference(found.model), SHARES, atol=0.02)
    weights = np.repeat(SHARES / np.exp(mixture), np.array([6, 3, 1]) + counts)
    assert found.metrics["demonstrations/effective_samples"] == pytest.approx(
        weights.sum() ** 2 / (weights**2).sum(), rel=0.05
    )
    # log q cancels: what is left is the log-likelihood of the choices
    assert found.metrics["demonstrations/log_likelihood"] == pytest.approx(SHARES @ np.log(SHARES), abs=0.01)


def test_how_often_one_starts_somewhere_says_nothing_about_what_is_good_there():
    """From start 1 demonstrations are three times as many; every start has its own log-partition."""
    few, many = (np.log((count * SHARES + 20) / (count + 60)) for count in (10, 30))
    demonstrated = joined(chosen([6, 3, 1], few, 0.0), chosen([18, 9, 3], many, 1.0))
    sampled = joined(chosen([20, 20, 20], few, 0.0), chosen([20, 20, 20], many, 1.0))
    found = fit_demonstrations(demonstrated, sampled, config=EXACT, seed=0)
    for start in (0.0, 1.0):
        np.testing.assert_allclose(preference(found.model, start), SHARES, atol=0.02)


def test_members_leave_demonstrations_out_and_one_seed_gives_the_same_bits(tmp_path):
    config = RewardConfig(members=3, steps=30)
    mixture = np.log(np.full(3, 1 / 3))
    shown, sampled = chosen([6, 3, 1], mixture), chosen([20, 20, 20], mixture)
    found, again = (fit_demonstrations(shown, sampled, config=config, seed=4) for _ in range(2))
    assert found.model.version == again.model.version
    assert found.model.held_out
    assert set(found.metrics) == {
        f"demonstrations/{name}" for name in ("log_likelihood", "log_likelihood_heldout", "effective_samples")
    }
    on = fit_demonstrations(shown, sampled, config=config, seed=5, go_on=found)
    assert on.metrics["demonstrations/log_likelihood"] > found.metrics["demonstrations/log_likelihood"]
    on.model.save(tmp_path / "reward.safetensors")
    assert RewardModel.load(tmp_path / "reward.safetensors").version == on.model.version
    per_step = on.model.per_step(sampled.batch)
    assert np.isfinite(per_step).all()


@pytest.mark.parametrize("trunk", [Trunk.GRU, Trunk.TRANSFORMER])
def test_a_reward_that_remembers_learns_from_whole_episodes_of_unequal_length(trunk):
    rng, mask = generator(0, "episodes"), np.arange(6) < np.array([[6], [3], [5], [6]])
    batch = StepBatch(
        rng.standard_normal((4, 6, 2)).astype(np.float32), rng.standard_normal((4, 6, 1)).astype(np.float32), mask
    )
    shown = Trajectories(batch, -mask.sum(1).astype(float))
    config = RewardConfig(members=2, trunk=trunk, hidden=(16,), steps=5)
    other = Trajectories(StepBatch(batch.observations[:, :4], batch.actions[:, :4], mask[:, :4]), np.full(4, -3.0))
    assert np.isfinite(fit_demonstrations(shown, other, config=config, seed=0).model.score(batch).mean).all()


def test_without_demonstrations_samples_or_densities_it_is_refused():
    fine, none = chosen([1, 1, 1], np.zeros(3)), chosen([0, 0, 0], np.zeros(3))
    for pair in ((none, fine), (fine, none), (fine, chosen([1, 1, 1], np.array([0, -np.inf, 0])))):
        with pytest.raises(LearningError, match="demonstrations"):
            fit_demonstrations(*pair, config=EXACT, seed=0)
    with pytest.raises(LearningError, match="pictures"):
        fit_demonstrations(fine, fine, config=RewardConfig(trunk=Trunk.CNN), seed=0)
