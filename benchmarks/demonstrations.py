"""Is the reward of demonstrations found? Exactly on a grid, beside imitation; from samples on a control world, beside cloning.

    python -m benchmarks.demonstrations --peer PEER_VENV/bin/python

The peer's environment needs imitation 1.0.1; both sides get the same world and the demonstrator's exact visits, each counted as it
counts (imitation counts the state after the last action too), and run one after the other on one thread.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import Row, append_raw, missing, read_raw, write
from plaudit.control.config import PolicyConfig, SACConfig
from plaudit.control.config_demonstrations import DemonstrationConfig
from plaudit.control.demonstrated import Demonstrations, learn_from
from plaudit.control.learner import Learner, make_learner
from plaudit.control.logged import Episode
from plaudit.reward.config import RewardConfig
from plaudit.run.monitor import Unwatched
from plaudit.run.seeds import generator
from plaudit.worlds.causal_entropy import TabularReward, log_likelihood, reward_from_visits
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.evaluate import evaluate
from plaudit.worlds.tabular import Floats, Tabular, occupancy, of_grid, soft_optimal, starting_as, visits
from plaudit.worlds.toy import GridWorld, PointMass
from plaudit.worlds.vector import VectorWorld

SIZE, STEPS, RIDGE = 8, 20, 0.1
COUNTS, GRID_SEEDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000), 20
SAC = PolicyConfig(sac=SACConfig(net=(32, 32), gamma=0.95))
POINT = WorldConfig(id="plaudit.worlds.toy:PointMass", envs=5, options={"steps": STEPS})
PENDULUM = WorldConfig(id="Pendulum-v1", envs=5)
CONTROL: dict[str, tuple[WorldConfig, PolicyConfig, DemonstrationConfig, tuple[int, ...], int]] = {
    "point-mass": (POINT, SAC, DemonstrationConfig(steps=6000), (2, 5), 5),
    "pendulum": (PENDULUM, PolicyConfig(), DemonstrationConfig(steps=24_000, rounds=8, samples=5), (2,), 3),
}
"""world, policy, budget, numbers of demonstrations, seeds"""
RANDOM_PENDULUM = -1239.0
"""mean return of uniformly random actions, as in benchmarks.efficiency"""
PEER = """
import json, sys, time
import numpy as np, torch
from gymnasium import spaces
from imitation.algorithms.mce_irl import MCEIRL, mce_occupancy_measures
from imitation.rewards.reward_nets import BasicRewardNet
from seals.base_envs import TabularModelPOMDP
torch.set_num_threads(1)
given = json.load(sys.stdin)
table, reward, starts = (np.array(given[name]) for name in ("transitions", "reward", "starts"))
states = len(starts)
env = TabularModelPOMDP(transition_matrix=table, observation_matrix=np.eye(states, dtype=np.float32), reward_matrix=reward,
                        horizon=given["horizon"], initial_state_dist=starts)
_, shown = mce_occupancy_measures(env)
out = {}
for rate in (1e-2, 1e-1):
    torch.manual_seed(0)
    net = BasicRewardNet(env.observation_space, env.action_space, use_action=False, hid_sizes=[])
    irl = MCEIRL(shown, env, net, np.random.default_rng(0), optimizer_kwargs={"lr": rate}, linf_eps=1e-4, grad_l2_eps=0.0, log_interval=None)
    began = time.process_time()
    found = irl.train(max_iter=20000)
    spent = time.process_time() - began
    learned = net(torch.eye(states), None, None, None).detach().numpy().ravel().astype(float)
    out[str(rate)] = {"seconds": spent, "error": float(np.abs(found - shown).max()), "reward": learned.tolist()}
json.dump(out, sys.stdout)
"""


def grid(discount: float = 1.0, horizon: int | None = STEPS) -> tuple[Tabular, Floats]:
    """The grid, and a reward [state, action] of the state alone."""
    toy = GridWorld(size=SIZE, steps=STEPS)
    tables, _ = of_grid(toy)
    rewards = np.full(SIZE * SIZE, -1.0)
    rewards[list(toy.pits)], rewards[toy.goal] = -6.0, 0.0
    return Tabular(tables.transitions, tables.starts, horizon, discount), np.repeat(rewards[:, None], 4, axis=1)


def exact() -> list[Row]:
    """The demonstrator's exact visits: three horizons."""
    rows: list[Row] = []
    for name, discount, horizon in (("20 steps", 1.0, 20), ("20 steps, discount 0.9", 0.9, 20), ("endless, discount 0.95", 0.95, None)):  # fmt: skip
        world, true = grid(discount, horizon)
        shown = occupancy(world, soft_optimal(world, true).policy)
        found, seconds = timed(world, shown, 1e-6)
        rows += described(f"grid/exact/{name}", found, seconds, true)
    return rows


