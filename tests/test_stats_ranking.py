"""Bradley-Terry: published tables, other libraries, ties, order, and the densities of choice.py."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from plaudit.stats.choice import comparison
from plaudit.stats.ranking import Comparisons, bradley_terry, connected
from plaudit.stats.undefined import Undefined
from tests.real_data import real
from tests.stats_examples import draw, golden

CHOIX = [
    0.24385684,
    0.39053121,
    -0.07222472,
    -1.11642466,
    -0.54941308,
    -1.20322751,
    0.23000091,
    1.50646161,
    -0.64228983,
    -0.18200486,
    0.89828412,
    0.49644997,
]
"""choix 0.4.1 (ILSR) and evalica 0.4.2 on `golden`, to 8 digits, from benchmarks/results/feedback_statistics.json"""


def test_agrees_with_choix_and_evalica():
    assert bradley_terry(golden()).value == pytest.approx(CHOIX, abs=1e-8)


def test_citations():
    with real("bt_classics/citations.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    names = ["Biometrika", "Comm Statist", "JASA", "JRSS-B"]
    first, second = (np.array([names.index(row[key]) for row in rows]) for key in ("cited", "citing"))
    count = np.array([float(row["count"]) for row in rows])
    found = bradley_terry(Comparisons(first, second, np.ones(len(rows), dtype=np.int64), 4, count)).value
    assert found - found[0] == pytest.approx([0, -2.9491, -0.4796, 0.2690], abs=1e-4)


def test_baseball_with_home_advantage():
    with real("bt_classics/baseball.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    names = ["Baltimore", "Cleveland", "Boston", "Toronto", "New York", "Detroit", "Milwaukee"]
    home, away = (np.array([names.index(row[key]) for row in rows] * 2) for key in ("home.team", "away.team"))
    wins = np.array([float(row[key]) for key in ("home.wins", "away.wins") for row in rows])
    side = np.repeat([1, -1], len(rows))
    found = bradley_terry(Comparisons(home, away, side, 7, wins), order=True)
    # Agresti (2002), Categorical Data Analysis, section 10.6
    assert found.value - found.value[0] == pytest.approx([0, 0.7047, 1.1438, 1.3271, 1.2813, 1.4754, 1.6196], abs=1e-4)
    assert found.order.value == pytest.approx(0.3023, abs=1e-4)


def test_two_items_by_hand():
    data = Comparisons(np.array([0, 0]), np.array([1, 1]), np.array([1, -1]), 2, np.array([3.0, 1.0]))
    found = bradley_terry(data, errors=True)
    assert found.value == pytest.approx([np.log(3) / 2, -np.log(3) / 2])
    # variance of the difference is 1 / (4 * .75 * .25); each value is half of it
    assert found.error == pytest.approx(np.full(2, np.sqrt(1 / 0.75) / 2))
    assert (found.tie, found.order) == (0.0, None)


def test_ties_by_hand():
    # equal items: P(tie) = tanh(t / 2) = 1/2
    data = Comparisons(np.zeros(4, int), np.ones(4, int), np.array([1, -1, 0, 0]), 2)
    found = bradley_terry(data, ties=True)
    assert found.value == pytest.approx([0, 0], abs=1e-9)
    assert found.tie == pytest.approx(2 * np.arctanh(0.5))
    assert bradley_terry(data).value == pytest.approx([0, 0], abs=1e-9)


@pytest.mark.parametrize(("ties", "order"), [(False, False), (True, False), (False, True), (True, True)])
def test_the_maximum_of_the_density_in_choice(ties, order):
    data, _ = draw(np.random.default_rng(5), 5, 120, tie=0.4 * ties, order=0.5 * order)
    found = bradley_terry(data, ties=ties, order=order)

    def loss(theta):
        difference = theta[data.first] - theta[data.second] + theta[5] * order
        if ties and theta[6] < 0:
            return 1e9
        return -comparison(difference, data.side, np.zeros(120, int), [theta[6] * ties]).sum() + theta[:5].sum() ** 2

    slow = minimize(loss, np.array([0.0] * 6 + [0.3]), method="Nelder-Mead",
                    options={"maxiter": 20_000, "maxfev": 20_000, "xatol": 1e-9, "fatol": 1e-12, "adaptive": True})  # fmt: skip
    assert found.log_likelihood == pytest.approx(-slow.fun, abs=1e-6)
    assert found.value == pytest.approx(slow.x[:5], abs=1e-3)


def test_order_and_ties_are_recovered():
    data, value = draw(np.random.default_rng(1), 15, 4000, tie=0.5, order=0.4)
    found = bradley_terry(data, ties=True, order=True, errors=True)
    assert found.order.low < 0.4 < found.order.high
    assert found.tie == pytest.approx(0.5, abs=0.07)
    z = (found.value - (value - value.mean())) / found.error
    assert np.max(np.abs(z)) < 3.5


def test_ties_as_halves_is_the_same_as_two_half_answers():
    tied = Comparisons(np.array([0, 1, 2]), np.array([1, 2, 0]), np.array([0, 1, 0]), 3, np.array([2.0, 1.0, 2.0]))
    halves = Comparisons(np.array([0, 0, 1, 2, 2]), np.array([1, 1, 2, 0, 0]), np.array([1, -1, 1, 1, -1]), 3)
    assert bradley_terry(tied).value == pytest.approx(bradley_terry(halves).value)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4), st.sampled_from([-1, 0, 1])), min_size=1, max_size=25))
def test_a_prior_always_gives_values_and_names_do_not_matter(rows):
    first = np.array([a for a, _, _ in rows])
    second = np.array([(a + b) % 5 for a, b, _ in rows])
    side = np.array([s for _, _, s in rows])
    found = bradley_terry(Comparisons(first, second, side, 5), scale=1.0)
    assert np.all(np.isfinite(found.value))
    turned = bradley_terry(Comparisons(4 - second, 4 - first, -side, 5), scale=1.0)
    assert turned.value == pytest.approx(found.value[::-1], abs=1e-7)


def test_says_why_there_are_no_values():
    one_way = Comparisons(np.array([0]), np.array([1]), np.array([1]), 2)
    assert not connected(one_way)
    for data, options, reason in (
        (Comparisons(*(np.zeros(0, int),) * 3, 2), {}, "no comparisons"),
        (one_way, {}, "only ever won or lost"),
        (one_way, {"ties": True, "scale": 1.0}, "needs ties"),
        (one_way, {"order": True, "scale": 1.0}, "wins on both sides"),
    ):
        found = bradley_terry(data, **options)
        assert isinstance(found, Undefined)
        assert reason in found.reason
