"""Alpha and AC1: the textbook's table, hand-made tables, other libraries' numbers, and real people."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.stats.agreement import Metric, alpha_interval, gwet_ac1, krippendorff_alpha
from plaudit.stats.undefined import Undefined
from tests.real_data import ukp_table
from tests.stats_examples import TEXTBOOK, N


def by_pairs(table: np.ndarray, metric: Metric) -> float:
    """Alpha from its definition, pair by pair of answers."""
    units = [row[~np.isnan(row)] for row in table if np.sum(~np.isnan(row)) >= 2]
    pooled = np.concatenate(units)

    def distance(a: float, b: float) -> float:
        match metric:
            case Metric.NOMINAL:
                return float(a != b)
            case Metric.INTERVAL:
                return (a - b) ** 2
            case Metric.RATIO:
                return 0.0 if a == b else ((a - b) / (a + b)) ** 2
            case Metric.ORDINAL:
                low, high = min(a, b), max(a, b)
                between = np.sum((pooled >= low) & (pooled <= high)) - (np.sum(pooled == a) + np.sum(pooled == b)) / 2
                return 0.0 if a == b else float(between) ** 2

    observed = sum(
        distance(a, b) / (len(unit) - 1) for unit in units for a, b in itertools.permutations(unit, 2)
    ) / len(pooled)
    expected = sum(distance(a, b) for a, b in itertools.permutations(pooled, 2)) / len(pooled) / (len(pooled) - 1)
    return 1 - observed / expected


@pytest.mark.parametrize(
    ("metric", "value"),
    # the published example; evalica 0.4.2 gives the same digits
    [(Metric.NOMINAL, 0.743421052631579), (Metric.ORDINAL, 0.8153875037548813),
     (Metric.INTERVAL, 0.8491071428571428), (Metric.RATIO, 0.7974027747116121)],
)  # fmt: skip
def test_alpha_of_the_textbook(metric, value):
    assert krippendorff_alpha(TEXTBOOK, metric) == pytest.approx(value, abs=1e-9)


tables = st.lists(st.lists(st.sampled_from([N, 1.0, 2.0, 3.0, 5.0]), min_size=3, max_size=3), min_size=2, max_size=8)


@settings(max_examples=60, deadline=None)
@given(rows=tables, metric=st.sampled_from(list(Metric)))
def test_alpha_is_its_definition(rows, metric):
    table = np.array(rows)
    found = krippendorff_alpha(table, metric)
    if isinstance(found, Undefined):
        kept = [row[~np.isnan(row)] for row in table if np.sum(~np.isnan(row)) >= 2]
        assert not kept or len(set(np.concatenate(kept).tolist())) == 1
    else:
        assert found == pytest.approx(by_pairs(table, metric), abs=1e-9)
        assert found <= 1
        assert krippendorff_alpha(table[::-1, ::-1], metric) == pytest.approx(found, abs=1e-9)


def test_alpha_says_why_it_has_no_value():
    assert krippendorff_alpha(np.array([[1.0, N], [N, 2.0]])) == Undefined("no question was answered by two annotators")
    equal = krippendorff_alpha(np.ones((3, 2)))
    assert isinstance(equal, Undefined)
    assert "all answers are equal" in equal.reason
    assert krippendorff_alpha(np.zeros((3, 2)), Metric.RATIO) == equal
    assert alpha_interval(np.ones((3, 2)), Metric.NOMINAL, rng=np.random.default_rng(0)) == equal


def test_interval_of_alpha_covers_its_long_run_value():
    def crowd(rng: np.random.Generator, units: int) -> np.ndarray:
        truth = rng.integers(0, 2, (units, 1))
        return np.where(rng.random((units, 3)) < 0.85, truth, 1 - truth).astype(float)

    truth = krippendorff_alpha(crowd(np.random.default_rng(99), 100_000))
    hits = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = alpha_interval(crowd(rng, 80), Metric.NOMINAL, rng=rng, resamples=200)
        hits += found.low <= truth <= found.high
    assert 87 <= hits <= 100


def test_ac1_by_hand_and_where_alpha_is_misled():
    # two raters, ten questions: agree on 9, and one answer is rare: pi = (.95, .05), p_e = 2 * .95 * .05
    table = np.zeros((10, 2))
    table[9, 1] = 1
    assert gwet_ac1(table) == pytest.approx((0.9 - 0.095) / (1 - 0.095))
    assert krippendorff_alpha(table) == pytest.approx(0.0, abs=1e-9)
    assert gwet_ac1(table, categories=3) == pytest.approx((0.9 - 0.0475) / (1 - 0.0475))
    # published for the textbook's table (Gwet's irrCAC)
    assert gwet_ac1(TEXTBOOK) == pytest.approx(0.77544, abs=1e-5)


def test_ac1_says_why_it_has_no_value():
    assert isinstance(gwet_ac1(np.array([[1.0, N]])), Undefined)
    assert isinstance(gwet_ac1(np.ones((3, 2))), Undefined)
    assert gwet_ac1(np.ones((3, 2)), categories=2) == 1.0


def test_real_crowds_agree_this_little():
    found = alpha_interval(ukp_table(), Metric.NOMINAL, rng=np.random.default_rng(0), resamples=100)
    assert round(found.value, 3) == 0.267
    assert 0.25 < found.low < found.value < found.high < 0.28
