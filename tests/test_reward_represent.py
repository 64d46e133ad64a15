"""Learning from behaviour that nobody judged: equal to a slow twin, and what lasts is found where chance shows nothing."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import ConfigError, LearningError
from plaudit.records import SegmentData
from plaudit.reward.collate import collate, pack
from plaudit.reward.config import RewardConfig, Trunk
from plaudit.reward.fit import fit
from plaudit.reward.inputs import Inputs
from plaudit.reward.model import RewardModel
from plaudit.reward.represent import AHEAD, BATCH, LEARNING_RATE, contrast, looks, represent
from plaudit.reward.symmetry import Symmetry
from plaudit.reward.trunks import create, look, represented
from plaudit.run.seeds import generator
from tests.reward_examples import Cue, Library, Pictures, agreement, compared

SHORT = RewardConfig(members=3, hidden=(8,), steps=10, represent_steps=5)


class Drifting(Library):
    """Eight numbers: what counts is how three of them turn together, slowly; the other five are noise."""

    def draw(self, rng, length=8):
        angle = rng.uniform(-math.pi, math.pi) + np.cumsum(rng.normal(0, 0.05, length))
        seen = np.concatenate(
            [np.stack([np.sin(angle), np.cos(angle), np.sin(2 * angle)], 1), rng.normal(size=(length, 5))], 1
        )
        done = rng.uniform(-1, 1, (length, 1))
        return self.add(SegmentData(seen.astype(np.float32), done.astype(np.float32), np.sin(3 * angle)))


CASES = {
    Trunk.MLP: (Drifting, SHORT, 8),
    Trunk.GRU: (Cue, replace(SHORT, trunk=Trunk.GRU, squares=False), 10),
    Trunk.TRANSFORMER: (Cue, replace(SHORT, trunk=Trunk.TRANSFORMER, hidden=(16,), squares=False), 10),
    Trunk.CNN: (Pictures, replace(SHORT, trunk=Trunk.CNN), 4),
}


def behaviour(trunk, count, length=None):
    """Segments that nobody judged, as networks are shown them, and settings."""
    world, config, usual = CASES[trunk]
    length = length or usual
    library, rng = world(), np.random.default_rng(0)
    segments = [library.data[library.found[library.draw(rng, length)].blob] for _ in range(count)]
    batch = pack(segments, segments[0].actions.shape[1], pixels=trunk.sees)
    shown = Inputs.of(batch, squares=config.squares).show(batch, trunk)
    return segments, shown, np.full(count, length), config


def test_the_loss_by_hand():
    before, after = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    product = torch.tensor([[1.0, 0.0], [0.0, 0.5]])
    # h W g: first (1, 0) against both: 1, 0; second (0, 2): 1, 1
    loss, right = contrast(before, after, product)
    assert loss.item() == pytest.approx((math.log(1 + math.exp(-1)) + math.log(2)) / 2)
    assert right == 0.5  # a tie goes to the first


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=90), st.integers(0, 99))
def test_looks_stay_within_their_stretches(lengths, seed):
    lengths = np.array(lengths)
    usable = np.flatnonzero(lengths > 1)
    items, steps = looks(usable, lengths, np.random.default_rng(seed))
    assert items.shape == (min(BATCH, len(usable)), 1)
    assert len(set(items[:, 0])) == len(items)
    ahead = steps[:, 0, 1] - steps[:, 0, 0]
    assert ((ahead >= 1) & (ahead <= AHEAD)).all()
    assert (steps >= 0).all()
    assert (steps[:, 0, 1] < lengths[items[:, 0]]).all()


def test_all_that_can_be_looked_at_is():
    rng, lengths = np.random.default_rng(0), np.array([5, 2])
    found = {tuple(pair) for _ in range(300) for pair in looks(np.arange(2), lengths, rng)[1][:, 0].tolist()}
    assert found == {(a, a + k) for k in (1, 2, 3) for a in range(5 - k)}


def test_four_steps_equal_the_slow_twin():
    _, shown, lengths, config = behaviour(Trunk.MLP, 12)
    config = replace(config, represent_steps=4)
    fresh = create(config, shown, generator(0, "weights"))
    found = represent(fresh, shown, lengths, config=config, rng=generator(3, "x"))[0].arrays()
    rng = generator(3, "x")
    start = create(replace(config, members=1), shown, rng)
    weight, bias = (torch.tensor(start.arrays()[name][0], requires_grad=True) for name in ("weight/0", "bias/0"))
    product = torch.eye(8, requires_grad=True)
    first, second = ([torch.zeros_like(one) for one in (weight, bias, product)] for _ in range(2))
    for number in range(1, 5):
        items, steps = looks(np.arange(12), lengths, rng)
        loss = 0.0
        hidden = [
            [torch.nn.functional.silu(shown.features[i, t] @ weight + bias[0]) for t in times]
            for i, times in zip(items[:, 0], steps[:, 0], strict=True)
        ]
        for h, _ in hidden:
            scores = torch.stack([h @ product @ g for _, g in hidden])
            own = next(index for index, (one, _) in enumerate(hidden) if one is h)
            loss = loss - (scores[own] - torch.logsumexp(scores, 0)) / len(hidden)
        slopes = torch.autograd.grad(loss, (weight, bias, product))
        for values, m, v, slope in zip((weight, bias, product), first, second, slopes, strict=True):
            m.mul_(0.9).add_(0.1 * slope)
            v.mul_(0.999).add_(0.001 * slope**2)
            step = m / (1 - 0.9**number) / (torch.sqrt(v / (1 - 0.999**number)) + 1e-8)
            values.data -= LEARNING_RATE * step
    for member in range(3):
        np.testing.assert_allclose(found["weight/0"][member], weight.detach().numpy(), atol=1e-5)
        np.testing.assert_allclose(found["bias/0"][member], bias.detach().numpy(), atol=1e-5)
    assert (found["head"] == fresh.arrays()["head"]).all()
    assert len(np.unique(found["head"], axis=0)) == 3


@pytest.mark.parametrize("trunk", CASES)
def test_rewards_are_made_of_what_the_last_hidden_layer_shows(trunk):
    _, shown, lengths, config = behaviour(trunk, 5)
    network = create(config, shown, generator(0, "weights"))
    items, steps = np.array([[3, 1], [0, 3]]), np.array([[[1, 2], [0, 0]], [[3, 1], [2, 2]]])
    units = represented(network, shown, items, steps)
    assert units.shape == (3, 2, 2, 2, config.hidden[-1])
    head = network.arrays()["head"][:, 0, None, None, None]  # the linear part begins at zero
    rewards = look(network, shown, items, steps).detach().numpy()
    np.testing.assert_allclose((units.detach().numpy() * head).sum(-1), rewards, atol=1e-6)
    learned, told = represent(network, shown, lengths, config=config, rng=generator(1, "x"))
    assert 0 <= told["reward/told_apart"] <= 1
    for name, array in learned.arrays().items():
        same = (array == network.arrays()[name]).all()
        assert same == (name in ("head", "skip"))


def explained(network, shown, target):
    """Share of a latent's variance that a linear probe of the hidden layer explains, on the other half of the items."""
    items, length = len(target), shown.features.shape[1]
    at = np.tile(np.arange(length), (items, 1, 1))
    with torch.no_grad():
        units = represented(network, shown, np.arange(items)[:, None], at)[0, :, 0].double().numpy()
    rows = np.concatenate([units, np.ones((items, length, 1))], axis=2)
    half, width = items // 2, rows.shape[2]
    seen, fresh = rows[:half].reshape(-1, width), rows[half:].reshape(-1, width)
    weights = np.linalg.solve(seen.T @ seen + 1e-2 * np.eye(width), seen.T @ target[:half].ravel())
    return 1 - np.mean((target[half:].ravel() - fresh @ weights) ** 2) / np.var(target[half:])


