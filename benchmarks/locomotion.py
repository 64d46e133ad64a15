"""Tasks that take long: runs on comparisons beside the same algorithm on the true reward, and beside `imitation` 1.0.1.

    python -m benchmarks.locomotion run [--only cheetah] [--steps 100000]          appends and resumes
    python -m benchmarks.locomotion peer --python PEER_VENV/bin/python             imitation's cells, likewise
    python -m benchmarks.locomotion summary                                        results/locomotion.json

HalfCheetah and Hopper with 200 comparisons: 100,000 steps beside the run's own oracle, and 50,000 beside `imitation`.
dm_control's walker_walk with 100 comparisons and 250,000 steps, where published figures exist for 500,000. Questions
go to the noisy teacher (temperature 1), and where a case says so to the error-free one, which the published figures have.
Near on-policy: questions about the ten newest episodes; on walker_walk, and elsewhere where it is said, with 25 rounds
instead of 12 too. Every environment
step counts, the steps for asking included; a return is the mean of 20 deterministic episodes as in `benchmarks.efficiency`.
`imitation` takes about five times the CPU time (HalfCheetah: 464 s for the 68,000 steps that it takes when asked for
50,000; plaudit 88 s for 50,000), hence one seed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import HERE, RAW, Row, interval_row, missing, read_raw, run_missing, write
from benchmarks.efficiency import play, settings
from benchmarks.peers import protocol
from plaudit.check.compare import fraction

KEYS = ("env", "labels", "steps", "seed")
SEEDS = (0, 1, 2)
LABELS = {
    "cheetah": 200, "hopper": 200, "walker": 100, "cheetah, near on-policy": 200, "hopper, near on-policy": 200,
    "cheetah, near on-policy, 25 rounds": 200, "hopper, near on-policy, 25 rounds": 200,
    "walker, near on-policy, error-free": 100,
}  # fmt: skip
STEPS = {
    "cheetah": (100_000, 50_000),
    "hopper": (100_000, 50_000),
    "walker": (250_000,),
    "cheetah, near on-policy": (100_000,),
    "hopper, near on-policy": (100_000,),
    "cheetah, near on-policy, 25 rounds": (100_000,),
    "hopper, near on-policy, 25 rounds": (100_000,),
    "walker, near on-policy, error-free": (250_000,),
}
TRICKS: dict[str, dict[str, Any]] = {
    "cheetah, near on-policy": {"ask": {"newest_episodes": 10}},
    "hopper, near on-policy": {"ask": {"newest_episodes": 10}},
    "cheetah, near on-policy, 25 rounds": {"ask": {"newest_episodes": 10}, "loop": {"rounds": 25}},
    "hopper, near on-policy, 25 rounds": {"ask": {"newest_episodes": 10}, "loop": {"rounds": 25}},
    "walker, near on-policy, error-free": {
        "ask": {"newest_episodes": 10, "teacher": {"temperature": 0.0}},
        "loop": {"rounds": 25},
    },
}
"""settings of runs that differ from the defaults; they share the oracle of their task"""
WALKER = {"id": "shimmy:dm_control/walker-walk-v0", "options": {}}
PEER = "locomotion_imitation"


def table(env: str, labels: int, steps: int, seed: int) -> dict[str, Any]:
    """The run file of a cell; 0 labels train on the true reward."""
    like = "cheetah" if _task(env) == "walker" else _task(env)
    found = settings(like, "boltzmann" if labels else "oracle", labels, seed)
    for section, settings_ in TRICKS.get(env, {}).items():
        found[section] |= settings_
    found["name"] = f"{env}-{labels}-{steps}"
    found["loop"]["steps"] = steps
    found["world"] |= WALKER if _task(env) == "walker" else {}
    return found


def _task(env: str) -> str:
    return env.split(",")[0]


def cell(env: str, labels: int, steps: int, seed: int) -> dict[str, Any]:
    """One run in this process."""
    from plaudit.loop import Run, RunConfig
    from plaudit.run.config import from_table

    config = from_table(RunConfig, table(env, labels, steps, seed))
    with tempfile.TemporaryDirectory() as folder, Run.create(config, Path(folder) / "run") as run:
        run.finish()
        cpu, taken = time.process_time(), len(run.world.behaviour) * run.world.n_envs
        metrics: dict[str, float] = {}
        for event in run.store.events(kinds={"stage.completed"}):
            metrics |= event.payload["metrics"]
        returns = play(run)
    return {
        "env": env, "labels": labels, "steps": steps, "seed": seed, "true_return": float(np.mean(returns)),
        "random": metrics["check/return_random"], "returns": [round(value, 1) for value in returns],
        "env_steps_total": taken, "cpu_s": round(cpu, 1), "load": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def cells() -> list[dict[str, Any]]:
    """The longer runs of each task first, seed by seed."""
    return [
        {"env": env, "labels": labels, "steps": steps, "seed": seed}
        for env, lengths in STEPS.items() for steps in lengths for seed in SEEDS for labels in (LABELS[env], 0)
        if labels or env not in TRICKS
    ]  # fmt: skip


def run_peer(python: str, seeds: int, only: str | None) -> None:
    """The peer's cells and its own oracle, one after the other."""
    wanted = [
        {"env": env, "teacher": teacher, "labels": labels, "seed": seed}
        for seed in range(seeds) for env in protocol.RUNNERS if only in (None, env)
        for teacher, labels in (("boltzmann", LABELS[env]), ("oracle", 0))
    ]  # fmt: skip
    for entry in missing(wanted, read_raw(PEER), ("env", "teacher", "labels", "seed")):
        words = [f"--{name}={value}" for name, value in entry.items()]
        command = [python, "-W", "ignore", "-m", "peers.imitation_prefs", *words, "--out", str(RAW / f"{PEER}.jsonl")]
        subprocess.run(command, cwd=HERE, check=True)
        print(read_raw(PEER)[-1]["true_return"], entry, flush=True)


