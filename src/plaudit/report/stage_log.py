"""Finished stages as the event log has them, and how long they took."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class StageRow:
    """One `stage.completed` event; `round` counts from 0, as in the log."""

    round: int
    stage: str
    metrics: Mapping[str, float]
    artefacts: Mapping[str, str]
    clips: Mapping[str, str]
    versions: Mapping[str, str | None]
    log_position: int | None
    checkpoint: str | None


def stage_row(payload: Mapping[str, Any]) -> StageRow:
    """A row from the payload of its event. What the payload lacks is empty."""
    return StageRow(
        round=payload["round"],
        stage=payload["stage"],
        metrics=payload.get("metrics") or {},
        artefacts=payload.get("artefacts") or {},
        clips=payload.get("clips") or {},
        versions=payload.get("versions") or {},
        log_position=payload.get("log_position"),
        checkpoint=payload.get("checkpoint"),
    )


def last_metric(rows: Sequence[StageRow], *names: str) -> float | None:
    """Newest value of a metric; of several names, the first that was ever logged."""
    for name in names:
        for row in reversed(rows):
            if name in row.metrics:
                return float(row.metrics[name])
    return None


def read_timing(path: Path) -> dict[tuple[int, str], tuple[float, float]]:
    """Wall and CPU seconds by (round, stage), from the lines that the run wrote; a half-written line is left out."""
    found: dict[tuple[int, str], tuple[float, float]] = {}
    if not path.is_file():
        return found
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
            found[row["round"], row["stage"]] = (float(row["seconds"]), float(row["cpu_seconds"]))
        except (ValueError, KeyError, TypeError):  # the run may be writing this line just now
            continue
    return found