def timed(world: Tabular, shown: Floats, tolerance: float) -> tuple[TabularReward, float]:
    """A fit, and its CPU-seconds."""
    began = time.process_time()
    found = reward_from_visits(world, shown, tolerance=tolerance)
    return found, time.process_time() - began


def described(case: str, found: TabularReward, seconds: float, true: Floats) -> list[Row]:
    """What a fit came to."""
    correlation = float(np.corrcoef(found.reward[:, 0], true[:, 0])[0, 1])
    return [
        Row(case, "visits_error", found.error, unit="visits of an episode"),
        Row(case, "reward_correlation", correlation),
        Row(case, "iterations", found.iterations),
        Row(case, "cpu_seconds", seconds, unit="s"),
    ]


def peers(python: str) -> list[Row]:
    """imitation's fit at its own default step size and at a larger one, and ours to the same error, in one run."""
    world, true = grid()
    shown = occupancy(world, soft_optimal(world, true).policy)
    given = {
        "transitions": world.transitions.tolist(),
        "reward": true[:, 0].tolist(),
        "starts": world.starts.tolist(),
        "horizon": STEPS,
    }
    done = subprocess.run(
        [python, "-W", "ignore", "-c", PEER], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"the peer failed:\n{done.stderr[-2000:]}")
    found, seconds = timed(world, shown, 1e-4)
    rows = described("grid/same error/plaudit", found, seconds, true)
    for rate, theirs in json.loads(done.stdout).items():
        case, reward = (
            f"grid/same error/imitation, lr {rate}",
            np.repeat(np.array(theirs["reward"])[:, None], 4, axis=1),
        )
        seen = occupancy(world, soft_optimal(world, reward).policy)
        agree = float(np.corrcoef(reward[:, 0], found.reward[:, 0])[0, 1])
        rows += [
            Row(case, "visits_error_own_count", theirs["error"], unit="visits of an episode"),
            Row(case, "visits_error", float(np.abs((seen - shown).sum(axis=1)).max()), unit="visits of an episode"),
            Row(case, "reward_correlation", float(np.corrcoef(reward[:, 0], true[:, 0])[0, 1])),
            Row(case, "reward_correlation_with_plaudit", agree),
            Row(case, "cpu_seconds", theirs["seconds"], unit="s"),
        ]
    return rows


def few() -> list[Row]:
    """K demonstrated episodes: how far visits are off, and the true return of who is softly optimal for what was found."""
    world, true = grid()
    policy = soft_optimal(world, true).policy
    shown, uniform = occupancy(world, policy), occupancy(world, np.full((1, *world.shape), 0.25))
    top, bottom = (float(np.sum(true * one)) for one in (shown, uniform))
    rows: list[Row] = []
    for count in COUNTS:
        errors, counted, shares = np.zeros(GRID_SEEDS), np.zeros(GRID_SEEDS), np.zeros(GRID_SEEDS)
        for seed in range(GRID_SEEDS):
            episodes = rolled(world, policy, count, generator(seed, "demonstrations", count))
            seen = visits(world, episodes)
            found = reward_from_visits(starting_as(world, episodes), seen, ridge=RIDGE / count)
            reached = occupancy(world, soft_optimal(world, found.reward).policy)
            errors[seed], counted[seed] = (np.abs((one - shown).sum(axis=1)).max() for one in (reached, seen))
            shares[seed] = (np.sum(true * reached) - bottom) / (top - bottom)
        case = f"grid/{count} episodes"
        rows += [spread(case, "visits_error", errors), spread(case, "visits_error_of_counting", counted)]
        rows.append(spread(case, "share_of_demonstrator", shares))
    return rows


