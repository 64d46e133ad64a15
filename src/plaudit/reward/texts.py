"""Rewards of texts from frozen features, for example embeddings: each text is one step that a reward model reads.

Features of its pieces, for example its sentences (`plaudit.records.sentences`), make it as many steps: the reward of a text is
then the sum over its pieces, and step feedback says something about single ones.

texts = Texts(store, embed)
data = collate([answer for _, answer in store.feedback()], texts, size=texts.size)
config = RewardConfig(trunk=Trunk.LINEAR, squares=False, nuisance=(Nuisance.LENGTH,))
found = fit(data, config=config, seed=0, reference=texts.batch(ids))
found.model.score(texts.batch(ids))  # as if all were equally long
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import RecordError
from plaudit.records import Query, SegmentData, StepBatch, TextSegment
from plaudit.reward.collate import pack

Features = Callable[[Sequence[TextSegment]], NDArray[np.floating] | Sequence[NDArray[np.floating]]]
"""[text, feature] of texts, or for each text [piece, feature]"""


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
    """

    def __init__(self, store: TextStore, features: Features) -> None:
        self._store, self._features = store, features
        self._rows: dict[str, NDArray[np.float32]] = {}  # [piece, feature]
        self._sizes: dict[str, float] = {}

    def queries(self) -> list[Query]:
        """All queries."""
        return self._store.queries()

    def segments(self, ids: Sequence[str]) -> dict[str, TextSegment]:
        """Texts by id, with their features looked up. Raises RecordError when features do not fit, StoreError as the store does."""
        found = self._store.texts(ids)
        new = [segment for id_, segment in found.items() if id_ not in self._rows]
        if new:
            rows = [np.asarray(row, dtype=np.float32) for row in self._features(new)]
            rows = [row[None] if row.ndim == 1 else row for row in rows]
            shapes = sorted({row.shape for row in rows})
            fits = all(row.ndim == 2 and len(row) and row.shape[1] == rows[0].shape[1] for row in rows)
            if not fits or len(rows) != len(new) or not all(np.isfinite(row).all() for row in rows):
                raise RecordError(
                    "Features of texts do not fit",
                    got=f"{len(rows)} of shapes {shapes[:3]}",
                    expected=f"finite numbers, [{len(new)}, feature], or for each text [piece, feature]",
                )
            self._rows |= {segment.id: row for segment, row in zip(new, rows, strict=True)}
            self._sizes |= {segment.id: math.log1p(segment.characters) for segment in new}
        return found

    def segment_data(self, segment: TextSegment) -> SegmentData:
        """A text as one step, or a step for each piece, whose observation are its features; there is no action."""
        rows = self._rows[segment.id]
        return SegmentData(rows, np.zeros((len(rows), 1), np.float32))

    def size(self, id: str) -> float:
        """Logarithm of a completion's length in characters: what annotators may take for merit. It was looked up before."""
        return self._sizes[id]

    def batch(self, ids: Sequence[str]) -> StepBatch:
        """Texts for a reward model to score."""
        self.segments(ids)
        rows = [self._rows[id_] for id_ in ids]
        return pack([SegmentData(row, np.zeros((len(row), 1), np.float32)) for row in rows], 1)
