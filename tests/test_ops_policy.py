"""Policy losses against numbers by hand."""

import math

import pytest
import torch

from plaudit.ops.policy import (
    Beyond,
    Clip,
    Correction,
    Level,
    clipped_high,
    clipped_loss,
    clipped_low,
    entropy_bonus,
    explained_variance,
    log_ratios,
    policy_gradient_loss,
    sampler_weights,
    surrogate,
    value_loss,
    weighted_gradient,
)


def test_policy_gradient_weighs_log_probabilities():
    log_probs = torch.tensor([-1.0, -2.0], requires_grad=True)
    advantages = torch.tensor([3.0, -1.0], requires_grad=True)
    loss = policy_gradient_loss(log_probs, advantages)
    loss.backward()
    assert loss.item() == 0.5
    assert log_probs.grad.tolist() == [-1.5, 0.5]
    assert advantages.grad is None


def test_clipped_loss_by_hand():
    # ratios 2, 2, 0.5, 0.5 with advantages +1, -1, +1, -1 and range 0.2: min(2, 1.2), min(-2, -1.2), min(.5, .8), min(-.5, -.8)
    log_probs = torch.tensor([math.log(2), math.log(2), -math.log(2), -math.log(2)], requires_grad=True)
    advantages = torch.tensor([1.0, -1.0, 1.0, -1.0])
    loss = clipped_loss(log_probs, torch.zeros(4), advantages, 0.2)
    loss.backward()
    assert loss.item() == pytest.approx(-(1.2 - 2.0 + 0.5 - 0.8) / 4, rel=1e-6)
    # what the clip holds back has no slope
    torch.testing.assert_close(log_probs.grad, torch.tensor([0.0, 0.5, -0.125, 0.0]))


def test_clipped_loss_at_the_acting_policy_has_the_policy_gradient():
    old = torch.randn(50, generator=torch.Generator().manual_seed(0))
    advantages = torch.randn(50, generator=torch.Generator().manual_seed(1))
    gradients = []
    for loss in (lambda x: clipped_loss(x, old, advantages, 0.2), lambda x: policy_gradient_loss(x, advantages)):
        log_probs = old.clone().requires_grad_(True)
        loss(log_probs).backward()
        gradients.append(log_probs.grad)
    torch.testing.assert_close(*gradients)


def row_of(lengths):
    return torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))


def test_log_ratios_by_hand():
    ours, old = torch.tensor([-1.0, -2.0, -3.0]), torch.tensor([-1.5, -1.0, -3.0])
    row = row_of([2, 1])
    found = [log_ratios(ours, old, row, count=2, level=level).tolist() for level in Level]
    assert found == [[0.5, -1.0, 0.0], [-0.5, 0.0], [-0.25, 0.0]]


def test_surrogate_by_hand():
    # ratios 2, 2, .5, .5, 4 with advantages +1, -1, +1, -1, -1
    log_ratio = torch.tensor([2.0, 2.0, 0.5, 0.5, 4.0]).log().requires_grad_()
    good = torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0])

    def losses(**options):
        return surrogate(log_ratio, good, Clip(**options)).tolist()

    assert losses() == pytest.approx([-1.2, 2.0, -0.5, 0.8, 4.0])
    assert losses(low=0.3, high=0.5) == pytest.approx([-1.5, 2.0, -0.5, 0.7, 4.0])
    assert losses(delta=3.0) == pytest.approx([-1.2, 2.0, -0.5, 0.8, 3.0])
    assert losses(dual=3.0) == pytest.approx([-1.2, 2.0, -0.5, 0.8, 3.0])
    assert clipped_low(log_ratio, good, Clip()).tolist() == [0, 0, 0, 1, 0]
    assert clipped_high(log_ratio, good, Clip()).tolist() == [1, 0, 0, 0, 0]
    # what a clip holds back has no slope
    surrogate(log_ratio, good, Clip(dual=3.0)).sum().backward()
    assert log_ratio.grad.tolist() == pytest.approx([0.0, 2.0, -0.5, 0.0, 0.0])


def test_surrogate_has_the_mean_of_the_clipped_loss():
    ours, old, good = torch.randn(3, 40, generator=torch.Generator().manual_seed(0))
    ratios = log_ratios(ours, old, row_of([40]), count=1, level=Level.TOKEN)
    torch.testing.assert_close(surrogate(ratios, good, Clip(0.1, 0.1)).mean(), clipped_loss(ours, old, good, 0.1))


