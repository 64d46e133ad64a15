"""What single choices are worth, each looked at by itself: updates of SAC, going on from the last fit, who answers how.

    python -m benchmarks.details run [--only updates]      appends and resumes; each part takes less than two minutes
    python -m benchmarks.details summary                   results/details.json

`updates`: CPU milliseconds of one update of SAC on Pendulum, on one thread, by what computes it.
`warm`: fits after 20, 40, ... 120 comparisons, each anew or each from the weights of the one before (`reward.warm_start`):
CPU seconds of all six, and how many fresh pairs the last one orders right.
`careful`: 300 comparisons by two careful annotators, one poor and one near chance, with and without `traits` "rationality".
`strict`: 150 grades by three raters, one of them strict and one mild, with and without `traits` "cuts".
Behaviour and answers are made up, as in `benchmarks.group_tastes`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import numpy as np
import torch
from tests.reward_examples import Library, quadratic
from tests.reward_kinds import Crowd

from benchmarks.common import Row, interval_row, read_raw, run_missing, write
from plaudit.control.config import Backend, SACConfig
from plaudit.control.replay import Batch
from plaudit.control.sac import SACAgent
from plaudit.reward.collate import collate
from plaudit.reward.config import RewardConfig, Trait
from plaudit.reward.fit import Fit, fit
from plaudit.reward.model import RewardModel
from plaudit.run.seeds import generator
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.vector import VectorWorld

KEYS = ("part", "case", "seed")
SIZES = (64, 128, 256)
PARTS = {
    "updates": tuple(f"{backend.value} {size}" for size in SIZES for backend in Backend),
    "warm": ("anew", "warm"),
    "careful": ("pooled", "rationality"),
    "strict": ("pooled", "cuts"),
}
SEEDS = {"updates": 3, "warm": 10, "careful": 10, "strict": 10}
ROUNDS = range(20, 121, 20)
NOISE = {"careful": 0.5, "careful too": 0.5, "poor": 4.0, "near chance": 20.0}
"""scale of what blurs returns, which differ by about 6"""
SHIFT = {"usual": 0.0, "strict": 3.0, "mild": -3.0}
FRESH = 1000
"""fresh pairs per figure"""


def updates(case: str, seed: int) -> dict[str, float]:
    """Milliseconds per update, after one burst that warms up."""
    backend, size = case.split()
    config = SACConfig(net=(int(size),) * 2, batch_size=int(size), backend=Backend(backend))
    agent, rng = SACAgent(config, VectorWorld(WorldConfig(id="Pendulum-v1"), seed), seed), generator(seed, "updates")
    count, rows = 100, int(size)

    def numbers(*shape: int) -> np.ndarray:
        return rng.standard_normal((count, rows, *shape), dtype=np.float32)

    batch = Batch(numbers(3), np.tanh(numbers(1)), numbers(), numbers(3), np.ones((count, rows), np.float32))
    agent.train(batch, rng)
    began = time.process_time()
    agent.train(batch, rng)
    return {"ms": 1000 * (time.process_time() - began) / count}


def warm(case: str, seed: int) -> dict[str, float]:
    """Six fits, the later ones on more answers."""
    library, rng, config = Library(quadratic), generator(seed, "warm"), RewardConfig(warm_start=case == "warm")
    crowd, answers, before = Crowd(library, rng), list[Any](), None
    reference, spent = library.reference(rng), 0.0
    for labels in ROUNDS:
        answers += [crowd.comparison() for _ in range(labels - len(answers))]
        data = collate(answers, library)
        began = time.process_time()
        before = fit(data, config=config, seed=seed + labels, reference=reference, warm_start=before).model
        spent += time.process_time() - began
    assert before is not None
    return {"cpu_seconds": spent, "right": right(before, library, seed)}


def people(case: str, seed: int, part: str) -> dict[str, float]:
    """One fit on answers of people who differ."""
    library, rng = Library(quadratic), generator(seed, part)
    crowd, answers = Crowd(library, rng), list[Any]()
    if part == "careful":
        for number in range(300):
            name = list(NOISE)[number % len(NOISE)]
            crowd.noise = NOISE[name]
            answers.append(crowd.comparison(name))
    else:
        for number in range(150):
            name = list(SHIFT)[number % len(SHIFT)]
            answers.append(crowd.rating(name, shift=SHIFT[name]))
    config = RewardConfig(traits=() if case == "pooled" else (Trait(case),))
    found: Fit = fit(collate(answers, library), config=config, seed=seed, reference=library.reference(rng))
    return {"right": right(found.model, library, seed), "log_likelihood": found.metrics["reward/log_likelihood"]}


def right(model: RewardModel, library: Library, seed: int) -> float:
    """Share of fresh pairs that a model orders as the true reward does."""
    rng = generator(seed, "fresh")
    ids = [library.draw(rng) for _ in range(2 * FRESH)]
    scores = model.score([library.data[library.found[one].blob] for one in ids]).mean
    true = np.array([library.true_return(one) for one in ids])
    return float(np.mean((scores[:FRESH] > scores[FRESH:]) == (true[:FRESH] > true[FRESH:])))


def cell(part: str, case: str, seed: int) -> dict[str, Any]:
    """One figure or two."""
    torch.set_num_threads(1)
    found = (
        updates(case, seed) if part == "updates" else warm(case, seed) if part == "warm" else people(case, seed, part)
    )
    return {"part": part, "case": case, "seed": seed, **{name: round(value, 4) for name, value in found.items()}}


def summary() -> list[Row]:
    """Means, and differences within a seed."""
    raw, rows = read_raw("details"), list[Row]()
    for part, cases in PARTS.items():
        found = {
            case: sorted((r for r in raw if (r["part"], r["case"]) == (part, case)), key=lambda r: r["seed"])
            for case in cases
        }
        metrics = [name for name in found[cases[0]][0] if name not in KEYS] if found[cases[0]] else []
        for metric in metrics:
            values = {case: np.array([row[metric] for row in these]) for case, these in found.items()}
            rows += [interval_row(f"{part}/{case}", metric, one) for case, one in values.items() if len(one)]
            if part != "updates":
                base, other = (values[case] for case in cases)
                rows.append(interval_row(f"{part}/{cases[1]} - {cases[0]}", metric, other - base))
    return rows


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "cell", "summary"))
    parser.add_argument("words", nargs="*")
    parser.add_argument("--only", choices=tuple(PARTS))
    given = parser.parse_args()
    if given.verb == "cell":
        for at in range(0, len(given.words), len(KEYS)):
            part, case, seed = given.words[at : at + len(KEYS)]
            print(json.dumps(cell(part, case, int(seed))), flush=True)
    elif given.verb == "run":
        cells = [
            {"part": part, "case": case, "seed": seed}
            for part, cases in PARTS.items() for seed in range(SEEDS[part]) for case in cases
            if given.only in (None, part)
        ]  # fmt: skip
        run_missing("details", cells, KEYS, at_once=30)
    else:
        write(
            "details",
            asked="What are single choices worth, each looked at by itself?",
            rows=summary(),
            note="90 % intervals over seeds, differences paired by seed; CPU times were taken on a machine with other load",
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
