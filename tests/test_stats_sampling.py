"""Strata, clusters, weights, blocks and cluster-robust intervals: by hand, against slow twins and statsmodels' numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import fractional_matrix_power

from plaudit.stats.blocks import balanced_blocks, smallest_blocks
from plaudit.stats.clustered import ClusteredMean, Robust, clustered_difference, clustered_mean
from plaudit.stats.intervals import mean_interval, welch
from plaudit.stats.sampling import cluster_sample, neyman_allocation, proportional_allocation, stratified_sample
from plaudit.stats.undefined import Undefined
from plaudit.stats.weighting import (
    UNKNOWN,
    clustering_effect,
    effective_size,
    rake,
    weighting_effect,
    within_correlation,
)

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=6).map(np.array)


def test_allocations_by_hand():
    # shares 3.5, 2.1, 1.4 of 7: the largest remainder is 0.5
    assert proportional_allocation(np.array([50, 30, 20]), 7).tolist() == [4, 2, 1]
    assert proportional_allocation(np.array([98, 1, 1]), 10, least=1).tolist() == [8, 1, 1]
    # N S = 100, 200, 300; 60 would be 10, 20, 30, but the last stratum has only ten, and the others share 50 as 1 : 2
    assert neyman_allocation(np.array([100, 50, 10]), np.array([1.0, 4.0, 30.0]), 60).tolist() == [17, 33, 10]
    # four times the cost halves the share: 1 : 2 / 2
    assert neyman_allocation(np.array([90, 90]), np.array([1.0, 2.0]), 40, costs=np.array([1.0, 4.0])).tolist() == [
        20,
        20,
    ]
    with pytest.raises(ValueError, match="cannot be asked"):
        proportional_allocation(np.array([3, 4]), 8)
    with pytest.raises(ValueError, match="positive"):
        neyman_allocation(np.array([3, 4]), np.array([1.0, 1.0]), 3, costs=np.array([0.0, 1.0]))


@given(SIZES, st.data())
def test_allocations_sum_up_and_fit(sizes, data):
    total = data.draw(st.integers(0, int(sizes.sum())))
    counts = proportional_allocation(sizes, total)
    assert counts.sum() == total
    assert np.all(counts <= sizes)
    assert np.all(np.abs(counts - total * sizes / sizes.sum()) < 1 + 1e-9)
    spreads = np.array(data.draw(st.lists(st.floats(0, 5), min_size=len(sizes), max_size=len(sizes))))
    assert neyman_allocation(sizes, spreads, total).sum() == total


def test_neyman_varies_least():
    sizes, spreads = np.array([30, 40, 50]), np.array([1.0, 3.0, 0.5])

    def variance(counts):
        return float((sizes**2 * spreads**2 * (1 / counts - 1 / sizes)).sum())

    every = [(a, b, 20 - a - b) for a in range(1, 19) for b in range(1, 20 - a)]
    best = min(every, key=lambda counts: variance(np.array(counts)))
    assert tuple(neyman_allocation(sizes, spreads, 20).tolist()) == best


def test_samples_have_the_probabilities_that_they_state():
    clusters = np.repeat([0, 1, 2, 3], [2, 4, 6, 12])
    drawn = [cluster_sample(clusters, take=2, within=2, rng=np.random.default_rng(seed)) for seed in range(4000)]
    often = np.bincount(np.concatenate([one.units for one in drawn]), minlength=24) / len(drawn)
    # chances of clusters 2 * size / 24 = 1/6, 1/3, 1/2, 1; within them 1, 1/2, 1/3, 1/6: all units 1/6
    assert np.allclose(often, 1 / 6, atol=0.03)
    assert all(np.allclose(one.probability, 1 / 6) for one in drawn)
    assert all(len(set(clusters[one.units])) == 2 and len(one.units) == 4 for one in drawn)
    strata = np.array([0, 0, 0, 1, 1])
    found = stratified_sample(strata, np.array([2, 1]), rng=np.random.default_rng(0))
    assert np.bincount(strata[found.units]).tolist() == [2, 1]
    assert np.allclose(found.probability, [2 / 3, 2 / 3, 1 / 2])
    with pytest.raises(ValueError, match="cannot give"):
        stratified_sample(strata, np.array([0, 3]), rng=np.random.default_rng(0))


def test_a_cluster_too_large_to_miss_is_drawn_for_certain():
    clusters = np.repeat([0, 1, 2], [10, 1, 1])
    for seed in range(20):
        found = cluster_sample(clusters, take=2, within=99, rng=np.random.default_rng(seed))
        assert np.isin(np.arange(10), found.units).all()
        assert found.probability[:10].tolist() == [1.0] * 10
        assert found.probability[10] == 0.5


def test_raking_by_hand():
    # a 2 x 2 table of 10, 20, 30, 40; one sweep to row shares 1/2, 1/2, then on and on: the odds ratio 2/3 stays
    row = np.repeat([0, 0, 1, 1], [10, 20, 30, 40])
    column = np.repeat([0, 1, 0, 1], [10, 20, 30, 40])
    found = rake([row, column], [np.array([0.5, 0.5]), np.array([0.6, 0.4])])
    table = np.array([[found.weights[(row == i) & (column == j)].sum() for j in (0, 1)] for i in (0, 1)]) / 100
    assert found.gap < 1e-9
    assert np.allclose(table.sum(axis=1), [0.5, 0.5])
    assert np.allclose(table.sum(axis=0), [0.6, 0.4])
    assert table[0, 0] * table[1, 1] / (table[0, 1] * table[1, 0]) == pytest.approx(2 / 3)
    assert found.weights.mean() == pytest.approx(1)


def test_one_margin_is_post_stratification_and_unknown_units_keep_their_weight():
    found = rake([np.array([0, 0, 0, 1])], [np.array([0.5, 0.5])])
    assert np.allclose(found.weights, [2 / 3, 2 / 3, 2 / 3, 2])
    found = rake([np.array([0, 0, 0, 1, UNKNOWN])], [np.array([0.5, 0.5])])
    assert np.allclose(found.weights, [2 / 3, 2 / 3, 2 / 3, 2, 1])


def test_trimming_bounds_the_weights_and_says_what_it_costs():
    category = np.repeat([0, 1], [18, 2])
    plain = rake([category], [np.array([0.5, 0.5])])
    cut = rake([category], [np.array([0.5, 0.5])], limits=(0.2, 3.0))
    assert plain.weights.max() == pytest.approx(5)
    assert cut.weights.max() == pytest.approx(3)
    assert cut.weights.mean() == pytest.approx(1)
    # two of twenty at weight 3 make a share of 0.3 where 0.5 is meant
    assert cut.gap == pytest.approx(0.2)
    assert effective_size(cut.weights) > effective_size(plain.weights)


@given(st.integers(0, 10_000))
@settings(max_examples=40)
def test_raking_meets_targets_that_come_from_a_positive_table(seed):
    rng = np.random.default_rng(seed)
    cells = [(i, j) for i in range(3) for j in range(2)] * 3
    row, column = np.array(cells).T
    goal = rng.dirichlet(np.full(6, 2.0)).reshape(3, 2)
    found = rake([row, column], [goal.sum(axis=1), goal.sum(axis=0)])
    assert found.gap < 1e-8
    assert np.all(found.weights > 0)


@pytest.mark.parametrize(
    ("targets", "limits", "message"),
    [
        (np.array([0.5, 0.6]), None, "sum to 1"),
        (np.array([0.5, 0.25, 0.25]), None, "no units"),
        (np.array([0.5, 0.5]), (1.5, 3.0), "both sides"),
    ],
)
def test_margins_that_cannot_be_met_are_refused(targets, limits, message):
    with pytest.raises(ValueError, match=message):
        rake([np.array([0, 1, 1])], [targets], limits=limits)


def test_design_effects_by_hand():
    weights = np.array([1.0, 1.0, 2.0])  # (4^2) / 6
    assert effective_size(weights) == pytest.approx(16 / 6)
    assert weighting_effect(weights) == pytest.approx(3 * 6 / 16)
    assert clustering_effect(np.array([5.0, 5.0]), 0.1) == pytest.approx(1.4)
    assert clustering_effect(np.array([2.0, 6.0]), 0.1) == pytest.approx(1.4)  # 40 / 8 = 5
    # clusters 1, 3 and 5, 7: mean squares 16 and 2, usual size 2: (16 - 2) / (16 + 2)
    assert within_correlation(np.array([1.0, 3.0, 5.0, 7.0]), np.array([0, 0, 1, 1])) == pytest.approx(14 / 18)
    assert within_correlation(np.array([1.0, 5.0, 1.0, 5.0]), np.array([0, 0, 1, 1])) == 0.0
    assert np.isnan(within_correlation(np.array([1.0, 2.0]), np.array([0, 1])))


@pytest.mark.parametrize(
    ("treatments", "size", "blocks"),
    [
        (7, 3, 7),
        (6, 3, 10),
        (9, 3, 12),
        (13, 4, 13),
        (15, 3, 35),
        (10, 4, 30),
        (5, 3, 10),
        (4, 2, 12),
        (7, 4, 7),
        (7, 3, 21),
    ],
)
def test_known_designs_are_found(treatments, size, blocks):
    found = balanced_blocks(treatments, size, blocks, rng=np.random.default_rng(0))
    times = blocks * size // treatments
    assert found.balanced
    assert found.rows.shape == (blocks, size)
    assert found.replication.tolist() == [times] * treatments
    pairs = found.concurrence[np.triu_indices(treatments, 1)]
    assert set(pairs.tolist()) == {times * (size - 1) // (treatments - 1)}


@given(st.integers(2, 9), st.integers(1, 5), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_other_designs_are_nearly_balanced(treatments, size, blocks):
    size = min(size, treatments)
    found = balanced_blocks(treatments, size, blocks, rng=np.random.default_rng(1))
    assert all(len(set(row)) == size for row in found.rows.tolist())
    assert np.ptp(found.replication) <= 1
    pairs = found.concurrence[np.triu_indices(treatments, 1)]
    assert pairs.sum() * 2 == found.replication.sum() * (size - 1)
    assert np.ptp(pairs) <= 3


def test_the_first_blocks_of_a_design_are_even_too():
    for treatments, size in ((3, 1), (4, 2), (7, 3), (12, 3)):
        rows = smallest_blocks(treatments, size, rng=np.random.default_rng(0)).rows
        for used in range(1, len(rows) + 1):
            assert np.ptp(np.bincount(rows[:used].ravel(), minlength=treatments)) <= 2
    assert len(smallest_blocks(3, 3, rng=np.random.default_rng(0)).rows) == 1
    with pytest.raises(ValueError, match="cannot be made"):
        smallest_blocks(3, 4, rng=np.random.default_rng(0))


VALUES = np.array([1.0, 2, 4, 3, 7, 5, 6, 2, 9, 4])
CLUSTERS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3])
WEIGHTS = np.array([1.0, 2, 1, 1, 0.5, 3, 1, 1, 2, 1])
SECOND = np.array([0, 1, 0, 0, 1, 0, 1, 1, 0, 1], dtype=bool)


@pytest.mark.parametrize(
    ("weights", "value", "error", "low", "high"),
    [
        (None, 4.3, 0.8936815241833448, 1.4559065352624017, 7.1440934647375975),
        (WEIGHTS, 4.481481481481479, 1.1239850964748213, 0.9044592640112326, 8.058503698951725),
    ],
)
def test_cr1_is_what_statsmodels_says(weights, value, error, low, high):
    # statsmodels 0.15.0: OLS or WLS on a constant, cov_type="cluster", use_t=True
    found = clustered_mean(VALUES, CLUSTERS, weights=weights, robust=Robust.CR1)
    assert isinstance(found, ClusteredMean)
    assert found.error == pytest.approx(error, rel=1e-12)
    assert (found.interval.value, found.interval.low, found.interval.high) == pytest.approx(
        (value, low, high), rel=1e-9
    )
    assert found.freedom == 3


@pytest.mark.parametrize(("weights", "error"), [(None, 1.7595453958338236), (WEIGHTS, 1.1773875279457644)])
def test_a_difference_is_what_statsmodels_says(weights, error):
    # statsmodels also multiplies the variance by (N - 1) / (N - 2)
    found = clustered_difference(VALUES, SECOND, CLUSTERS, weights=weights)
    assert isinstance(found, ClusteredMean)
    assert found.error == pytest.approx(error / np.sqrt(9 / 8), rel=1e-12)


def matrices(values, clusters, weights):
    """CR2 and its degrees of freedom as Bell and McCaffrey write them: with matrices, on values times the root of their weights."""
    root = np.sqrt(weights)
    x, y, n = root[:, None], root * values, len(values)
    bread = 1 / float((x.T @ x).item())
    hat = bread * x @ x.T
    rest = np.eye(n) - hat
    residual = rest @ y
    meat, vectors = 0.0, []
    for one in np.unique(clusters):
        mine = clusters == one
        adjust = np.real(fractional_matrix_power(rest[np.ix_(mine, mine)], -0.5))
        meat += float((x[mine].T @ adjust @ residual[mine]).item()) ** 2
        vectors.append(rest[:, mine] @ adjust @ x[mine] * bread)
    gram = np.concatenate(vectors, axis=1)
    gram = gram.T @ gram
    return bread * np.sqrt(meat), np.trace(gram) ** 2 / (gram**2).sum()


@pytest.mark.parametrize("weights", [np.ones(10), WEIGHTS])
def test_cr2_is_bell_and_mccaffreys(weights):
    found = clustered_mean(VALUES, CLUSTERS, weights=weights)
    assert isinstance(found, ClusteredMean)
    assert (found.error, found.freedom) == pytest.approx(matrices(VALUES, CLUSTERS, weights), rel=1e-9)


@given(st.integers(0, 10_000), st.floats(0.1, 9.0))
@settings(max_examples=30)
def test_weights_count_by_their_shares_and_as_copies_in_one_cluster(seed, scale):
    rng = np.random.default_rng(seed)
    values, clusters, weights = rng.normal(size=12), np.arange(12) % 4, rng.integers(1, 4, 12).astype(float)
    found, scaled = (
        clustered_mean(values, clusters, weights=weights),
        clustered_mean(values, clusters, weights=scale * weights),
    )
    copies = np.repeat(np.arange(12), weights.astype(int))
    copied = clustered_mean(values[copies], clusters[copies])
    for one in (scaled, copied):
        assert isinstance(found, ClusteredMean)
        assert isinstance(one, ClusteredMean)
        assert (one.error, one.freedom, one.interval.low) == pytest.approx(
            (found.error, found.freedom, found.interval.low)
        )


def test_clusters_of_one_are_students_interval():
    alone = np.arange(10)
    expected = mean_interval(VALUES)
    for robust in Robust:
        found = clustered_mean(VALUES, alone, robust=robust)
        assert isinstance(found, ClusteredMean)
        assert found.interval.low == pytest.approx(expected.low)
        assert found.freedom == pytest.approx(9)
        assert found.effect == pytest.approx(1)
    difference = clustered_difference(VALUES, SECOND, alone)
    assert isinstance(difference, ClusteredMean)
    assert difference.interval.value == pytest.approx(welch(VALUES[~SECOND], VALUES[SECOND]).value)


def test_what_cannot_be_known_is_undefined():
    assert isinstance(clustered_mean(VALUES, np.zeros(10, int)), Undefined)
    assert isinstance(clustered_mean(VALUES, CLUSTERS, weights=np.where(CLUSTERS == 1, 1.0, 0.0)), Undefined)
    assert isinstance(clustered_difference(VALUES, np.ones(10, bool), CLUSTERS), Undefined)


def test_intervals_over_clusters_cover():
    rng = np.random.default_rng(0)
    sizes = np.array([2, 3, 5, 8, 12, 20, 4, 6])
    clusters = np.repeat(np.arange(8), sizes)
    hits = {"clustered": 0, "naive": 0}
    for _ in range(1500):
        values = rng.normal(size=8)[clusters] * 0.7 + rng.normal(size=len(clusters))
        found, naive = clustered_mean(values, clusters), mean_interval(values)
        assert isinstance(found, ClusteredMean)
        hits["clustered"] += found.interval.low <= 0 <= found.interval.high
        hits["naive"] += naive.low <= 0 <= naive.high
    assert 0.93 <= hits["clustered"] / 1500 <= 0.98
    assert hits["naive"] / 1500 < 0.75
