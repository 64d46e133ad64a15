"""Properties of the evidence that hold for any rewards."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plaudit.ops import preference
from plaudit.reward.likelihood import GRADES, AnswerModel, Comparisons, Ratings, StepScores
from plaudit.stats import choice

N, STEPS = 4, 5
REWARDS = arrays(np.float32, (2, N, 2, STEPS), elements=st.floats(-3, 3, width=32))
TIES = AnswerModel(thresholds=(0.4,))


def comparisons(side, grade=None, lengths=STEPS):
    return Comparisons(
        segments=np.arange(2 * N).reshape(N, 2),
        question=np.arange(N),
        lengths=np.full((N, 2), lengths),
        side=np.asarray(side),
        grade=np.zeros(N, dtype=np.int64) if grade is None else np.asarray(grade),
    )


def log_prob(evidence, rewards, annotators=TIES, mask=None):
    rewards = torch.from_numpy(rewards).double()
    weights = torch.ones(rewards.shape[1:]) if mask is None else torch.from_numpy(mask).float()
    rows = np.arange(N)
    return evidence.log_prob(evidence.values(rewards, weights, rows), rows, annotators, preference).numpy()


@given(REWARDS)
def test_swapping_segments_and_sides_changes_nothing(rewards):
    side = np.array([1, -1, 0, 1])
    swapped = rewards[:, :, ::-1].copy()
    assert log_prob(comparisons(side), rewards) == pytest.approx(log_prob(comparisons(-side), swapped))


@given(REWARDS)
def test_a_tie_is_as_likely_in_either_order(rewards):
    ties = comparisons(np.zeros(N, dtype=np.int64))
    assert log_prob(ties, rewards) == pytest.approx(log_prob(ties, rewards[:, :, ::-1].copy()))


@given(REWARDS, st.floats(-2, 2))
def test_a_constant_reward_per_step_changes_nothing_for_equal_lengths(rewards, constant):
    evidence = comparisons([1, -1, 0, 1])
    shifted = (rewards + np.float32(constant)).astype(np.float32)
    assert log_prob(evidence, shifted) == pytest.approx(log_prob(evidence, rewards), abs=1e-4)


def test_padding_does_not_count():
    rng = np.random.default_rng(0)
    rewards = rng.normal(size=(2, N, 2, STEPS)).astype(np.float32)
    mask = np.arange(STEPS) < rng.integers(1, STEPS, (N, 2, 1))
    evidence = comparisons([1, -1, 0, 1])
    zeroed = np.where(mask, rewards, 0).astype(np.float32)
    assert log_prob(evidence, rewards, mask=mask) == pytest.approx(log_prob(evidence, zeroed))


def test_without_ties_and_grades_comparisons_are_plain_bradley_terry():
    found = comparisons([1, -1, 1, 1]).calibrate(AnswerModel(), np.zeros((N, 1)))
    assert found.thresholds == (0.0,)


def test_thresholds_explain_the_shares_of_ties_and_grades():
    rng = np.random.default_rng(0)
    count, true = 20_000, (0.4, 1.0, 1.8, 3.0)
    difference = 2 * rng.normal(size=count)
    seen = difference + rng.logistic(size=count)
    grade = np.digitize(np.abs(seen), true)  # 0 is a tie
    evidence = Comparisons(
        segments=np.zeros((count, 2), dtype=np.intp),
        question=np.arange(count),
        lengths=np.ones((count, 2), dtype=np.intp),
        side=np.where(grade == 0, 0, np.sign(seen)).astype(np.int64),
        grade=grade,
    )
    found = evidence.calibrate(AnswerModel(), difference[:, None])
    assert len(found.thresholds) == GRADES
    assert found.thresholds == pytest.approx(true, abs=0.1)


def test_cuts_explain_the_shares_of_grades():
    rng = np.random.default_rng(0)
    count, true = 20_000, [-2.0, 0.5, 1.0]
    value = rng.normal(size=count)
    evidence = Ratings(
        segments=np.zeros((count, 1), dtype=np.intp),
        question=np.arange(count),
        lengths=np.ones((count, 1), dtype=np.intp),
        grade=np.digitize(value + rng.logistic(size=count), true),
        levels=4,
    )
    assert evidence.calibrate(AnswerModel(), value[:, None]).cuts["4"] == pytest.approx(true, abs=0.1)


def test_predictions_are_the_likeliest_answers():
    comparison = comparisons([1, -1, 0, -1]).predict(AnswerModel(), np.array([[2.0], [1.0], [5.0], [0.0]]))
    assert comparison.right.tolist() == [1.0, 0.0, 0.5]  # the tie is left out; no difference is half right
    assert comparison.confidence == pytest.approx([0.88079708, 0.73105858, 0.5])
    lengths = np.ones((2, 1), dtype=np.intp)
    ratings = Ratings(lengths * 0, np.arange(2), lengths, np.array([1, 0]), 3)
    graded = ratings.predict(AnswerModel(cuts={"3": [-1.0, 1.0]}), np.array([[0.0], [3.0]]))
    assert graded.right.tolist() == [1.0, 0.0]
    assert graded.confidence == pytest.approx([0.46211716, 0.88079708])
    steps = StepScores(
        segments=np.zeros((1, 1), dtype=np.intp),
        question=np.arange(1),
        positions=np.array([[0, 1, 0]]),
        scores=np.array([[0.75, 0.25, 0.0]]),
        judged=np.array([[True, True, False]]),
        length=1.0,
    )
    scored = steps.predict(AnswerModel(step_cut=0.5), np.array([[1.5, 1.5, 9.0]]))
    assert scored.right.tolist() == [0.75, 0.25]
    assert scored.confidence == pytest.approx([0.73105858, 0.73105858])


def test_step_scores_count_judged_steps_only():
    steps = StepScores(
        segments=np.zeros((2, 1), dtype=np.intp),
        question=np.arange(2),
        positions=np.array([[3, 1], [2, 0]]),
        scores=np.array([[1.0, 0.0], [0.5, 0.0]]),
        judged=np.array([[True, True], [True, False]]),
        length=2.0,
    )
    rows = np.arange(2)
    look = steps.look(rows, crop=1, rng=np.random.default_rng(0))
    assert look.positions.tolist() == [[[3, 1]], [[2, 0]]]
    assert look.weights.tolist() == [[[1.0, 1.0]], [[1.0, 0.0]]]
    rewards = torch.tensor([[[[0.5, -0.25]], [[1.0, 7.0]]]])
    values = steps.values(rewards, torch.from_numpy(look.weights), rows)
    assert values[0].tolist() == [[1.0, -0.5], [2.0, 14.0]]
    found = steps.log_prob(values[0].double().numpy(), rows, AnswerModel(), choice)
    expected = [-0.31326169 - 0.47407698, 0.5 * (-0.12692801 - 2.12692801)]
    assert found == pytest.approx(expected)
    assert steps.judgements(rows).tolist() == [2.0, 1.0]