LATENT = {
    Trunk.MLP: lambda one: one.true_rewards,
    Trunk.GRU: lambda one: np.full(len(one), one.observations[0, 0]),  # the sign, all along
    Trunk.CNN: lambda one: one.true_rewards,  # how far right the spot is
}


@pytest.mark.parametrize(("trunk", "units", "before", "after"), [
    (Trunk.MLP, 32, 0.6, 0.8), (Trunk.GRU, 16, 0.6, 0.8), (Trunk.CNN, 16, 0.2, 0.8),
])  # fmt: skip
def test_a_linear_probe_finds_what_lasts(trunk, units, before, after):
    segments, shown, lengths, config = behaviour(trunk, 200, 30 if trunk.remembers else None)
    config = replace(config, members=1, hidden=(units,), represent_steps=200)
    fresh = create(config, shown, generator(0, "weights"))
    learned, told = represent(fresh, shown, lengths, config=config, rng=generator(0, "x"))
    target = np.stack([LATENT[trunk](one) for one in segments]).astype(float)
    plain, found = explained(fresh, shown, target), explained(learned, shown, target)
    assert plain < before
    assert found > after
    assert told["reward/told_apart"] > 3 / 64


def library_of(trunk, labels):
    world, config, length = CASES[trunk]
    library, rng = world(), np.random.default_rng(0)
    data = collate(library.comparisons(labels, rng, length=length), library)
    further = [library.data[library.found[library.draw(rng, length)].blob] for _ in range(6)]
    return data, further, pack(further, 1), config


