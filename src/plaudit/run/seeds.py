"""Random streams that depend on names, never on the order of calls.

A stream is keyed by (seed, round, stage, item id ...). Repeating a stage after a crash therefore draws the same numbers.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed from a run's seed and the names of a stream."""
    text = "\x1f".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator for the stream of that name."""
    return np.random.Generator(np.random.PCG64(derive(seed, *names)))
