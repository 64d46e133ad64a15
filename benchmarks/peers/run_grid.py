"""Run the cells of the peer's grid as subprocesses, a row for each; started again, it goes on where it stopped.

    python -m peers.run_grid --python PATH_OF_THE_PEERS_PYTHON --jobs 2

The order is seed by seed, so that a grid that is not finished yet has whole replications. A failed cell is reported
and skipped; the next start tries it again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from peers import protocol

BENCHMARKS = Path(__file__).resolve().parents[1]
DEFAULT_OUT = BENCHMARKS / "results" / "raw" / "imitation.jsonl"


class Cell(NamedTuple):
    """What one row is about."""

    env: str
    teacher: str
    labels: int
    seed: int

    def __str__(self) -> str:
        return f"{self.env}/{self.teacher}/{self.labels}/{self.seed}"


def cells(seeds: tuple[int, ...] = protocol.SEEDS) -> Iterator[Cell]:
    """All cells, seed by seed and in each seed environment by environment."""
    for seed in seeds:
        for env in protocol.ENVS:
            for reference in protocol.REFERENCES:
                yield Cell(env, reference, 0, seed)
            for labels in protocol.LABELS:
                for teacher in protocol.TEACHERS:
                    yield Cell(env, teacher, labels, seed)


def finished(out: Path) -> set[Cell]:
    """Cells that have a row; a torn last line counts as no row."""
    done = set()
    for line in out.read_text(encoding="utf-8").splitlines() if out.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        done.add(Cell(row["env"], row["teacher"], row["labels"], row["seed"]))
    return done


def run(cell: Cell, python: str, out: Path, timeout: float) -> bool:
    """Run one cell in its own process on one thread; say how it went."""
    command = [python, "-m", "peers.imitation_prefs", "--env", cell.env, "--teacher", cell.teacher]
    command += ["--labels", str(cell.labels), "--seed", str(cell.seed), "--out", str(out)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    begin = time.monotonic()
    try:
        result = subprocess.run(
            command, cwd=BENCHMARKS, env={**os.environ, **threads}, capture_output=True, text=True, timeout=timeout
        )
        problem = "" if result.returncode == 0 else "\n".join(result.stderr.splitlines()[-15:])
    except subprocess.TimeoutExpired:
        problem = f"no result within {timeout:.0f} s"
    state = f"FAILED\n{problem}" if problem else "done"
    print(f"{time.strftime('%H:%M:%S')} {cell} {state} after {time.monotonic() - begin:.0f} s", flush=True)
    return not problem


def main() -> int:
    """Read the command line and run what is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", required=True, help="Python of the environment that has `imitation`")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="file of the rows")
    parser.add_argument("--jobs", type=int, default=1, help="cells at a time")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(protocol.SEEDS))
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="cells with all these in env or teacher")
    parser.add_argument("--timeout", type=float, default=3600, help="wall seconds a cell may take")
    parser.add_argument("--dry-run", action="store_true", help="only list what is missing")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    done = finished(out)
    missing = [
        cell
        for cell in cells(tuple(arguments.seeds))
        if cell not in done and set(arguments.only) <= {cell.env, cell.teacher}
    ]
    print(f"{len(missing)} cells to run, {len(done)} rows already there", flush=True)
    if arguments.dry_run:
        print(*missing, sep="\n")
        return 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        good = list(pool.map(lambda cell: run(cell, arguments.python, out, arguments.timeout), missing))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
