"""How quality rises and falls with the distance from the start: the forms of Gao, Schulman and Hilton 2022.

https://arxiv.org/abs/2210.10760, section 3.1. With d = sqrt(KL(policy || start)) and quality measured from the start's:

best of n   R(d) = d (alpha - beta d)
RL          R(d) = d (alpha - beta log d)

Both are linear in alpha and beta. They describe a run that has been audited; where quality was not judged they say nothing, and
neither does the distance alone.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Form(enum.Enum):
    """Which optimiser moved the policy."""

    BEST_OF_N = "best of n"
    RL = "RL"


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted curve."""

    form: Form
    alpha: float
    beta: float
    explained: float
    """share of the variance of quality that the curve explains (R^2); may be negative"""

    def __call__(self, distance: FloatArray) -> FloatArray:
        """[point] quality at distances d = sqrt(KL)."""
        return self.alpha * distance - self.beta * _bend(distance, self.form)

    @property
    def peak(self) -> float:
        """Distance at which quality is highest; infinite for a curve that only rises, 0 for one that only falls."""
        if self.beta <= 0:
            return math.inf if self.alpha > 0 or self.form is Form.RL else 0.0
        match self.form:
            case Form.BEST_OF_N:
                return max(self.alpha / (2 * self.beta), 0.0)
            case Form.RL:
                return math.exp(min(self.alpha / self.beta - 1, 700.0))


def fit(distance: FloatArray, quality: FloatArray, form: Form) -> Fit:
    """Least squares through the start.

    Args:
        distance: [point] sqrt(KL), not below 0.
        quality: [point] less the start's.
        form: of the curve.

    Raises ValueError for fewer than three points, for two arrays of different length, and for negative distances.
    """
    if len(distance) != len(quality) or len(distance) < 3 or np.any(distance < 0):
        raise ValueError(f"{len(distance)} distances and {len(quality)} qualities: three or more pairs, none below 0")
    design = np.stack([distance, -_bend(distance, form)], axis=1)
    alpha, beta = np.linalg.lstsq(design, quality, rcond=None)[0].tolist()
    apart, whole = quality - design @ np.array([alpha, beta]), quality - quality.mean()
    spread = float(whole @ whole)
    return Fit(form, alpha, beta, 1 - float(apart @ apart) / spread if spread > 0 else math.nan)


def _bend(distance: FloatArray, form: Form) -> FloatArray:
    """d^2 or d log d, which is 0 at 0."""
    match form:
        case Form.BEST_OF_N:
            return distance**2
        case Form.RL:
            return distance * np.log(np.where(distance > 0, distance, 1.0))
