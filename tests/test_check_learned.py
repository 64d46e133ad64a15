"""Checks of reward and policy: each fires on a planted fault, and is silent on a clean run."""

from __future__ import annotations

import numpy as np
import pytest

from plaudit.check.diagnose import Severity
from plaudit.check.learned import (
    better_than_random,
    constant_reward,
    ensemble_collapse,
    exploding_scores,
    length_leak,
    noise_ceiling,
    over_optimisation,
    reward_accuracy,
)
from tests.test_check_diagnose import severity

OK, NOTE, WARNING, PROBLEM = Severity.OK, Severity.NOTE, Severity.WARNING, Severity.PROBLEM
RNG = np.random.default_rng(7)
MEMBERS = RNG.normal(size=(1, 500)) + 0.3 * RNG.normal(size=(3, 500))
"""three members that mostly agree: a healthy ensemble"""


def test_a_ceiling_by_hand():
    assert noise_ceiling(np.array([0.0]), 1.0) == 0.5
    assert noise_ceiling(np.array([np.log(3), -np.log(3)]), 1.0) == pytest.approx(0.75)
    assert noise_ceiling(np.array([np.log(3)]), 1.0, lapse=0.2) == pytest.approx(0.8 * 0.75 + 0.1)
    assert noise_ceiling(np.array([2.0, -1.0]), 0.0) == 1.0
    assert noise_ceiling(np.array([1e6]), 1.0) == 1.0


def test_no_predictor_beats_the_ceiling():
    rng = np.random.default_rng(0)
    differences = rng.normal(size=4000) * 2
    answers = differences + rng.logistic(size=4000) > 0
    best = np.mean((differences > 0) == answers)
    assert best == pytest.approx(noise_ceiling(differences, 1.0), abs=0.02)


@pytest.mark.parametrize(
    ("right", "held_out", "ceiling", "expected"),
    [
        (0, 0, None, None),
        (45, 50, None, OK),
        (45, 50, 0.93, OK),
        (26, 50, None, WARNING),
        (5, 50, None, PROBLEM),
        (70, 100, 0.95, WARNING),
        (46, 50, 0.984, NOTE),
        (99, 100, 0.8, NOTE),
    ],
)
def test_reward_accuracy(right, held_out, ceiling, expected):
    assert severity(reward_accuracy(right, held_out, ceiling)) is expected


def test_episodes_of_one_length_leak_nothing():
    assert severity(length_leak(np.full(10, 200.0), RNG.normal(size=10))) is OK
    assert length_leak(np.zeros(0), None) is None


def test_episodes_that_end_early_are_noted():
    assert severity(length_leak(np.array([10.0, 200.0]), None)) is NOTE
    lengths = np.arange(10.0, 30.0)
    assert severity(length_leak(lengths, np.sin(lengths * 7))) is NOTE


@pytest.mark.parametrize("sign", [1, -1])
def test_a_return_that_is_paid_per_step_is_found(sign):
    lengths = np.arange(10.0, 30.0)
    assert severity(length_leak(lengths, sign * 0.7 * lengths + 0.1 * RNG.normal(size=20))) is WARNING


def test_constant_reward():
    assert severity(constant_reward(MEMBERS[0])) is OK
    assert severity(constant_reward(np.full(50, 3.0))) is PROBLEM
    assert severity(constant_reward(np.full(50, 3.0) + 1e-4 * RNG.normal(size=50))) is PROBLEM
    assert severity(constant_reward(np.zeros(50))) is PROBLEM
    assert constant_reward(np.array([np.nan, 1.0])) is None


def test_exploding_scores():
    assert severity(exploding_scores(MEMBERS)) is OK
    far = MEMBERS.copy()
    far[1, 5] = 1e5
    assert severity(exploding_scores(far)) is WARNING
    far[1, 5] = np.inf
    assert severity(exploding_scores(far)) is PROBLEM
    assert exploding_scores(np.zeros((3, 0))) is None
    assert severity(exploding_scores(MEMBERS[0])) is OK


def test_a_heavy_tail_is_no_explosion():
    assert severity(exploding_scores(np.random.default_rng(0).standard_t(3, size=(3, 2000)))) is OK


def test_ensemble_collapse():
    between = float(MEMBERS.std(axis=0).mean())
    assert severity(ensemble_collapse(between, MEMBERS.mean(axis=0))) is OK
    assert severity(ensemble_collapse(1e-9, MEMBERS[0])) is WARNING
    assert ensemble_collapse(0.1, np.ones(5)) is None


def rounds(*means: float, spread: float = 20.0) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [mean + spread * rng.normal(size=20) for mean in means]


def test_a_run_that_goes_up_is_fine():
    assert severity(over_optimisation(rounds(-900, -400, -150), 9.0)) is OK
    assert over_optimisation(rounds(-900), 0.0) is None


def test_praise_for_a_worse_policy_is_over_optimisation():
    finding = over_optimisation(rounds(-900, -200, -600), 9.0)
    assert severity(finding) is PROBLEM
    assert "exploits" in finding.message
    assert [one.value for one in finding.evidence if one.name == "best round"] == [2]


def test_blame_for_a_worse_policy_is_a_failure_of_training():
    assert severity(over_optimisation(rounds(-900, -200, -600), -5.0)) is WARNING


def test_noise_at_the_end_of_a_good_run_is_no_alarm():
    noisy = rounds(-900, *([-150] * 11), spread=90)
    assert severity(over_optimisation(noisy, 12.0)) is OK


def test_a_loss_that_is_small_beside_the_gain_is_no_alarm():
    assert severity(over_optimisation(rounds(-900, -150, -170, spread=0.5), 3.0)) is OK


def test_better_than_random():
    assert severity(better_than_random(rounds(-150)[0], -1200.0)) is OK
    same = better_than_random(rounds(-1195)[0], -1195.0)
    assert severity(same) is PROBLEM
    assert "cannot be told" in same.message
    assert "worse" in better_than_random(rounds(-1500)[0], -1200.0).message
    assert better_than_random(np.array([1.0]), 0.0) is None
