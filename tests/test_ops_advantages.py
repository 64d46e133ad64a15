"""Advantages and what happens to scores before them: by hand, against plain loops, and what must not change them."""

import math
import statistics

import pytest
import torch
from hypothesis import assume
from hypothesis import strategies as st

from plaudit.ops import scores as shaping
from plaudit.ops.advantages import (
    Scale,
    from_group_means,
    gae,
    groups_of,
    leave_one_out,
    reinforce_plus_plus,
    sums_ahead,
    whiten,
)
from tests.ops_examples import LENGTHS, SEEDS, examples, noise

NAN = math.nan
BASELINES = (
    lambda s, g: from_group_means(s, g),
    lambda s, g: from_group_means(s, g, scale=Scale.BATCH),
    lambda s, g: from_group_means(s, g, scale=Scale.NONE),
    leave_one_out,
    lambda s, g: leave_one_out(s, g, standardised=True),
)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def scored(seed, size):
    """Scores of which some could not be given, in groups of random sizes."""
    values = noise(seed, size)
    values[noise(seed + 1, size) > 1.2] = NAN
    return values, torch.randint(0, max(size // 3, 1), (size,), generator=torch.Generator().manual_seed(seed))


def test_groups_by_hand():
    found = groups_of(tensor(1, 3, NAN, 5, NAN), torch.tensor([0, 0, 0, 1, 2]))
    assert found.mean.tolist() == [2.0, 5.0, 0.0]
    assert found.deviation.tolist() == pytest.approx([math.sqrt(2), 0.0, 0.0])
    assert found.count.tolist() == [2.0, 1.0, 0.0]


def test_advantages_by_hand():
    values, group = tensor(1, 3, 8, 5, 7, NAN), torch.tensor([0, 0, 0, 1, 2, 0])
    assert from_group_means(values, group, scale=Scale.NONE).tolist() == [-3.0, -1.0, 4.0, 0.0, 0.0, 0.0]
    assert leave_one_out(values, group).tolist() == [-4.5, -1.5, 6.0, 0.0, 0.0, 0.0]
    expected = [value / (math.sqrt(13) + 1e-4) for value in (-3, -1, 4)]
    assert from_group_means(values, group)[:3].tolist() == pytest.approx(expected)


@examples(SEEDS, st.integers(1, 12))
def test_advantages_equal_plain_loops(seed, size):
    values, group = scored(seed, size)
    plain = from_group_means(values, group, scale=Scale.NONE)
    divided, out = from_group_means(values, group), leave_one_out(values, group)
    for index in range(size):
        peers = [float(v) for v, g in zip(values, group, strict=True) if g == group[index] and not math.isnan(v)]
        own = float(values[index])
        if math.isnan(own) or len(peers) < 2:
            assert plain[index] == divided[index] == out[index] == 0
            continue
        mean = statistics.fmean(peers)
        assert plain[index].item() == pytest.approx(own - mean)
        assert divided[index].item() == pytest.approx((own - mean) / (statistics.stdev(peers) + 1e-4))
        assert out[index].item() == pytest.approx(own - (sum(peers) - own) / (len(peers) - 1))


@examples(SEEDS, st.integers(2, 12), st.sampled_from(BASELINES), st.floats(-50, 50))
def test_a_constant_added_to_a_group_changes_nothing(seed, size, baseline, constant):
    values, group = scored(seed, size)
    # the standard deviation of all scores knows what lies between groups
    moved = values + constant * (1 if baseline is BASELINES[1] else 1 + group)
    torch.testing.assert_close(baseline(moved, group), baseline(values, group), rtol=1e-7, atol=1e-9)


@examples(SEEDS, st.integers(2, 12), st.sampled_from(BASELINES))
def test_the_order_of_completions_does_not_matter(seed, size, baseline):
    values, group = scored(seed, size)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed + 5))
    torch.testing.assert_close(baseline(values[order], group[order]), baseline(values, group)[order])


@examples(SEEDS, st.integers(1, 12), st.sampled_from(BASELINES))
def test_what_could_not_be_scored_changes_nothing(seed, size, baseline):
    values, group = scored(seed, size)
    known = ~values.isnan()
    found = baseline(values, group)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[known], baseline(values[known], group[known]))
    assert (found[~known] == 0).all()


@examples(SEEDS, st.integers(2, 8), st.integers(1, 4))
def test_leaving_one_out_is_a_larger_step_from_the_mean(seed, size, number):
    values, group = noise(seed, size * number), torch.arange(number).repeat_interleave(size)
    plain = from_group_means(values, group, scale=Scale.NONE)
    torch.testing.assert_close(leave_one_out(values, group), plain * size / (size - 1))


@examples(SEEDS, st.integers(2, 12))
def test_dividing_by_the_group_makes_advantages_free_of_scale(seed, size):
    values, group = scored(seed, size)
    found = from_group_means(values, group, tiny=0.0)
    torch.testing.assert_close(from_group_means(7 * values, group, tiny=0.0).nan_to_num(), found.nan_to_num())


def test_groups_that_agree_are_worth_exactly_nothing():
    values, group = torch.full((6,), 0.1, dtype=torch.float64), torch.tensor([0, 0, 0, 1, 1, 1])
    for baseline in BASELINES[:4]:
        assert baseline(values, group).tolist() == [0.0] * 6
    assert shaping.informative(tensor(0.1, 0.1, 0.1, 1, NAN, 1.1, 2), torch.tensor([0, 0, 0, 1, 1, 1, 2])).tolist() == [
        False, True, False,
    ]  # fmt: skip


