"""All metrics of a run's log as series by name, and as a table."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from plaudit.report.source import Source


@dataclass(frozen=True, slots=True)
class Point:
    """A number that was logged when a stage of a round ended."""

    round: int
    """from 1"""
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """A metric through the run."""

    name: str
    stage: str
    points: tuple[Point, ...]


def series(source: Source) -> tuple[Series, ...]:
    """Every metric of every stage, in the order of first appearance."""
    found: dict[tuple[str, str], list[Point]] = {}
    for row in source.rows:
        for name, value in row.metrics.items():
            found.setdefault((row.stage, name), []).append(Point(row.round + 1, float(value)))
    return tuple(Series(name, stage, tuple(points)) for (stage, name), points in found.items())


def as_csv(source: Source) -> str:
    """One line for every number: round, stage, name, value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["round", "stage", "name", "value"])
    for row in source.rows:
        writer.writerows([row.round + 1, row.stage, name, repr(float(value))] for name, value in row.metrics.items())
    return out.getvalue()
