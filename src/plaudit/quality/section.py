"""A table of the audit with its heading, the same in the terminal and on the page."""

from __future__ import annotations

from dataclasses import dataclass

from plaudit.stats.clustered import ClusteredMean
from plaudit.stats.undefined import Undefined


@dataclass(frozen=True, slots=True)
class Section:
    """Texts only."""

    title: str
    note: str
    """what it says and how it was made, in a sentence or two"""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def share(found: ClusteredMean | Undefined) -> str:
    """A share with its interval, or why there is none."""
    if isinstance(found, Undefined):
        return found.reason
    one = found.interval
    return f"{one.value:.1%} ({max(one.low, 0):.1%} \u2026 {min(one.high, 1):.1%})"
