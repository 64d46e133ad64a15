"""Do annotators answer otherwise late than early? Their agreement with what most others say, in both halves of their answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plaudit.quality.population import agrees
from plaudit.quality.table import ComparisonTable
from plaudit.stats.intervals import Interval, welch, wilson
from plaudit.stats.undefined import Undefined

LEAST = 10
"""answers in each half"""


@dataclass(frozen=True, slots=True)
class Drift:
    """Share of comparisons that most others answered the same, early and late."""

    early: Interval
    late: Interval
    change: Interval
    """late minus early; Welch's interval"""
    answers: int
    """in both halves"""


def drifts(table: ComparisonTable) -> dict[str, Drift | Undefined]:
    """By annotator. Questions that no others answered, or others evenly, say nothing; answers stand in the order of the log."""
    same = agrees(table, np.ones(len(table.names)))
    found: dict[str, Drift | Undefined] = {}
    for number, name in enumerate(table.names):
        mine = same[(table.labels.annotator == number) & ~np.isnan(same)]
        found[name] = _drift(mine)
    return found


def _drift(mine: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Drift | Undefined:
    if len(mine) < 2 * LEAST:
        return Undefined(f"fewer than {2 * LEAST} comparisons were also answered by others")
    early, late = mine[: len(mine) // 2], mine[len(mine) // 2 :]
    shares = [wilson(int(half.sum()), len(half)) for half in (early, late)]
    return Drift(shares[0], shares[1], welch(late, early), len(mine))
