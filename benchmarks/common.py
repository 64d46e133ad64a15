"""What all benchmark scripts share: the machine's description, rows, and results files that append and resume."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from plaudit.stats.intervals import mean_interval

HERE = Path(__file__).parent
RESULTS = HERE / "results"
RAW = RESULTS / "raw"


@dataclass(frozen=True)
class Row:
    """One figure: what case, what metric, its value, its interval, from how many runs, in what unit."""

    case: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int = 1
    unit: str = ""


def interval_row(case: str, metric: str, values: ArrayLike, unit: str = "", *, level: float = 0.9) -> Row:
    """Mean of values [run] with its interval; of a single run there is none."""
    numbers = np.asarray(values, np.float64)
    if len(numbers) < 2:
        return Row(case, metric, float(numbers.mean()), n=len(numbers), unit=unit)
    interval = mean_interval(numbers, level)
    return Row(case, metric, interval.value, interval.low, interval.high, len(numbers), unit)


def machine() -> dict[str, Any]:
    """Processor, cores, memory, threads and load."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].split(":", 1)[1].strip() if lines else name
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else None
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "memory_gib": None if memory is None else round(memory, 1),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def commit() -> str:
    """Commit that the working tree stands on."""
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=HERE, check=False)
    return found.stdout.strip() or "unknown"


def write(name: str, *, asked: str, rows: Iterable[Row], note: str = "") -> Path:
    """Write `results/NAME.json`."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {
        "asked": asked,
        "command": "python -m " + " ".join([_module(), *map(_portable, sys.argv[1:])]),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "note": note,
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(body, indent=1) + "\n")
    return path


def _portable(word: str) -> str:
    """A command's word without the folders of this machine."""
    return f"PATH/{Path(word).name}" if Path(word).is_absolute() else word


def _module() -> str:
    return f"benchmarks.{Path(sys.argv[0]).stem}"


def read_raw(name: str) -> list[dict[str, Any]]:
    """Finished rows of a long benchmark."""
    path = RAW / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append_raw(name: str, row: dict[str, Any]) -> None:
    """Add a finished row of a long benchmark."""
    RAW.mkdir(parents=True, exist_ok=True)
    with (RAW / f"{name}.jsonl").open("a") as stream:
        stream.write(json.dumps(row) + "\n")


def missing(
    cells: Iterable[dict[str, Any]], finished: list[dict[str, Any]], keys: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """Cells that no finished row covers."""
    done = {tuple(row[key] for key in keys) for row in finished}
    return (cell for cell in cells if tuple(cell[key] for key in keys) not in done)


def run_missing(
    name: str, cells: Iterable[dict[str, Any]], keys: tuple[str, ...], *, jobs: int = 1, at_once: int = 1
) -> None:
    """Run the cells of a long benchmark that no finished row covers; rows are added as they come.

    Each cell runs in a process of its own, `python -m benchmarks.NAME cell VALUE...`, so that its CPU time stands alone
    and nothing is left over from the one before. It prints its row as a line of JSON.

    Args:
        name: of the benchmark's module and of its raw rows.
        cells: what to run, in this order.
        keys: what of a cell is given to the process, and tells one row from another.
        jobs: processes at a time.
        at_once: cells that a process runs one after the other, where starting it would cost about as much as a cell.

    Raises:
        SystemExit: a cell failed; the text ends as its own error did.
    """
    wanted = [[str(cell[key]) for key in keys] for cell in missing(cells, read_raw(name), keys)]
    groups = [wanted[start : start + at_once] for start in range(0, len(wanted), at_once)]
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(partial(_run_cells, name), groups))


def _run_cells(name: str, group: list[list[str]]) -> None:
    words = [word for cell in group for word in cell]
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}", "cell", *words]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=HERE.parent) as process,
    ):
        for line in process.stdout or ():
            if line.startswith("{"):
                append_raw(name, json.loads(line))
                print(line.strip() if len(line) < 1000 else words, flush=True)
        if process.wait():
            errors.seek(0)
            raise SystemExit(f"cell {words} failed:\n{errors.read()[-2000:]}")
