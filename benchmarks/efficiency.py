"""How many labels does it take? plaudit beside `imitation` 1.0.1 at equal algorithm, networks and steps.

    python -m benchmarks.efficiency run [--jobs 2] [--only pendulum]      plaudit's cells; appends and resumes
    python -m benchmarks.peers.run_grid --python PEER_VENV/bin/python     the peer's cells, see peers/
    python -m benchmarks.efficiency summary                               results/efficiency.json from both
    python -m benchmarks.efficiency spot                                  rerun one cheap cell and compare

Every environment step counts, the steps for asking included. The return is the mean of 20 deterministic episodes that
start from reset(seed=10_000 + i), played here with plain Gymnasium and not with plaudit's own evaluation.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import HERE, Row, append_raw, missing, read_raw, write
from benchmarks.peers import protocol

KEYS = ("env", "teacher", "labels", "seed")
WARMUP = {"pendulum": 800, "reacher": 1000, "cartpole": 2000}
TEMPERATURE = {"boltzmann": 1.0, "error_free": 0.0}


def settings(env: str, teacher: str, labels: int, seed: int) -> dict[str, Any]:
    """A run file's table for one cell; what the protocol does not fix is plaudit's default."""
    oracle = teacher == "oracle"
    world: dict[str, Any] = {
        "id": "CartPole-v1" if env == "cartpole" else protocol.GYM_IDS[env],
        "envs": protocol.N_ENVS,
    }
    if env == "cartpole":
        world["horizon"] = 500
    kwargs = protocol.ALGORITHM_KWARGS[env]
    if protocol.ALGORITHM[env] == "sac":
        policy = {
            "sac": {
                "net": list(protocol.NET_ARCH),
                **{k: kwargs[k] for k in ("batch_size", "learning_rate", "gamma", "tau")},
            }
        }
    else:
        policy = {"ppo": {"net": list(protocol.NET_ARCH), **kwargs}}
    return {
        "name": f"{env}-{teacher}-{labels}",
        "seed": seed,
        "world": world,
        "ask": {
            "labels": 0 if oracle else labels,
            "segment_length": protocol.FRAGMENT_LENGTH[env],
            "teacher": {"temperature": TEMPERATURE.get(teacher, 1.0)},
        },
        "policy": policy,
        "loop": {
            "steps": protocol.TOTAL_TIMESTEPS[env],
            "warmup": WARMUP[env],
            "environment_weight": 1.0 if oracle else 0.0,
        },
        "check": {"videos": False},
    }


def cell(env: str, teacher: str, labels: int, seed: int) -> dict[str, Any]:
    """Run one cell in this process and describe it."""
    from plaudit.loop import Run, RunConfig
    from plaudit.run.config import from_table

    with (
        tempfile.TemporaryDirectory() as folder,
        Run.create(from_table(RunConfig, settings(env, teacher, labels, seed)), Path(folder) / "run") as run,
    ):
        run.finish()
        cpu, learn = time.process_time(), 0.0
        for line in run.directory.timing.read_text().splitlines():
            row = json.loads(line)
            learn += row["cpu_seconds"] * (row["stage"] == "learn")
        steps, returns = len(run.world.behaviour) * run.world.n_envs, play(run)
    return {
        "env": env, "teacher": teacher, "labels": labels, "seed": seed, "true_return": float(np.mean(returns)),
        "returns": [round(value, 4) for value in returns], "env_steps_total": steps, "cpu_s": round(cpu, 2), "learn_cpu_s": round(learn, 3),
    }  # fmt: skip


def play(run: Any) -> list[float]:
    """True returns of deterministic episodes from the protocol's starts, with plain Gymnasium."""
    from plaudit.worlds.make import make

    env = make(run.config.world)
    returns: list[float] = []
    for index in range(protocol.EVAL_EPISODES):
        observation, _ = env.reset(seed=protocol.EVAL_FIRST_SEED + index)
        total, over = 0.0, False
        while not over:
            action = run.policy.act(np.asarray(observation, np.float32).reshape(1, -1), deterministic=True)[0]
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), bool(terminated or truncated)
        returns.append(total)
    env.close()
    return returns


def cells() -> list[dict[str, Any]]:
    """The whole grid, seed by seed."""
    found: list[dict[str, Any]] = []
    for seed, env in product(protocol.SEEDS, protocol.ENVS):
        found.append({"env": env, "teacher": "oracle", "labels": 0, "seed": seed})
        for labels, teacher in product(protocol.LABELS, protocol.TEACHERS):
            found.append({"env": env, "teacher": teacher, "labels": labels, "seed": seed})
    return found


def run_cell(entry: dict[str, Any]) -> None:
    """One cell in a process of its own, so that its CPU time stands alone."""
    words = [str(entry[key]) for key in KEYS]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.efficiency", "cell", *words],
        capture_output=True, text=True, cwd=HERE.parent, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"cell {words} failed:\n{done.stderr[-2000:]}")
    row = json.loads(done.stdout.splitlines()[-1])
    append_raw("efficiency", row)
    print({key: row[key] for key in (*KEYS, "true_return", "cpu_s")}, flush=True)


