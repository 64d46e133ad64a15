"""How many questions each round asks."""

from __future__ import annotations

import enum
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ConfigError

DECAY = 0.15
"""later rounds ask in proportion to 1 / (1 + DECAY * k), k = 0, 1, ...; questions about early policies teach more"""


class Schedule(enum.Enum):
    """How the labels are spread over the rounds that ask."""

    FRONT = "front"
    """`first_share` of them at once, then hyperbolically fewer"""
    CONSTANT = "constant"
    """equally many each time"""
    DECAYING = "decaying"
    """falling in a straight line, so that the round after the last would ask none"""
    GROWING = "growing"
    """rising in a straight line"""
    SMALL = "small"
    """many small sessions of equal size, evenly spread; the rounds between do not ask"""


def sessions(labels: int, rounds: int, mode: Schedule, *, first_share: float, size: int) -> list[int]:
    """Questions of each round that may ask, summing to `labels` exactly.

    Constant, decaying and growing are B-Pref's reward schedules 0, 1 and 2 (Lee et al. 2021, appendix), with a budget that
    is spent to the last label; there decaying weighs a session by the share of training that is left, and growing by the
    inverse. Small sessions are how QPA asks (Hu et al. 2024): 10 labels every 20,000 steps.

    Args:
        labels: questions over the whole run.
        rounds: rounds that may ask.
        mode: how to spread them.
        first_share: for `FRONT`, share of the labels in the first round, in (0, 1].
        size: questions of a small session; the last one may be smaller.

    Raises:
        ConfigError: settings are out of range, or there are more small sessions than rounds.
    """
    if labels < 0 or rounds < 1 or not 0 < first_share <= 1:
        raise ConfigError(
            "A schedule of questions does not fit together",
            got=f"labels {labels}, rounds {rounds}, first_share {first_share}",
            expected="labels >= 0, rounds >= 1, first_share in (0, 1]",
        )
    match mode:
        case Schedule.FRONT:
            return _front(labels, rounds, first_share)
        case Schedule.CONSTANT:
            return _in_proportion(labels, np.ones(rounds))
        case Schedule.DECAYING:
            return _in_proportion(labels, np.arange(rounds, 0.0, -1.0))
        case Schedule.GROWING:
            return _in_proportion(labels, np.arange(1.0, rounds + 1))
        case Schedule.SMALL:
            return _small(labels, rounds, size)
        case _:
            assert_never(mode)


def _in_proportion(labels: int, weights: NDArray[np.float64]) -> list[int]:
    """Counts in proportion to weights; the first is at least two, since a reward model needs answers to be held against."""
    totals = np.floor(np.cumsum(weights) / weights.sum() * labels + 1e-9).astype(int)
    return np.diff(np.maximum(totals, min(labels, 2)), prepend=0).tolist()


def _small(labels: int, rounds: int, size: int) -> list[int]:
    needed = -(-labels // max(size, 1))
    if size < 1 or needed > rounds:
        raise ConfigError(
            "The small sessions do not fit into the rounds that ask",
            got=f"{labels} labels in sessions of {size}, {rounds} rounds that ask",
            expected=f"at least {needed} rounds",
            next_step="raise loop.rounds, ask.session or ask.last_at, or ask for fewer labels",
        )
    counts = [0] * rounds
    for number in range(needed):
        counts[number * rounds // needed] = min(size, labels - number * size)
    return counts


def _front(labels: int, rounds: int, first_share: float) -> list[int]:
    """`first_share` at once, since every later choice of questions and the whole behaviour rest on the first reward model.

    The others fall hyperbolically (PEBBLE's decaying schedule, Lee et al. 2021, B-Pref appendix).
    """
    # a reward model needs at least two answers to be held against each other
    first = labels if rounds == 1 else min(labels, max(round(first_share * labels), 2))
    weights = 1.0 / (1.0 + DECAY * np.arange(rounds - 1))
    # rounding the running total, not each share, makes the counts sum exactly; 1e-9 keeps 2.9999999 from losing a label
    totals = np.floor(np.cumsum(weights) / max(weights.sum(), 1e-300) * (labels - first) + 1e-9).astype(int)
    return [first, *np.diff(totals, prepend=0).tolist()]
