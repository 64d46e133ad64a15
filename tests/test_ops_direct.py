"""Losses of pairs: by hand, their slopes, and what they agree on."""

import math

import pytest
import torch
from hypothesis import strategies as st

from plaudit.ops.direct import Alone, Direct, alone_loss, averaged, log_odds, pair_loss, reward_pair_loss
from plaudit.ops.unpaired import drifted, unpaired_loss
from tests.ops_examples import SEEDS, examples, noise


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def softplus(x):
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("how", "smoothing", "expected"),
    [
        (Direct.SIGMOID, 0.0, softplus(-1)),
        (Direct.SIGMOID, 0.1, 0.9 * softplus(-1) + 0.1 * softplus(1)),
        (Direct.ROBUST, 0.0, softplus(-1)),
        (Direct.ROBUST, 0.1, (0.9 * softplus(-1) - 0.1 * softplus(1)) / 0.8),
        (Direct.HINGE, 0.0, 0.0),
        (Direct.IPO, 0.0, (2 - 1) ** 2),
    ],
)
def test_losses_by_hand(how, smoothing, expected):
    found = pair_loss(tensor(3.0), tensor(1.0), how=how, beta=0.5, smoothing=smoothing)  # m = 1, 1 / (2 beta) = 1
    assert found.item() == pytest.approx(expected)


@examples(SEEDS, st.floats(0.01, 0.45))
def test_robust_undoes_what_flips_do(seed, flipped):
    """Its mean over answers of which a share is the wrong way round is the loss of the right ones (Chowdhury et al.)."""
    chosen, rejected = noise(seed, 2, 6)
    options = {"beta": 0.3, "how": Direct.ROBUST, "smoothing": flipped}
    mean = (1 - flipped) * pair_loss(chosen, rejected, **options) + flipped * pair_loss(rejected, chosen, **options)
    torch.testing.assert_close(mean, pair_loss(chosen, rejected, beta=0.3, how=Direct.SIGMOID))


@examples(SEEDS, st.sampled_from(Direct))
def test_only_the_difference_counts(seed, how):
    chosen, rejected = noise(seed, 2, 6)
    first = pair_loss(chosen, rejected, how=how, beta=0.3)
    torch.testing.assert_close(pair_loss(chosen + 5, rejected + 5, how=how, beta=0.3), first)


@examples(SEEDS, st.sampled_from([*Direct]))
def test_every_loss_prefers_the_chosen_one_at_the_reference(seed, how):
    chosen, rejected = torch.zeros(4, dtype=torch.float64, requires_grad=True), torch.zeros(4, dtype=torch.float64)
    pair_loss(chosen, rejected, how=how, beta=0.1 + (seed % 10) / 10).sum().backward()
    assert (chosen.grad < 0).all()


def test_the_slope_of_dpo_is_how_wrong_it_is():
    """d loss / d h_chosen = -beta sigma(-m), Rafailov et al. 2023, section 4."""
    chosen = tensor(0.0, 4.0, -4.0).requires_grad_()
    pair_loss(chosen, torch.zeros_like(chosen), how=Direct.SIGMOID, beta=0.5).sum().backward()
    torch.testing.assert_close(chosen.grad, -0.5 * torch.sigmoid(-0.5 * chosen.detach()))


def test_far_apart_stays_finite():
    for how in Direct:
        chosen = torch.tensor([1e4, -1e4], requires_grad=True)
        loss = pair_loss(chosen, -chosen.detach(), how=how, beta=1.0, smoothing=0.1)
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(chosen.grad).all()


def test_only_ipo_divides_by_length():
    assert [how for how in Direct if averaged(how)] == [Direct.IPO]


@pytest.mark.parametrize("smoothing", [-0.1, 0.5])
def test_more_wrong_than_right_answers_are_refused(smoothing):
    with pytest.raises(ValueError, match="smoothing"):
        pair_loss(tensor(0.0), tensor(0.0), how=Direct.ROBUST, beta=0.1, smoothing=smoothing)


def test_rewards_by_hand():
    found = reward_pair_loss(tensor(2.0), tensor(1.0), margin=tensor(0.5), centring=0.01)
    assert found.item() == pytest.approx(softplus(-0.5) + 0.09)
    assert reward_pair_loss(tensor(2.0), tensor(1.0)).item() == pytest.approx(softplus(-1))


def test_losses_without_a_reference_by_hand():
    chosen, rejected = tensor(-0.5), tensor(-1.5)
    simpo = alone_loss(chosen, rejected, how=Alone.SIMPO, beta=2.0, margin=0.5)
    assert simpo.item() == pytest.approx(softplus(-1.5))
    smoothed = alone_loss(chosen, rejected, how=Alone.SIMPO, beta=2.0, margin=0.5, smoothing=0.1)
    assert smoothed.item() == pytest.approx(0.9 * softplus(-1.5) + 0.1 * softplus(1.5))
    odds = [math.log(math.exp(x) / (1 - math.exp(x))) for x in (-0.5, -1.5)]
    orpo = alone_loss(chosen, rejected, how=Alone.ORPO, beta=0.3)
    assert orpo.item() == pytest.approx(0.3 * softplus(odds[1] - odds[0]))
    with pytest.raises(ValueError, match="smoothing"):
        alone_loss(chosen, rejected, how=Alone.SIMPO, beta=1.0, smoothing=0.5)


@examples(SEEDS, st.sampled_from(Alone))
def test_without_a_reference_the_chosen_one_is_still_preferred(seed, how):
    both = -noise(seed, 2, 6).abs() - 1e-3
    chosen, rejected = both[0].requires_grad_(), both[1].requires_grad_()
    alone_loss(chosen, rejected, how=how, beta=0.5, margin=0.5).sum().backward()
    assert (chosen.grad < 0).all()
    assert (rejected.grad > 0).all()


def test_odds_stay_finite_at_the_ends():
    found = torch.tensor([-1e4, -90.0, -0.7, -1e-9, 0.0]).requires_grad_()
    odds = log_odds(found)
    odds.sum().backward()
    assert torch.isfinite(odds).all()
    assert torch.isfinite(found.grad).all()
    assert (odds.diff() >= 0).all()


def test_single_answers_by_hand():
    h, good = tensor(3.0, 3.0, -1.0), torch.tensor([True, False, False])
    found = unpaired_loss(h, good, beta=0.5, drift=tensor(1.0)[0])
    expected = [1 - 1 / (1 + math.exp(-x)) for x in (1.0, -1.0, 1.0)]
    torch.testing.assert_close(found, tensor(*expected))
    assert drifted(tensor(1.0, 2.0)).item() == 1.5
    assert drifted(tensor(1.0, -2.0)).item() == 0.0


@examples(SEEDS, st.floats(-3, 3))
def test_turning_verdicts_and_differences_round_changes_nothing(seed, drift):
    h = noise(seed, 6)
    good = torch.arange(6) % 2 == 0
    turned = unpaired_loss(2 * drift - h, ~good, beta=0.3, drift=drift)
    torch.testing.assert_close(unpaired_loss(h, good, beta=0.3, drift=drift), turned)
