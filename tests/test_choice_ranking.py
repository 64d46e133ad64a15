"""Orders with ties, and comparisons with normal noise: golden numbers, sums to one, twins, and ties that come back."""

from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from plaudit.ops import preference
from plaudit.stats import choice
from plaudit.stats.choice import Noise

VALUES = arrays(np.float64, (2, 4, 3), elements=st.floats(-30, 30))
RANKS = np.array([[0, 1, 2], [1, 0, 0], [0, 0, 0], [0, 1, 1]])
FULL = np.array([3, 2, 1, 1])
PREVALENCE = [0.7, 0.3]


def orders(items):
    """Every order with ties of so many items."""
    return [r for r in product(range(items), repeat=items) if set(r) == set(range(len(set(r))))]


def slow(value, ranks, stages, prevalence):
    """The density written out: all sets that could have been chosen are listed."""
    delta, found = [0.0, 1.0, *prevalence], 0.0
    for stage in range(stages):
        left = [i for i, rank in enumerate(ranks) if rank >= stage]
        chosen = [i for i in left if ranks[i] == stage]

        def weight(members):
            return delta[len(members)] * np.exp(np.mean([value[i] for i in members]))

        sets = [s for size in range(1, len(delta)) for s in combinations(left, size)]
        found += np.log(weight(chosen) / sum(weight(s) for s in sets))
    return found


def check_twins(density, twin, values):
    tensor = torch.from_numpy(values.copy()).requires_grad_()
    found = density(tensor)
    np.testing.assert_allclose(found.detach().numpy(), twin(values), rtol=1e-9, atol=1e-9)
    found.sum().backward()
    slope = np.zeros_like(values)
    for place in np.ndindex(values.shape[-1]):
        step = np.zeros(values.shape[-1])
        step[place] = 1e-5
        part = (twin(values + step) - twin(values - step)) / 2e-5
        slope[..., place[0]] = part
    np.testing.assert_allclose(tensor.grad.numpy(), slope, rtol=1e-4, atol=1e-4)


def test_by_hand():
    value = np.log([[4.0, 1.0, 4.0]])
    full = choice.ranking(value, np.array([[0, 2, 1]]), np.array([3]))
    assert np.exp(full) == pytest.approx([4 / 9 * 4 / 5])
    best = choice.ranking(value, np.array([[1, 0, 1]]), np.array([1]))
    assert np.exp(best) == pytest.approx([1 / 9])
    # Davidson 1970, with sqrt(4 * 1) = 2: 4 / (4 + 1 + .5 * 2), and the tie .5 * 2 / 6
    two = np.log([[4.0, 1.0], [4.0, 1.0]])
    found = choice.ranking(two, np.array([[0, 1], [0, 0]]), np.array([2, 1]), [0.5])
    assert np.exp(found) == pytest.approx([4 / 6, 1 / 6])


@pytest.mark.parametrize(("items", "prevalence"), [(2, [0.4]), (3, []), (3, [0.5]), (3, PREVALENCE), (4, [0.2, 0.9])])
def test_all_orders_together_have_probability_one(items, prevalence):
    value = np.random.default_rng(items).normal(size=items)
    ranks = np.array(orders(items))
    with np.errstate(divide="ignore"):
        found = choice.ranking(np.tile(value, (len(ranks), 1)), ranks, 1 + ranks.max(axis=1), prevalence)
    assert np.exp(found).sum() == pytest.approx(1)
    slowly = [
        slow(value, r, 1 + max(r), prevalence) if max(np.bincount(r)) <= 1 + len(prevalence) else -np.inf for r in ranks
    ]
    assert found == pytest.approx(slowly)


@given(VALUES, st.sampled_from([0.0, 0.2]))
def test_orders_are_equal_in_torch(values, lapse):
    check_twins(
        lambda v: preference.ranking(v, RANKS, FULL, PREVALENCE, lapse=lapse),
        lambda v: choice.ranking(v, RANKS, FULL, PREVALENCE, lapse=lapse),
        values,
    )


@given(VALUES, st.floats(-5, 5))
def test_only_differences_count(values, shift):
    both = [choice.ranking(v, RANKS, FULL, PREVALENCE) for v in (values, values + shift)]
    assert both[0] == pytest.approx(both[1], abs=1e-9)


