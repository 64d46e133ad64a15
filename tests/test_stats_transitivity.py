"""Circles: counted by brute force, split by hand, and told from noise."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.stats.ranking import Comparisons
from plaudit.stats.transitivity import Flow, flow_of, hodge_rank, intransitivity, most_circular, triads
from plaudit.stats.undefined import Undefined
from tests.stats_examples import draw


def tournament(wins: np.ndarray) -> Comparisons:
    """Everybody against everybody; wins [pair] says whether the smaller number won."""
    items = round((1 + np.sqrt(1 + 8 * len(wins))) / 2)
    first, second = np.triu_indices(items, 1)
    return Comparisons(first, second, np.where(wins, 1, -1), items)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(3, 8).flatmap(lambda n: st.lists(st.booleans(), min_size=n * (n - 1) // 2, max_size=n * (n - 1) // 2))
)
def test_zeta_against_brute_force(wins):
    data = tournament(np.array(wins))
    found, n = triads(flow_of(data)), data.items
    beats = np.zeros((n, n), dtype=bool)
    beats[data.first, data.second] = data.side == 1
    beats |= np.triu(~beats, 1).T
    circular = sum(
        (beats[i, j] and beats[j, k] and beats[k, i]) or (beats[j, i] and beats[k, j] and beats[i, k])
        for i, j, k in itertools.combinations(range(n), 3)
    )
    assert (found.circular, found.closed) == (circular, n * (n - 1) * (n - 2) // 6)
    # Kendall & Babington Smith (1940): d = n (n - 1) (2 n - 1) / 12 - sum a^2 / 2
    assert found.circular == n * (n - 1) * (2 * n - 1) / 12 - np.sum(beats.sum(axis=1) ** 2) / 2
    assert found.zeta == pytest.approx(1 - circular / most_circular(n))
    assert 0 <= found.zeta <= 1


def test_most_circular_triads_exist():
    # odd: beat the next half; the published maxima for 3 to 7 items
    assert [most_circular(n) for n in (3, 4, 5, 6, 7)] == [1, 2, 5, 8, 14]
    first, second = np.triu_indices(7, 1)
    assert triads(flow_of(tournament((second - first) <= 3))).zeta == 0.0


def test_parts_of_a_triangle_by_hand():
    # 0 beats 1 beats 2 beats 0 by 1 each: all curl
    flow = Flow(np.array([0, 1, 0]), np.array([1, 2, 2]), np.array([1.0, 1.0, -1.0]), np.ones(3), 3)
    found = hodge_rank(flow)
    assert (found.gradient, found.curl, found.harmonic) == pytest.approx((0, 1, 0), abs=1e-9)
    # the same as differences of values 1, 0, -1: all gradient
    found = hodge_rank(Flow(flow.first, flow.second, np.array([1.0, 1.0, 2.0]), np.ones(3), 3))
    assert (found.gradient, found.curl, found.harmonic) == pytest.approx((1, 0, 0), abs=1e-9)
    assert found.potential == pytest.approx([1, 0, -1])
    # a circle of four without a triangle: all harmonic
    square = Flow(np.array([0, 1, 2, 0]), np.array([1, 2, 3, 3]), np.array([1.0, 1, 1, -1]), np.ones(4), 4)
    found = hodge_rank(square)
    assert (found.gradient, found.curl, found.harmonic, found.cyclic) == pytest.approx((0, 0, 1, 1), abs=1e-9)


def test_parts_add_up_against_dense_algebra():
    data, _ = draw(np.random.default_rng(0), 9, 80)
    flow = flow_of(data)
    found, root = hodge_rank(flow), np.sqrt(flow.times)
    gradient = np.zeros((len(flow.first), 9))
    gradient[np.arange(len(flow.first)), flow.first], gradient[np.arange(len(flow.first)), flow.second] = 1, -1
    value = np.linalg.lstsq(root[:, None] * gradient, root * flow.mean, rcond=None)[0]
    assert found.potential == pytest.approx(value - value.mean(), abs=1e-8)
    assert found.gradient + found.curl + found.harmonic == pytest.approx(1)
    place = {pair: at for at, pair in enumerate(zip(flow.first.tolist(), flow.second.tolist(), strict=True))}
    circles = []
    for i, j, k in itertools.combinations(range(9), 3):
        if {(i, j), (j, k), (i, k)} <= set(place):
            row = np.zeros(len(place))
            row[[place[i, j], place[j, k], place[i, k]]] = 1, 1, -1
            circles.append(row / root)
    left = root * (flow.mean - gradient @ value)
    part = np.array(circles).T @ np.linalg.lstsq(np.array(circles).T, left, rcond=None)[0]
    assert found.curl == pytest.approx(part @ part / (flow.times @ flow.mean**2), abs=1e-8)


def test_mean_answers_do_not_depend_on_the_order_shown():
    data = Comparisons(np.array([0, 1, 1]), np.array([1, 0, 0]), np.array([1, 1, -1]), 2)
    flow = flow_of(data)
    assert (flow.first.tolist(), flow.second.tolist(), flow.times.tolist()) == ([0], [1], [3.0])
    assert flow.mean == pytest.approx([1 / 3])


def test_noise_alone_is_not_called_circular_and_real_circles_are():
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        data, _ = draw(rng, 8, 120, scale=0.7)
        found = intransitivity(data, rng=rng, draws=39)
        alarms += found.p_cyclic <= 0.05
    assert alarms <= 4  # 1 expected
    rng = np.random.default_rng(0)
    first, second = (np.tile(one, 21) for one in np.triu_indices(7, 1))
    better = np.where(second - first <= 3, 1, -1)  # everybody beats the next three
    side = np.where(rng.random(len(first)) < 0.8, better, -better)
    found = intransitivity(Comparisons(first, second, side, 7), rng=rng, draws=99)
    assert found.p_cyclic == found.p_circular == 0.01
    assert found.triads.circular > 1.5 * found.circular_null.mean()
    assert found.hodge.cyclic > 0.7
    assert found.hodge.length > 2 * found.cyclic_null.mean()


def test_differences_between_annotators_do_not_look_like_circles_when_they_are_known():
    rng = np.random.default_rng(1)
    first, second = (np.tile(one, 30) for one in np.triu_indices(7, 1))
    value = np.linspace(-3, 3, 7)
    chance = 1 / (1 + np.exp(value[second] - value[first]))
    chance[rng.random(len(chance)) < 0.4] = 0.5  # some answer at random
    data = Comparisons(first, second, np.where(rng.random(len(first)) < chance, 1, -1), 7)
    assert intransitivity(data, rng=np.random.default_rng(0), draws=99, chance=chance).p_cyclic > 0.1


def test_says_why_there_are_no_circles():
    rng = np.random.default_rng(0)
    chain = Comparisons(np.array([0, 1]), np.array([1, 2]), np.array([1, 1]), 3)
    even = Comparisons(np.array([0, 1, 0]), np.array([1, 2, 2]), np.array([0, 0, 0]), 3)
    for data, reason in (
        (Comparisons(*(np.zeros(0, int),) * 3, 0), "no comparisons"),
        (chain, "no circle"),
        (even, "even"),
    ):
        found = intransitivity(data, rng=rng)
        assert isinstance(found, Undefined)
        assert reason in found.reason
    assert isinstance(hodge_rank(flow_of(even)), Undefined)
    assert triads(flow_of(chain)).zeta is None
