"""What comparisons imply: if a is better than b, and b is better than c or ties with it, a is better than c.

Only comparisons that insert segments into ranked lists are chained (`plaudit.ask.lists`): a few of them imply the order
of every pair. Implied pairs are no answers. They are counted nowhere, no measure of the fit looks at them, and they
weigh less: however many there are, together they count `weight` times what the asked comparisons do.

A member that leaves out a question must not hear its answer by a detour, so it learns only from those pairs that follow
from the answers which it does not leave out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.reward.likelihood import Comparisons

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Implied:
    """Pairs that follow from answers, as if they had been asked."""

    pairs: Comparisons
    trains: Bools
    """[member, pair] whether the pair follows from answers that the member learns from"""
    weight: float
    """of all pairs together, where all asked comparisons together have 1"""


def implied(asked: Comparisons, chained: Bools, trains: Bools, *, weight: float) -> Implied | None:
    """The pairs that follow from comparisons and were not asked; None when there are none.

    Args:
        asked: comparisons.
        chained: [answer] which of them to chain; at most one answer to a question.
        trains: [member, answer] which answers each member learns from.
        weight: see `Implied`.
    """
    rows = np.flatnonzero(chained)
    items, index = np.unique(asked.segments[rows], return_inverse=True)
    index = index.reshape(-1, 2)
    known, side = closure(index, asked.side[rows], len(items))
    known[index[:, 0], index[:, 1]] = known[index[:, 1], index[:, 0]] = False
    first, second = np.nonzero(np.triu(known, k=1))
    if not len(first):
        return None
    heard = [closure(index[row], asked.side[rows][row], len(items))[0][first, second] for row in trains[:, rows]]
    lengths = np.zeros(len(items), dtype=np.intp)
    lengths[index] = asked.lengths[rows]
    pairs = Comparisons(
        segments=np.stack([items[first], items[second]], axis=1),
        question=np.zeros(len(first), dtype=np.intp),
        lengths=np.stack([lengths[first], lengths[second]], axis=1),
        side=side[first, second],
        grade=np.zeros(len(first), dtype=np.int64),
    )
    return Implied(pairs, np.array(heard), weight)


def closure(pairs: NDArray[np.intp], side: NDArray[np.int64], items: int) -> tuple[Bools, NDArray[np.int64]]:
    """[item, item] which pairs' order follows, and which: 1 the row is better, -1 the column, 0 a tie.

    Where answers contradict each other, in a circle, nothing follows for those in it.

    Args:
        pairs: [answer, 2] items.
        side: [answer] 1 the first is better, -1 the second, 0 a tie.
        items: number of items.
    """
    strict = np.zeros((items, items), dtype=np.bool_)
    first, second = pairs.T
    strict[first[side > 0], second[side > 0]] = True
    strict[second[side < 0], first[side < 0]] = True
    tied = np.eye(items, dtype=np.bool_)
    tied[first[side == 0], second[side == 0]] = tied[second[side == 0], first[side == 0]] = True
    least = strict | tied  # at least as good, by a chain of 2^k answers at most
    while (further := _join(least, least)).sum() > least.sum():
        least = further
    better = _join(_join(least, strict), least)
    circular = np.diagonal(better)
    known = (least | least.T) & ~circular[:, None] & ~circular
    return known, better.astype(np.int64) - better.T


def _join(left: Bools, right: Bools) -> Bools:
    return left.astype(np.float32) @ right.astype(np.float32) > 0
