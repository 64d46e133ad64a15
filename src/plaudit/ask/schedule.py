"""How many questions each round asks."""

from __future__ import annotations

import numpy as np

from plaudit.errors import ConfigError

DECAY = 0.15
"""later rounds ask in proportion to 1 / (1 + DECAY * k), k = 0, 1, ...; questions about early policies teach more"""


def schedule(
    labels: int, rounds: int, *, first_share: float = 0.25, last_at: float = 1.0, decay: float = DECAY
) -> list[int]:
    """Questions per round, summing to `labels` exactly.

    The first round asks `first_share` of the labels, since every later choice of questions and the whole behaviour rest
    on the first reward model; the others fall hyperbolically (PEBBLE's decaying schedule, Lee et al. 2021, B-Pref
    appendix), or stay level with `decay` 0.

    Args:
        labels: questions over the whole run.
        rounds: rounds of the run.
        first_share: share of the labels in the first round, in (0, 1].
        last_at: share of the rounds that ask at all; the rest learn from what is there.
        decay: how fast later rounds ask less.

    Raises:
        ConfigError: a count is negative, there is no round, or a share is out of range.
    """
    if labels < 0 or rounds < 1 or not 0 < first_share <= 1 or not 0 <= last_at <= 1 or decay < 0:
        raise ConfigError(
            "A schedule of questions does not fit together",
            got=f"labels {labels}, rounds {rounds}, first_share {first_share}, last_at {last_at}, decay {decay}",
            expected="labels >= 0, rounds >= 1, first_share in (0, 1], last_at in [0, 1], decay >= 0",
        )
    asking = max(1, round(last_at * rounds))
    # a reward model needs at least two answers to be held against each other
    first = labels if asking == 1 else min(labels, max(round(first_share * labels), 2))
    weights = 1.0 / (1.0 + decay * np.arange(asking - 1))
    # rounding the running total, not each share, makes the counts sum exactly; 1e-9 keeps 2.9999999 from losing a label
    totals = np.floor(np.cumsum(weights) / max(weights.sum(), 1e-300) * (labels - first) + 1e-9).astype(int)
    counts = [first, *np.diff(totals, prepend=0).tolist()]
    return counts + [0] * (rounds - asking)
