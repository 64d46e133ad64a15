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


HALVINGS = 200
"""of an interval of temperatures, far beyond what numbers can tell apart"""


def temperature(margins: FloatArray) -> float:
    """The T that makes sigmoid(margin / T) most likely (Guo et al. 2017, https://arxiv.org/abs/1706.04599): above 1 for a model
    that is too sure of itself.

    Fit it on other answers than those that calibration is measured on. Where nothing was chosen wrongly, a small number;
    where margins say nothing, or the opposite, a large one.

    Args:
        margins: [choice] score of what was chosen minus score of what was not, in log-odds.

    Raises ValueError without margins, or where all are 0.
    """
    size = float(np.abs(margins).max(initial=0.0))
    if not size > 0:
        raise ValueError("there are no margins to fit a temperature to")
    low, high = np.log(1e-3 / size), np.log(1e3 / size)  # of 1 / T, in which the likelihood is concave
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        rising = float((margins / (1 + np.exp(np.minimum(margins * np.exp(middle), 700.0)))).sum()) > 0
        low, high = (middle, high) if rising else (low, middle)
    return float(np.exp(-(low + high) / 2))
