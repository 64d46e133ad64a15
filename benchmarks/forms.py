"""What it is worth to choose the form of a reward: mirrors, memory, pictures. Fits alone, on made-up behaviour.

    python -m benchmarks.forms run [--jobs 1]      appends and resumes
    python -m benchmarks.forms summary             results/forms.json

`mirrors`: comparisons until 0.9 of fresh pairs are ordered right, with `reward.symmetries` and without, in two worlds where
the mirror image is worth the same: `folded`, made for it, and `mass on a line`, plaudit's PointMass pushed at random.
`memory`: a sign shown at the first step decides what is worth anything later. `pictures`: only pictures show what counts.
`few pictures`, `few memories`, `pendulum`, `pendulum on pictures`: few answers, with `reward.represent_steps` on 100 segments that
nobody judged, and without. Answers are error-free. The worlds are those of the tests, `tests/reward_examples.py`, and Pendulum
with random torques, 4,000 steps, pictures of 32 x 32.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
from tests.reward_examples import MEMORY, MIRRORED, Cue, Folded, Library, Pictures, Pushed, agreement

from benchmarks.common import Row, interval_row, read_raw, run_missing, write
from plaudit.check.compare import FloatArray
from plaudit.reward.collate import collate, pack
from plaudit.reward.config import RewardConfig, Trunk
from plaudit.reward.fit import fit
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.vector import VectorWorld

KEYS = ("case", "form", "seed")
SEEDS = {
    "folded": 5, "mass on a line": 10, "memory": 3, "pictures": 3,
    "few pictures": 10, "few memories": 5, "pendulum": 10, "pendulum on pictures": 5,
}  # fmt: skip
RIGHT = 0.9
"""share of fresh pairs that counts as learned"""
_PLAIN = RewardConfig(squares=False)
_SEES = RewardConfig(trunk=Trunk.CNN, members=3, hidden=(16,), steps=80)


class Swung(Library):
    """Pendulum with random torques, which last a while."""

    PIXELS: int | None = None

    def __init__(self) -> None:
        super().__init__()
        world, rng = VectorWorld(WorldConfig(id="Pendulum-v1", envs=4, pixels=self.PIXELS), 0), np.random.default_rng(0)
        world.reset(0)
        for torques in np.repeat(rng.uniform(-2, 2, (200, 4, 1)).astype(np.float32), 5, axis=0):
            world.step(torques)
        self.behaviour = world.behaviour
        world.close()

    def draw(self, rng: np.random.Generator, length: int = 25) -> str:
        """One stretch."""
        return self.add(self.behaviour.data(self.behaviour.cut(length, 1, rng)[0], length))


class Filmed(Swung):
    """The same with pictures."""

    PIXELS = 32


def _with_and_without(config: RewardConfig) -> dict[str, RewardConfig]:
    return {"represent": replace(config, represent_steps=200), "plain": config}


FORMS: dict[str, dict[str, RewardConfig]] = {
    "folded": {"mirrors": replace(_PLAIN, symmetries=(MIRRORED[Folded],)), "plain": _PLAIN},
    "mass on a line": {"mirrors": replace(_PLAIN, symmetries=(MIRRORED[Pushed],)), "plain": _PLAIN},
    "memory": {
        "gru": MEMORY,
        "transformer": replace(MEMORY, trunk=Trunk.TRANSFORMER, hidden=(16, 16), batch=32, steps=400),
        "mlp": replace(MEMORY, trunk=Trunk.MLP),
    },
    "pictures": {"cnn": _SEES, "mlp": replace(_SEES, trunk=Trunk.MLP)},
    "few pictures": _with_and_without(_SEES),
    "few memories": _with_and_without(MEMORY),
    "pendulum": _with_and_without(RewardConfig()),
    "pendulum on pictures": _with_and_without(replace(_SEES, hidden=(32,), steps=120)),
}
LABELS = {
    "folded": (30, 60, 120, 240),
    "mass on a line": (5, 10, 20, 40, 80),
    "memory": (200, 400),
    "pictures": (60,),
    "few pictures": (5, 10, 20, 40),
    "few memories": (50, 100),
    "pendulum": (5, 10, 20, 40),
    "pendulum on pictures": (5, 10, 20, 40),
}
WORLDS: dict[str, tuple[type[Library], int]] = {
    "folded": (Folded, 12),
    "mass on a line": (Pushed, 12),
    "memory": (Cue, 10),
    "pictures": (Pictures, 4),
    "few pictures": (Pictures, 4),
    "few memories": (Cue, 10),
    "pendulum": (Swung, 25),
    "pendulum on pictures": (Filmed, 25),
}
"""world, and steps of its segments"""


def cell(case: str, form: str, seed: int) -> dict[str, Any]:
    """Share of 400 fresh pairs ordered right, at every number of labels."""
    right: list[float] = []
    for labels in LABELS[case]:
        make, length = WORLDS[case]
        library, rng = make(), np.random.default_rng(seed)
        data = collate(library.comparisons(labels, rng, length=length), library)
        fresh = [library.data[library.found[library.draw(rng)].blob] for _ in range(100)]
        reference = pack(fresh, data.segments[0].actions.shape[1])
        model = fit(data, config=FORMS[case][form], seed=seed, reference=reference, unlabelled=fresh).model
        right.append(round(agreement(model, library, 400, rng), 4))
    return {"case": case, "form": form, "seed": seed, "labels": LABELS[case], "right": right}


def summary() -> list[Row]:
    """Shares of right pairs per form, and how many times as many labels it takes without mirrors."""
    found: dict[tuple[str, str], dict[int, list[float]]] = {}
    for row in read_raw("forms"):
        found.setdefault((row["case"], row["form"]), {})[row["seed"]] = row["right"]
    rows: list[Row] = []
    for (case, form), by_seed in found.items():
        curves = np.array(list(by_seed.values()))
        for labels, values in zip(LABELS[case], curves.T, strict=True):
            rows.append(interval_row(f"{case}/{form}/{labels}", "right", values, "of pairs"))
    for case in ("folded", "mass on a line"):
        both = [found.get((case, form), {}) for form in ("plain", "mirrors")]
        seeds = sorted(both[0].keys() & both[1].keys())
        if len(seeds) > 1:
            plain, mirrors = (np.array([side[s] for s in seeds]) for side in both)
            rows += _saved(case, plain, mirrors)
    for case in (case for case, forms in FORMS.items() if "represent" in forms):
        both = [found.get((case, form), {}) for form in ("represent", "plain")]
        seeds = sorted(both[0].keys() & both[1].keys())
        if len(seeds) > 1:
            gains = np.array([both[0][s] for s in seeds]) - np.array([both[1][s] for s in seeds])
            for labels, values in zip(LABELS[case], gains.T, strict=True):
                rows.append(interval_row(f"{case}/represent - plain/{labels}", "right", values, "of pairs"))
    return rows


def _saved(case: str, plain: FloatArray, mirrors: FloatArray) -> list[Row]:
    """Labels to `RIGHT` on the mean curves, and their ratio with the interval of 2,000 draws of the seeds."""
    labels, rng = LABELS[case], np.random.default_rng(0)
    sides = {"plain": plain, "mirrors": mirrors}
    needs = {name: _needs(labels, curves.mean(axis=0)) for name, curves in sides.items()}
    draws = [rng.integers(len(plain), size=len(plain)) for _ in range(2000)]
    ratios = [_needs(labels, plain[d].mean(axis=0)) / _needs(labels, mirrors[d].mean(axis=0)) for d in draws]
    low, high = np.quantile(ratios, (0.05, 0.95))
    rows = [Row(f"{case}/{name}", "labels_to_0.9", value, n=len(plain), unit="labels") for name, value in needs.items()]
    ratio = needs["plain"] / needs["mirrors"]
    return [*rows, Row(f"{case}/plain / mirrors", "label_ratio", ratio, float(low), float(high), len(plain))]


def _needs(labels: tuple[int, ...], curve: FloatArray) -> float:
    """Labels at which a curve first reaches `RIGHT`, straight between points over log labels; the last if it never does."""
    over = np.flatnonzero(curve >= RIGHT)
    if len(over) == 0:
        return float(labels[-1])
    i = int(over[0])
    if i == 0:
        return float(labels[0])
    share = (RIGHT - curve[i - 1]) / (curve[i] - curve[i - 1])
    return float(labels[i - 1] * (labels[i] / labels[i - 1]) ** share)


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "cell", "summary"))
    parser.add_argument("words", nargs="*")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    if given.verb == "cell":
        case, form, seed = given.words
        print(json.dumps(cell(case, form, int(seed))))
    elif given.verb == "run":
        cells = [
            {"case": case, "form": form, "seed": seed}
            for case, count in SEEDS.items() for seed in range(count) for form in FORMS[case]
        ]  # fmt: skip
        run_missing("forms", cells, KEYS, jobs=given.jobs)
    else:
        write(
            "forms",
            asked="What is it worth to choose the form of a reward?",
            rows=summary(),
            note="90 % intervals over seeds; of ratios by bootstrap over seeds. Where a curve never reaches 0.9, its last "
            "number of labels stands for what it needs",
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
