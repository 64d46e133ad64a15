"""Averages over ragged tokens: by hand, and N micro-batches give the loss and gradient of one batch."""

import math

import pytest
import torch
from hypothesis import strategies as st

from plaudit.ops import direct, kl, policy
from plaudit.ops.tokens import (
    Average,
    Totals,
    average,
    last_tokens,
    negative_log_likelihood,
    rows_of,
    segment_mean,
    segment_sum,
    totals,
)
from tests.ops_examples import LENGTHS, SEEDS, cuts, examples, noise, rows

LOSSES = torch.tensor([1.0, 2.0, 3.0, 10.0], dtype=torch.float64)
ROW = torch.tensor([0, 0, 0, 1])


def test_segments_by_hand():
    assert rows_of(torch.tensor([3, 0, 1])).tolist() == [0, 0, 0, 2]
    assert last_tokens(torch.tensor([3, 1])).tolist() == [2, 3]
    assert segment_sum(LOSSES, ROW, 3).tolist() == [6.0, 10.0, 0.0]
    assert segment_mean(LOSSES, ROW, 3).tolist() == [2.0, 10.0, 0.0]
    weights = torch.tensor([0.0, 1.0, 3.0, 0.0], dtype=torch.float64)
    assert segment_mean(LOSSES, ROW, 2, weights=weights).tolist() == [(2.0 + 9.0) / 4, 0.0]


@pytest.mark.parametrize(
    ("how", "expected"),
    [(Average.TOKENS, 4.0), (Average.SEQUENCES, 6.0), (Average.SUMS, 8.0), (Average.CONSTANT, 16.0 / 10)],
)
def test_averages_by_hand(how, expected):
    assert average(LOSSES, ROW, how=how, whole=totals(ROW, 2), longest=5).item() == expected


@pytest.mark.parametrize(
    ("how", "expected"),
    # the second completion counts for nothing, so there is one completion with two tokens
    [(Average.TOKENS, 1.5), (Average.SEQUENCES, 1.5), (Average.SUMS, 3.0), (Average.CONSTANT, 3.0 / 5)],
)
def test_what_is_excluded_is_not_counted(how, expected):
    weights = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    losses = torch.tensor([1.0, 2.0, math.nan, math.inf], dtype=torch.float64, requires_grad=True)
    whole = totals(ROW, 2, weights=weights)
    assert whole == Totals(2.0, 1.0)
    loss = average(losses, ROW, how=how, whole=whole, weights=weights, longest=5)
    loss.backward()
    assert loss.item() == expected
    assert torch.isfinite(losses.grad).all()
    assert losses.grad[2:].tolist() == [0.0, 0.0]


def test_likelihood_by_hand():
    logprobs = torch.tensor([-1.0, -2.0, -4.0], dtype=torch.float64)
    row = torch.tensor([0, 0, 1])
    assert negative_log_likelihood(logprobs, row, whole=totals(row, 2)).item() == pytest.approx(7 / 3)
    weights = torch.tensor([1.0, 0.5], dtype=torch.float64)[row]  # of completions
    whole = totals(row, 2, weights=weights)
    assert negative_log_likelihood(logprobs, row, whole=whole, weights=weights).item() == pytest.approx(5 / 2.5)


def test_nothing_at_all_is_zero():
    nothing = torch.zeros(0, dtype=torch.float64, requires_grad=True)
    row = torch.zeros(0, dtype=torch.int64)
    for how in Average:
        assert average(nothing, row, how=how, whole=totals(row, 0), longest=3).item() == 0.0


def test_a_constant_has_to_be_given():
    with pytest.raises(ValueError, match="longest"):
        average(LOSSES, ROW, how=Average.CONSTANT, whole=totals(ROW, 2))


@examples(LENGTHS, SEEDS, st.sampled_from(Average), st.booleans())
def test_micro_batches_add_up_to_the_batch(lengths, seed, how, weighted):
    """Losses and gradients, of everything that a policy's step is made of."""
    row = rows(lengths)
    weights = (noise(seed + 1, len(row)) > -0.5).double() if weighted else None
    whole = totals(row, len(lengths), weights=weights)
    logprobs, old, reference = -noise(seed, 3, len(row)).abs()
    good = noise(seed + 2, len(lengths))

    def share(part, local, x):
        here = good[int(row[part.start]) :][: int(local[-1]) + 1]
        ratios = policy.log_ratios(x, old[part], local, count=len(here), level=policy.Level.TOKEN)
        losses = policy.surrogate(ratios, here[local], policy.Clip())
        losses = losses + 0.1 * kl.penalty(x, reference[part], kl.Penalty.K3_WEIGHTED, old=old[part])
        mask = None if weights is None else weights[part]
        return average(losses, local, how=how, whole=whole, weights=mask, longest=6)

    one = logprobs.clone().requires_grad_()
    loss = share(slice(0, len(row)), row, one)
    loss.backward()
    many = logprobs.clone().requires_grad_()
    parts = [share(part, local, many[part]) for part, local in cuts(lengths, seed)]
    for part in parts:
        part.backward(retain_graph=True)
    torch.testing.assert_close(sum(part.detach() for part in parts), loss.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(many.grad, one.grad, rtol=1e-12, atol=1e-12)


@examples(LENGTHS, SEEDS, st.sampled_from(Average))
def test_the_order_of_completions_does_not_matter(lengths, seed, how):
    row, losses = rows(lengths), noise(seed, sum(lengths))
    order = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(seed)).tolist()
    shuffled = torch.cat([losses[row == index] for index in order])
    found = average(losses, row, how=how, whole=totals(row, len(lengths)), longest=6)
    other_row = rows([lengths[index] for index in order])
    other = average(shuffled, other_row, how=how, whole=totals(other_row, len(lengths)), longest=6)
    torch.testing.assert_close(found, other)


@examples(LENGTHS, SEEDS)
def test_equal_lengths_make_three_averages_one(lengths, seed):
    size = max(lengths)
    row = rows([size] * len(lengths))
    losses = noise(seed, len(row))
    whole = totals(row, len(lengths))
    kinds = (Average.TOKENS, Average.SEQUENCES, Average.CONSTANT)
    found = [average(losses, row, how=how, whole=whole, longest=size) for how in kinds]
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], found[2])


@examples(LENGTHS, SEEDS)
def test_implicit_rewards_are_sums_or_means(lengths, seed):
    row = rows(lengths)
    policy_, reference = noise(seed, 2, len(row))
    for mean in (False, True):
        whole = segment_sum(reference, row, len(lengths))
        found = direct.implicit(policy_, whole, row, mean=mean)
        for index in range(len(lengths)):
            each = (policy_ - reference)[row == index]
            torch.testing.assert_close(found[index], each.mean() if mean else each.sum())
