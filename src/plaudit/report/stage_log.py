"""Finished stages as the event log has them, with the arrays that they left behind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.store.store import Store

FloatArray = NDArray[np.float64]


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


def read_stages(store: Store) -> list[StageRow]:
    """All finished stages in the order of the log. A row that lacks a part has it empty."""
    rows: list[StageRow] = []
    for event in store.events(kinds={"stage.completed"}):
        payload: dict[str, Any] = event.payload
        rows.append(
            StageRow(
                round=payload["round"],
                stage=payload["stage"],
                metrics=payload.get("metrics") or {},
                artefacts=payload.get("artefacts") or {},
                clips=payload.get("clips") or {},
                versions=payload.get("versions") or {},
                log_position=payload.get("log_position"),
                checkpoint=payload.get("checkpoint"),
            )
        )
    return rows


def last_metric(rows: Sequence[StageRow], *names: str) -> float | None:
    """Newest value of a metric; of several names, the first that was ever logged."""
    for name in names:
        for row in reversed(rows):
            if name in row.metrics:
                return float(row.metrics[name])
    return None


def last_artefact(store: Store, rows: Sequence[StageRow], name: str) -> dict[str, FloatArray]:
    """Newest arrays under an artefact's name, or nothing. Raises IntegrityError when they were changed."""
    for row in reversed(rows):
        digest = row.artefacts.get(name)
        if digest is not None and store.blobs.has(digest):
            return {key: np.asarray(value, dtype=np.float64) for key, value in store.blobs.get_arrays(digest).items()}
    return {}


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
