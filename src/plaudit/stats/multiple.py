"""Many tests at once: which of them to believe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def benjamini_hochberg(p_values: FloatArray) -> FloatArray:
    """[test] q values: believing all tests with q <= level, a share of at most `level` of these is false on average.

    Benjamini & Hochberg 1995, for independent tests and those that go together (Benjamini & Yekutieli 2001, theorem 1.2).

    Raises ValueError for numbers that are no probabilities.
    """
    if not ((p_values >= 0) & (p_values <= 1)).all():
        raise ValueError("p values lie between 0 and 1")
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")
    stepped = p_values[order] * count / np.arange(1, count + 1)
    found = np.empty(count)
    found[order] = np.minimum.accumulate(stepped[::-1])[::-1]
    return np.minimum(found, 1.0)
