"""What sways choices between two, beside what is known to: logistic regression with errors robust to clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from plaudit.stats.undefined import Undefined

FloatArray = NDArray[np.float64]
RIDGE = 0.1
"""prior weight of no influence, in squared units of a coefficient: choices without any exception have a finite fit too"""


@dataclass(frozen=True, slots=True)
class Swayed:
    """Coefficients of P(the first is chosen) = sigmoid(differences @ coefficients)."""

    coefficients: FloatArray
    """[feature]"""
    errors: FloatArray
    """[feature] standard errors"""
    clusters: int


def swayed(differences: FloatArray, clusters: NDArray[np.int64]) -> Swayed | Undefined:
    """Fit choices from differences of features, by Newton's method with a slight ridge.

    Errors are the sandwich's over clusters, scaled by G / (G - 1) (Liang & Zeger 1986).

    Args:
        differences: [choice, feature] of what was chosen minus what was not.
        clusters: [choice] any number that names the cluster.
    """
    groups, place = np.unique(clusters, return_inverse=True)
    width = differences.shape[1]
    if len(groups) <= width + 1:
        return Undefined(f"{width} influences cannot be told apart in {len(groups)} clusters")
    found = np.zeros(width)
    for _ in range(100):
        lost = expit(-differences @ found)
        slope = differences.T @ lost - RIDGE * found
        curve = _curve(differences, lost)
        step = np.linalg.solve(curve, slope)
        # steps of more than a unit overshoot where the fit is nearly certain
        found = found + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-10:
            break
    lost = expit(-differences @ found)
    scores = np.zeros((len(groups), width))
    np.add.at(scores, place, differences * lost[:, None])
    bread = np.linalg.inv(_curve(differences, lost))
    middle = scores.T @ scores * len(groups) / (len(groups) - 1)
    return Swayed(found, np.sqrt(np.diag(bread @ middle @ bread)), len(groups))


def _curve(differences: FloatArray, lost: FloatArray) -> FloatArray:
    weights = lost * (1 - lost)
    return differences.T @ (differences * weights[:, None]) + RIDGE * np.eye(differences.shape[1])