def summary() -> list[Row]:
    """Returns, fractions of the own oracle over random actions, and the peer as a fraction of our oracle and of its own."""
    raw, rows = read_raw("locomotion"), list[Row]()
    for env, lengths in STEPS.items():
        for steps in lengths:
            task = _task(env)
            found = {labels: _returns(raw, env if labels else task, labels, steps) for labels in (0, LABELS[env])}
            if not all(found.values()):
                continue
            randoms = [row["random"] for row in raw if row["env"] == task]
            random = float(np.mean(randoms))
            best = float(np.mean(list(found[0].values())))
            for labels, values in found.items():
                if env in TRICKS and not labels:
                    continue
                case = f"{env}/{steps}/" + (f"{labels} labels" if labels else "oracle")
                numbers = np.array(list(values.values()))
                rows.append(_spread(case, "return", numbers, ""))
                if labels:
                    rows += _fractions(case, fraction(numbers, random, best))
            if env in TRICKS:
                plain, mine = _returns(raw, task, LABELS[env], steps), found[LABELS[env]]
                seeds = sorted(plain.keys() & mine.keys())
                sides = [fraction([side[s] for s in seeds], random, best) for side in (mine, plain)]
                rows.append(
                    interval_row(f"{env}/{steps} - {task}/{steps}", "difference", sides[0] - sides[1], "of oracle")
                )
                continue
            rows.append(Row(f"{env}/{steps}/random", "return", random, n=len(randoms)))
            if steps == protocol.TOTAL_TIMESTEPS.get(env):
                rows += _peer(env, steps, random, best)
    return rows


def _returns(raw: list[dict[str, Any]], env: str, labels: int, steps: int) -> dict[int, float]:
    return {r["seed"]: r["true_return"] for r in raw if (r["env"], r["labels"], r["steps"]) == (env, labels, steps)}


def _peer(env: str, steps: int, random: float, best: float) -> list[Row]:
    raw = [row for row in read_raw(PEER) if row["env"] == env]
    values = np.array([row["true_return"] for row in raw if row["labels"]])
    oracle = np.array([row["true_return"] for row in raw if row["teacher"] == "oracle"])
    if not len(values):
        return []
    case = f"{env}/{steps}/{LABELS[env]} labels, imitation"
    rows = [
        _spread(case, "return", values, ""),
        _spread(case, "env_steps_total", np.array([row["env_steps_total"] for row in raw if row["labels"]]), "steps"),
        interval_row(case, "fraction_of_our_oracle", fraction(values, random, best), "of plaudit's oracle"),
    ]
    if len(oracle):
        rows.append(_spread(f"{env}/{steps}/oracle, stable-baselines3", "return", oracle, ""))
        rows += _fractions(case, fraction(values, random, float(oracle.mean())))
    return rows


def _fractions(case: str, values: np.ndarray) -> list[Row]:
    worst = Row(case, "worst_fraction", float(values.min()), n=len(values), unit="of oracle")
    return [interval_row(case, "fraction", values, "of oracle"), worst]


def _spread(case: str, metric: str, values: np.ndarray, unit: str) -> Row:
    return Row(case, metric, float(values.mean()), float(values.min()), float(values.max()), len(values), unit)


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "cell", "peer", "summary"))
    parser.add_argument("words", nargs="*")
    parser.add_argument("--only", choices=tuple(STEPS))
    parser.add_argument("--steps", type=int)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--seeds", type=int, help="3; of the peer 1")
    given = parser.parse_args()
    if given.verb == "cell":
        env, labels, steps, seed = given.words
        print(json.dumps(cell(env, int(labels), int(steps), int(seed))))
    elif given.verb == "run":
        wanted = [c for c in cells() if given.only in (None, c["env"]) and given.steps in (None, c["steps"])]
        wanted = [c for c in wanted if c["seed"] < (given.seeds or len(SEEDS))]
        run_missing("locomotion", wanted, KEYS)
    elif given.verb == "peer":
        run_peer(given.python, given.seeds or 1, given.only)
    else:
        write(
            "locomotion",
            asked="Do 200 comparisons teach to run, and 100 to walk, what the true reward does?",
            rows=summary(),
            note="noisy teacher; fractions with 90 % intervals over seeds, returns with worst and best seed; walker with noisy "
            "answers: two seeds of three so far; "
            "imitation with one seed, and more steps than it was asked for, since it plays on when it asks",
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
