"""Mirrors: maps of behaviour that leave the reward as it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ConfigError, LearningError
from plaudit.records import StepBatch


@dataclass(frozen=True, slots=True)
class Symmetry:
    """One mirror. What is left out stays as it is."""

    observation_order: tuple[int, ...] = ()
    """entry of the observation that each entry of its mirror image is taken from, from 0 on"""
    observation_signs: tuple[int, ...] = ()
    """1 or -1 for each entry of the mirror image of the observation"""
    action_order: tuple[int, ...] = ()
    """the same for the action; for discrete actions which action each becomes one-hot from"""
    action_signs: tuple[int, ...] = ()
    """1 or -1 for each entry of the mirror image of the action"""
    flip: bool = False
    """pictures are mirrored from left to right"""

    def __post_init__(self) -> None:
        for name, order in (("observation_order", self.observation_order), ("action_order", self.action_order)):
            if sorted(order) != list(range(len(order))):
                raise ConfigError(
                    f"{name} of a symmetry is no permutation", got=order, expected="each of 0, 1, ... once"
                )
        if set(self.observation_signs + self.action_signs) - {1, -1}:
            raise ConfigError("Signs of a symmetry are 1 or -1", got=(self.observation_signs, self.action_signs))

    def mirror(self, batch: StepBatch) -> StepBatch:
        """The mirror image: entry i is sign[i] x entry order[i]. Raises LearningError when the widths do not fit."""
        return StepBatch(
            _mirrored(batch.observations, self.observation_order, self.observation_signs, "observation"),
            _mirrored(batch.actions, self.action_order, self.action_signs, "action"),
            batch.mask,
            batch.pixels[..., ::-1, :] if self.flip and batch.pixels is not None else batch.pixels,
        )


def _mirrored(
    values: NDArray[np.float32], order: tuple[int, ...], signs: tuple[int, ...], what: str
) -> NDArray[np.float32]:
    width = values.shape[-1]
    if any(part and len(part) != width for part in (order, signs)):
        raise LearningError(
            f"A symmetry does not fit the {what}s of the world",
            got=f"{what}_order of {len(order)}, {what}_signs of {len(signs)}",
            expected=f"{width} entries, or none",
        )
    moved = values[..., list(order)] if order else values
    return moved * np.array(signs, dtype=np.float32) if signs else moved
