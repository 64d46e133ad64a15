"""What does a whole preference run cost? plaudit and `imitation` in turn, whole processes, imports and compilation counted.

    python -m benchmarks.cost run --peer PEER_VENV/bin/python [--prototype FILE --prototype-python PYTHON] [--rounds 3]
    python -m benchmarks.cost summary

`run` appends and resumes. CPU seconds are the operating system's account of the finished process and its children. "Cold" starts with empty
byte-code and compilation caches, "warm" with full ones. The peer is timed twice: with the settings that serve its
returns best (30 epochs a round), and with its own default of 3 epochs, which is cheaper. `--prototype` also runs a
JAX prototype of the same method and compares the seconds spent on fitting rewards.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import HERE, Row, append_raw, missing, read_raw, write
from benchmarks.peers import protocol

CHEAP = '{"reward_trainer":{"epochs":3},"initial_epoch_multiplier":200}'
ENVS = ("pendulum", "reacher")
LABELS = 50
START = """\
import sys
from plaudit.run.imports import undisturbed
with undisturbed():
    import plaudit.loop
    from benchmarks.efficiency import main
sys.exit(main())
"""
"""starts as the command `plaudit` does"""


def cpu_seconds(command: list[str], *, cwd: Path, env: dict[str, str] | None = None) -> tuple[float, str]:
    """CPU seconds of a whole process and its children, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def ours(env: str, seed: int, *, cold: bool) -> tuple[float, float]:
    """CPU seconds of one of plaudit's runs, and those spent on fitting rewards."""
    with tempfile.TemporaryDirectory() as cache:
        settings = {"PYTHONPYCACHEPREFIX": cache, "JAX_COMPILATION_CACHE_DIR": cache} if cold else {}
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            START,
            "cell",
            env,
            "boltzmann",
            str(LABELS),
            str(seed),
        ]
        spent, printed = cpu_seconds(command, cwd=HERE.parent, env=settings)
    return spent, json.loads(printed.splitlines()[-1])["learn_cpu_s"]


def peer(python: str, env: str, seed: int, extra: list[str]) -> float:
    """CPU seconds of one of the peer's runs."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            python, "-m", "peers.imitation_prefs", "--env", env, "--teacher", "boltzmann", "--labels", str(LABELS),
            "--seed", str(seed), "--out", str(Path(folder) / "row.jsonl"), *extra,
        ]  # fmt: skip
        return cpu_seconds(command, cwd=HERE)[0]


def prototype(python: str, file: str, env: str, seed: int) -> float:
    """CPU seconds that the prototype spends on fitting rewards at equal labels and steps."""
    words = [protocol.GYM_IDS[env], str(protocol.TOTAL_TIMESTEPS[env]), str(LABELS), str(seed)]
    return json.loads(cpu_seconds([python, "-W", "ignore", file, *words], cwd=HERE)[1].splitlines()[-1])["t_rm"]


def measure(env: str, seed: int, given: argparse.Namespace) -> dict[str, Any]:
    """CPU seconds of all sides, one after the other."""
    cold, _ = ours(env, seed, cold=True)
    warm, learn = ours(env, seed, cold=False)
    found = {"plaudit cold": cold, "plaudit warm": warm, "plaudit reward fitting": learn}
    found["imitation"] = peer(given.peer, env, seed, [])
    found["imitation 3 epochs"] = peer(given.peer, env, seed, ["--set", CHEAP])
    if given.prototype:
        found["prototype reward fitting"] = prototype(given.prototype_python, given.prototype, env, seed)
    return {"env": env, "seed": seed, **{name: round(value, 2) for name, value in found.items()}}


def summary() -> list[Row]:
    """Medians over seeds, and medians of the ratios within a seed."""
    rows: list[Row] = []
    for env in ENVS:
        raw = [row for row in read_raw("cost") if row["env"] == env]
        sides = [name for name in raw[0] if name not in ("env", "seed")]
        rows += [_median(f"{env}/{name}", "cpu_seconds", [row[name] for row in raw], "s") for name in sides]
        pairs = [(side, other) for side in ("cold", "warm") for other in ("imitation", "imitation 3 epochs")]
        for side, other in pairs:
            ratios = [row[f"plaudit {side}"] / row[other] for row in raw]
            rows.append(_median(f"{env}/{side} against {other}", "cpu_ratio", ratios))
        fitting = "prototype reward fitting"
        ratios = [row["plaudit reward fitting"] / row[fitting] for row in raw if fitting in row]
        if ratios:
            rows.append(_median(f"{env}/reward fitting against prototype", "cpu_ratio", ratios))
    return rows


def _median(case: str, metric: str, values: list[float], unit: str = "") -> Row:
    return Row(case, metric, statistics.median(values), min(values), max(values), len(values), unit)


def main() -> int:
    """Run what is missing, sides in turn; or write results/cost.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "summary"))
    parser.add_argument("--peer", default=sys.executable, help="python of an environment that has imitation")
    parser.add_argument("--prototype")
    parser.add_argument("--prototype-python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=ENVS)
    given = parser.parse_args()
    if given.verb == "summary":
        return described()
    cells = [{"env": env, "seed": seed} for env in ENVS for seed in range(given.rounds) if given.only in (None, env)]
    for cell in missing(cells, read_raw("cost"), ("env", "seed")):
        row = measure(cell["env"], cell["seed"], given)
        append_raw("cost", row)
        print(row, flush=True)
    return 0


def described() -> int:
    """Write results/cost.json."""
    counts = {env: sum(row["env"] == env for row in read_raw("cost")) for env in ENVS}
    write(
        "cost",
        asked=f"What does a whole preference run with {LABELS} labels cost, beside imitation?",
        rows=summary(),
        note="medians, minimum and maximum over seeds, sides in turn, load and commit are those of this summary; "
        "imitation with 30 epochs a round, or with its default of 3; "
        + ", ".join(f"{env}: {count} seeds" for env, count in counts.items()),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