def summary() -> list[Row]:
    """Fractions of the oracle per cell, paired differences to the peer, and areas under the label curve."""
    from plaudit.stats.intervals import mean_interval

    ours, theirs = _returns(read_raw("efficiency")), _returns(read_raw("imitation"))
    rows: list[Row] = []
    for env in protocol.ENVS:
        random = RANDOM_RETURN[env]
        for side, table in (("plaudit", ours), ("imitation", theirs)):
            for name in ("oracle", "sb3_zoo"):
                if found := table.get((env, name, 0)):
                    rows.append(_spread(f"{env}/{side}/{name}", "return", list(found.values()), ""))
        oracle = np.mean(list(ours[env, "oracle", 0].values()))
        if zoo := theirs.get((env, "sb3_zoo", 0)):
            share = float((oracle - random) / (np.mean(list(zoo.values())) - random))
            rows.append(Row(f"{env}/plaudit/oracle", "share_of_sb3_zoo", share, n=len(zoo)))
        peer = theirs.get((env, "oracle", 0)) or ours[env, "oracle", 0]
        common = float(np.mean(list(peer.values()))) - random
        for teacher in protocol.TEACHERS:
            areas: dict[int, list[float]] = defaultdict(list)
            for labels in protocol.LABELS:
                for side, table in (("plaudit", ours), ("imitation", theirs)):
                    found = table.get((env, teacher, labels), {})
                    if found:
                        rows.append(_spread(f"{env}/{teacher}/{labels}/{side}", "return", list(found.values()), ""))
                        top = oracle if side == "plaudit" else random + common
                        fractions = [(value - random) / (top - random) for value in found.values()]
                        rows.append(_spread(f"{env}/{teacher}/{labels}/{side}", "fraction", fractions, "of oracle"))
                        rows.append(
                            Row(f"{env}/{teacher}/{labels}/{side}", "worst_fraction", min(fractions), n=len(fractions))
                        )
                a, b = ours.get((env, teacher, labels), {}), theirs.get((env, teacher, labels), {})
                seeds = sorted(set(a) & set(b))
                differences = [(a[seed] - b[seed]) / common for seed in seeds]
                for seed, difference in zip(seeds, differences, strict=True):
                    areas[seed].append(difference)
                if len(differences) >= 2:
                    found = mean_interval(np.array(differences), level=0.9)
                    case = f"{env}/{teacher}/{labels}/difference"
                    rows.append(
                        Row(case, "fraction", found.value, found.low, found.high, len(differences), "of oracle")
                    )
            whole = [float(np.mean(values)) for values in areas.values() if len(values) == len(protocol.LABELS)]
            if len(whole) >= 2:
                found = mean_interval(np.array(whole), level=0.9)
                rows.append(
                    Row(
                        f"{env}/{teacher}/area/difference",
                        "fraction",
                        found.value,
                        found.low,
                        found.high,
                        len(whole),
                        "of oracle",
                    )
                )
    return rows


RANDOM_RETURN = {"pendulum": -1239.0, "reacher": -43.7, "cartpole": 22.0}
"""mean return of uniformly random actions (research notes; CartPole: 100 episodes)"""


def _returns(raw: list[dict[str, Any]]) -> dict[tuple[str, str, int], dict[int, float]]:
    table: dict[tuple[str, str, int], dict[int, float]] = defaultdict(dict)
    for row in raw:
        table[row["env"], row["teacher"], row["labels"]][row["seed"]] = row["true_return"]
    return table


def _spread(case: str, metric: str, values: list[float], unit: str) -> Row:
    return Row(case, metric, float(np.mean(values)), float(np.min(values)), float(np.max(values)), len(values), unit)


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "cell", "summary", "spot"))
    parser.add_argument("words", nargs="*")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only")
    given = parser.parse_args()
    if given.verb == "cell":
        env, teacher, labels, seed = given.words
        print(json.dumps(cell(env, teacher, int(labels), int(seed))))
    elif given.verb == "run":
        wanted = [entry for entry in cells() if given.only in (None, entry["env"])]
        with ThreadPoolExecutor(given.jobs) as pool:
            list(pool.map(run_cell, missing(wanted, read_raw("efficiency"), KEYS)))
    elif given.verb == "summary":
        write(
            "efficiency",
            asked="How many labels does it take, beside imitation?",
            rows=summary(),
            note="low and high of single sides: worst and best seed; of differences: paired 90 % interval. "
            "n says how many seeds have run so far; taken on a machine under load",
        )
    else:
        row = cell("pendulum", "error_free", 50, 0)
        before = next(
            r for r in read_raw("efficiency") if tuple(r[k] for k in KEYS) == ("pendulum", "error_free", 50, 0)
        )
        print(f"pendulum, 50 labels, seed 0: {row['true_return']:.2f} now, {before['true_return']:.2f} committed")
        return int(abs(row["true_return"] - before["true_return"]) > 0.05 * abs(before["true_return"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
