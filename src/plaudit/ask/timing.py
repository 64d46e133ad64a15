"""How long a simulated annotator takes: drift and diffusion where it decides between two sides, a usual time otherwise."""

from __future__ import annotations

import numpy as np

from plaudit.ask.teacher_config import SECONDS_PER_ANSWER, TeacherConfig
from plaudit.records import QueryKind
from plaudit.stats.choice import mean_decision_seconds, response_time

CARELESS = 0.1
"""of the usual time, what an answer takes that was given without looking; half to one and a half times that"""
SPREAD = 0.3
"""standard deviation of the log of times that no model describes"""
CLEAREST = 1e3
"""log-odds beyond which a decision takes no time that could be measured"""


def decision_seconds(log_odds: float, longest_mean: float, uniform: float) -> float:
    """The time whose cumulative probability is `uniform`, for a decision by drift and diffusion; see `stats.choice`.

    Args:
        log_odds: how clearly one side is better, of either sign.
        longest_mean: seconds; mean time between equals.
        uniform: in [0, 1).
    """
    odds = min(abs(log_odds), CLEAREST)
    # five decades around the mean hold all but 1e-12 of the density at every clarity
    times = float(mean_decision_seconds(odds, longest_mean)) * np.logspace(-3.0, 2.0, 600)
    density = np.exp(response_time(odds, times, longest_mean))
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(times))])
    return float(np.interp(uniform * mass[-1], mass, times))


def seconds(
    config: TeacherConfig, kind: QueryKind, log_odds: float | None, rng: np.random.Generator, *, careless: bool
) -> float:
    """Response time of one answer.

    Args:
        config: `decision_seconds` 0 gives everybody who looks the usual time.
        kind: of the question.
        log_odds: how clear a comparison or a rating is; None for other kinds.
        rng: the answer's own stream.
        careless: whether it was given without looking.
    """
    usual = SECONDS_PER_ANSWER[kind]
    if careless:
        return usual * CARELESS * rng.uniform(0.5, 1.5)
    if config.decision_seconds == 0:
        return usual
    if log_odds is None:
        return usual * float(np.exp(SPREAD * rng.normal() - SPREAD**2 / 2))
    return config.motor_seconds + decision_seconds(log_odds, config.decision_seconds, rng.random())
