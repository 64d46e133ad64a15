"""Do rewards conditioned on traits find the tastes of groups, and what is the time of an answer worth?

    python -m benchmarks.group_tastes              results/group_tastes.json, about two minutes of one core

Made-up behaviour of three observations and two actions. All annotators like the first number; lawyers also like the
second, and nurses dislike it, or like it less, or as much. Answers are comparisons with logistic noise. Beside the model
of all answers (pooled) and the conditioned one stand two models, one for each group's answers alone (apart). Then times
of one annotator by drift and diffusion, and times that say nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.reward_examples import Library
from tests.reward_kinds import Crowd

from benchmarks.common import Row, interval_row, write
from plaudit.ask.timing import decision_seconds
from plaudit.records import AnnotatorKind, AnnotatorProfile
from plaudit.reward.collate import collate
from plaudit.reward.config import RewardConfig
from plaudit.reward.fit import fit
from plaudit.reward.model import RewardModel
from plaudit.run.seeds import generator

SEEDS = tuple(range(10))
LABELS = (80, 160, 320)
TIMED_LABELS = (20, 40, 80, 160)
FRESH = 1000
"""fresh pairs per figure"""
CASES = {
    "opposite": (1.0, -1.0, 2),
    "opposite, 1 in 4 a nurse": (1.0, -1.0, 4),
    "a little apart": (1.0, 0.4, 2),
    "alike": (1.0, 1.0, 2),
}
"""what the second number is worth to lawyers and to nurses; every how many-th answer is a nurse's"""
JOBS = ("lawyer", "nurse")
PEOPLE = [AnnotatorProfile(job, AnnotatorKind.PERSON, traits={"job": job}) for job in JOBS]
Floats = NDArray[np.float64]


def taste(second: float) -> Callable[[Floats, Floats], Floats]:
    """Reward of a step to people to whom the second number is worth so much."""

    def reward(observations: Floats, actions: Floats) -> Floats:
        return observations @ np.array([1.0, second, 0.0]) + 0.3 * actions[..., 0]

    return reward


def agreement(library: Library, model: RewardModel, traits: dict[str, str] | None, rng: np.random.Generator) -> float:
    """Share of fresh pairs that a model orders as the library's reward does."""
    ids = [library.draw(rng) for _ in range(2 * FRESH)]
    scores = model.score([library.data[library.found[one].blob] for one in ids], traits=traits).mean
    true = np.array([library.true_return(one) for one in ids])
    return float(np.mean((scores[:FRESH] > scores[FRESH:]) == (true[:FRESH] > true[FRESH:])))


def tastes(case: str, labels: int, seed: int) -> dict[tuple[str, str], float]:
    """(model, job) -> agreement with the group."""
    *worth, every = CASES[case]
    rng = generator(seed, "tastes", case, str(labels))
    library = Library()
    crowd, answers = Crowd(library, rng), list[Any]()
    for number in range(labels):
        group = int(number % every == every - 1)
        library.reward = taste(worth[group])
        answers.append(crowd.comparison(JOBS[group]))
    reference, on = library.reference(rng), RewardConfig(condition_on=("job",))
    data = collate(answers, library, people=PEOPLE)
    pooled = fit(data, config=RewardConfig(), seed=seed, reference=reference).model
    conditioned = fit(data, config=on, seed=seed, reference=reference).model
    found: dict[tuple[str, str], float] = {}
    for group, job in enumerate(JOBS):
        library.reward = taste(worth[group])
        own = collate([one for one in answers if one.annotator == job], library)
        alone = fit(own, config=RewardConfig(), seed=seed, reference=reference).model
        for name, model, traits in (
            ("pooled", pooled, None),
            ("conditioned", conditioned, {"job": job}),
            ("apart", alone, None),
        ):
            found[name, job] = agreement(library, model, traits, generator(seed, "fresh", job))
    return found


def times(labels: int, seed: int) -> dict[str, float]:
    """Agreement without times, with times, and with times that have nothing to do with the question."""
    rng = generator(seed, "times", str(labels))
    library = Library()
    crowd, timed, empty = Crowd(library, rng), list[Any](), list[Any]()
    for _ in range(labels):
        answer = crowd.comparison()
        first, second = (library.true_return(one) for one in library.asked[-1].segments)
        timed.append(replace(answer, response_seconds=2.0 + decision_seconds(first - second, 3.0, rng.random())))
    shuffled = rng.permutation([one.response_seconds for one in timed]).tolist()
    empty = [replace(one, response_seconds=seconds) for one, seconds in zip(timed, shuffled, strict=True)]
    reference, on = library.reference(rng), RewardConfig(response_time=True)
    found: dict[str, float] = {}
    for name, answers, config in (("none", timed, RewardConfig()), ("times", timed, on), ("shuffled", empty, on)):
        model = fit(collate(answers, library), config=config, seed=seed, reference=reference).model
        found[name] = agreement(library, model, None, generator(seed, "fresh"))
    return found


def row(case: str, metric: str, values: list[float]) -> Row:
    """Mean over seeds with its 95 % interval."""
    return interval_row(case, metric, values, "share of fresh pairs", level=0.95)


def main() -> int:
    """Everything; see the module's text."""
    rows: list[Row] = []
    for case in CASES:
        for labels in LABELS if case == "opposite" else LABELS[1:2]:
            each = [tastes(case, labels, seed) for seed in SEEDS]
            for job in JOBS:
                name = f"tastes/{case}/{labels} labels/{job}"
                rows += [
                    row(name, model, [one[model, job] for one in each]) for model in ("pooled", "conditioned", "apart")
                ]
                gain = [one["conditioned", job] - one["pooled", job] for one in each]
                rows.append(row(name, "conditioned - pooled", gain))
            print(*rows[-8:], sep="\n", flush=True)
    for labels in TIMED_LABELS:
        each = [times(labels, seed) for seed in SEEDS]
        name = f"times/{labels} labels"
        rows += [row(name, which, [one[which] for one in each]) for which in ("none", "times", "shuffled")]
        rows += [row(name, f"{a} - none", [one[a] - one["none"] for one in each]) for a in ("times", "shuffled")]
        print(*rows[-5:], sep="\n", flush=True)
    write("group_tastes", asked="Are tastes of groups found, and what are times worth?", rows=rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