def rolled(
    world: Tabular, policy: Floats, count: int, rng: np.random.Generator
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Episodes of a policy, all at once."""
    state = rng.choice(len(world.starts), count, p=world.starts)
    states, actions = np.zeros((STEPS, count), np.int64), np.zeros((STEPS, count), np.int64)
    for step in range(STEPS):
        states[step] = state
        actions[step] = (rng.random((count, 1)) > np.cumsum(policy[step, state], axis=1)[:, :-1]).sum(axis=1)
        state = world.transitions[state, actions[step]].argmax(axis=1)
    return list(zip(states.T, actions.T, strict=True))


def spread(case: str, metric: str, values: Floats) -> Row:
    """Median with the first and last tenth."""
    low, high = np.quantile(values, [0.1, 0.9])
    return Row(case, metric, float(np.median(values)), float(low), float(high), len(values))


def unbounded() -> list[Row]:
    """The textbook's objective and the sound one, at multiples of the true reward."""
    world, true = grid()
    shown = occupancy(world, soft_optimal(world, true).policy)
    uniform = occupancy(world, np.full((1, *world.shape), 0.25))
    return [
        Row(f"grid/true reward x {scale}", metric, value, unit="nats")
        for scale in (0.5, 1, 2, 10, 100)
        for metric, value in (
            ("textbook_objective", float(np.sum(scale * true * (shown - uniform)))),
            ("log_likelihood", log_likelihood(world, scale * true, shown)),
        )
    ]


def demonstrators() -> dict[str, tuple[list[Episode], float, float]]:
    """Of each world: ten episodes, mean return of random actions, and the best return."""
    env, episodes, best = PointMass(STEPS), list[Episode](), list[float]()
    gains, cost = env.regulator()
    for episode in range(10):
        seen, done = [env.reset(seed=9000 + episode)[0]], list[NDArray[np.float32]]()
        for gain in gains:
            done.append(np.array([-gain @ seen[-1]], np.float32))
            seen.append(env.step(done[-1])[0])
        episodes.append(Episode(np.array(seen), np.array(done)))
    for episode in range(50):
        start = env.reset(seed=10_000 + episode)[0]
        best.append(-float(start @ cost @ start))
    random = evaluate(POINT, _Random(), 50, 0).returns.mean()
    world = VectorWorld(PENDULUM, 7)
    expert = make_learner(PolicyConfig(), world, 7)
    expert.explore(1000, 7)
    expert.set_reward(lambda batch: np.zeros(batch.mask.shape), 1.0)
    expert.improve(14_000, 7, Unwatched())
    top = float(evaluate(PENDULUM, expert, 50, 0).returns.mean())
    shown = evaluate(PENDULUM, expert, 10, 50).batch
    swings = [Episode(shown.observations[row], shown.actions[row]) for row in range(10)]
    return {"point-mass": (episodes, float(random), float(np.mean(best))), "pendulum": (swings, RANDOM_PENDULUM, top)}


class _Random:
    """Uniformly random forces on the mass."""

    version = "random"

    def __init__(self) -> None:
        self._rng = generator(0, "random")

    def act(self, observations: NDArray[np.float32], deterministic: bool = True) -> NDArray[np.generic]:
        del deterministic
        return self._rng.uniform(-5, 5, (len(observations), 1)).astype(np.float32)


def control() -> list[Row]:
    """From K demonstrations: the learner, and a clone of the same form; appends to the raw rows, and resumes."""
    cells = [{"world": name, "count": k, "seed": s} for name, (*_, counts, seeds) in CONTROL.items() for k in counts for s in range(seeds)]  # fmt: skip
    waiting = list(missing(cells, read_raw("demonstrations"), ("world", "count", "seed")))
    shown = demonstrators() if waiting else {}
    for cell in waiting:
        append_raw("demonstrations", cell | learned(cell["world"], cell["count"], cell["seed"], *shown[cell["world"]]))
        print(json.dumps(read_raw("demonstrations")[-1]), flush=True)
    found, rows = read_raw("demonstrations"), list[Row]()
    for name, (*_, counts, _) in CONTROL.items():
        for count in counts:
            these = [row for row in found if (row["world"], row["count"]) == (name, count)]
            case = f"{name}/{count} demonstrations"
            rows += [spread(f"{case}/learned", "share_of_best", np.array([row["share"] for row in these]))]
            rows += [spread(f"{case}/cloned", "share_of_best", np.array([row["share_cloned"] for row in these]))]
            rows += [spread(f"{case}/learned", "cpu_seconds", np.array([row["seconds"] for row in these]))]
    return rows


def learned(name: str, count: int, seed: int, shown: list[Episode], random: float, best: float) -> dict[str, float]:
    """One run."""
    config, policy, settings, *_ = CONTROL[name]
    began, world = time.process_time(), VectorWorld(config, seed)
    order = generator(seed, "which").permutation(len(shown))[:count]
    copy, learner = make_learner(policy, world, seed + 100), make_learner(policy, world, seed)
    demonstrations = Demonstrations.of([shown[index] for index in order], copy, seed=seed)
    found = learn_from(learner, demonstrations, settings, reward=RewardConfig(), seed=seed)
    seconds = time.process_time() - began

    def measured(who: Learner) -> float:
        return float(evaluate(config, who, 50, 0).returns.mean())

    returns, cloned = measured(learner), measured(copy)
    return {
        "return": returns, "return_cloned": cloned, "random": random, "best": best,
        "share": (returns - random) / (best - random), "share_cloned": (cloned - random) / (best - random),
        "effective_samples": found.metrics["demonstrations/effective_samples"], "seconds": seconds,
    }  # fmt: skip


def main() -> int:
    """Run all and write results/demonstrations.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = [*exact(), *peers(given.peer), *few(), *unbounded(), *control()]
    for row in rows:
        print(row.case, row.metric, round(row.value, 8))
    write(
        "demonstrations",
        asked="Is the reward that demonstrations follow found: exactly on a grid, and from samples where a policy has to learn?",
        rows=rows,
        note="peer: imitation 1.0.1; shares: 0 random actions, 1 the demonstrator (point-mass: the optimum); medians, first and last tenth",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
