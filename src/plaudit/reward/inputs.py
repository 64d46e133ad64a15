"""What reward networks are shown of behaviour: standardised steps, perhaps with their squares, or pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from plaudit.errors import LearningError, RecordError
from plaudit.records import StepBatch
from plaudit.reward.config import Trunk
from plaudit.reward.trunks import Shown

Float32 = NDArray[np.float32]
CLIP = 5.0
"""standardised inputs end here, so that a feature that hardly ever moved cannot drown the others when it does"""
CONSTANT = 1e-6
"""a feature that spreads less than this, relative to its size, is constant up to rounding"""


@dataclass(frozen=True, slots=True)
class Inputs:
    """How steps become features: standardised by reference behaviour, then perhaps with their squares."""

    observations: int
    """entries of an observation"""
    actions: int
    """entries of an action; for discrete actions their number"""
    mean: Float32
    """[entry] of observation and action"""
    scale: Float32
    """[entry]"""
    squares: bool

    @classmethod
    def of(cls, reference: StepBatch, *, squares: bool) -> Inputs:
        """Standardise by the steps of `reference`. Raises LearningError when it has none, or numbers that are not finite."""
        rows = np.concatenate([reference.observations, reference.actions], axis=-1)[reference.mask].astype(np.float64)
        if len(rows) == 0 or not np.isfinite(rows).all():
            raise LearningError(
                "The reference behaviour cannot be used to scale inputs",
                got="no steps" if len(rows) == 0 else "numbers that are not finite",
                expected="at least one step of finite observations and actions",
            )
        mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        scale = np.where(deviation > CONSTANT * np.maximum(np.abs(mean), 1), deviation, 1.0)
        widths = reference.observations.shape[-1], reference.actions.shape[-1]
        return cls(*widths, mean.astype(np.float32), scale.astype(np.float32), squares)

    @property
    def features(self) -> int:
        """Number of features."""
        return (self.observations + self.actions) * (2 if self.squares else 1)

    def rows(self, batch: StepBatch) -> Float32:
        """[item * step, feature]. Raises RecordError when the widths are not those of the reference behaviour."""
        found = batch.observations.shape[-1], batch.actions.shape[-1]
        if found != (self.observations, self.actions):
            raise RecordError(
                "Behaviour does not fit the reward model",
                got=f"observations of {found[0]}, actions of {found[1]}",
                expected=f"observations of {self.observations}, actions of {self.actions}",
            )
        joined = np.concatenate([batch.observations, batch.actions], axis=-1, dtype=np.float32)
        rows = (joined.reshape(-1, sum(found)) - self.mean) / self.scale
        np.clip(rows, -CLIP, CLIP, out=rows)
        return np.concatenate([rows, rows * rows - 1], axis=-1) if self.squares else rows

    def show(self, batch: StepBatch, trunk: Trunk) -> Shown:
        """What a network is shown of behaviour. One that sees is shown actions and pictures, and no observations."""
        features = torch.from_numpy(self.rows(batch)).view(*batch.mask.shape, -1)
        if not trunk.sees:
            return Shown(features)
        repeats = np.arange(self.features).reshape(-1, self.observations + self.actions)
        pixels = None if batch.pixels is None else torch.from_numpy(np.ascontiguousarray(batch.pixels))
        return Shown(features[..., repeats[:, self.observations :].ravel()], pixels)