@pytest.mark.parametrize("level", Level)
def test_every_level_has_the_policy_gradient_at_the_acting_policy(level):
    """REINFORCE's sum over tokens for whole completions, its mean for the geometric mean."""
    old = torch.randn(5, generator=torch.Generator().manual_seed(0))
    good, row = torch.tensor([2.0, -3.0]), row_of([3, 2])
    ours = old.clone().requires_grad_()
    ratios = log_ratios(ours, old, row, count=2, level=level)
    surrogate(ratios, good[row] if level is Level.TOKEN else good, Clip()).sum().backward()
    share = torch.tensor([3.0, 2.0])[row] if level is Level.GEOMETRIC else 1.0
    torch.testing.assert_close(ours.grad, -good[row] / share)


def test_a_cut_ratio_keeps_its_gradient_with_cispo():
    ours, good = torch.tensor([-1.0, -1.0]).requires_grad_(), torch.tensor([1.0, -1.0])
    losses = weighted_gradient(ours, torch.tensor([3.0, 0.5]).log(), good, highest=2.0)
    assert losses.tolist() == pytest.approx([2.0, -0.5])
    losses.sum().backward()
    assert ours.grad.tolist() == pytest.approx([-2.0, 0.5])


def test_sampler_weights_by_hand():
    old, sampler = torch.tensor([4.0, 0.5, 1.0]).log(), torch.tensor([1.0, 1.0, math.nan]).log()
    row = row_of([2, 1])

    def weights(level, beyond, lowest=0.0, highest=3.0):
        correction = Correction(level, beyond, lowest, highest)
        return sampler_weights(old, sampler, row, count=2, correction=correction).tolist()

    assert weights(Level.TOKEN, Beyond.TRUNCATE) == pytest.approx([3.0, 0.5, 1.0])
    assert weights(Level.TOKEN, Beyond.MASK, 0.6) == pytest.approx([0.0, 0.0, 1.0])
    assert weights(Level.SEQUENCE, Beyond.MASK) == pytest.approx([2.0, 2.0, 1.0])
    assert weights(Level.GEOMETRIC, Beyond.MASK) == pytest.approx([math.sqrt(2), math.sqrt(2), 1.0])
    assert weights(Level.SEQUENCE, Beyond.TRUNCATE, highest=1.5) == pytest.approx([1.5, 1.5, 1.0])


def test_importance_weights_make_the_gradient_right():
    """The mean over the sampler's tokens of the weighted gradient is the policy's own, by enumeration."""
    logits = torch.tensor([0.3, -1.0, 0.5], dtype=torch.float64, requires_grad=True)
    ours, sampler = logits.log_softmax(0), torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log()
    good, row = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), torch.zeros(3, dtype=torch.int64)
    exact = torch.autograd.grad((ours.exp() * good).sum(), logits, retain_graph=True)[0]
    weights = sampler_weights(ours, sampler, row, count=1, correction=Correction(highest=100.0))
    losses = surrogate(log_ratios(ours, ours, row, count=1, level=Level.TOKEN), good, Clip())
    loss = (sampler.exp() * weights * losses).sum()
    torch.testing.assert_close(torch.autograd.grad(loss, logits)[0], -exact)


def test_value_loss_by_hand():
    values = torch.tensor([1.0, 1.0, 0.1], requires_grad=True)
    returns, old = torch.tensor([2.0, 0.0, 2.0]), torch.zeros(3)
    assert value_loss(values, returns, old).tolist() == pytest.approx([0.5, 0.5, 1.805])
    found = value_loss(values, returns, old, clip=0.2)
    assert found.tolist() == pytest.approx([1.62, 0.5, 1.805])  # cut to .2, farther off; cut would be nearer; not cut
    found.sum().backward()
    assert values.grad.tolist() == pytest.approx([0.0, 1.0, -1.9])


def test_explained_variance_by_hand():
    returns = torch.tensor([0.0, 2.0, 4.0])
    assert explained_variance(returns + 7, returns).item() == 1.0  # constant errors do not count
    assert explained_variance(torch.zeros(3), returns).item() == 0.0
    assert explained_variance(-returns, returns).item() == -3.0
    assert math.isnan(explained_variance(returns, torch.ones(3)).item())


def test_entropy_bonus_by_hand():
    assert entropy_bonus(torch.tensor([1.0, 2.0]), 0.5).tolist() == [-0.5, -1.0]
