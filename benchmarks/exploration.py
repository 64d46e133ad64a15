"""Does seeking new states halve the labels? MountainCarContinuous-v0, where random actions never reach the goal.

    python -m benchmarks.exploration run [--jobs 2] [--seeds 10]      appends and resumes
    python -m benchmarks.exploration summary                          results/exploration.json

Four arms with equal steps and an equal simulated teacher: nothing, `loop.pretrain`, the bonuses of `[explore]`, and both.
A return counts as a fraction of what the same algorithm reaches on the true reward, started like the arm `pretrain`, over
random actions. "Halves" compares an arm at n labels with `plain` at 2 n.
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
from benchmarks.efficiency import play

KEYS = ("arm", "labels", "seed")
BONUS = {"uncertainty": 0.05, "entropy": 0.5, "half_life": 4000}
ARMS: dict[str, dict[str, Any]] = {
    "plain": {"loop": {}},
    "pretrain": {"loop": {"pretrain": 8000}},
    "bonus": {"loop": {}, "explore": BONUS},
    "both": {"loop": {"pretrain": 8000}, "explore": BONUS},
}
LABELS = (20, 40, 80)
RANDOM_RETURN = -33.3
"""mean return of uniformly random actions, which never reach the goal: -0.1 E[a^2] over 999 steps"""


def settings(arm: str, labels: int, seed: int) -> dict[str, Any]:
    """A run file's table for one cell; `oracle` is SAC on the true reward, pre-trained, and `oracle plain` is not."""
    oracle = arm.startswith("oracle")
    table = ARMS["plain" if arm == "oracle plain" else "pretrain" if oracle else arm]
    loop = {"steps": 24_000, "warmup": 2000, "rounds": 8, "environment_weight": float(oracle)}
    return {
        "name": f"{arm}-{labels}",
        "seed": seed,
        "world": {"id": "MountainCarContinuous-v0", "envs": 2},
        "ask": {"labels": labels, "segment_length": 50},
        "check": {"videos": False},
        **table,
        "loop": loop | table["loop"],
    }


def cell(arm: str, labels: int, seed: int) -> dict[str, Any]:
    """One run in this process."""
    from plaudit.loop import Run, RunConfig
    from plaudit.run.config import from_table

    config = from_table(RunConfig, settings(arm, labels, seed))
    with tempfile.TemporaryDirectory() as folder, Run.create(config, Path(folder) / "run") as run:
        run.finish()
        returns = play(run)
        goals = int((run.world.behaviour.rewards > 50).sum())
    return {"arm": arm, "labels": labels, "seed": seed, "true_return": float(np.mean(returns)), "goals": goals}


def summary() -> list[Row]:
    """Fractions of the oracle, times that the goal was reached in training, and arms at n labels beside `plain` at 2 n."""
    raw = read_raw("exploration")
    best = float(np.mean([row["true_return"] for row in raw if row["arm"] == "oracle"]))
    found = {(row["arm"], row["labels"], row["seed"]): row for row in raw}

    def fractions(arm: str, labels: int) -> dict[int, float]:
        return {
            seed: (row["true_return"] - RANDOM_RETURN) / (best - RANDOM_RETURN)
            for (a, n, seed), row in found.items()
            if (a, n) == (arm, labels)
        }

    rows = [Row("oracle", "true_return", best, n=sum(row["arm"] == "oracle" for row in raw), unit="return")]
    for arm, labels in sorted({(row["arm"], row["labels"]) for row in raw}):
        values = list(fractions(arm, labels).values())
        rows.append(interval_row(f"{arm}/{labels}", "fraction_of_oracle", values, "of oracle"))
        reached = [entry["goals"] for (a, n, _), entry in found.items() if (a, n) == (arm, labels)]
        rows.append(interval_row(f"{arm}/{labels}", "goals_reached", reached, "episodes of training"))
    for arm, labels in product(("pretrain", "bonus", "both"), LABELS[:-1]):
        ours, plain = fractions(arm, labels), fractions("plain", 2 * labels)
        seeds = sorted(ours.keys() & plain.keys())
        if seeds:
            differences = [ours[seed] - plain[seed] for seed in seeds]
            rows.append(
                interval_row(f"{arm}/{labels} - plain/{2 * labels}", "mean_difference", differences, "of oracle")
            )
    return rows


def cells(seeds: int) -> list[dict[str, Any]]:
    """The grid, seed by seed."""
    found: list[dict[str, Any]] = []
    for seed in range(seeds):
        found += [{"arm": arm, "labels": 0, "seed": seed} for arm in ("oracle", "oracle plain")]
        found += [{"arm": arm, "labels": labels, "seed": seed} for labels, arm in product(LABELS, ARMS)]
    return found


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "cell", "summary"))
    parser.add_argument("words", nargs="*")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    if given.verb == "cell":
        arm, labels, seed = given.words
        print(json.dumps(cell(arm, int(labels), int(seed))))
    elif given.verb == "run":
        run_missing("exploration", cells(given.seeds), KEYS, jobs=given.jobs)
    else:
        write("exploration", asked="Does seeking new states halve the labels?", rows=summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())
