"""Does a reward that says how unsure it is end better, and does the guard stop a run that fools itself, and only that?

    python -m benchmarks.guard run [--seeds 16] [--clean 100] [--jobs 1]       appends and resumes; a cell is a few seconds
    python -m benchmarks.guard summary                                        results/guard.json

The world is `plaudit.worlds.token_counts`: 40 tokens, 20 of them in a text, 600 comparisons of texts of the start, 25 % of them
wrong, 5 members. Each policy takes STEPS steps of policy gradient on the same noise; KL and the true reward are exact.

`ensembles`: the same ensemble used in different ways; what the policy after LONG steps is truly worth.
`guarded`: the guard on the run that is paid the mean of the ensemble. It never sees the true reward: of each pair of texts, one of
the policy and one of its best checkpoint, an annotator says which is better, and is right three times in four. The true peak is
the step of the whole unguarded run at which the true reward is highest.
`clean`: runs that are paid the true reward itself, up to where it rises no more: every alarm is false.
`level`: the hardest clean case, a policy that neither gains nor loses: each answer a coin.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.common import Row, interval_row, read_raw, run_missing, write
from plaudit.ops.aggregate import AggregateConfig, Pessimism, aggregate
from plaudit.run.guard import GOLD, KL, PROXY, Ending, Guard
from plaudit.run.guard_config import GuardConfig
from plaudit.run.monitor import Signal
from plaudit.run.seeds import generator
from plaudit.stats.intervals import paired, wilson
from plaudit.stats.overoptimisation import Form, fit
from plaudit.worlds.token_counts import FloatArray, Reward, TokenCounts

KEYS = ("group", "variant", "seed")
STEPS, LONG, EVERY, PRICE = 200, 300, 5, 0.05
PAID = 200
"""texts behind what a policy is paid at a check"""
FALL = 1.0
"""deviations below its peak at which the whole run must end to count as one that fools itself; others have nothing to be stopped for"""
RIGHT = 0.75
FIRST = 100
"""seed; those below chose the world's and the guard's settings"""
SEQUENCES = 2000
CONFIG = GuardConfig(every=EVERY, pairs=20, budget=400, accuracy=RIGHT)
VARIANTS: dict[str, AggregateConfig | None] = {
    "one member": None,
    **{how.value: AggregateConfig(how) for how in Pessimism},
}
MEAN, WEIGHTED = Pessimism.MEAN.value, Pessimism.UNCERTAINTY_WEIGHTED.value


def course(world: TokenCounts, reward: Reward, steps: int = STEPS) -> list[FloatArray]:
    """The policy before the first step and after each."""
    found = [world.start]
    for step in range(steps):
        found.append(world.improved(found[-1], reward, step=step, kl=PRICE))
    return found


def true_rewards(world: TokenCounts, policies: Sequence[FloatArray]) -> FloatArray:
    """[policy] mean true reward, exactly."""
    return np.array([world.true_reward(one) for one in policies])


def paid(world: TokenCounts, variant: str) -> Reward:
    """What a learner is paid."""
    members, config = world.fitted_rewards(answers=600, wrong=0.25, members=5), VARIANTS[variant]
    return lambda counts: members(counts)[0] if config is None else aggregate(members(counts), config)


class Annotated:
    """A policy of this world as the guard sees it, and an annotator who is right three times in four."""

    def __init__(self, world: TokenCounts, reward: Reward) -> None:
        self._world, self._reward = world, reward
        self.policy = self.best = world.start

    def judge(self, check: int, first: int, count: int) -> list[bool | None]:
        """Answers about texts drawn with the same noise; equal texts are ties."""
        rows = slice(first, first + count)
        mine, other = (self._world.sample(one, CONFIG.pairs, "audit", check)[rows] for one in (self.policy, self.best))
        apart = self._world.gold(mine) - self._world.gold(other)
        slips = generator(self._world.seed, "audit", check, "slips").random(CONFIG.pairs)[rows] >= RIGHT
        return [None if one == 0 else bool((one > 0) ^ slip) for one, slip in zip(apart, slips, strict=True)]

    def measures(self) -> Mapping[str, float]:
        """The true reward is recorded for the curve; the guard decides without it."""
        texts = self._world.sample(self.policy, PAID, "paid")
        gold = self._world.true_reward(self.policy)
        return {PROXY: float(self._reward(texts).mean()), GOLD: gold, KL: self._world.kl(self.policy)}

    def keep(self) -> None:
        """Take the policy for the best."""
        self.best = self.policy

    def restore(self) -> None:
        """Go back to it."""
        self.policy = self.best


def guard_over(world: TokenCounts, reward: Reward, policies: Sequence[FloatArray]) -> Guard:
    """A guard that watched a run until it ended it, or the run ended."""
    audited = Annotated(world, reward)
    guard = Guard(CONFIG, audited)
    for policy in policies[1:]:
        audited.policy = policy
        if guard.report(1, {}) is not Signal.GO:
            break
    return guard


def cell(group: str, variant: str, seed: int) -> dict[str, Any]:
    """One run."""
    world = TokenCounts(seed)
    about: dict[str, Any] = {"group": group, "variant": variant, "seed": seed}
    if group == "ensembles":
        policies = course(world, paid(world, variant), LONG)
        gold = true_rewards(world, policies)
        return about | {"final": gold[-1], "peak": gold.max(), "nats": world.kl(policies[-1])}
    reward = world.gold if group == "clean" else paid(world, variant)
    policies = course(world, reward)
    guard = guard_over(world, reward, policies)
    about |= {"alarm": guard.ending is Ending.ALARM, "pairs": sum(one.asked for one in guard.checks)}
    gold = true_rewards(world, policies)
    if group == "clean":
        return about | {"final": gold[-1], "peak": gold.max(), "stopped": guard.updates}
    peak, stopped = int(gold.argmax()), guard.updates
    roots = np.sqrt([world.kl(one) for one in policies])
    kept = gold - gold[0]
    fits = {form.name.lower(): fit(roots, kept, form).explained for form in Form}
    return about | {
        "stopped": stopped, "peak_at": peak, "steps_ratio": stopped / peak, "root_ratio": float(roots[stopped] / roots[peak]),
        "kept_at": guard.best, "kept": gold[guard.best], "peak": gold[peak], "final": gold[-1],
        "at_stop": gold[stopped], "start": gold[0], **{f"explained_{name}": value for name, value in fits.items()},
    }  # fmt: skip


def coins() -> int:
    """False alarms in sequences of answers that are coins."""
    rng = generator(0, "coins")
    return int(
        np.any(
            CONFIG.test.evidence(rng.random((SEQUENCES, CONFIG.budget)) < 0.5) >= CONFIG.test.threshold, axis=1
        ).sum()
    )


def cells(seeds: int, clean: int) -> list[dict[str, Any]]:
    """Everything, seed by seed."""
    found = [
        {"group": "ensembles", "variant": one, "seed": seed} for seed in range(FIRST, FIRST + seeds) for one in VARIANTS
    ]
    found += [{"group": "guarded", "variant": MEAN, "seed": seed} for seed in range(FIRST, FIRST + seeds)]
    return found + [{"group": "clean", "variant": "true reward", "seed": seed} for seed in range(1000, 1000 + clean)]


def summary() -> list[Row]:
    """Figures with 95 % intervals over seeds."""
    raw = read_raw("guard")
    by = {(one["group"], one["variant"], one["seed"]): one for one in raw}
    seeds = sorted(seed for group, variant, seed in by if group == "ensembles" and variant == MEAN)
    final = {name: np.array([by["ensembles", name, seed]["final"] for seed in seeds]) for name in VARIANTS}
    rows = [interval_row(f"ensembles/{name}", "final", values, "sd", level=0.95) for name, values in final.items()]
    rows += [
        interval_row(f"ensembles/{name}", "peak", [by["ensembles", name, s]["peak"] for s in seeds], "sd", level=0.95)
        for name in VARIANTS
    ]
    for name in VARIANTS:
        if name != MEAN:
            apart = paired(final[name], final[MEAN])
            rows.append(Row(f"ensembles/{name} - mean", "final", apart.value, apart.low, apart.high, len(seeds), "sd"))
    watched = [one for one in raw if one["group"] == "guarded"]
    guarded = [one for one in watched if one["peak"] - one["final"] >= FALL]
    rows.append(_share("guarded/mean", "runs_that_fall", len(guarded), len(watched)))
    rows.append(_share("guarded/mean", "alarms", sum(one["alarm"] for one in guarded), len(guarded)))
    for name in ("steps_ratio", "root_ratio", "kept", "at_stop", "final", "peak", "pairs", "explained_rl"):
        values = np.array([one[name] for one in guarded])
        rows.append(interval_row("guarded/mean", name, values, level=0.95))
        rows.append(Row("guarded/mean", f"largest_{name}", float(values.max()), n=len(values)))
    for name in ("steps_ratio", "root_ratio"):
        inside = sum(one["alarm"] and one[name] <= 1.3 for one in guarded)
        rows.append(_share("guarded/mean", f"{name}_within_1.3", inside, len(guarded)))
    early = sum(one["stopped"] < one["peak_at"] for one in guarded)
    rows.append(_share("guarded/mean", "stopped_before_peak", early, len(guarded)))
    clean = [one for one in raw if one["group"] == "clean"]
    spent = sum(not one["alarm"] and one["stopped"] < STEPS for one in clean)
    rows.append(_share("clean/true reward", "ended_by_the_budget", spent, len(clean)))
    rows.append(_share("clean/true reward", "false_alarms", sum(one["alarm"] for one in clean), len(clean)))
    rows.append(Row("clean/true reward", "largest_pairs", max(one["pairs"] for one in clean), n=len(clean)))
    return [*rows, _share("level/coins", "false_alarms", coins(), SEQUENCES)]


def _share(case: str, metric: str, count: int, of: int) -> Row:
    found = wilson(count, of)
    return Row(case, metric, found.value, found.low, found.high, of, "share of runs")


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("run", "cell", "summary"))
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--clean", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    if given.verb == "cell":
        for at in range(0, len(given.words), len(KEYS)):
            group, variant, seed = given.words[at : at + len(KEYS)]
            print(json.dumps(cell(group, variant, int(seed))), flush=True)
    elif given.verb == "run":
        run_missing("guard", cells(given.seeds, given.clean), KEYS, jobs=given.jobs, at_once=10)
    else:
        write(
            "guard", asked="Does a reward that knows how unsure it is end better, and when does the guard stop a run?",
            rows=summary(), note="intervals: 95 %, over seeds; differences paired by seed. Rewards in deviations of the start's texts",
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
