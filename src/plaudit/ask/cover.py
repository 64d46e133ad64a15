"""Questions that lie far apart: greedy k-centre cover (Sener & Savarese 2018, algorithm 1; farthest-first traversal)."""

from __future__ import annotations

import enum
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Space(enum.Enum):
    """In which space questions lie far apart."""

    BEHAVIOUR = "behaviour"
    """mean and spread over time of what was seen and done"""
    REWARD = "reward"
    """the returns that members of the reward model give: unlike in what they are thought to be worth"""


def farthest_first(
    places: NDArray[np.floating],
    groups: NDArray[np.intp],
    count: int,
    covered: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.intp], Floats]:
    """Rows of groups that cover the others, and how far each lay from all before it when it was taken.

    Features are standardised by the candidates. A question has no order, so the distance between two is that of
    the nearest matching of their items. The largest distance from any group to what is taken is at most twice that of the
    best choice of `count` groups (Gonzalez 1985). Ties go to the lower row.

    Args:
        places: [item, feature] where candidates lie.
        groups: [group, item], few items each.
        count: how many to take, at most one per group.
        covered: [question, item, feature] what is covered already, in the same space; without any, the first is the
            group nearest to the middle of all, and its distance is that from the middle.
    """
    scale, middle = places.std(axis=0), places.mean(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    candidates = ((places - middle) / scale)[groups].astype(np.float64)
    middle_away = distance(candidates, np.zeros(candidates.shape[1:]))
    nearest = np.full(len(groups), np.inf)
    for question in () if covered is None else ((covered - middle) / scale).astype(np.float64):
        nearest = np.minimum(nearest, distance(candidates, question))
    chosen: list[int] = []
    reached: list[float] = []
    for _ in range(count):
        first = bool(np.isinf(nearest).all())
        row = int(np.argmin(middle_away) if first else np.argmax(nearest))
        chosen.append(row)
        reached.append(float(middle_away[row] if first else nearest[row]))
        nearest = np.minimum(nearest, distance(candidates, candidates[row]))
        nearest[chosen] = -1.0  # taken, and so they are where several lie in one place
    return np.array(chosen, dtype=np.intp), np.array(reached)


def distance(questions: Floats, other: Floats) -> Floats:
    """[question] distance of [question, item, feature] from [item, feature], whatever the order within them."""
    orders = permutations(range(len(other)))
    squares = [((questions - other[list(order)]) ** 2).sum(axis=(1, 2)) for order in orders]
    return np.sqrt(np.min(squares, axis=0))
