"""Answers that get worse within a session: by hand, at the stated rate where they do not, found where they do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from plaudit.quality.fatigue import decline, sessions_of


def answers(rng, eta, sessions):
    """Comparisons of known values by somebody whose reliability at each place is `eta` [place], in several sessions."""
    session = np.repeat(np.arange(sessions), len(eta))
    advantage = rng.normal(size=len(session)) * 2
    careful = np.where(rng.random(len(session)) < np.tile(eta, sessions), 1, -1)
    side = np.where(rng.random(len(session)) < expit(careful * advantage), 1, -1)
    return advantage, side, session


def test_by_hand():
    # ln 3 makes an expected answer .75, so with eta 1/2 every score is 1 or -1: two as expected, then two against
    found = decline(np.full(4, np.log(3)), np.array([1, 1, -1, -1]), np.zeros(4, dtype=np.int64), 0.5)
    # linear: (-1.5 - .5 - .5 - 1.5) / sqrt(5) = -1.789, logarithm: -1.792 / 1.041 = -1.721
    assert found.p_value == pytest.approx(2 * 0.03681, abs=2e-4)
    assert (found.answers, found.sessions, found.start, found.end) == (4, 1, 1.0, 0.0)
    assert decline(np.ones(3), np.ones(3, dtype=np.int64), np.arange(3), 0.9) is None
    assert decline(np.zeros(4), np.ones(4, dtype=np.int64), np.zeros(4, dtype=np.int64), 0.5).p_value == 1.0


def test_better_and_worse_days_are_no_fatigue():
    rng = np.random.default_rng(0)
    good, bad = answers(rng, np.full(100, 1.0), 1), answers(rng, np.full(100, 0.5), 1)
    advantage, side = (np.concatenate([one, other]) for one, other in zip(good[:2], bad[:2], strict=True))
    days = np.repeat([0, 1], 100)
    assert decline(advantage, side, days, 0.75).p_value > 0.05
    assert decline(advantage, side, np.zeros_like(days), 0.75).p_value < 0.001


def test_who_does_not_tire_is_rarely_suspected_and_who_tires_is_found():
    alarms = caught = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        alarms += decline(*answers(rng, np.full(50, 0.9), 4), 0.9).p_value < 0.05
        tired = decline(*answers(rng, np.linspace(1.0, 0.3, 50), 4), 0.65)
        caught += tired.p_value < 0.05 and tired.start > tired.end
    assert alarms <= 24
    assert caught >= 240


@given(st.lists(st.integers(0, 5), max_size=30))
def test_sessions_are_stretches_of_one_round(rounds):
    found = sessions_of(rounds)
    assert len(found) == len(rounds)
    steps = np.diff(found)
    assert np.all((steps == 0) == (np.diff(rounds) == 0) if rounds else True)
    assert np.all((steps == 0) | (steps == 1))


@given(st.integers(0, 1000), st.floats(0.05, 0.95))
def test_a_p_value_is_one_and_names_of_sessions_do_not_matter(seed, eta):
    advantage, side, session = answers(np.random.default_rng(seed), np.full(7, 0.8), 3)
    found = decline(advantage, side, session, eta)
    assert 0 <= found.p_value <= 1
    assert decline(advantage, side, 10 - 3 * session, eta) == found