@given(VALUES)
def test_a_choice_of_one_is_softmax_and_of_two_bradley_terry(values):
    ranks, one = np.array([[0, 1, 1]] * 4), np.ones(4, dtype=np.int64)
    softmax = values[..., 0] - np.logaddexp.reduce(values, axis=-1)
    assert choice.ranking(values, ranks, one) == pytest.approx(softmax)
    pair = choice.ranking(values[..., :2], ranks[:, :2], one)
    plain = choice.comparison(values[..., 0] - values[..., 1], one, 0 * one, (0.0,))
    assert pair == pytest.approx(plain)


def test_lapses_are_shared_or_each_annotators_own():
    value, ranks, stages = np.array([[9.0, 0.0, 0.0]] * 2), np.array([[2, 0, 1]] * 2), np.array([3, 3])
    assert np.exp(choice.ranking(value, ranks, stages, lapse=0.6)) == pytest.approx([0.1, 0.1], abs=1e-3)
    each = np.array([0.0, 0.6])
    found = np.exp(choice.ranking(value, ranks, stages, lapse=each))
    assert found == pytest.approx([0.0, 0.1], abs=1e-3)
    torched = preference.ranking(torch.from_numpy(value), ranks, stages, lapse=each)
    assert torched.exp().numpy() == pytest.approx(found)


def test_prevalence_of_ties_comes_back():
    rng = np.random.default_rng(0)
    value = rng.normal(size=(3000, 3))
    ranks = np.array(orders(3))
    repeated = [choice.ranking(np.tile(v, (len(ranks), 1)), ranks, 1 + ranks.max(axis=1), PREVALENCE) for v in value]
    drawn = np.array([ranks[rng.choice(len(ranks), p=np.exp(p))] for p in repeated])
    assert choice.tie_prevalence(value, drawn, 1 + drawn.max(axis=1)) == pytest.approx(PREVALENCE, rel=0.2)
    assert all(type(one) is float for one in choice.tie_prevalence(value, drawn, 1 + drawn.max(axis=1)))
    strict = np.array([[0, 1, 2]] * 3000)
    assert choice.tie_prevalence(value, strict, np.full(3000, 3)) == []


def test_normal_noise_is_thurstones_model():
    side, plain = np.array([1, -1]), np.zeros(2, dtype=np.int64)
    found = choice.comparison(np.array([1.0, 1.0]), side, plain, (0.0,), noise=Noise.NORMAL)
    assert np.exp(found) == pytest.approx(norm.cdf([1 / choice.PROBIT, -1 / choice.PROBIT]))
    tie = choice.comparison(np.array([0.5]), np.array([0]), np.array([0]), (1.0,), noise=Noise.NORMAL)
    assert np.exp(tie) == pytest.approx(norm.cdf(0.5 / choice.PROBIT) - norm.cdf(-1.5 / choice.PROBIT))


@given(arrays(np.float64, (2, 6), elements=st.floats(-60, 60)), st.sampled_from([0.0, 0.2]))
def test_normal_noise_is_equal_in_torch(values, lapse):
    side, grade = np.array([1, -1, 0, 1, -1, 1]), np.array([0, 0, 0, 1, 2, 3])
    arguments = (side, grade, [0.3, 1.1, 2.5])
    tensor = torch.from_numpy(values.copy()).requires_grad_()
    found = preference.comparison(tensor, *arguments, lapse=lapse, noise=Noise.NORMAL)
    slow_ = choice.comparison(values, *arguments, lapse=lapse, noise=Noise.NORMAL)
    np.testing.assert_allclose(found.detach().numpy(), slow_, rtol=1e-8, atol=1e-8)
    found.sum().backward()
    assert torch.isfinite(tensor.grad).all()


def test_cut_points_under_normal_noise():
    rng = np.random.default_rng(0)
    values = 2 * rng.normal(size=20_000)
    share = float(np.mean(values + choice.PROBIT * rng.normal(size=20_000) < 0.7))
    assert choice.cut_at(values, share, Noise.NORMAL) == pytest.approx(0.7, abs=0.05)
    assert choice.cut_at(np.zeros(3), 0.9, Noise.NORMAL) == pytest.approx(choice.PROBIT * norm.ppf(0.9))


@given(arrays(np.float64, (2, 3), elements=st.floats(-20, 20)))
def test_cut_points_of_single_annotators(values):
    cuts, grade = np.array([[-1.0, 1.0], [0.0, 3.0], [-2.0, -1.0]]), np.array([0, 1, 2])
    each = [choice.rating(values[:, k], grade[k], cuts[k].tolist()) for k in range(3)]
    found = choice.rating(values, grade, cuts)
    np.testing.assert_allclose(found, np.stack(each, axis=1))
    np.testing.assert_allclose(preference.rating(torch.from_numpy(values), grade, cuts).numpy(), found)