@pytest.mark.parametrize("trunk", CASES)
def test_a_fit_is_a_function_of_its_arguments_and_a_file_brings_it_back(trunk):
    data, further, reference, config = library_of(trunk, 6)
    models = [
        fit(data, config=config, seed=1, reference=reference, unlabelled=unlabelled).model
        for unlabelled in (further, further, (), further[:3])
    ]
    assert len({model.version for model in models}) == 3
    assert models[0].version == models[1].version
    assert RewardModel.from_bytes(models[0].to_bytes()).config == config
    plain = fit(data, config=replace(config, represent_steps=0), seed=1, reference=reference, unlabelled=further)
    assert "reward/told_apart" not in plain.metrics
    assert b"represent_steps" not in plain.model.to_bytes()


def test_answers_that_a_member_leaves_out_have_no_part_in_it():
    data, further, reference, config = library_of(Trunk.CNN, 6)
    config = replace(config, stop_accuracy=1.0, patience=100)
    part = data.evidence[0]
    flipped = replace(part, side=np.where(part.question % 3 == 1, -part.side, part.side))
    plain, other = (
        fit(replace(data, evidence=(one,)), config=config, seed=0, reference=reference, unlabelled=further)
        for one in (part, flipped)
    )
    one, two = (found.model.ensemble.arrays() for found in (plain, other))
    assert all((one[name][1] == two[name][1]).all() for name in one)
    assert not all((one[name][0] == two[name][0]).all() for name in one)


def test_a_warm_start_goes_on_from_what_was_learned():
    data, reference = compared(8)
    config = replace(SHORT, warm_start=True, stop_accuracy=1.0, patience=100)
    first = fit(data, config=config, seed=0, reference=reference)
    assert "reward/told_apart" in first.metrics
    on = fit(data, config=config, seed=1, reference=reference, warm_start=first.model)
    alone = replace(config, represent_steps=0)
    same = fit(data, config=alone, seed=1, reference=reference, warm_start=replace(first.model, config=alone))
    assert "reward/told_apart" not in on.metrics
    assert all(
        (array == same.model.ensemble.arrays()[name]).all() for name, array in on.model.ensemble.arrays().items()
    )


def test_mirrors_are_behaviour_too():
    data, reference = compared(8)
    versions = {
        fit(data, config=replace(SHORT, symmetries=mirrors), seed=0, reference=reference).model.version
        for mirrors in ((), (Symmetry(action_signs=(-1, 1)),))
    }
    assert len(versions) == 2


@pytest.mark.slow
def test_few_answers_about_pictures_go_further():
    gains = []
    for seed in range(2):
        library, rng = Pictures(), np.random.default_rng(seed)
        data = collate(library.comparisons(10, rng, length=4), library)
        fresh = [library.data[library.found[library.draw(rng)].blob] for _ in range(100)]
        config = RewardConfig(trunk=Trunk.CNN, members=3, hidden=(16,), steps=80)
        right = [
            agreement(
                fit(data, config=one, seed=seed, reference=pack(fresh, 1), unlabelled=fresh).model,
                library, 200, np.random.default_rng(9),
            )
            for one in (config, replace(config, represent_steps=200))
        ]  # fmt: skip
        gains.append(right[1] - right[0])
    assert np.mean(gains) > 0.03


def test_single_steps_say_nothing_of_what_comes_next():
    data, reference = compared(4, length=1)
    with pytest.raises(LearningError, match="learn a representation from"):
        fit(data, config=SHORT, seed=0, reference=reference)


@pytest.mark.parametrize(
    "wrong", [{"represent_steps": -1}, {"represent_steps": 5, "trunk": Trunk.LINEAR}, {"represent_steps": 5, "hidden": ()}]
)  # fmt: skip
def test_what_has_no_hidden_layers_is_refused(wrong):
    with pytest.raises(ConfigError, match="can learn a representation"):
        RewardConfig(**wrong)
