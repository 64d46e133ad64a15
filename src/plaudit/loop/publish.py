"""What a run leaves beside its log for other tools, whatever it teaches: metrics, timing, versions."""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata

from plaudit.run.directory import RunDirectory, writing
from plaudit.store.store import Store


def publish_metrics(directory: RunDirectory, store: Store) -> None:
    """Write the metrics as a table of lines; the last thing that a run writes."""
    lines = [
        json.dumps({"round": e.payload["round"], "stage": e.payload["stage"], **e.payload["metrics"]})
        for e in store.events(kinds={"stage.completed"})
    ]
    temporary = directory.metrics.with_suffix(".tmp")
    with writing(directory.metrics):
        temporary.write_text("\n".join(lines) + "\n")
        os.replace(temporary, directory.metrics)


def note_timing(directory: RunDirectory, round_: int, stage: str, seconds: float, cpu_seconds: float) -> None:
    """One more line of timing; it stands outside the log, since no two runs take equally long."""
    row = {"round": round_, "stage": stage, "seconds": round(seconds, 4), "cpu_seconds": round(cpu_seconds, 4)}
    with writing(directory.timing), directory.timing.open("a") as stream:
        stream.write(json.dumps(row) + "\n")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    names = ("plaudit", "numpy", "torch", "gymnasium", "stable-baselines3", "mujoco", "sbx-rl")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
