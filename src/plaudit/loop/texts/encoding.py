"""Texts as a batch that the engine reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from plaudit.engine.batch import Batch
from plaudit.records import TextSegment

Encode = Callable[[TextSegment], tuple[Sequence[int], Sequence[int], Sequence[int]]]


def batch_of(texts: Sequence[TextSegment], encode: Encode) -> tuple[Batch, NDArray[np.intp]]:
    """A batch in which equal prompts are read once, and [text] which of its rows each text is."""
    groups: dict[tuple[int, ...], list[int]] = {}
    completions: list[Sequence[int]] = []
    for number, text in enumerate(texts):
        prompt, completion, _ = encode(text)
        groups.setdefault(tuple(prompt), []).append(number)
        completions.append(completion)
    order = [number for members in groups.values() for number in members]
    place = np.empty(len(texts), dtype=np.intp)
    place[order] = np.arange(len(order))
    return Batch.of(list(groups), [[completions[number] for number in members] for members in groups.values()]), place
