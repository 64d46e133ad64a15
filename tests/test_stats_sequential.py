"""The sequential test: by hand, at any stopping time, and how soon it finds what there is to find."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.stats.intervals import Interval
from plaudit.stats.sequential import CHANGE, SHARES, LossTest, corrected, from_gold, known, observed, surely_better

PLAIN = LossTest(0.05, known(0.75))


def test_wealth_by_hand():
    """The first answer is foreseen as a coin, so nothing is bet; after a loss, losses are foreseen a little more often."""
    shares = np.array([0.5 + 0.5 * (share - 0.5) for share in SHARES])
    belief = (1 - shares) / (1 - shares).sum()
    foreseen = float(((1 - CHANGE) * belief + CHANGE / len(shares)) @ shares)
    assert foreseen < 0.5
    found = PLAIN.evidence([False, False])
    assert found.tolist() == pytest.approx([0.0, math.log((1 - foreseen) / 0.5)])
    assert PLAIN.evidence([False, True])[1] == pytest.approx(math.log(foreseen / 0.5))
    assert PLAIN.evidence([True, True, True]).tolist() == pytest.approx([0.0, 0.0, 0.0])


@given(st.lists(st.sampled_from([0.5, 0.6, 0.9]), min_size=1, max_size=8), st.sampled_from([0.0, 0.1]))
def test_expected_wealth_never_grows_under_the_null(chances, tolerance):
    """Exactly, by going through all answers: the mean wealth in the end is at most 1, and 1 for coins."""
    test = LossTest(0.05, known(0.75), tolerance)
    won = np.array(list(product([False, True], repeat=len(chances))))
    weights = np.where(won, chances, 1 - np.array(chances)).prod(axis=1)
    mean = float(weights @ np.exp(test.evidence(won)[:, -1]))
    assert mean <= 1 + 1e-12
    if tolerance == 0 and set(chances) == {0.5}:
        assert mean == pytest.approx(1)


def sequences(shares, count, seed, right=0.75):
    """[sequence, answer] from true shares of wins, one per answer."""
    return np.random.default_rng(seed).random((count, len(shares))) < observed(np.array(shares), right)


def alarms(test, answers):
    """[sequence] number of the answer at which the alarm is raised, 9999 where it is not."""
    over = test.evidence(answers) >= test.threshold
    return np.where(over.any(axis=1), over.argmax(axis=1) + 1, 9999)


def test_false_alarms_at_any_answer_of_runs_that_neither_gain_nor_lose():
    """The hardest clean case: coins. 2,000 sequences of 400 answers, looked at after each."""
    assert np.mean(alarms(PLAIN, sequences([0.5] * 400, 2000, seed=0)) < 9999) <= 0.05


def test_false_alarms_of_runs_that_gain_and_then_stand_still():
    assert np.mean(alarms(PLAIN, sequences([0.9] * 150 + [0.5] * 250, 1000, seed=1)) < 9999) <= 0.05


def test_a_decline_after_a_long_rise_is_found_soon():
    """Right three times in four, and every pair lost from answer 201 on: half are found within 45 answers, nine of ten in 80."""
    found = alarms(PLAIN, sequences([0.95] * 200 + [0.0] * 200, 500, seed=2)) - 200
    assert np.median(found) <= 45
    assert np.quantile(found, 0.9) <= 80
    assert np.mean(found <= 0) <= 0.05


def test_a_small_decline_is_found_in_the_end_and_a_tolerated_one_is_none():
    answers = sequences([0.3] * 1500, 200, seed=3)
    assert np.mean(alarms(PLAIN, answers) < 9999) >= 0.95
    assert np.mean(alarms(LossTest(0.05, known(0.75), tolerance=0.2), answers) < 9999) <= 0.05


def test_the_alarm_names_its_answer():
    answers = sequences([0.0] * 200, 1, seed=4)[0]
    at = PLAIN.alarm(answers)
    assert at is not None
    assert PLAIN.evidence(answers)[at - 1] >= PLAIN.threshold > PLAIN.evidence(answers)[: at - 1].max()
    assert PLAIN.alarm([True] * 50) is None


def test_an_accuracy_from_gold_widens_the_null_and_costs_a_little_of_the_level():
    answers = from_gold(38, 50, level=0.995)
    assert answers.value == 0.76
    assert answers.low < 0.6 < 0.9 < answers.high
    test = LossTest(0.05, answers, tolerance=0.1)
    assert test.null == pytest.approx(0.5 - (2 * answers.high - 1) * 0.1)
    assert test.threshold == pytest.approx(-math.log(0.045))


def test_clopper_and_pearson_by_hand():
    found = from_gold(10, 10, level=0.95)
    assert (found.low, found.high) == pytest.approx((0.025 ** (1 / 10), 1.0))


@pytest.mark.parametrize(("right", "asked"), [(5, 10), (3, 2), (0, 0)])
def test_gold_that_tells_nothing_is_refused(right, asked):
    with pytest.raises(ValueError, match="more than half"):
        from_gold(right, asked, level=0.95)
    with pytest.raises(ValueError, match="1/2"):
        known(0.5)


def test_corrected_shares_by_hand():
    assert corrected(7, 3, known(0.9)).value == pytest.approx(0.5 + 0.2 / 0.8)
    assert corrected(10, 0, known(0.75)).value == 1.0
    assert corrected(0, 0, known(0.75)) == Interval(0.5, 0.0, 1.0)


def test_intervals_of_corrected_shares_cover():
    rng = np.random.default_rng(5)
    wins = rng.binomial(100, observed(0.7, 0.75), size=400).tolist()
    inside = [one.low <= 0.7 <= one.high for one in (corrected(won, 100 - won, known(0.75)) for won in wins)]
    assert np.mean(inside) >= 0.92


def test_surely_better_by_hand():
    assert surely_better(0, 0) == pytest.approx(0.5)
    assert surely_better(1, 0) == pytest.approx(0.75)
    assert surely_better(13, 7) == pytest.approx(0.905, abs=0.001)
