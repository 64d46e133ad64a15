"""Ratings or comparisons, at equal human seconds? Median, mean and worst over seeds.

    python -m benchmarks.kinds run [--jobs 2]      appends and resumes
    python -m benchmarks.kinds summary             results/kinds.json

A textbook says that comparisons win the median and not the mean. Here both kinds get the same seconds of the same
noisy teacher (4 s per comparison, 3 s per rating on five grades), the same policy and the same steps.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Row, interval_row, read_raw, run_missing, write
from benchmarks.efficiency import RANDOM_RETURN, play, settings

KEYS = ("env", "kind", "human_seconds", "seed")
SCALE = {"pendulum": (-16.3, 0.0), "reacher": (-2.0, 0.0)}
"""true reward per step at the ends of the rating scale"""
SECONDS = {"comparison": 4.0, "rating": 3.0}
BUDGETS = (60, 200)
SEEDS = tuple(range(10))


def cell(env: str, kind: str, human_seconds: int, seed: int) -> dict[str, Any]:
    """One run in this process."""
    from plaudit.loop import Run, RunConfig
    from plaudit.run.config import from_table

    labels = int(human_seconds / SECONDS[kind])
    table = settings(env, "boltzmann", labels, seed)
    low, high = SCALE[env]
    table["ask"] |= {"kind": kind, "levels": 5, "teacher": {"temperature": 1.0, "low": low, "high": high}}
    with tempfile.TemporaryDirectory() as folder, Run.create(from_table(RunConfig, table), Path(folder) / "run") as run:
        run.finish()
        returns = play(run)
    return {
        "env": env,
        "kind": kind,
        "human_seconds": human_seconds,
        "seed": seed,
        "labels": labels,
        "true_return": float(np.mean(returns)),
    }


def summary() -> list[Row]:
    """Median, mean and worst of both kinds, and their paired difference."""
    raw, rows = read_raw("kinds"), list[Row]()
    for env, seconds in product(SCALE, BUDGETS):
        found = {
            kind: {
                row["seed"]: row["true_return"]
                for row in raw
                if (row["env"], row["kind"], row["human_seconds"]) == (env, kind, seconds)
            }
            for kind in SECONDS
        }
        for kind, values in found.items():
            if values:
                numbers = np.array(list(values.values()))
                for metric, value in (
                    ("median", np.median(numbers)),
                    ("mean", numbers.mean()),
                    ("worst", numbers.min()),
                ):
                    rows.append(Row(f"{env}/{seconds} s/{kind}", metric, float(value), n=len(numbers), unit="return"))
        seeds = sorted(set(found["comparison"]) & set(found["rating"]))
        if len(seeds) >= 2:
            span = -RANDOM_RETURN[env]
            differences = np.array([found["comparison"][s] - found["rating"][s] for s in seeds]) / span
            case = f"{env}/{seconds} s/comparison - rating"
            rows.append(interval_row(case, "mean_difference", differences, "of random's return"))
    return rows


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "cell", "summary"))
    parser.add_argument("words", nargs="*")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    if given.verb == "cell":
        env, kind, seconds, seed = given.words
        print(json.dumps(cell(env, kind, int(seconds), int(seed))))
    elif given.verb == "run":
        cells: list[dict[str, Any]] = [
            dict(zip(KEYS, values, strict=True)) for values in product(SCALE, SECONDS, BUDGETS, SEEDS)
        ]
        run_missing("kinds", cells, KEYS, jobs=given.jobs)
    else:
        write("kinds", asked="Ratings or comparisons, at equal human seconds?", rows=summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())
