"""Do kinds add up? Mixes of kinds beside every single kind, at equal human seconds, on a tabular and a control world.

    python -m benchmarks.mixed_kinds run           appends and resumes; some CPU minutes
    python -m benchmarks.mixed_kinds summary       results/mixed_kinds.json

A run asks about random behaviour; a noisy teacher answers, and takes the seconds that plaudit assumes for each kind. The reward
model is fitted to the answers that came in the first 60, 120, ... seconds. Measured is the regret of the policy that is best
for the fitted reward, found by dynamic programming (so no luck of training comes in), as a share of the way from random actions to
the best policy; and, less jumpy, one minus the correlation of learned and true returns of 500 stretches of behaviour.

How many seconds a single kind needs to reach what a mix reached is interpolated on the kind's mean curve over seeds; the kind that
needs fewest is chosen anew in each bootstrap sample of the seeds.

Both mixes were fixed beforehand: the example of the manual, and all kinds with equally many seconds each.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Row, append_raw, interval_row, missing, read_raw, write
from plaudit.ask.mix import ASKED
from plaudit.ask.teachers import SECONDS_PER_ANSWER
from plaudit.loop import Run, RunConfig
from plaudit.ops.aggregate import mean
from plaudit.records import QueryKind, StepBatch, is_skip
from plaudit.reward.collate import collate
from plaudit.reward.config import RewardConfig
from plaudit.reward.fit import fit
from plaudit.reward.model import RewardModel
from plaudit.run.config import from_table
from plaudit.run.seeds import derive
from plaudit.worlds.tabular import occupancy, of_grid, soft_optimal
from plaudit.worlds.toy import GridWorld, PointMass

Floats = NDArray[np.float64]
KEYS = ("world", "kind", "seed")
WORLDS: dict[str, dict[str, Any]] = {
    "grid": {
        "world": {"id": "plaudit.worlds.toy:GridWorld", "envs": 5, "options": {"size": 4, "steps": 12}},
        "policy": {"dqn": {"net": [8]}},
        "ask": {"segment_length": 5, "teacher": {"temperature": 1.0, "low": -3.0, "high": 0.0}},
    },
    "point-mass": {
        "world": {"id": "plaudit.worlds.toy:PointMass", "envs": 5, "options": {"steps": 20}},
        "policy": {"sac": {"net": [8]}},
        "ask": {"segment_length": 10, "teacher": {"temperature": 1.0, "low": -2.5, "high": 0.0}},
    },
}
"""the scales hold nine of ten segments of random behaviour"""
MIXES: dict[str, dict[str, float]] = {
    "mix": {"comparison": 0.5, "ranking": 0.3, "rating": 0.2},
    "mix of all": {kind.value: 1 / SECONDS_PER_ANSWER[kind] for kind in ASKED},
}
KINDS = {kind.value: {kind.value: 1.0} for kind in ASKED} | MIXES
BUDGETS = (60, 120, 240, 480, 960)
"""human seconds"""
COMPARED = (120, 240, 480)
"""of these, the ones at which a mix is looked at: single kinds can need twice as much and more"""
SEEDS = tuple(range(8))
WARMUP, FRESH, GREEDY = 4000, 500, 100.0


def cell(world: str, kind: str, seed: int) -> dict[str, Any]:
    """Ask for as much as the largest budget pays for, and fit to the answers of each budget."""
    shares = KINDS[kind]
    usual = sum(share * SECONDS_PER_ANSWER[QueryKind(name)] for name, share in shares.items()) / sum(shares.values())
    labels = int(BUDGETS[-1] / usual * (1.0 if len(shares) == 1 else 1.5))
    table = WORLDS[world] | {
        "seed": seed,
        "loop": {"steps": WARMUP + 100, "warmup": WARMUP, "rounds": 1},
        "check": {"episodes": 1, "videos": False},
    }
    table["ask"] = table["ask"] | {"labels": labels, "mix": shares, "first_share": 1.0, "pool": 4}
    regrets, errors, counts = list[float](), list[float](), list[int]()
    with tempfile.TemporaryDirectory() as folder, Run.create(from_table(RunConfig, table), Path(folder) / "run") as run:
        run.step()  # act
        run.step()  # ask
        store, reference = run.store, run.world.behaviour.reference()
        order = {query.id: query for query in store.queries()}
        answers = sorted((one for _, one in store.feedback()), key=lambda one: order[one.query].index)
        until = np.cumsum([one.response_seconds or 0.0 for one in answers])
        for budget in BUDGETS:
            given = [one for one, at in zip(answers, until, strict=True) if at <= budget and not is_skip(one)]
            counts.append(len(given))
            if not given:
                regrets.append(1.0)  # nothing is known: no better than random
                errors.append(1.0)
                continue
            data = collate(given, store)
            model = fit(data, config=RewardConfig(), seed=derive(seed, "fit"), reference=reference).model
            regrets.append(REGRET[world](model))
            errors.append(error(model, run, seed))
    return {"world": world, "kind": kind, "seed": seed, "labels": counts, "regret": regrets, "error": errors}


def error(model: RewardModel, run: Run, seed: int) -> float:
    """One minus the correlation of learned and true returns of stretches of a run's behaviour, the same for all kinds."""
    behaviour, length = run.world.behaviour, run.config.ask.segment_length
    cuts = behaviour.cut(length, FRESH, np.random.default_rng(seed))
    true = [behaviour.rewards[cut.time : cut.time + length, cut.env].sum() for cut in cuts]
    return 1 - float(np.corrcoef(true, model.score(behaviour.batch(cuts, length)).mean)[0, 1])