@examples(SEEDS, st.integers(3, 30), st.booleans())
def test_whitened_values_have_variance_one(seed, size, shift):
    values = noise(seed, size)
    weights = torch.ones(size, dtype=torch.float64)
    weights[0] = 0.0
    values[0] = NAN
    found = whiten(values, weights=weights, shift=shift)
    assert found[0] == 0
    assert found[1:].var().item() == pytest.approx(1.0, rel=1e-3)
    assert found[1:].mean().item() == pytest.approx(0.0 if shift else values[1:].mean().item(), abs=1e-9)


def test_nothing_to_whiten():
    assert whiten(tensor(1.0, 2.0), weights=tensor(0, 0)).tolist() == [0.0, 0.0]
    assert whiten(tensor(3.0)).tolist() == [0.0]


@examples(LENGTHS, SEEDS, st.floats(0, 1))
def test_sums_ahead_equal_a_plain_loop(lengths, seed, decay):
    values = noise(seed, sum(lengths))
    expected, start = [], 0
    for length in lengths:
        total, sums = 0.0, []
        for value in reversed(values[start : start + length].tolist()):
            total = value + decay * total
            sums.append(total)
        expected += reversed(sums)
        start += length
    torch.testing.assert_close(sums_ahead(values, torch.tensor(lengths), decay=decay), tensor(*expected))


@examples(LENGTHS, SEEDS, st.floats(0, 1), st.sampled_from([1.0, 0.9]))
def test_gae_equals_a_plain_loop(lengths, seed, trace, discount):
    rewards, values = noise(seed, 2, sum(lengths))
    expected, start = [], 0
    for length in lengths:
        ahead, following, found = 0.0, 0.0, []
        for token in reversed(range(start, start + length)):
            surprise = float(rewards[token]) + discount * following - float(values[token])
            ahead = surprise + discount * trace * ahead
            following = float(values[token])
            found.append(ahead)
        expected += reversed(found)
        start += length
    result = gae(rewards, values, torch.tensor(lengths), trace=trace, discount=discount)
    torch.testing.assert_close(result, tensor(*expected))


@examples(LENGTHS, SEEDS)
def test_gae_that_trusts_rewards_is_the_return_minus_the_value(lengths, seed):
    rewards, values = noise(seed, 2, sum(lengths))
    size = torch.tensor(lengths)
    torch.testing.assert_close(gae(rewards, values, size, trace=1.0), sums_ahead(rewards, size) - values)


def test_empty_completions_are_passed_over():
    lengths = torch.tensor([0, 2, 0, 1])
    assert sums_ahead(tensor(1, 2, 4), lengths).tolist() == [3.0, 2.0, 4.0]
    assert gae(tensor(1, 2, 4), tensor(0, 0, 0), lengths, trace=1.0).tolist() == [3.0, 2.0, 4.0]
    assert shaping.token_rewards(tensor(9, 1, 9, 2), tensor(0, 0, 0), lengths, beta=1.0).tolist() == [0.0, 1.0, 2.0]


def test_token_rewards_by_hand():
    lengths = torch.tensor([2, 1, 1])
    found = shaping.token_rewards(tensor(5, NAN, -1), tensor(1, 2, 3, 4), lengths, beta=0.5)
    assert found.tolist() == [-0.5, 4.0, -1.5, -3.0]
    assert shaping.tokens_scored(tensor(5, NAN, -1), lengths).tolist() == [1.0, 1.0, 0.0, 1.0]


def test_reinforce_plus_plus_by_hand():
    lengths, scores = torch.tensor([2, 1, 1]), tensor(5, 2, -1)
    rewards = shaping.token_rewards(scores, tensor(1, 2, 3, 4), lengths, beta=0.5)  # -.5, 4; .5; -3
    returns = tensor(3.5, 4.0, 0.5, -3.0)
    torch.testing.assert_close(reinforce_plus_plus(rewards, lengths), (returns - 1.25) / returns.std())
    # with baseline 2, the mean of one group: 3, 3, 0, -3
    rewards = shaping.token_rewards(scores, tensor(0, 0, 0, 0), lengths, beta=0.5)
    found = reinforce_plus_plus(rewards, lengths, baseline=groups_of(scores, torch.tensor([0, 0, 0])).mean[[0, 0, 0]])
    centred = tensor(3, 3, 0, -3)
    torch.testing.assert_close(found, (centred - 0.75) / centred.std())


def test_scores_by_hand():
    assert shaping.clipped(tensor(-9, 2, NAN), 5.0).nan_to_num(nan=7).tolist() == [-5.0, 2.0, 7.0]
    assert shaping.without_end(tensor(1, 2), torch.tensor([True, False]), penalty=3.0).tolist() == [1.0, -1.0]
    lengths = torch.tensor([1, 6, 8, 9, 10, 11])  # at most 10, of which the last 4 are dear
    assert shaping.overlong(lengths, longest=10, buffer=4).tolist() == [0.0, 0.0, -0.5, -0.75, -1.0, -1.0]


@examples(SEEDS, st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_the_running_scale_is_that_of_all_scores(seed, sizes):
    assume(sum(sizes) >= 2)
    every = noise(seed, sum(sizes)) * 3 + 100
    state = shaping.RunningScale()
    for part in every.split(sizes):
        state = state.after(torch.cat([part, tensor(NAN)]))
    torch.testing.assert_close(state.scaled(every), every / every.std())
    assert shaping.RunningScale().after(tensor(4.0)).scaled(tensor(4.0)).tolist() == [4.0]
