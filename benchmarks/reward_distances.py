"""Do EPIC, DARD and STARC tell how much is lost by planning on a reward, and better than its accuracy does?

    python -m benchmarks.reward_distances [--worlds 8] [--rewards 200]

Each world has a true reward and 200 others: the true one mixed with another at random, then shaped by a random potential and
scaled. The mixture is at any angle, up to the opposite of what is wanted, or, like learned rewards, at no more than a right angle.
Regret is what the best policy for such a reward loses under the true one, from 0 (the best) to 1 (the worst).
Accuracy is what a test set sees: which of two stretches of random behaviour is better.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.common import Row, interval_row, write
from plaudit.run.seeds import generator
from plaudit.stats.reward_distance import dard, epic, starc
from plaudit.worlds.tabular import Tabular, occupancy, of_grid
from plaudit.worlds.toy import GridWorld

Floats = NDArray[np.float64]
DISCOUNT = 0.9
PAIRS, STEPS = 500, 10
"""comparisons of a test set, and steps of each stretch"""


@dataclass(frozen=True)
class Scene:
    """A world and what is truly wanted in it."""

    world: Tabular
    gold: Floats
    """[state, action, next state]"""
    stretches: NDArray[np.int64]
    """[pair, side, step, 3] state, action, next state of random behaviour"""


def scene(kind: str, seed: int) -> Scene:
    """A world in which chance decides, or a grid, with a reward drawn at random."""
    rng = generator(seed, "reward distances", kind)
    if kind == "chance":
        states, actions = 20, 4
        table = rng.dirichlet(np.full(states, 0.2), (states, actions))
        world = Tabular(table, np.full(states, 1 / states), None, DISCOUNT)
    else:
        grid, _ = of_grid(GridWorld(size=5))
        world = Tabular(grid.transitions, np.full(25, 1 / 25), None, DISCOUNT)
    gold = rng.standard_normal(world.transitions.shape)
    return Scene(world, gold, _stretches(world, rng))


def _stretches(world: Tabular, rng: np.random.Generator) -> NDArray[np.int64]:
    states, actions = world.shape
    here, found = rng.integers(0, states, (PAIRS, 2)), list[NDArray[np.int64]]()
    sums = world.transitions.cumsum(-1)
    for _ in range(STEPS):
        chosen = rng.integers(0, actions, here.shape)
        after = (rng.random((*here.shape, 1)) > sums[here, chosen]).sum(-1).clip(max=states - 1)
        found.append(np.stack([here, chosen, after], axis=-1))
        here = after
    return np.stack(found, axis=2)


def best(world: Tabular, reward: Floats) -> Floats:
    """[1, state, action] the best policy, by policy iteration."""
    states, actions = world.shape
    expected = (reward * world.transitions).sum(-1)
    choice = np.zeros(states, dtype=np.int64)
    while True:
        rows = np.arange(states)
        flow = np.eye(states) - DISCOUNT * world.transitions[rows, choice]
        gains = expected + DISCOUNT * world.transitions @ np.linalg.solve(flow, expected[rows, choice])
        better = gains.argmax(1)
        if (gains[rows, better] <= gains[rows, choice] + 1e-10).all():
            return np.eye(actions)[choice][None]
        choice = better


def earned(world: Tabular, policy: Floats, gold: Floats) -> float:
    """What a policy earns from the start."""
    return float((occupancy(world, policy) * (gold * world.transitions).sum(-1)).sum())


def regret(one: Scene, reward: Floats) -> float:
    """0 for the best policy, 1 for the worst."""
    top, bottom = (earned(one.world, best(one.world, sign * one.gold), one.gold) for sign in (1, -1))
    return (top - earned(one.world, best(one.world, reward), one.gold)) / (top - bottom)


def accuracy(one: Scene, reward: Floats) -> float:
    """Share of the pairs of stretches that a reward orders as the true one does."""
    steps = tuple(np.moveaxis(one.stretches, -1, 0))
    ours, true = (np.diff(table[steps].sum(-1), axis=1) for table in (reward, one.gold))
    return float((np.sign(ours) == np.sign(true)).mean())


def measure(one: Scene, rewards: int, widest: float, rng: np.random.Generator) -> dict[str, Floats]:
    """[reward] regret, accuracy's error and the distances; `widest` angle to the true reward."""
    found: dict[str, list[float]] = {name: [] for name in ("regret", "accuracy", "epic", "dard", "starc")}
    table = one.world.transitions
    uniform = np.ones_like(table) / table.size
    for _ in range(rewards):
        mixed, other = rng.random() * widest, rng.standard_normal(one.gold.shape)
        potential = rng.standard_normal(len(table)) * rng.choice([0.0, 1.0, 5.0])
        reward = np.cos(mixed) * one.gold + np.sin(mixed) * other
        reward = rng.uniform(0.1, 10.0) * (reward + DISCOUNT * potential - potential[:, None, None])
        found["regret"].append(regret(one, reward))
        found["accuracy"].append(1 - accuracy(one, reward))
        found["epic"].append(epic(one.gold, reward, coverage=uniform, discount=DISCOUNT))
        found["dard"].append(dard(one.gold, reward, transitions=table, discount=DISCOUNT))
        found["starc"].append(starc(one.gold, reward, transitions=table, discount=DISCOUNT))
    return {name: np.array(values) for name, values in found.items()}


def main() -> None:
    """Correlation with regret, by world and by what is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=8)
    parser.add_argument("--rewards", type=int, default=200)
    given = parser.parse_args()
    rows: list[Row] = []
    for kind, (wide, widest) in itertools.product(("chance", "grid"), {"any": np.pi, "learned": np.pi / 2}.items()):
        ours: dict[str, list[float]] = {}
        for seed in range(given.worlds):
            found = measure(scene(kind, seed), given.rewards, widest, generator(seed, "rewards", kind, wide))
            for name in ("accuracy", "epic", "dard", "starc"):
                ours.setdefault(name, []).append(float(spearmanr(found[name], found["regret"])[0]))
        for name, values in ours.items():
            rows.append(interval_row(f"{kind}/{wide} rewards", f"correlation_with_regret/{name}", values))
            print(rows[-1])
        for name in ("epic", "dard", "starc"):
            gain = np.array(ours[name]) - np.array(ours["accuracy"])
            rows.append(interval_row(f"{kind}/{wide} rewards", f"correlation_above_accuracy/{name}", gain))
            print(rows[-1])
    write(
        "reward_distances",
        asked="Does the distance from the true reward tell how much is lost by planning on a reward, better than accuracy does?",
        rows=rows,
        note=f"Spearman's correlation over {given.rewards} rewards in each of {given.worlds} worlds; intervals over worlds.",
    )


if __name__ == "__main__":
    main()
