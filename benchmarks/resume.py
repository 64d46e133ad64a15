"""Does a run that is killed end with the same bits? kill -9 in every stage, then resume.

    python -m benchmarks.resume [--kills 50]          appends and resumes

The reference run is never interrupted. Each trial starts the same run in another directory and kills its process in a stage
that is drawn evenly from starting, the five stages of a round (of a random round) and reporting: once the log shows that
the stage has begun, after a random share of the time that it took in the reference run. Times differ, so the stage that was
hit, read from the log afterwards, is what is counted; of the stages that take milliseconds many kills slip into the next
one. A run is killed once, twice or three times, each time in a later stage, and resumed until the end; then event log, reward
weights, policy weights and metrics are compared, bit for bit. A trial whose run ended before its first kill is not counted.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.common import Row, append_raw, read_raw, write
from plaudit.loop.stages import STAGES

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


ROUNDS = 5
ALL = ROUNDS * len(STAGES)


def completed(directory: Path) -> list[float]:
    """When each stage that the log holds was completed, in seconds since 1970; read while the run goes on."""
    file = directory / "store.sqlite"
    if not file.exists():
        return []
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
            kind = "stage.completed"
            return [
                row[0] for row in store.execute("select recorded_at from event where kind = ? order by seq", [kind])
            ]
    except sqlite3.OperationalError:  # the tables are being made
        return []


def stage_after(done: int | None) -> str:
    """The name of what comes after a number of completed stages; None: nothing was stored yet."""
    return "start" if done is None else "report" if done >= ALL else STAGES[done % len(STAGES)]


def draw(rng: random.Random, done: int) -> int | None:
    """How many stages are to be completed when the next kill comes: a stage after the first `done`, each kind equally often."""
    later = list(range(done, ALL + 1))
    kinds = sorted({stage_after(count) for count in later}) + ["start"] * (not done)
    kind = rng.choice(kinds)
    return None if kind == "start" else rng.choice([count for count in later if stage_after(count) == kind])


def trial(file: Path, directory: Path, kills: int, rng: random.Random, lasts: list[float]) -> list[str]:
    """One run with some kills; `lasts`: seconds of starting, of each stage and of reporting. Returns the stages that were hit."""
    hit: list[str] = []
    for number in range(kills + 1):
        begun = (directory / "store.sqlite").exists()
        process = start(["resume", str(directory)] if begun else ["run", str(file), "--directory", str(directory)])
        if number < kills:
            done = len(completed(directory))
            aim = draw(rng, min(done + begun, ALL))
            while process.poll() is None and len(completed(directory)) < (aim or 0):
                time.sleep(0.002)
            waits = lasts[0] if aim is None else lasts[aim + 1] + lasts[0] * (done >= ALL)
            time.sleep(rng.random() * waits)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                stored = (directory / "store.sqlite").exists()
                hit.append(stage_after(len(completed(directory)) if stored else None))
                continue
        _, errors = process.communicate(timeout=600)
        if process.returncode:
            raise SystemExit(f"resuming failed: {errors.decode()[-2000:]}")
        break
    return hit


def reference_run(file: Path, directory: Path) -> list[float]:
    """A run without a kill; seconds of starting, of each stage and of reporting."""
    began = time.time()
    trial(file, directory, 0, random.Random(0), [])
    edges = [began, *completed(directory), time.time()]
    spent = [after - before for before, after in itertools.pairwise(edges)]
    act = json.loads((directory / "timing.jsonl").read_text().splitlines()[0])["seconds"]
    return [spent[0] - act, act, *spent[1:]]


def main() -> int:
    """Run all trials and write results/resume.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "run.toml"
        file.write_text(FILE)
        lasts, reference = reference_run(file, folder / "reference"), fingerprint(folder / "reference")
        reference_run(file, folder / "again")
        twice = fingerprint(folder / "again") == reference
        while (kills := sum(len(row["hit"]) for row in read_raw("resume"))) < given.kills:
            number = len(read_raw("resume"))
            directory = folder / f"trial{number}"
            hit = trial(file, directory, 1 + number % 3, random.Random(number), lasts)
            row = {"trial": number, "hit": hit, "equal": fingerprint(directory) == reference}
            append_raw("resume", row)
            print(kills, row, flush=True)
    trials = [row for row in read_raw("resume") if row["hit"]]
    hits = [stage for row in trials for stage in row["hit"]]
    rows = [
        Row("pendulum", "kills", len(hits)),
        Row("pendulum", "equal_share", sum(row["equal"] for row in trials) / len(trials), n=len(trials)),
        Row("pendulum", "same_seed_twice_equal", float(twice)),
        *(Row(f"killed in {stage}", "kills", hits.count(stage)) for stage in sorted(set(hits))),
    ]
    write(
        "resume",
        asked="Does a run that is killed with -9 end with the same bits?",
        rows=rows,
        note="trials whose run was killed at least once; the reference: " + json.dumps(reference),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
