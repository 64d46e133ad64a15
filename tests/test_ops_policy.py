"""Policy losses against numbers by hand."""

import math

import pytest
import torch

from plaudit.ops.policy import clipped_loss, policy_gradient_loss


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
