"""What settings are worth on Pendulum and Reacher: teachers x strategies, wrong answers, and the tricks one by one.

    python -m benchmarks.choices run [--only tricks] [--env reacher]      appends and resumes
    python -m benchmarks.choices summary                                  results/choices.json

`teachers`: those of B-Pref (Lee et al. 2021) with its settings, each with every strategy; 3 seeds.
`flips`: 30 % of the answers of a noisy teacher turned round, read by the likelihood that estimates how many answers are
random (`reward.fit_lapse`) and by the plain one, which is the default; 5 seeds.
`tricks`: each alone against the defaults, at few labels, where there is something to win; 5 seeds. What is on by default is
turned off instead: `no relabel` leaves every step with the reward that it was first paid by, which no setting does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.common import Row, interval_row, read_raw, run_missing, write
from benchmarks.efficiency import RANDOM_RETURN, play, settings
from plaudit.ask.acquisition import Strategy
from plaudit.check.compare import fraction, paired

KEYS = ("group", "env", "variant", "seed")
ENVS = ("pendulum", "reacher")
LABELS = {
    "teachers": {"pendulum": 25, "reacher": 100},
    "flips": {"pendulum": 200, "reacher": 400},
    "tricks": {"pendulum": 10, "reacher": 50},
}
SEEDS = {"teachers": 3, "flips": 5, "tricks": 5}
SCALE = {"pendulum": {"low": -16.3, "high": 0.0}, "reacher": {"low": -2.0, "high": 0.0}}
"""true reward per step from worst to best, which thresholds of teachers are shares of"""
SKIP = {"pendulum": 0.7, "reacher": 0.6}
"""share of the scale below which the Skip teacher sees nothing worth judging. B-Pref's share of the mean return means
nothing where returns are negative; these lie a little above what random actions reach"""
EQUAL = {"pendulum": 0.1, "reacher": 0.03}
"""share of the scale within which the Equal teacher sees no difference; with 0.1 it calls 81 of 100 ties on Reacher"""

TEACHERS: dict[str, dict[str, Any]] = {
    "oracle": {},
    "stochastic": {"temperature": 1.0},
    "mistake": {"mistake": 0.1},
    "skip": {},
    "equal": {},
    "myopic": {"discount": 0.9},
}
FLIPS: dict[str, dict[str, Any]] = {
    "clean": {},
    "clean, lapse fitted": {"reward": {"fit_lapse": True}},
    "flipped, plain": {"ask": {"teacher": {"mistake": 0.3}}},
    "flipped, lapse fitted": {"ask": {"teacher": {"mistake": 0.3}}, "reward": {"fit_lapse": True}},
}
MIRRORS = {
    "pendulum": {"observation_signs": [1, -1, -1], "action_signs": [-1]},
    # cosines and sines of both angles, target, speeds, finger to target; mirrored in the x axis
    "reacher": {"observation_signs": [1, 1, -1, -1, 1, -1, -1, -1, 1, -1, 1], "action_signs": [-1, -1]},
}
TRICKS: dict[str, dict[str, Any]] = {
    "default": {},
    "no relabel": {},
    "smoothing": {"reward": {"label_smoothing": 0.05}},
    "crops": {"reward": {"window": 0.8}},
    "near on-policy": {"ask": {"newest_episodes": 10}},
    "lists": {"ask": {"lists": 2}},
    "pre-training": {"loop": {"pretrain": 0}},
    "mirrors": {"reward": {"symmetries": []}},
    "pseudo-labels": {"reward": {"pseudo_weight": 1.0}},
    "no spread opening": {"ask": {"first_spread": 0.0}},
    "represent": {"reward": {"represent_steps": 200}},
}
PRETRAIN = {"pendulum": 800, "reacher": 2000}
"""steps of seeking new states; they count, so as many are missing later"""


def overrides(group: str, env: str, variant: str) -> dict[str, Any]:
    """What a variant changes in the run file."""
    match group:
        case "teachers":
            who, strategy = variant.split("/")
            own = {"skip": {"skip_below": SKIP[env]}, "equal": {"equal": EQUAL[env]}}
            teacher = {"temperature": 0.0, **SCALE[env], **TEACHERS[who], **own.get(who, {})}
            return {"ask": {"strategy": strategy, "teacher": teacher}}
        case "flips":
            return FLIPS[variant]
        case _ if variant == "mirrors":
            return {"reward": {"symmetries": [MIRRORS[env]]}}
        case _ if variant == "pre-training":
            return {"loop": {"pretrain": PRETRAIN[env]}}
        case _:
            return TRICKS[variant]


def table(group: str, env: str, variant: str, seed: int) -> dict[str, Any]:
    """The run file of a cell."""
    found = settings(env, "boltzmann", LABELS[group][env], seed)
    for part, changes in overrides(group, env, variant).items():
        into = found.setdefault(part, {})
        for name, value in changes.items():
            into[name] = {**into.get(name, {}), **value} if isinstance(value, dict) else value
    return found


def cell(group: str, env: str, variant: str, seed: int) -> dict[str, Any]:
    """One run in this process."""
    from plaudit.control.rewards import Labels
    from plaudit.loop import Run, RunConfig
    from plaudit.run.config import from_table

    anew = Labels.set

    def first_stays(self: Labels, reward: Any, environment_weight: float) -> None:
        before = self.values.copy() if self.ready else None
        anew(self, reward, environment_weight)
        if before is not None:
            self.values[: len(before)] = before

    config = from_table(RunConfig, table(group, env, variant, seed))
    relabel = patch.object(Labels, "set", first_stays if variant == "no relabel" else anew)
    with relabel, tempfile.TemporaryDirectory() as folder, Run.create(config, Path(folder) / "run") as run:
        run.finish()
        sums = defaultdict[str, float](float)
        for event in run.store.events(kinds={"stage.completed"}):
            for name, value in event.payload["metrics"].items():
                sums[name] = value + (sums[name] if name in ("ask/skipped", "ask/ties") else 0.0)
        returns = play(run)
    kept = ("ask/labels_total", "ask/skipped", "ask/ties", "reward/accuracy_heldout", "reward/lapse")
    return {
        "group": group, "env": env, "variant": variant, "seed": seed, "true_return": float(np.mean(returns)),
        **{name: round(sums[name], 4) for name in kept if name in sums},
        "load": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def variants(group: str) -> list[str]:
    """Names of what a group compares."""
    pairs = [f"{who}/{strategy.value}" for who, strategy in product(TEACHERS, Strategy)]
    return {"teachers": pairs, "flips": list(FLIPS), "tricks": list(TRICKS)}[group]


def cells() -> list[dict[str, Any]]:
    """Wrong answers first, then tricks, then teachers; each seed by seed."""
    return [
        {"group": group, "env": env, "variant": variant, "seed": seed}
        for group in ("flips", "tricks", "teachers") for seed in range(SEEDS[group]) for env in ENVS
        for variant in variants(group)
    ]  # fmt: skip


def summary() -> list[Row]:
    """Fractions of the oracle of `benchmarks.efficiency`, and paired differences to the defaults."""
    found: dict[tuple[str, str, str], dict[int, float]] = defaultdict(dict)
    for row in read_raw("choices"):
        found[row["group"], row["env"], row["variant"]][row["seed"]] = row["true_return"]
    best: dict[str, list[float]] = defaultdict(list)
    for row in read_raw("efficiency"):
        if row["teacher"] == "oracle":
            best[row["env"]].append(row["true_return"])
    rows: list[Row] = []
    for group, env in product(LABELS, ENVS):
        of_oracle = {
            variant: dict(zip(cell, fraction(list(cell.values()), RANDOM_RETURN[env], float(np.mean(best[env]))), strict=True))
            for variant in variants(group)
            if (cell := found.get((group, env, variant), {}))
        }  # fmt: skip
        case = f"{group}/{env}/{LABELS[group][env]} labels"
        for variant, shares in of_oracle.items():
            values = np.array(list(shares.values()))
            rows.append(interval_row(f"{case}/{variant}", "fraction", values, "of oracle"))
            if group != "teachers":
                worst = float(values.min())
                rows.append(Row(f"{case}/{variant}", "worst_fraction", worst, n=len(values), unit="of oracle"))
        if group == "teachers":
            rows += _margins(case, of_oracle)
        for variant, base in PAIRS[group]:
            seeds = sorted(of_oracle.get(variant, {}).keys() & of_oracle.get(base, {}).keys())
            if len(seeds) > 1:
                sides = [np.array([of_oracle[name][seed] for seed in seeds]) for name in (variant, base)]
                rows += _pair(f"{case}/{variant} - {base}", sides[0], sides[1], share=group == "flips")
    return rows


PAIRS: dict[str, list[tuple[str, str]]] = {
    "teachers": [],
    "flips": [
        ("flipped, lapse fitted", "clean"),
        ("flipped, plain", "clean"),
        ("flipped, lapse fitted", "flipped, plain"),
        ("clean, lapse fitted", "clean"),
    ],
    "tricks": [(variant, "default") for variant in TRICKS if variant != "default"],
}


def _margins(case: str, of_oracle: dict[str, dict[int, float]]) -> list[Row]:
    """Each strategy beside uniform over all teachers, each teacher beside the error-free one over all strategies."""
    rows: list[Row] = []
    for place, base, other in ((1, Strategy.UNIFORM.value, list(TEACHERS)), (0, "oracle", [s.value for s in Strategy])):
        names = [s.value for s in Strategy] if place else list(TEACHERS)
        for name in names:
            mine = [(f"{o}/{name}", f"{o}/{base}") if place else (f"{name}/{o}", f"{base}/{o}") for o in other]
            if name == base or not all(one in of_oracle for pair in mine for one in pair):
                continue
            seeds = sorted(set.intersection(*(set(of_oracle[one]) for pair in mine for one in pair)))
            if len(seeds) > 1:
                sides = [np.array([np.mean([of_oracle[pair[k]][s] for pair in mine]) for s in seeds]) for k in (0, 1)]
                rows += _pair(f"{case}/{name} - {base}", sides[0], sides[1], share=False)
    return rows


def _pair(case: str, ours: np.ndarray, theirs: np.ndarray, *, share: bool) -> list[Row]:
    found = paired(ours, theirs, level=0.9)
    difference = found.difference
    rows = [Row(case, "difference", difference.value, difference.low, difference.high, found.seeds, "of oracle")]
    if share:
        kept = float(ours.mean() / theirs.mean())
        rows.append(Row(case.replace(" - ", " / "), "share_kept", kept, n=found.seeds))
    return rows


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "cell", "summary"))
    parser.add_argument("words", nargs="*")
    parser.add_argument("--only", choices=tuple(LABELS))
    parser.add_argument("--env", choices=ENVS)
    parser.add_argument("--seeds", type=int, default=max(SEEDS.values()))
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    if given.verb == "cell":
        for at in range(0, len(given.words), len(KEYS)):
            group, env, variant, seed = given.words[at : at + len(KEYS)]
            print(json.dumps(cell(group, env, variant, int(seed))), flush=True)
    elif given.verb == "run":
        wanted = [c for c in cells() if given.only in (None, c["group"]) and given.env in (None, c["env"])]
        wanted = [c for c in wanted if c["seed"] < given.seeds]
        run_missing("choices", wanted, KEYS, jobs=given.jobs, at_once=10)
    else:
        write(
            "choices",
            asked="What are teachers, strategies, an honest likelihood and each trick worth?",
            rows=summary(),
            note="90 % intervals over seeds, differences paired by seed; the oracle is that of benchmarks.efficiency. Teachers "
            "on Reacher: one seed of three so far",
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