def grid_regret(model: RewardModel) -> float:
    """Of the policy that is best for a reward on the grid, exactly."""
    world, true = of_grid(GridWorld(size=4, steps=12))
    states, actions = world.shape
    batch = StepBatch(
        np.repeat(np.eye(states, dtype=np.float32), actions, axis=0)[:, None],
        np.tile(np.eye(actions, dtype=np.float32), (states, 1))[:, None],
        np.ones((states * actions, 1), dtype=bool),
    )
    learned = mean(model.per_step(batch)).reshape(states, actions)

    def worth(policy: Floats) -> float:
        return float(np.sum(true * occupancy(world, policy)))

    best, found = (worth(soft_optimal(world, GREEDY * one).policy) for one in (true, learned))
    return (best - found) / (best - worth(np.full((1, *world.shape), 1 / actions)))


PLACES, SPEEDS, FORCES = np.linspace(-1.6, 1.6, 25), np.linspace(-2.5, 2.5, 25), np.linspace(-5, 5, 21)
STEPS = 20


def point_regret(model: RewardModel) -> float:
    """Of the forces that are best for a reward, by dynamic programming on a lattice of states, played from 200 starts."""

    def learned(state: Floats, force: Floats) -> Floats:
        batch = StepBatch(
            state[:, None].astype(np.float32), force[:, None, None].astype(np.float32), np.ones((len(state), 1), bool)
        )
        return mean(model.per_step(batch))[:, 0]

    def true(state: Floats, force: Floats) -> Floats:
        return -((state**2) @ np.array([1.0, 0.1])) - 0.1 * force**2

    starts = np.random.default_rng(0).uniform(-PointMass.START, PointMass.START, (200, 2))
    found, best = played(starts, learned), played(starts, true)
    random = np.random.default_rng(1).uniform(-5, 5, (STEPS, 200))
    worst = rolled(starts, lambda step, state: random[step])
    return (best - found) / (best - worst)


def played(starts: Floats, reward: Any) -> float:
    """Mean true return of who plans with a reward."""
    state = np.stack(np.meshgrid(PLACES, SPEEDS, indexing="ij"), axis=-1).reshape(-1, 2)
    values = [np.zeros((len(PLACES), len(SPEEDS)))]
    paid = of_all_forces(state, reward)
    for _ in range(STEPS - 1):
        values.append((paid + after(state, values[-1])).max(axis=1).reshape(values[0].shape))

    def act(step: int, here: Floats) -> Floats:
        gains = of_all_forces(here, reward) + after(here, values[STEPS - 1 - step])
        return FORCES[gains.argmax(axis=1)]

    return rolled(starts, act)


def of_all_forces(state: Floats, reward: Any) -> Floats:
    """[state, force] reward."""
    paid = reward(np.repeat(state, len(FORCES), axis=0), np.tile(FORCES, len(state)))
    return paid.reshape(len(state), len(FORCES))


def after(state: Floats, values: Floats) -> Floats:
    """[state, force] value of what comes next, interpolated between places of the lattice, at its edge beyond it."""
    there = (state @ PointMass.DYNAMICS.T)[:, None] + FORCES[None, :, None] * PointMass.PUSH
    index, share = list[NDArray[np.intp]](), list[Floats]()
    for axis, ticks in enumerate((PLACES, SPEEDS)):
        at = np.clip((there[..., axis] - ticks[0]) / (ticks[1] - ticks[0]), 0, len(ticks) - 1)
        index.append(np.minimum(at.astype(np.intp), len(ticks) - 2))
        share.append(at - index[-1])
    (i, j), (p, q) = index, share
    low = (1 - q) * values[i, j] + q * values[i, j + 1]
    return (1 - p) * low + p * ((1 - q) * values[i + 1, j] + q * values[i + 1, j + 1])


