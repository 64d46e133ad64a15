"""Estimates from logged actions, against brute force: a bandit so small that every log it can write is counted."""

import itertools

import pytest
import torch
from hypothesis import strategies as st

from plaudit.ops import offline
from tests.ops_examples import SEEDS, examples, noise

SCORES = torch.tensor([1.0, -0.5, 3.0], dtype=torch.float64)
MU = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
POLICY = torch.tensor([0.1, 0.3, 0.6], dtype=torch.float64)
VALUE = float(POLICY @ SCORES)
"""what the policy is worth"""


def logs(n):
    """Every log of n actions with its probability under mu."""
    for actions in itertools.product(range(3), repeat=n):
        picked = torch.tensor(actions)
        yield float(MU[picked].prod()), picked


def weights(actions, *, highest=torch.inf):
    return offline.importance_weights(POLICY.log()[actions], MU.log()[actions], highest=highest)


def expected(estimate, n=4):
    return sum(p * float(estimate(actions)) for p, actions in logs(n))


def test_importance_weights_are_unbiased():
    found = expected(lambda a: offline.importance_value(SCORES[a], weights(a)))
    assert found == pytest.approx(VALUE, abs=1e-12)


def test_their_variance_is_what_theory_says():
    n, w = 4, POLICY / MU
    single = float(MU @ (w * SCORES) ** 2) - VALUE**2
    found = expected(lambda a: (offline.importance_value(SCORES[a], weights(a)) - VALUE) ** 2, n)
    assert found == pytest.approx(single / n, rel=1e-10)


def test_normalised_weights_are_biased_and_less_so_with_more_answers():
    bias = [abs(expected(lambda a: offline.normalised_value(SCORES[a], weights(a)), n) - VALUE) for n in (1, 2, 4, 8)]
    assert bias[0] == pytest.approx(abs(float(MU @ SCORES) - VALUE))  # of one answer all that is left is its score
    assert bias == sorted(bias, reverse=True)
    assert bias[-1] < bias[0] / 3


@examples(SEEDS)
def test_the_doubly_robust_estimate_is_unbiased_whatever_is_guessed(seed):
    guess = noise(seed, 3)

    def estimate(a):
        return offline.doubly_robust_value(
            SCORES[a], weights(a), guessed=guess[a], under_policy=(POLICY @ guess).expand(len(a))
        )

    assert expected(estimate, 3) == pytest.approx(VALUE, abs=1e-10)


def test_with_the_right_guess_it_is_exact_even_with_wrong_weights():
    for _, a in logs(3):
        found = offline.doubly_robust_value(SCORES[a], weights(a), guessed=SCORES[a], under_policy=torch.tensor(VALUE))
        assert float(found) == pytest.approx(VALUE)


def test_cut_weights_estimate_what_they_say():
    found = expected(lambda a: offline.importance_value(SCORES[a], weights(a, highest=1.5)))
    assert found == pytest.approx(float(MU @ ((POLICY / MU).clamp(max=1.5) * SCORES)), abs=1e-12)


def test_the_gradient_of_the_estimate_is_the_gradient_of_the_value():
    logits = POLICY.log().clone().requires_grad_()
    exact = torch.autograd.grad(torch.softmax(logits, 0) @ SCORES, logits)[0]
    mean = torch.zeros(3, dtype=torch.float64)
    for p, a in logs(3):
        logp = torch.log_softmax(logits, 0)[a]
        w = offline.importance_weights(logp, MU.log()[a])
        (found,) = torch.autograd.grad((w * SCORES[a] * torch.exp(logp - logp.detach())).mean(), logits)
        mean += p * found
    torch.testing.assert_close(mean, exact)


def test_imitation_by_advantage_leads_to_the_tilted_policy():
    """sum_a mu(a) w(a) log pi(a) is largest at pi = mu exp(A / T) / Z (Peng et al. 2019, equation 9)."""
    advantages = (SCORES - MU @ SCORES) / 1.3
    w = offline.advantage_weights(advantages, temperature=0.7, highest=1e9)
    logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-15)

    def loss():
        optimiser.zero_grad()
        found = -(MU * w) @ torch.log_softmax(logits, 0)
        found.backward()
        return found

    optimiser.step(loss)
    tilted = MU * torch.exp(advantages / 0.7)
    torch.testing.assert_close(torch.softmax(logits, 0).detach(), tilted / tilted.sum(), rtol=1e-6, atol=1e-8)


def test_weights_are_cut():
    found = offline.advantage_weights(torch.tensor([-1.0, 0.0, 9.0]), temperature=0.5, highest=20.0)
    torch.testing.assert_close(found, torch.tensor([0.1353352832, 1.0, 20.0]))


def test_effective_samples_by_hand():
    assert float(offline.effective_samples(torch.ones(7))) == 7
    assert float(offline.effective_samples(torch.tensor([2.0, 0.0, 0.0]))) == 1


def test_advantages_by_hand():
    scores = torch.tensor([1.0, 3.0, 8.0, 5.0], dtype=torch.float64)
    found = offline.logged_advantages(scores, torch.tensor([0, 0, 1, 2]))
    apart = torch.tensor([-1.0, 1.0, 8.0 - 4.25, 5.0 - 4.25], dtype=torch.float64)
    torch.testing.assert_close(found, apart / apart.pow(2).mean().sqrt())
    assert offline.logged_advantages(torch.ones(3), torch.arange(3)).tolist() == [0.0] * 3


@examples(SEEDS, st.floats(0.1, 10), st.floats(-5, 5))
def test_the_unit_of_scores_does_not_matter(seed, scale, shift):
    scores, prompt = noise(seed, 6), torch.tensor([0, 0, 1, 1, 2, 3])
    one, other = (offline.logged_advantages(some, prompt) for some in (scores, scale * scores + shift))
    torch.testing.assert_close(one, other)
