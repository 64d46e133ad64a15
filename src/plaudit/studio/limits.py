"""How often one caller may do something: token buckets in this process."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from fastapi import HTTPException

from plaudit.studio.roles import said

MOST_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many a second from then on."""

    burst: int
    per_second: float


LOGIN = Rate(5, 5 / 60)
"""per address and name"""
ADDRESS = Rate(30, 30 / 60)
"""sign-ins and joins per address"""
ANSWERS = Rate(20, 5.0)
"""per person: an outbox that was offline for a while comes at once"""
PROGRAM = Rate(100, 50.0)
"""per key"""


class Limits:
    """The buckets of all callers. Safe to use from several threads.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[Hashable, tuple[float, float, Rate]] = {}
        self._lock = threading.Lock()

    def take(self, key: Hashable, rate: Rate) -> None:
        """Take a token. Raises 429, with the seconds after which there is one again."""
        now = self._clock()
        with self._lock:
            if len(self._buckets) >= MOST_BUCKETS:
                self._buckets = {k: b for k, b in self._buckets.items() if _filled(b, now) < b[2].burst}
            there = _filled(self._buckets.get(key, (rate.burst, now, rate)), now)
            if there >= 1:
                self._buckets[key] = (there - 1, now, rate)
                return
        wait = max(1, math.ceil((1 - there) / rate.per_second))
        raise HTTPException(
            429, said("That was too often", next_step=f"try again in {wait} s"), headers={"Retry-After": str(wait)}
        )


def _filled(bucket: tuple[float, float, Rate], now: float) -> float:
    tokens, at, rate = bucket
    return min(float(rate.burst), tokens + (now - at) * rate.per_second)