def rolled(starts: Floats, act: Any) -> float:
    """Mean true return of a policy (step, [start, 2]) -> [start]."""
    state, total = starts, np.zeros(len(starts))
    for step in range(STEPS):
        force = act(step, state)
        total += -((state**2) @ np.array([1.0, 0.1])) - 0.1 * force**2
        state = state @ PointMass.DYNAMICS.T + force[:, None] * PointMass.PUSH
    return float(total.mean())


MEASURES = ("regret", "error")
REGRET = {"grid": grid_regret, "point-mass": point_regret}


def needed(curve: Floats, goal: float) -> float:
    """Seconds at which a curve of regrets [budget] first is as low as a goal; infinite where it never is.

    Between budgets the regret is taken to be linear in the logarithm of the seconds; more labels are never taken to be worse.
    """
    falling = np.minimum.accumulate(curve)
    if falling[-1] > goal:
        return np.inf
    first = int(np.argmax(falling <= goal))
    if first == 0:
        return float(BUDGETS[0])
    above, below = falling[first - 1], falling[first]
    share = (above - goal) / (above - below)
    return float(BUDGETS[first - 1] * (BUDGETS[first] / BUDGETS[first - 1]) ** share)


SINGLE = tuple(kind.value for kind in ASKED)


def ratio(regrets: dict[str, Floats], kinds: tuple[str, ...], mix: str, budget: int) -> float:
    """How many times the mix's seconds the best of some kinds needs."""
    goal = float(regrets[mix].mean(axis=0)[BUDGETS.index(budget)])
    return min(needed(regrets[kind].mean(axis=0), goal) for kind in kinds) / budget


def summary() -> list[Row]:
    """Curves, ratios with bootstrap intervals over seeds, and paired differences at equal seconds."""
    raw, rows = read_raw("mixed_kinds"), list[Row]()
    for world in WORLDS:
        for measure in MEASURES:
            found = {(row["kind"], row["seed"]): row[measure] for row in raw if row["world"] == world}
            curves = {kind: np.array([found[kind, seed] for seed in SEEDS]) for kind in KINDS}
            for kind, at in product(KINDS, range(len(BUDGETS))):
                rows.append(interval_row(f"{world}/{kind}/{BUDGETS[at]} s", measure, curves[kind][:, at]))
            for mix, budget in product(MIXES, COMPARED):
                rows += compared(f"{world}/{mix}/{budget} s", measure, curves, (mix, budget))
    return rows


def compared(case: str, measure: str, regrets: dict[str, Floats], which: tuple[str, int]) -> list[Row]:
    """One mix at one budget beside the single kinds: what the best and what comparisons need, and the difference at equal seconds."""
    mix, budget = which
    at, rows = BUDGETS.index(budget), list[Row]()
    draws = np.random.default_rng(0).integers(len(SEEDS), size=(1000, len(SEEDS)))
    samples = [{kind: one[draw] for kind, one in regrets.items()} for draw in draws]
    for name, kinds in {"best single kind": SINGLE, "comparison": ("comparison",)}.items():
        ratios = [ratio(sample, kinds, mix, budget) for sample in samples]
        interval = np.quantile(ratios, [0.05, 0.95], method="nearest").tolist()
        # infinite: not within the largest budget; written as what is known, that budget
        known = [min(one, BUDGETS[-1] / budget) for one in (ratio(regrets, kinds, mix, budget), *interval)]
        unit = f"of the mix's seconds; {BUDGETS[-1] / budget:g} or more at the top"
        rows.append(Row(f"{case}/{name} needs", f"times/{measure}", *known, len(SEEDS), unit))
    best = min(SINGLE, key=lambda kind: regrets[kind][:, at].mean())
    gain = regrets[best][:, at] - regrets[mix][:, at]
    return [*rows, interval_row(f"{case}/{best} - {mix}", f"difference/{measure}", gain)]


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "summary"))
    if parser.parse_args().verb == "summary":
        note = "regret 0: the best policy, 1: random actions; times the seconds above 1: single kinds need more than the mix"
        write("mixed_kinds", asked="Do kinds of feedback add up, at equal human seconds?", rows=summary(), note=note)
        return 0
    warnings.simplefilter("ignore")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cells = [dict(zip(KEYS, values, strict=True)) for values in product(WORLDS, KINDS, SEEDS)]
    cells.sort(key=lambda one: one["seed"])
    for one in missing(cells, read_raw("mixed_kinds"), KEYS):
        began = time.process_time()
        row = cell(**one)
        append_raw("mixed_kinds", row)
        print(json.dumps(row), f"{time.process_time() - began:.1f} CPU s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
