"""A backflip from at most 100 comparisons: Hopper judged by a script that no policy ever sees.

    python -m benchmarks.backflip run          appends and resumes
    python -m benchmarks.backflip summary      results/backflip.json
    python -m benchmarks.backflip video        docs/images/backflip.webp, from the best episode found

The script is the hand-written reward that Christiano et al. (2017) compare their Hopper backflip with: rolling backwards,
more when high up. They took 900 answers of people, PEBBLE (Lee et al. 2021) 50. Counted are full turns backwards of the
torso, whether it lands on its foot or not: look at the video. The oracle is the same algorithm paid by the script itself; it
belongs to `run`, and where results hold no row of it, it has not been run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from benchmarks.common import HERE, RAW, Row, read_raw, run_missing, write
from benchmarks.efficiency import settings
from benchmarks.peers import protocol
from plaudit.check.compare import fraction

KEYS = ("labels", "seed")
LABELS, STEPS, HORIZON, SEEDS = 100, 150_000, 200, (0,)
HEIGHT, ANGLE, BACK, TURN = 0, 1, 5, 7
"""entries of Hopper's observation: height and angle of the torso, speed forward, rate of turning"""
BEST = RAW / "backflip_best.json"
VIDEO = HERE.parent / "docs" / "images" / "backflip.webp"


class Backflip(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Hopper that is paid for turning over backwards; a hopper that fell lies there until the time is up."""

    def __init__(self, render_mode: str | None = None, **size: Any) -> None:
        super().__init__(
            gymnasium.make(
                protocol.GYM_IDS["hopper"], max_episode_steps=HORIZON, render_mode=render_mode, **protocol.OPTIONS["hopper"], **size
            )
        )  # fmt: skip

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Pay -turn (1 + 0.3 height + 0.1 work of the joints - 0.05 speed forward)."""
        seen, _, terminated, truncated, info = self.env.step(action)
        work = float(np.dot(action, seen[8:11]))
        paid = -seen[TURN] * (1.0 + 0.3 * seen[HEIGHT] + 0.1 * work - 0.05 * seen[BACK])
        return seen, float(paid), terminated, truncated, info


def table(labels: int, seed: int) -> dict[str, Any]:
    """The run file of a cell; 0 labels train on the script's reward."""
    found = settings("hopper", "boltzmann" if labels else "oracle", labels, seed)
    found["world"] |= {"id": "benchmarks.backflip:Backflip", "options": {}}
    found["loop"]["steps"] = STEPS
    return found


def cell(labels: int, seed: int) -> dict[str, Any]:
    """One run in this process; the actions of its best episode are kept for the video."""
    from plaudit.loop import Run, RunConfig
    from plaudit.run.config import from_table

    config = from_table(RunConfig, table(labels, seed))
    with tempfile.TemporaryDirectory() as folder, Run.create(config, Path(folder) / "run") as run:
        run.finish()

        def act(seen: Any) -> Any:
            return run.policy.act(np.asarray(seen, np.float32).reshape(1, -1), deterministic=True)[0]

        played = [_play(act, protocol.EVAL_FIRST_SEED + index) for index in range(protocol.EVAL_EPISODES)]
    best = max(played, key=lambda one: one["flips"])
    kept = json.loads(BEST.read_text()) if BEST.exists() else {"flips": -1.0}
    if labels and best["flips"] > kept["flips"]:
        BEST.write_text(json.dumps(best))
    return {
        "labels": labels,
        "seed": seed,
        "flips": [round(one["flips"], 2) for one in played],
        "heights": [round(one["height"], 2) for one in played],
        "true_return": float(np.mean([one["paid"] for one in played])),
        "random": _random(),
    }


def _play(act: Callable[[Any], Any], start: int) -> dict[str, Any]:
    """An episode: turns backwards, mean height of the torso above the floor, what the script pays, and all actions."""
    env = Backflip()
    seen, _ = env.reset(seed=start)
    angles, heights, actions, paid, over = [seen[ANGLE]], list[float](), list[list[float]](), 0.0, False
    while not over:
        action = act(seen)
        seen, reward, terminated, truncated, _ = env.step(action)
        paid, over = paid + reward, terminated or truncated
        angles.append(seen[ANGLE])
        heights.append(float(seen[HEIGHT]))
        actions.append([round(float(value), 5) for value in action])
    env.close()
    flips = float(angles[0] - min(angles)) / (2 * np.pi)
    return {"flips": flips, "height": float(np.mean(heights)), "paid": paid, "start": start, "actions": actions}


def _random() -> float:
    """What the script pays for random actions, in the mean of 5 episodes."""
    space = gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32, seed=0)
    return float(np.mean([_play(lambda _: space.sample(), protocol.EVAL_FIRST_SEED + i)["paid"] for i in range(5)]))


def video(every: int = 2, frames: int = 60) -> None:
    """Draw the best episode again from its start and its actions, at a quarter of its speed."""
    from plaudit.worlds.media import encode

    best, drawn = json.loads(BEST.read_text()), list[np.ndarray]()
    env = Backflip(render_mode="rgb_array", width=160, height=160)
    env.reset(seed=best["start"])
    for number, action in enumerate(best["actions"][: every * frames]):
        env.step(np.array(action, np.float32))
        if number % every == 0:
            drawn.append(env.render())  # pyright: ignore[reportArgumentType] - an array in this mode
    env.close()
    VIDEO.parent.mkdir(parents=True, exist_ok=True)
    VIDEO.write_bytes(encode(np.array(drawn), fps=15))


def summary() -> list[Row]:
    """Flips per episode, and the script's return as a fraction of the oracle's."""
    raw = read_raw("backflip")
    rows: list[Row] = []
    for labels in (LABELS, 0):
        mine = [row for row in raw if row["labels"] == labels]
        case = f"{labels} labels" if labels else "oracle"
        if mine:
            flips, heights = (np.array([row[name] for row in mine]) for name in ("flips", "heights"))
            per = f"per {HORIZON} steps"
            rows.append(Row(case, "turns", float(flips.mean()), flips.min(), flips.max(), len(mine), per))
            rows.append(Row(case, "height", float(heights.mean()), heights.min(), heights.max(), len(mine), "m"))
    tops = [row["true_return"] for row in raw if not row["labels"]]
    ours = [row["true_return"] for row in raw if row["labels"]]
    if tops and ours:
        random = float(np.mean([row["random"] for row in raw]))
        value = float(np.mean(fraction(ours, random, float(np.mean(tops)))))
        rows.append(Row(f"{LABELS} labels", "fraction", value, n=len(ours), unit="of oracle"))
    return rows


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "cell", "summary", "video"))
    parser.add_argument("words", nargs="*")
    given = parser.parse_args()
    match given.verb:
        case "cell":
            print(json.dumps(cell(*map(int, given.words))))
        case "run":
            run_missing("backflip", [{"labels": n, "seed": s} for s in SEEDS for n in (LABELS, 0)], KEYS)
        case "video":
            video()
        case _:
            has_oracle = any(not row["labels"] for row in read_raw("backflip"))
            missing_oracle = "The oracle was not run: whether the script itself teaches a flip here is not known"
            write(
                "backflip",
                asked="Does a hopper learn a backflip from at most 100 comparisons?",
                rows=summary(),
                note=f"{STEPS} steps, noisy teacher who judges by the script; low and high: worst and best episode. In the one "
                "run that was made the hopper bends over backwards and rolls on the floor: a turn, but no flip that lands. "
                + ("" if has_oracle else missing_oracle),
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
