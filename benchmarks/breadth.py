"""What options are for, each on a world where it should win: rewards that see, several tasks with one policy.

    python -m benchmarks.breadth run [--only pixels]      appends and resumes
    python -m benchmarks.breadth summary                  results/breadth.json

`pixels`: the reward reads 64 x 64 pictures of Pendulum and nothing else of the state; the policy reads the state.
`tasks`: one policy and one reward for two goals of Reacher, beside a run for each goal alone with as many labels and steps.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import Row, interval_row, read_raw, run_missing, write
from benchmarks.efficiency import RANDOM_RETURN, settings
from plaudit.check.compare import fraction

KEYS = ("case", "oracle", "seed")
SEEDS = range(5)
GOALS = ((0.1, 0.1), (-0.12, 0.05))
CASES = {"pixels": 50, "tasks": 100, "goal 0": 100, "goal 1": 100}
"""labels of each case"""


def table(case: str, oracle: bool, seed: int) -> dict[str, Any]:
    """The run file of a cell."""
    env = "pendulum" if case == "pixels" else "reacher"
    found = settings(env, "oracle" if oracle else "boltzmann", CASES[case], seed)
    if case == "pixels":
        if not oracle:
            found["world"]["pixels"] = 64
            found["reward"] = {"trunk": "cnn", "crop": 8}
        return found
    found["world"]["id"] = "plaudit.worlds.goals:Reacher"
    goals = [{"goal": list(goal)} for goal in GOALS]
    found["world"] |= {"tasks": goals} if case == "tasks" else {"options": goals[int(case[-1])]}
    return found


def cell(case: str, oracle: bool, seed: int) -> dict[str, Any]:
    """One run in this process."""
    from plaudit.loop import Run, RunConfig
    from plaudit.run.config import from_table

    config = from_table(RunConfig, table(case, oracle, seed))
    with tempfile.TemporaryDirectory() as folder, Run.create(config, Path(folder) / "run") as run:
        run.finish()
        metrics: dict[str, float] = {}
        for event in run.store.events(kinds={"stage.completed"}):
            metrics |= event.payload["metrics"]
    kept = {name: value for name, value in metrics.items() if name.startswith("check/return")}
    return {"case": case, "oracle": oracle, "seed": seed, "labels": metrics["ask/labels_total"], **kept}


def summary() -> list[Row]:
    """Fractions of the oracle, and of what a run for one goal alone reaches."""
    found = {(row["case"], row["oracle"], row["seed"]): row for row in read_raw("breadth")}
    rows: list[Row] = []
    seeds = [s for s in SEEDS if ("pixels", True, s) in found and ("pixels", False, s) in found]
    if len(seeds) > 1:
        tops = [found["pixels", True, s]["check/return_mean"] for s in seeds]
        values = fraction(
            [found["pixels", False, s]["check/return_mean"] for s in seeds], RANDOM_RETURN["pendulum"], sum(tops) / len(tops)
        )  # fmt: skip
        rows += _rows("pixels/cnn", values.tolist())
    names = ["tasks", "goal 0", "goal 1"]
    seeds = [s for s in SEEDS if all((name, False, s) in found for name in names)]
    for number, goal in enumerate(GOALS):
        if len(seeds) < 2:
            break
        task = f"goal={list(goal)}"
        shares: list[float] = []
        for s in seeds:
            alone, both = found[f"goal {number}", False, s], found["tasks", False, s]
            random = alone["check/return_random"]
            shares.append((both[f"check/return_mean/{task}"] - random) / (alone["check/return_mean"] - random))
        rows += _rows(f"tasks/{task}", shares, "of a run for this goal alone")
    return rows


def _rows(case: str, values: list[float], unit: str = "of oracle") -> list[Row]:
    return [
        interval_row(case, "fraction", values, unit),
        Row(case, "worst_fraction", min(values), n=len(values), unit=unit),
    ]


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "cell", "summary"))
    parser.add_argument("words", nargs="*")
    parser.add_argument("--only", choices=tuple(CASES))
    given = parser.parse_args()
    if given.verb == "cell":
        case, oracle, seed = given.words
        print(json.dumps(cell(case, oracle == "True", int(seed))))
    elif given.verb == "run":
        cells = [
            {"case": case, "oracle": oracle, "seed": seed}
            for seed in SEEDS for case in CASES for oracle in (False, True)
            if given.only in (None, case) and not (oracle and case != "pixels")
        ]  # fmt: skip
        run_missing("breadth", cells, KEYS)
    else:
        write(
            "breadth",
            asked="Does each option win where it should?",
            rows=summary(),
            note="one noisy teacher; seeds 0-4",
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
