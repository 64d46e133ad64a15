"""The objective equals a slow twin that goes through answers one by one, and so does its gradient."""

import math

import numpy as np
import pytest
import torch

from plaudit.models.ensemble import Ensemble
from plaudit.records import Choice
from plaudit.reward.collate import collate, pack
from plaudit.reward.config import RewardConfig
from plaudit.reward.evidence import spread_evenly
from plaudit.reward.heldout import leave_out
from plaudit.reward.inputs import Inputs
from plaudit.reward.likelihood import AnswerModel
from plaudit.reward.objective import Problem, batches_of, loss
from tests.reward_examples import Library

MEMBERS = 3
CONFIG = RewardConfig(members=MEMBERS, return_penalty=0.02)
ANNOTATORS = AnswerModel(lapse=0.1, thresholds=(0.2, 0.5, 1.0, 1.7), cuts={"3": [-1.0, 0.5]}, step_cut=0.3)


@pytest.fixture(scope="module")
def mixed():
    """Answers of every kind about segments of different lengths, in double precision."""
    rng = np.random.default_rng(0)
    library = Library()
    ids = [library.draw(rng, length) for length in (4, 6, 5, 3)]
    answers = [
        library.compare(ids[0], ids[1], Choice.FIRST),
        library.compare(ids[1], ids[2], Choice.SECOND, strength=0.7),
        library.compare(ids[3], ids[2], Choice.TIE),
        library.rate(ids[0], 2, levels=3),
        library.rate(ids[3], 0, levels=3),
        library.judge(ids[1], [5, 0, 2], [1.0, 0.0, 0.4]),
        library.judge(ids[2], [1], [0.9]),
    ]
    data = collate(answers, library)
    inputs = Inputs.of(library.reference(rng), squares=True)
    batch = pack(data.segments, inputs.actions)
    features = torch.from_numpy(inputs.rows(batch)).view(*batch.mask.shape, -1)
    trains = tuple(leave_out(part, MEMBERS, True) for part in data.evidence)
    single = Ensemble.create(MEMBERS, inputs.features, (4,), rng)

    def double(tensors):
        return tuple(t.double().requires_grad_() for t in tensors)

    ensemble = Ensemble(double(single.weights), double(single.biases), *double([single.head, single.skip]))
    return Problem(data.evidence, trains, True, features.double()), ensemble


def logistic(x):
    return 1 / (1 + math.exp(-x))


def slow_loss(problem, ensemble, chosen):
    """The same, one answer and one member at a time, from the formulas."""
    lapse, (tie, *grades) = ANNOTATORS.lapse, (*ANNOTATORS.thresholds, math.inf)
    with torch.no_grad():
        segments, steps, width = problem.features.shape
        rewards = ensemble.forward(problem.features.view(-1, width)).view(MEMBERS, segments, steps).numpy()
    comparisons, ratings, scores = problem.evidence
    total = 0.0
    for k in range(MEMBERS):
        found, penalty = [], []
        for number in chosen:
            if number < 3:
                part, n = comparisons, number
                returns = [rewards[k, s, :t].sum() for s, t in zip(part.segments[n], part.lengths[n], strict=True)]
                penalty.append(np.mean([r**2 / t for r, t in zip(returns, part.lengths[n], strict=True)]))
                toward = (returns[0] - returns[1]) * (part.side[n] or 1)
                limits = (tie, *grades)
                if part.side[n] == 0:
                    p = (1 - lapse) * (logistic(tie - toward) - logistic(-tie - toward))
                elif part.grade[n] == 0:
                    p = (1 - lapse) * (1 - logistic(tie - toward)) + lapse / 2
                else:
                    low, high = limits[part.grade[n] - 1], limits[part.grade[n]]
                    p = (1 - lapse) * (logistic(high - toward) - logistic(low - toward)) + lapse / 8
                log_p = math.log(p)
            elif number < 5:
                part, n = ratings, number - 3
                length = part.lengths[n, 0]
                total_reward = rewards[k, part.segments[n, 0], :length].sum()
                penalty.append(total_reward**2 / length)
                value = total_reward / length * 3.5  # the two rated segments have 4 and 3 steps
                limits = (-math.inf, -1.0, 0.5, math.inf)
                grade = part.grade[n]
                upper = 1.0 if grade == 2 else logistic(limits[grade + 1] - value)
                lower = 0.0 if grade == 0 else logistic(limits[grade] - value)
                log_p = math.log((1 - lapse) * (upper - lower) + lapse / 3)
            else:
                part, n = scores, number - 5
                judged = [
                    (p, s)
                    for p, s, j in zip(*(x[n] for x in (part.positions, part.scores, part.judged)), strict=True)
                    if j
                ]
                log_p = 0.0
                for position, score in judged:
                    value = 5.5 * rewards[k, part.segments[n, 0], position]  # the two segments have 6 and 5 steps
                    good = (1 - lapse) * logistic(value - 0.3) + lapse / 2
                    log_p += score * math.log(good) + (1 - score) * math.log(1 - good)
                penalty.append(sum(rewards[k, part.segments[n, 0], p] for p, _ in judged) ** 2 / len(judged))
            if part.question[n] % MEMBERS != k:
                found.append(log_p)
        total += CONFIG.return_penalty * np.mean(penalty) - sum(found) / max(len(found), 1)
    return total


