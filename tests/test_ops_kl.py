"""Estimators of a divergence against its exact value and gradient, by enumeration of small vocabularies."""

import math

import pytest
import torch

from plaudit.ops.kl import WIDEST, Controller, Estimator, Penalty, estimate, penalty
from tests.ops_examples import SEEDS, examples, noise

VOCABULARY = 5


def policies(seed):
    logits, other = noise(seed, VOCABULARY).requires_grad_(), noise(seed + 1, VOCABULARY)
    return logits, logits.log_softmax(0), other.log_softmax(0)


def divergence(first, second):
    return (first.exp() * (first - second)).sum()


def gradient(loss, logits):
    return torch.autograd.grad(loss, logits, retain_graph=True)[0]


def test_estimates_by_hand():
    ours, reference = torch.tensor([0.0, math.log(2)]), torch.tensor([0.0, 0.0])
    assert estimate(ours, reference, Estimator.K1).tolist() == pytest.approx([0, math.log(2)])
    assert estimate(ours, reference, Estimator.K2).tolist() == pytest.approx([0, math.log(2) ** 2 / 2])
    assert estimate(ours, reference, Estimator.K3).tolist() == pytest.approx([0, 0.5 - 1 + math.log(2)])


@examples(SEEDS)
def test_k1_and_k3_have_the_mean_that_they_should(seed):
    _, ours, reference = policies(seed)
    for how in (Estimator.K1, Estimator.K3):
        mean = (ours.exp() * estimate(ours, reference, how)).sum()
        torch.testing.assert_close(mean, divergence(ours, reference))


@examples(SEEDS)
def test_gradients_of_penalties(seed):
    """The mean over the policy's own tokens of each penalty's gradient is that of the divergence which its docstring names."""
    logits, ours, reference = policies(seed)
    forwards = gradient(divergence(ours, reference), logits)
    backwards = gradient(divergence(reference, ours), logits)
    for how in Penalty:
        loss = (ours.exp().detach() * penalty(ours, reference, how)).sum()
        torch.testing.assert_close(gradient(loss, logits), backwards if how is Penalty.K3 else forwards)


@examples(SEEDS)
def test_the_weighted_penalty_is_right_for_tokens_of_an_older_policy(seed):
    logits, ours, reference = policies(seed)
    old = noise(seed + 2, VOCABULARY).log_softmax(0)
    loss = (old.exp() * penalty(ours, reference, Penalty.K3_WEIGHTED, old=old)).sum()
    torch.testing.assert_close(loss, divergence(ours, reference))
    torch.testing.assert_close(gradient(loss, logits), gradient(divergence(ours, reference), logits))


@examples(SEEDS)
def test_k1_belongs_into_the_reward(seed):
    """As a reward without gradient, k1 has the divergence's gradient; as a loss it has none; k3 as reward has another one."""
    logits, ours, reference = policies(seed)
    forwards = gradient(divergence(ours, reference), logits)
    backwards = gradient(divergence(reference, ours), logits)
    probability = ours.exp().detach()
    for how, expected in ((Estimator.K1, forwards), (Estimator.K3, forwards - backwards)):
        loss = (probability * estimate(ours, reference, how).detach() * ours).sum()
        torch.testing.assert_close(gradient(loss, logits), expected)
    as_loss = gradient((probability * estimate(ours, reference, Estimator.K1)).sum(), logits)
    torch.testing.assert_close(as_loss, torch.zeros_like(as_loss))


def test_far_apart_stays_finite():
    ours = torch.tensor([-1e4, 1e4], requires_grad=True)
    for how in Penalty:
        loss = penalty(ours, torch.zeros(2), how).sum()
        loss.backward()
        assert math.isfinite(loss.item())
    assert torch.isfinite(ours.grad).all()
    assert estimate(ours, torch.zeros(2), Estimator.K3, largest=10.0).tolist() == pytest.approx([10.0, 10.0])
    assert estimate(ours, torch.zeros(2), Estimator.K1).tolist() == [-WIDEST, WIDEST]


def test_controller_by_hand():
    start = Controller(0.1, target=6.0, horizon=1000.0)
    assert start.after(6.6, 100).coefficient == pytest.approx(0.1 * (1 + 0.1 * 0.1))
    assert start.after(60.0, 100).coefficient == pytest.approx(0.1 * (1 + 0.2 * 0.1))  # at most 20 %
    assert start.after(-60.0, 100).coefficient == pytest.approx(0.1 * (1 - 0.2 * 0.1))
    assert start.after(math.nan, 100) == start
    assert start.after(6.6, 100).target == 6.0
