"""Rewards of texts from frozen features, for example embeddings: each text is one step that a reward model reads.

texts = Texts(store, embed, length=True)
data = collate([answer for _, answer in store.feedback()], texts)
found = fit(data, config=RewardConfig(trunk=Trunk.LINEAR, squares=False), seed=0, reference=texts.batch(ids))
found.model.score(texts.batch(ids, characters=500))  # as if all were equally long
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import RecordError
from plaudit.records import Message, Query, SegmentData, StepBatch, TextSegment

Features = Callable[[Sequence[TextSegment]], NDArray[np.floating]]
"""[text, feature] of texts"""


class TextStore(Protocol):
    """Where records are looked up; `plaudit.store.Store` is one."""

    def queries(self) -> list[Query]:
        """All queries."""
        ...

    def texts(self, ids: Sequence[str]) -> dict[str, TextSegment]:
        """Texts by id. Raises StoreError when one is missing, or is no text."""
        ...


class Texts:
    """What `plaudit.reward.collate` and `RewardModel` need of texts in a store.

    Args:
        store: holds the texts.
        features: of texts; asked once for each text.
        length: also show the logarithm of a completion's length in characters, so that the fit can explain by it what
            it explains; `batch(..., characters=...)` then drops it at use.
    """

    def __init__(self, store: TextStore, features: Features, *, length: bool = False) -> None:
        self._store, self._features, self._length = store, features, length
        self._rows: dict[str, NDArray[np.float32]] = {}

    def queries(self) -> list[Query]:
        """All queries."""
        return self._store.queries()

    def segments(self, ids: Sequence[str]) -> dict[str, TextSegment]:
        """Texts by id, with their features looked up. Raises RecordError when features do not fit, StoreError as the store does."""
        found = self._store.texts(ids)
        new = [segment for id_, segment in found.items() if id_ not in self._rows]
        if new:
            rows = np.asarray(self._features(new), dtype=np.float32)
            if rows.ndim != 2 or len(rows) != len(new) or not np.isfinite(rows).all():
                raise RecordError(
                    "Features of texts do not fit", got=rows.shape, expected=f"finite numbers, [{len(new)}, feature]"
                )
            self._rows |= {segment.id: row for segment, row in zip(new, rows, strict=True)}
        return found

    def segment_data(self, segment: TextSegment) -> SegmentData:
        """A text as one step, whose observation are its features; there is no action."""
        return SegmentData(self._row(segment, None)[None], np.zeros((1, 1), np.float32))

    def batch(self, ids: Sequence[str], *, characters: float | None = None) -> StepBatch:
        """Texts for a reward model to score.

        Args:
            ids: of texts in the store.
            characters: judge all as if they were so long; None: as long as they are.
        """
        found = self.segments(ids)
        rows = np.stack([self._row(found[id_], characters) for id_ in ids])
        return StepBatch(rows[:, None], np.zeros((len(ids), 1, 1), np.float32), np.ones((len(ids), 1), np.bool_))

    def _row(self, segment: TextSegment, characters: float | None) -> NDArray[np.float32]:
        row = self._rows[segment.id]
        if not self._length:
            return row
        return np.append(row, np.float32(math.log1p(length(segment) if characters is None else characters)))


def length(segment: TextSegment) -> int:
    """Characters of a completion."""
    return len(segment.completion) if isinstance(segment.completion, str) else sum(map(_length, segment.completion))


def _length(message: Message) -> int:
    return len(message.content)
