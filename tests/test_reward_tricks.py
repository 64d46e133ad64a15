"""Mirrors, label smoothing, windows and pseudo-labels: equal to formulas, and within the one likelihood."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import ConfigError, LearningError
from plaudit.models.ensemble import Ensemble
from plaudit.records import Choice, StepBatch
from plaudit.reward.collate import collate, pack
from plaudit.reward.config import RewardConfig, Trunk
from plaudit.reward.fit import fit
from plaudit.reward.heldout import leave_out
from plaudit.reward.inputs import Inputs
from plaudit.reward.likelihood import AnswerModel, Comparisons
from plaudit.reward.model import RewardModel
from plaudit.reward.objective import Problem, loss, sample, smoothed, unanswered, windows
from plaudit.reward.symmetry import Symmetry
from tests.reward_examples import (
    ACTIONS,
    MIRRORED,
    OBSERVATIONS,
    Folded,
    Library,
    Pushed,
    agreement,
    compared,
    quadratic,
)

SHORT = RewardConfig(members=3, hidden=(8,), steps=20)
MIRROR = Symmetry(observation_order=(1, 0, 2), observation_signs=(1, -1, 1), action_signs=(-1, 1))
ANSWERS = AnswerModel(thresholds=(0.3, 0.8, 1.2, 2.0), cuts={"3": [-1.0, 0.5]})


def batch(rng, items=2, length=4):
    return StepBatch(
        rng.normal(size=(items, length, OBSERVATIONS)).astype(np.float32),
        rng.normal(size=(items, length, ACTIONS)).astype(np.float32),
        np.ones((items, length), dtype=bool),
        rng.integers(0, 256, (items, length, 8, 8, 3), dtype=np.uint8),
    )


# mirrors


def test_a_mirror_by_hand():
    seen = replace(batch(np.random.default_rng(0), 1, 1), observations=np.array([[[1, 2, 3]]], np.float32))
    found = replace(MIRROR, flip=True).mirror(replace(seen, actions=np.array([[[5, 7]]], np.float32)))
    assert found.observations.tolist() == [[[2, -1, 3]]]
    assert found.actions.tolist() == [[[-5, 7]]]
    assert (found.pixels[0, 0, :, 0] == seen.pixels[0, 0, :, -1]).all()
    assert (Symmetry().mirror(seen).observations == seen.observations).all()


@given(st.permutations(range(OBSERVATIONS)), st.lists(st.sampled_from([1, -1]), min_size=3, max_size=3))
def test_enough_mirrors_in_a_row_bring_behaviour_back(order, signs):
    seen = batch(np.random.default_rng(0))
    found, mirror = seen, Symmetry(observation_order=tuple(order), observation_signs=tuple(signs), flip=True)
    for _ in range(12):  # orders of signed permutations of three entries divide twelve
        found = mirror.mirror(found)
    assert (found.observations == seen.observations).all()
    assert (found.pixels == seen.pixels).all()


def test_mirrors_that_are_none_are_refused():
    with pytest.raises(ConfigError, match="permutation"):
        Symmetry(observation_order=(0, 0))
    with pytest.raises(ConfigError, match="1 or -1"):
        Symmetry(action_signs=(2,))
    data, reference = compared(4)
    with pytest.raises(LearningError, match="does not fit the actions"):
        fit(data, config=replace(SHORT, symmetries=(Symmetry(action_signs=(1,)),)), seed=0, reference=reference)


def test_loss_with_mirrors_is_the_mean_over_answers_as_seen_in_all_of_them():
    data, reference = compared(6)
    inputs, rng = Inputs.of(reference, squares=True), np.random.default_rng(0)
    seen = pack(data.segments, inputs.actions)
    views = [inputs.show(one, Trunk.MLP).features for one in (seen, MIRROR.mirror(seen))]
    ensemble = Ensemble.create(3, inputs.features, (4,), rng)
    trains = tuple(leave_out(part, 3, True) for part in data.evidence)

    def value(features, views):
        problem = Problem(data.evidence, trains, True, features, views=views)
        return loss(ensemble, problem, np.arange(6), ANSWERS, config=SHORT, rng=rng).item()

    assert value(torch.cat(views), 2) == pytest.approx(np.mean([value(one, 1) for one in views]), rel=1e-5)


def agreed(world, labels, *, mirrored, seeds=3):
    """Mean agreement on fresh pairs over a few seeds."""
    config = RewardConfig(squares=False, symmetries=(MIRRORED[world],) if mirrored else ())
    found = []
    for seed in range(seeds):
        library, rng = world(), np.random.default_rng(seed)
        data = collate(library.comparisons(labels, rng), library)
        fresh = [library.draw(rng) for _ in range(100)]
        reference = pack([library.data[library.found[one].blob] for one in fresh], data.segments[0].actions.shape[1])
        found.append(agreement(fit(data, config=config, seed=seed, reference=reference).model, library, 200, rng))
    return np.mean(found)


@pytest.mark.slow
def test_a_mirror_saves_a_third_of_the_labels_and_more():
    assert agreed(Folded, 80, mirrored=True) >= 0.9
    assert agreed(Folded, 120, mirrored=False) < 0.9


@pytest.mark.slow
def test_a_mirror_saves_labels_about_a_mass_on_a_line():
    assert agreed(Pushed, 16, mirrored=True, seeds=5) > agreed(Pushed, 24, mirrored=False, seeds=5)


# label smoothing


def test_smoothing_by_hand():
    part = Comparisons(
        segments=np.zeros((3, 2), int),
        question=np.arange(3),
        lengths=np.ones((3, 2), int),
        side=np.array([1, 0, -1]),
        grade=np.array([0, 0, 2]),
    )
    values = torch.tensor([[[0.7], [0.7], [0.7]]], dtype=torch.float64)
    found = smoothed(part, values, np.arange(3), ANSWERS, 0.1)[0].tolist()

    def logistic(x):
        return 1 / (1 + math.exp(-x))

    first = 0.9 * math.log(logistic(0.7 - 0.3)) + 0.1 * math.log(logistic(-0.7 - 0.3))
    tie = math.log(logistic(0.3 - 0.7) - logistic(-0.3 - 0.7))
    graded = [math.log(logistic(1.2 - v) - logistic(0.8 - v)) for v in (-0.7, 0.7)]
    assert found == pytest.approx([first, tie, 0.9 * graded[0] + 0.1 * graded[1]])


@settings(deadline=None, max_examples=20)
@given(st.floats(0.01, 0.4))
def test_smoothing_bounds_the_difference_of_returns(share):
    part = Comparisons(np.zeros((1, 2), int), np.zeros(1, int), np.ones((1, 2), int), np.ones(1, int), np.zeros(1, int))
    value = torch.full((1, 1, 1), math.log((1 - share) / share), dtype=torch.float64, requires_grad=True)
    smoothed(part, value, np.arange(1), AnswerModel(), share).sum().backward()
    assert value.grad.item() == pytest.approx(0, abs=1e-9)


def test_smoothing_leaves_other_kinds_alone():
    library, rng = Library(), np.random.default_rng(0)
    part = collate([library.rate(library.draw(rng), 2, levels=3)], library).evidence[0]
    values = torch.tensor([[[0.4]]])
    alone = smoothed(part, values, np.arange(1), ANSWERS, 0.0)
    assert smoothed(part, values, np.arange(1), ANSWERS, 0.2).tolist() == alone.tolist()


def test_smoothing_tells_better_how_likely_noisy_answers_are():
    found = []
    for seed in range(2):
        data, reference = compared(40, seed, lapse=0.3)
        config = RewardConfig(hidden=(16,), stop_accuracy=1.0, patience=100, weight_decay=0.0, return_penalty=0.0)
        for share in (0.0, 0.1):
            result = fit(data, config=replace(config, label_smoothing=share), seed=seed, reference=reference)
            found.append(result.metrics["reward/log_likelihood"])
    plain, smooth = np.array(found).reshape(2, 2).mean(axis=0)
    assert smooth > plain + 0.1


# windows


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=5), st.floats(0.01, 1.0))
def test_windows_are_stretches_that_stand_for_their_segments(lengths, least):
    lengths = np.array(lengths)
    look = windows(lengths, least, np.random.default_rng(0))
    assert look.weights.sum(-1) == pytest.approx(lengths, rel=1e-4)
    for length, positions, weights in zip(
        lengths.ravel(), look.positions.reshape(-1, look.positions.shape[-1]), look.weights.reshape(-1, look.weights.shape[-1]), strict=True,
    ):  # fmt: skip
        taken = positions[weights > 0]
        assert (np.diff(taken) == 1).all()
        assert taken[0] >= 0
        assert taken[-1] < length
        assert len(taken) >= math.floor(least * length)


def test_a_window_of_all_is_the_whole_segment_and_windows_move():
    lengths = np.array([[4, 2]])
    look = windows(lengths, 1.0, np.random.default_rng(0))
    assert look.positions.tolist() == [[[0, 1, 2, 3], [0, 1, 0, 0]]]
    assert look.weights.tolist() == [[[1, 1, 1, 1], [1, 1, 0, 0]]]
    rng = np.random.default_rng(0)
    starts = [windows(np.array([[40, 40]]), 0.5, rng).positions[0, :, 0] for _ in range(200)]
    assert set(np.ravel(starts)) >= set(range(15))
    assert any(first != second for first, second in starts)


def test_who_looks_through_windows():
    data, _ = compared(3, length=40)
    rows, rng = np.arange(3), np.random.default_rng(0)
    assert (np.diff(sample(data.evidence[0], rows, replace(SHORT, window=0.5), rng).positions[0, 0, :20]) == 1).all()
    assert sample(data.evidence[0], rows, SHORT, rng).positions.shape == (3, 2, 25)
    whole = sample(data.evidence[0], rows, replace(SHORT, trunk=Trunk.GRU), rng)
    assert whole.positions.shape == (3, 2, 40)


# pseudo-labels


def problem_of_pairs(config, seed=0, scale=1.0):
    """A net on unlabelled segments, in double precision."""
    data, reference = compared(6, seed)
    inputs = Inputs.of(reference, squares=True)
    features = inputs.show(pack(data.segments, inputs.actions), Trunk.MLP).features.double()
    net = Ensemble.create(config.members, inputs.features, (4,), np.random.default_rng(seed))
    weights, biases = tuple(w.double() for w in net.weights), tuple(b.double() for b in net.biases)
    ensemble = Ensemble(weights, biases, scale * net.head.double(), net.skip.double())
    lengths = np.array([len(one) for one in data.segments])
    return Problem(data.evidence, (), True, features, unlabelled=lengths), ensemble


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95])
def test_pseudo_labels_equal_the_slow_twin(confidence):
    config = RewardConfig(members=3, batch=5, pseudo_weight=0.7, pseudo_confidence=confidence, pseudo_pairs=4)
    problem, ensemble = problem_of_pairs(config, scale=5.0)
    answers = AnswerModel(lapse=0.4, thresholds=(0.2,))
    found = unanswered(ensemble, problem, answers, config=config, rng=np.random.default_rng(3)).item()
    rng, count = np.random.default_rng(3), len(problem.unlabelled)
    first = rng.integers(count, size=20)
    second = (first + rng.integers(1, count, size=20)) % count
    returns = ensemble.forward(problem.features.view(-1, problem.features.shape[-1])).view(3, count, -1).sum(-1)
    total, sure = 0.0, 0
    for k in range(3):
        for a, b in zip(first, second, strict=True):
            gap = abs(float(returns[k, a] - returns[k, b]))
            p = 1 / (1 + math.exp(0.2 - gap))
            if p >= confidence:
                total, sure = total + math.log(p), sure + 1
    assert 0 < sure <= 60
    assert found == pytest.approx(-0.7 * total / 20)


def sureness(seed, weight):
    """Mean probability that members give to what they hold likelier of pairs that nobody was asked about."""
    (data, reference), library, rng = compared(4, seed), Library(), np.random.default_rng(5 + seed)
    further = [library.data[library.found[library.draw(rng)].blob] for _ in range(40)]
    config = replace(SHORT, stop_accuracy=1.0, patience=100, return_penalty=0.0, pseudo_confidence=0.6)
    config = replace(config, pseudo_weight=weight)
    model = fit(data, config=config, seed=0, reference=reference, unlabelled=further).model
    members = model.score(further).members
    return float(np.mean(1 / (1 + np.exp(-np.abs(members[:, :20] - members[:, 20:])))))


def test_pseudo_labels_make_members_surer_of_what_they_hold_likely():
    plain, pseudo = (np.mean([sureness(seed, weight) for seed in range(3)]) for weight in (0.0, 1.0))
    assert pseudo > plain + 0.01


def test_further_segments_are_used_only_with_their_weight():
    data, reference = compared(8)
    library, rng = Library(), np.random.default_rng(5)
    further = [library.data[library.found[library.draw(rng, 15)].blob] for _ in range(6)]

    def version(weight, unlabelled):
        config = replace(SHORT, pseudo_weight=weight, pseudo_confidence=0.55, stop_accuracy=1.0)
        return fit(data, config=config, seed=0, reference=reference, unlabelled=unlabelled).model.version

    assert version(0.0, further) == version(0.0, ())
    assert len({version(0.0, ()), version(1.0, ()), version(1.0, further)}) == 3
    assert version(1.0, further) == version(1.0, further)


def test_pseudo_labels_let_no_left_out_answer_through():
    data, reference = compared(12)
    part = data.evidence[0]
    flipped = replace(part, side=np.where(part.question % 3 == 1, -part.side, part.side))
    config = replace(SHORT, pseudo_weight=1.0, pseudo_confidence=0.55, stop_accuracy=1.0, patience=100)
    plain, other = (
        fit(replace(data, evidence=(one,)), config=config, seed=0, reference=reference).model.ensemble.arrays()
        for one in (part, flipped)
    )
    assert all((plain[name][1] == other[name][1]).all() for name in plain)


ALL = replace(
    SHORT, symmetries=(MIRROR, Symmetry(flip=True)), label_smoothing=0.05, window=0.75, pseudo_weight=0.5,
    pseudo_confidence=0.6,
)  # fmt: skip


def test_everything_together_gives_equal_bits_and_a_file_brings_it_back():
    library, rng = Library(quadratic), np.random.default_rng(0)
    answers = [*library.comparisons(8, rng, length=40), library.rate(library.draw(rng, 30), 2)]
    pair = library.draw(rng), library.draw(rng)
    answers += [library.compare(*pair, Choice.TIE), library.judge(library.draw(rng), [3, 1], [1.0, 0.0])]
    data, reference = collate(answers, library), library.reference(rng)
    model, again = (fit(data, config=ALL, seed=0, reference=reference).model for _ in range(2))
    assert model.to_bytes() == again.to_bytes()
    loaded = RewardModel.from_bytes(model.to_bytes())
    assert loaded.config == ALL
    assert (loaded.per_step(reference) == model.per_step(reference)).all()


@pytest.mark.parametrize("setting", ["label_smoothing", "window", "pseudo_weight", "pseudo_confidence", "pseudo_pairs"])
def test_settings_out_of_range_are_refused(setting):
    wrong = {"label_smoothing": 0.5, "window": 1.1, "pseudo_weight": -1.0, "pseudo_confidence": 1.0, "pseudo_pairs": 0}
    with pytest.raises(ConfigError, match="out of range"):
        RewardConfig(**{setting: wrong[setting]})
