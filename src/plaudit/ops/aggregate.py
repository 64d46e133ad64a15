"""From the opinions of an ensemble's members to one value: [member, ...] arrays to [...]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def mean(members: FloatArray) -> FloatArray:
    """What members think on average."""
    return members.mean(axis=0)


def worst(members: FloatArray) -> FloatArray:
    """The least favourable opinion (worst-case optimisation, Coste et al. 2023)."""
    return members.min(axis=0)


def lower_bound(members: FloatArray, *, deviations: float = 1.0) -> FloatArray:
    """Mean minus some standard deviations over members: pessimism where they disagree."""
    return members.mean(axis=0) - deviations * members.std(axis=0)


def spread(members: FloatArray) -> FloatArray:
    """Standard deviation over members: how unsure the ensemble is."""
    return np.asarray(members.std(axis=0))
