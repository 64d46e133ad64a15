"""Rows taken from a table, with a way back for gradients that is the same at every call, on every device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Gather:
    """Rows taken from a table, and how gradients find their way back.

    `rounds` are pairs (destinations or None for all, sources) without repetition inside a round, so that adding is
    the same at every call, on every device.
    """

    index: Tensor
    size: int
    rounds: tuple[tuple[Tensor | None, Tensor], ...]

    def back(self, grad: Tensor) -> Tensor:
        """Sum the gradient of the taken rows into the table's rows, [size, ...]."""
        if not self.rounds:
            return grad.new_zeros((self.size, *grad.shape[1:]))
        (to, source), *more = self.rounds
        found = grad.index_select(0, source)
        if to is not None:
            found = grad.new_zeros((self.size, *grad.shape[1:])).index_copy_(0, to, found)
        for to, source in more:
            part = grad.index_select(0, source)
            found = found.add_(part) if to is None else found.index_add_(0, to, part)
        return found


def slots_of(grids: list[Ints], heads: int) -> Ints:
    """[tokens of all grids, heads] the row (block, row, head, position) of each."""
    found: list[Ints] = []
    offset = 0
    for grid in grids:
        rows, width = grid.shape
        place = (np.arange(rows)[:, None, None] * heads + np.arange(heads)) * width + np.arange(width)[None, :, None]
        found.append(offset + place.reshape(-1, heads))
        offset += grid.size * heads
    return np.concatenate(found)


def rounds_of(tokens: Ints, slots: Ints, size: int) -> list[tuple[Ints | None, Ints]]:
    """Group (token, slot) pairs so that no token comes twice in a round; None: all tokens, in order."""
    valid = tokens >= 0
    order = np.argsort(tokens[valid], kind="stable")
    token, slot = tokens[valid][order], slots[valid][order]
    first = np.concatenate([[True], token[1:] != token[:-1]]) if len(token) else np.zeros(0, bool)
    begun = np.maximum.accumulate(np.where(first, np.arange(len(token)), 0))
    rank = np.arange(len(token)) - begun
    rounds: list[tuple[Ints | None, Ints]] = []
    for number in range(int(rank.max(initial=-1)) + 1):
        some = rank == number
        rounds.append((None if some.sum() == size else token[some], slot[some]))
    return rounds
