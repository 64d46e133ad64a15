"""Questions shared out among tasks, so that each is about segments of one task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def within_tasks(
    tasks: Sequence[int], count: int, segments: int, *, first: int = 0
) -> list[tuple[NDArray[np.intp], int]]:
    """Share questions out, so that each is about segments of one task: people cannot compare what has different aims.

    Tasks take turns, beginning with task `first` mod n; one that runs out of candidates leaves its turn to the others.

    Args:
        tasks: [candidate], number of each one's task.
        count: questions wanted.
        segments: that one question shows.
        first: whose turn is first, so that what is left over goes to other tasks in other rounds.

    Returns:
        For each task with questions its candidates, and how many questions to make of them. With one task: all.
    """
    numbers = sorted(set(tasks))
    if len(numbers) < 2:
        return [(np.arange(len(tasks)), count)]
    among = [np.flatnonzero(np.array(tasks) == number) for number in numbers]
    room, shares = [len(one) // segments for one in among], [0] * len(among)
    turn = first
    for _ in range(min(count, sum(room))):
        while shares[turn % len(among)] == room[turn % len(among)]:
            turn += 1
        shares[turn % len(among)] += 1
        turn += 1
    return [(one, share) for one, share in zip(among, shares, strict=True) if share]
