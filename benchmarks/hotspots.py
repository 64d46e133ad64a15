"""Where does the time of a run go? CPU seconds by stage, and the functions that take most of them.

    python -m benchmarks.hotspots [--env pendulum]      results/hotspots.json

Stages are timed in one run, functions in a second one, since the profiler slows down what is called often.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.common import Row, write
from benchmarks.efficiency import settings
from benchmarks.peers import protocol

LABELS = 50
FUNCTIONS = 20


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", choices=protocol.ENVS, default="pendulum")
    env = parser.parse_args().env
    before = time.process_time()
    from plaudit.loop import Run, RunConfig
    from plaudit.run.config import from_table

    rows = [Row(env, "imports_cpu_seconds", time.process_time() - before, unit="s")]
    config = from_table(RunConfig, settings(env, "boltzmann", LABELS, 0))
    with tempfile.TemporaryDirectory() as folder, Run.create(config, Path(folder) / "run") as run:
        run.finish()
        spent: dict[str, float] = defaultdict(float)
        for line in run.directory.timing.read_text().splitlines():
            stage = json.loads(line)
            spent[stage["stage"]] += stage["cpu_seconds"]
    rows += [Row(f"{env}/{stage}", "stage_cpu_seconds", seconds, unit="s") for stage, seconds in spent.items()]
    profile = cProfile.Profile(time.process_time)
    with tempfile.TemporaryDirectory() as folder, Run.create(config, Path(folder) / "run") as run:
        profile.runcall(run.finish)
    functions = pstats.Stats(profile).stats  # pyright: ignore[reportAttributeAccessIssue]: older than its types
    total = sum(own for _, _, own, _, _ in functions.values())
    for (file, _, name), (_, calls, own, _, _) in sorted(functions.items(), key=lambda item: -item[1][2])[:FUNCTIONS]:
        rows.append(Row(f"{env}/{Path(file).stem}.{name}", "share_of_cpu", own / total, n=calls))
    write("hotspots", asked=f"Where does the time of a run with {LABELS} labels go?", rows=rows, note="n: calls")
    for row in rows:
        print(f"{row.case:45} {row.metric:20} {row.value:8.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
