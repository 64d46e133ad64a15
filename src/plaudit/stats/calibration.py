"""Is a model as often right as it thinks?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Predictions in groups of equal size (up to one), from least to most sure."""

    confidence: FloatArray
    """[group] mean probability that the model gave to what it predicted"""
    right: FloatArray
    """[group] share of predictions that were right"""
    count: NDArray[np.int64]
    """[group] number of predictions"""

    @property
    def error(self) -> float:
        """Expected calibration error: mean |confidence - right|, weighted by count (Naeini et al. 2015)."""
        return float(np.average(np.abs(self.confidence - self.right), weights=self.count))


def calibration(confidence: FloatArray, right: FloatArray, *, groups: int = 10) -> Calibration:
    """Group predictions by how sure they were.

    Args:
        confidence: [prediction] probability given to what was predicted.
        right: [prediction] 1 where it was right, 0 where not; shares for soft labels.
        groups: number of groups, fewer where there are fewer predictions; equal confidences may fall into two groups.

    Raises:
        ValueError: there are no predictions, or the arrays differ in length.
    """
    if len(confidence) == 0 or len(confidence) != len(right):
        raise ValueError(f"{len(confidence)} confidences and {len(right)} outcomes cannot be calibrated")
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(groups, len(order)))
    return Calibration(
        confidence=np.array([confidence[part].mean() for part in parts]),
        right=np.array([right[part].mean() for part in parts]),
        count=np.array([len(part) for part in parts], dtype=np.int64),
    )