@pytest.mark.parametrize("chosen", [range(7), [0, 3], [6, 2, 5]])
def test_loss_equals_the_slow_twin(mixed, chosen):
    problem, ensemble = mixed
    found = loss(ensemble, problem, np.array(chosen), ANNOTATORS, config=CONFIG, rng=np.random.default_rng(0))
    assert found.item() == pytest.approx(slow_loss(problem, ensemble, chosen), rel=1e-5)


def test_gradient_equals_finite_differences_of_the_slow_twin(mixed):
    problem, ensemble = mixed
    rng = np.random.default_rng(0)
    loss(ensemble, problem, np.arange(7), ANNOTATORS, config=CONFIG, rng=rng).backward()
    for tensor in ensemble.parameters():
        place = tuple(int(rng.integers(size)) for size in tensor.shape)
        assert tensor.grad is not None
        with torch.no_grad():
            tensor[place] += 1e-4
            above = slow_loss(problem, ensemble, range(7))
            tensor[place] -= 2e-4
            below = slow_loss(problem, ensemble, range(7))
            tensor[place] += 1e-4
        assert float(tensor.grad[place]) == pytest.approx((above - below) / 2e-4, rel=1e-3, abs=1e-6)


def test_values_of_unseen_answers_come_from_the_member_that_left_them_out(mixed):
    problem, ensemble = mixed
    plain = Problem(problem.evidence, problem.trains, True, problem.features.float())
    single = Ensemble.from_arrays({name: array.astype(np.float32) for name, array in ensemble.arrays().items()})
    for found in plain.values(single):
        for answer, question in enumerate(found.evidence.question):
            assert (found.unseen[answer] == found.members[question % MEMBERS, answer]).all()


def test_a_sample_of_steps_stands_for_all_of_them():
    lengths = np.array([[40, 7]])
    look = spread_evenly(lengths, 10, np.random.default_rng(0))
    assert look.positions.shape == (1, 2, 10)
    assert look.weights.sum(-1) == pytest.approx(lengths)
    assert (np.diff(look.positions) >= 0).all()
    assert (look.positions < lengths[..., None]).all()
    assert [len(set(part)) for part in (look.positions[0, 0] // 4).reshape(10, 1).tolist()] == [1] * 10
    rng = np.random.default_rng(1)
    squares = [(spread_evenly(lengths, 10, rng).positions[0, 0] ** 2).sum() * 4 for _ in range(2000)]
    assert np.mean(squares) == pytest.approx((np.arange(40) ** 2).sum(), rel=0.01)


@pytest.mark.parametrize("rng", [None, np.random.default_rng(0)])
def test_short_segments_are_looked_at_whole(rng):
    look = spread_evenly(np.array([[4], [2]]), 5, rng)
    assert look.positions[0, 0].tolist() == [0, 1, 2, 3]
    assert look.weights[:, 0].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]


def test_batches_go_through_all_answers_before_any_comes_again():
    batches = batches_of(10, 4, np.random.default_rng(0))
    drawn = np.concatenate([next(batches) for _ in range(5)])
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))
    assert drawn[:10].tolist() != drawn[10:].tolist()
    assert sorted(next(batches_of(3, 16, np.random.default_rng(0)))) == [0, 1, 2]
