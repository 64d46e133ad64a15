"""What a learner is told while it trains: go on, stop, or roll back."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Protocol


class Signal(enum.Enum):
    """Answer of a monitor to a learner's report."""

    GO = "go"
    STOP = "stop"
    ROLL_BACK = "roll back"


class Monitor(Protocol):
    """Watches a learner; guards and progress displays implement it."""

    def report(self, step: int, metrics: Mapping[str, float]) -> Signal:
        """Called by a learner now and then with environment steps done in this call and its newest metrics."""
        ...


class Unwatched:
    """A monitor that always says go."""

    def report(self, step: int, metrics: Mapping[str, float]) -> Signal:
        """Say go."""
        del step, metrics
        return Signal.GO
