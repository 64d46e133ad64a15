"""Rewards that depend on the steps before, in the same episode: behaviour is shown to them episode by episode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import RecordError
from plaudit.records import StepBatch


@dataclass(frozen=True, slots=True)
class Remembering:
    """A reward [item, step] that remembers what came before in an item, so that items must begin where episodes do.

    Who pays for recorded behaviour hands it over by `by_episode`, from the first step of an episode on.
    """

    reward: Callable[[StepBatch], NDArray[np.float64]]

    def __call__(self, batch: StepBatch) -> NDArray[np.float64]:
        """Rewards of items that begin where episodes do."""
        return self.reward(batch)

    def by_episode(self, batch: StepBatch, episodes: NDArray[np.integer]) -> NDArray[np.float64]:
        """Rewards of items that hold several episodes one after the other, without memory from one to the next.

        Args:
            batch: items without padding.
            episodes: [item, step] number of the episode; memory begins where it changes, and at an item's first step.

        Returns:
            [item, step].

        Raises:
            RecordError: the batch has padding, or shapes differ.
        """
        if episodes.shape != batch.mask.shape or not batch.mask.all():
            raise RecordError(
                "Behaviour cannot be cut into episodes",
                got=f"episodes {episodes.shape}, {np.count_nonzero(~batch.mask)} steps of padding",
                expected=f"an episode for each of {batch.mask.shape} steps, and no padding",
            )
        begins = np.ones(episodes.shape, dtype=np.bool_)
        begins[:, 1:] = episodes[:, 1:] != episodes[:, :-1]
        first = np.flatnonzero(begins)
        lengths = np.diff(np.append(first, begins.size))
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        # one row per episode; padding repeats its last step, which is in the future of all others
        index = first[:, None] + np.minimum(np.arange(mask.shape[1]), lengths[:, None] - 1)
        item, step = np.divmod(index, episodes.shape[1])
        pixels = None if batch.pixels is None else batch.pixels[item, step]
        cut = StepBatch(batch.observations[item, step], batch.actions[item, step], mask, pixels)
        return self.reward(cut)[mask].reshape(episodes.shape)
