"""An array that grows at its end."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

T = TypeVar("T", bound=np.generic)


class Growing(Generic[T]):
    """Rows that are appended in amortised constant time.

    Args:
        kind: type of the entries.
        row: shape of one row.
    """

    def __init__(self, kind: type[T], row: tuple[int, ...] = ()) -> None:
        self._kind: DTypeLike = kind
        self._room: NDArray[T] = np.empty((0, *row), dtype=kind)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> NDArray[T]:
        """[row, ...], a view of what is there; it stays valid but does not grow."""
        return self._room[: self._length]

    def extend(self, rows: NDArray[np.generic]) -> None:
        """Add rows at the end."""
        end = self._length + len(rows)
        if end > len(self._room):
            room = np.empty((end + max(1024, end // 2), *self._room.shape[1:]), dtype=self._kind)
            room[: self._length] = self.values
            self._room = room
        self._room[self._length : end] = rows
        self._length = end

    def replace(self, rows: NDArray[np.generic]) -> None:
        """Put these rows in place of all that is there."""
        self._length = 0
        self.extend(rows)
