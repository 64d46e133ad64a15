"""What a statistic says when the data cannot answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Undefined:
    """No number, and the reason in one sentence."""

    reason: str
