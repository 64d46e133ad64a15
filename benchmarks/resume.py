"""Does a run that is killed end with the same bits? kill -9 at random moments over all stages, then resume.

    python -m benchmarks.resume [--kills 50]

The reference run is never interrupted. Each trial starts the same run in another directory, kills its process after a
random share of the reference's duration, resumes until the end (one in three trials is killed a second time), and
compares event log, reward weights, policy weights and metrics, bit for bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import Row, append_raw, read_raw, write

FILE = """
name = "resume"
seed = 3
[world]
id = "Pendulum-v1"
envs = 4
[ask]
labels = 24
segment_length = 30
[policy.sac]
[loop]
steps = 2000
warmup = 400
rounds = 5
[check]
episodes = 4
videos = false
"""


def start(words: list[str]) -> subprocess.Popen[bytes]:
    """Start the command line of plaudit."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "plaudit.cli.main", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def fingerprint(directory: Path) -> dict[str, Any]:
    """Everything that must be equal: head of the log, weights, metrics, and the stages that each checkpoint ended."""
    from plaudit.store.store import Store

    with Store.open(directory / "store.sqlite") as store:
        assert store.verify().ok, store.verify().problems
        stages = [event.payload for event in store.events(kinds={"stage.completed"})]
        head = store.head()
    last = {stage["stage"]: stage["checkpoint"] for stage in stages}
    return {
        "log": list(head),
        "policy": last["improve"],
        "reward": hashlib.sha256((directory / "reward.safetensors").read_bytes()).hexdigest(),
        "metrics": hashlib.sha256((directory / "metrics.jsonl").read_bytes()).hexdigest(),
        "stages": len(stages),
    }


def stages_done(directory: Path) -> str:
    """Which stage was interrupted: the one after the last that the log holds."""
    from plaudit.loop.stages import STAGES
    from plaudit.store.store import Store

    if not (directory / "store.sqlite").exists():
        return "start"
    with Store.open(directory / "store.sqlite") as store:
        count = sum(1 for _ in store.events(kinds={"stage.completed"}))
    return STAGES[count % len(STAGES)] if count < 5 * len(STAGES) else "report"


def trial(file: Path, directory: Path, moments: list[float]) -> list[str]:
    """One run with kills at the given seconds after each start. Returns the stages that were hit."""
    hit: list[str] = []
    for moment in moments:
        existing = (directory / "store.sqlite").exists()
        process = start(["resume", str(directory)] if existing else ["run", str(file), "--directory", str(directory)])
        try:
            process.wait(timeout=moment)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            hit.append(stages_done(directory))
    existing = (directory / "store.sqlite").exists()
    process = start(["resume", str(directory)] if existing else ["run", str(file), "--directory", str(directory)])
    _, errors = process.communicate(timeout=600)
    if process.returncode:
        raise SystemExit(f"resuming failed: {errors.decode()[-2000:]}")
    return hit


def main() -> int:
    """Run all trials and write results/resume.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    given = parser.parse_args()
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "run.toml"
        file.write_text(FILE)
        began = time.monotonic()
        trial(file, folder / "reference", [])
        duration, reference = time.monotonic() - began, fingerprint(folder / "reference")
        trial(file, folder / "again", [])
        twice = fingerprint(folder / "again") == reference
        kills = sum(len(row["hit"]) for row in read_raw("resume"))
        number = 0
        while kills < given.kills:
            number += 1
            moments = [rng.uniform(0.1, 1.0) * duration for _ in range(1 + (number % 3 == 0))]
            directory = folder / f"trial{number}"
            hit = trial(file, directory, moments)
            row = {"moments": [round(m, 2) for m in moments], "hit": hit, "equal": fingerprint(directory) == reference}
            append_raw("resume", row)
            kills += len(hit)
            print(kills, row, flush=True)
    trials = read_raw("resume")
    stages: dict[str, int] = {}
    for row in trials:
        for stage in row["hit"]:
            stages[stage] = stages.get(stage, 0) + 1
    rows = [
        Row("pendulum", "kills", kills),
        Row("pendulum", "equal_share", sum(row["equal"] for row in trials) / len(trials), n=len(trials)),
        Row("pendulum", "same_seed_twice_equal", float(twice)),
        *(Row(f"killed in {stage}", "kills", count) for stage, count in sorted(stages.items())),
    ]
    write(
        "resume",
        asked="Does a run that is killed with -9 end with the same bits?",
        rows=rows,
        note=json.dumps(reference),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
