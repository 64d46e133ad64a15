"""Does a model learn to decline what it was never told, without declining what it was? Hallucination against over-refusal.

    python -m benchmarks.refusal run --model DIRECTORY [--seeds 3] [--tiny]
    python -m benchmarks.refusal summary

A world of made-up entities (`plaudit.worlds.knowledge`): SmolLM2-135M-Instruct is told the facts about half of them (fine-tuning,
LoRA), then answers questions about both halves eight times each. Where its own answers disagree, declining is preferred, elsewhere
its answer; on these pairs it is fine-tuned (chosen answers) and aligned (DPO). Nothing there knows the truth. Figures are about
entities of both halves that no pair was built from; answers are the likeliest ones. `run` appends and resumes, a seed at a time;
each checkpoint of DPO is a point of the curve. Beside it: declining without training, wherever eight samples agree less than a
threshold, at eight times the price of an answer.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Row, append_raw, interval_row, missing, read_raw, write

NAME = "refusal"
THRESHOLDS = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
STAGES = ("told", "chosen", "dpo")
NOTE = (
    "Hallucination: made up, over questions about what was never told. Over-refusal: declined, over questions about what was told. "
    "Both are shares of held-out questions; the mean over seeds has its 90 % interval."
)


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    entities: int
    """of each half"""
    tell: int
    """steps of fine-tuning on facts"""
    chosen: int
    """steps of fine-tuning on chosen answers"""
    align: int
    """steps of DPO"""
    every: int
    """steps between two points of the curve"""
    batch: int = 8
    learning_rate: float = 7e-4
    samples: int = 8
    """answers that agreement is measured on"""


FULL = Size(entities=32, tell=480, chosen=60, align=120, every=30)
TINY = Size(entities=2, tell=3, chosen=2, align=2, every=1, batch=4, samples=3)
TOKENS = 24
"""most of an answer; facts and ways to decline have fewer"""


def run(model: str, seed: int, size: Size) -> dict[str, Any]:
    """One seed: rates after each stage, the curve of DPO, and that of declining by agreement."""
    from plaudit.engine.gemm import probe
    from plaudit.language import direct, sft
    from plaudit.language.refusal import RefusalConfig, asks, build, says
    from plaudit.language.texts import Example
    from plaudit.language.update import UpdateConfig
    from plaudit.worlds.knowledge import KnowledgeConfig, draw

    probe().apply()
    began = time.perf_counter()
    world = draw(KnowledgeConfig(size.entities, size.entities), seed)
    row: dict[str, Any] = {"seed": seed, "entities": size.entities}
    with tempfile.TemporaryDirectory() as folder:
        told = fresh(model, seed)
        facts = [Example(asks(one.prompt), says(one.fact)) for one in world.taught]
        tell = UpdateConfig(learning_rate=size.learning_rate, warmup=size.tell // 20)
        sft.train(told, facts, sft.SftConfig(steps=size.tell, batch_size=size.batch, update=tell), seed=seed)
        told.save(Path(folder) / "told")
        row["told"] = measured(told, world.held_out)
        row["agreement"] = by_agreement(told, world.held_out, size.samples, seed)
        built, pairs = build(
            told,
            [one.prompt for one in world.building],
            RefusalConfig(samples=size.samples, max_tokens=TOKENS),
            seed=seed,
        )
        row["pairs"] = {
            "declining": sum(one.declines for one in built),
            "answering": sum(not one.declines for one in built),
        }
        row["pairs"]["right"] = float(
            np.mean([one.declines is not known for one, known in zip(built, _known(world, built), strict=True)])
        )
        chosen = fresh(str(Path(folder) / "told"), seed + 1)
        examples = [Example(one.prompt, one.chosen) for one in pairs]
        sft.train(chosen, examples, sft.SftConfig(steps=size.chosen, batch_size=size.batch), seed=seed)
        chosen.save(Path(folder) / "chosen")
        row["chosen"] = measured(chosen, world.held_out)
        policy = fresh(str(Path(folder) / "chosen"), seed + 2)
        curve = Curve(policy, world.held_out, size.every)
        direct.train(
            policy, pairs, direct.DirectConfig(steps=size.align, batch_size=size.batch), seed=seed, monitor=curve
        )
        row["dpo"], row["curve"] = measured(policy, world.held_out), curve.points
    return {**row, "minutes": round((time.perf_counter() - began) / 60, 2)}


def fresh(model: str, seed: int) -> Any:
    """A model with a fresh adapter; one that was trained before is merged in."""
    from plaudit.engine.load import LoraConfig, ModelConfig
    from plaudit.language.training import policy

    return policy(ModelConfig(model, lora=LoraConfig()), seed=seed)


def _known(world: Any, built: Any) -> list[bool]:
    known = {one.prompt: one.known for one in world.building}
    return [known[one.prompt] for one in built]


def measured(model: Any, questions: Any) -> dict[str, float]:
    """Rates of the likeliest answers."""
    from plaudit.engine.sampling import Sampling
    from plaudit.language.refusal import asks, sampled
    from plaudit.worlds.knowledge import rates

    said = sampled(model, [asks(one.prompt) for one in questions], Sampling(TOKENS, greedy=True), samples=1, seed=0)
    return plain(rates(questions, [one for (one,) in said]))


def plain(found: Any) -> dict[str, float]:
    """Rates as numbers."""
    names = ("hallucination", "over_refusal", "right", "wrong_known", "wrong")
    return {name: round(getattr(found, name).value, 4) for name in names}


def by_agreement(model: Any, questions: Any, samples: int, seed: int) -> list[dict[str, float]]:
    """What declining by agreement alone comes to, by threshold."""
    from plaudit.engine.sampling import Sampling
    from plaudit.language.refusal import asks, sampled
    from plaudit.worlds.knowledge import DECLINES, agreement, rates

    said = sampled(model, [asks(one.prompt) for one in questions], Sampling(TOKENS), samples=samples, seed=seed)
    agreed = [agreement(one) for one in said]
    return [
        {"threshold": at, **plain(rates(questions, [one.answer if one.share >= at else DECLINES[0] for one in agreed]))}
        for at in THRESHOLDS
    ]


class Curve:
    """A monitor that measures every so many steps."""

    def __init__(self, model: Any, questions: Any, every: int) -> None:
        self._model, self._questions, self._every, self._done = model, questions, every, 0
        self.points: list[dict[str, float]] = []

    def report(self, step: int, metrics: Mapping[str, float]) -> Any:
        """After so many more steps."""
        from plaudit.run.monitor import Signal

        self._done += step
        if self._done % self._every == 0:
            kept = {name: round(metrics[name], 4) for name in ("loss", "rewards/margins")}
            self.points.append({"step": self._done, **measured(self._model, self._questions), **kept})
            print(json.dumps(self.points[-1]), flush=True)
        return Signal.GO


def rows(found: list[dict[str, Any]]) -> Iterator[Row]:
    """The table: stages, then the two curves."""
    for stage in STAGES:
        for name in ("hallucination", "over_refusal", "right", "wrong_known"):
            yield interval_row(f"{stage}", name, [one[stage][name] for one in found])
    for name in ("hallucination", "over_refusal"):
        change = [one["dpo"][name] - one["told"][name] for one in found]
        yield interval_row("told to dpo", f"{name}_change", change)
    yield interval_row(
        "told to dpo",
        "hallucination_left",
        [one["dpo"]["hallucination"] / max(one["told"]["hallucination"], 1e-9) for one in found],
    )
    for curve, key in (("curve", "step"), ("agreement", "threshold")):
        for place, first in enumerate(found[0][curve]):
            for name in ("hallucination", "over_refusal"):
                case = f"{'dpo' if curve == 'curve' else 'declining by agreement'}, {key} {first[key]:g}"
                yield interval_row(case, name, [one[curve][place][name] for one in found])
    yield interval_row("pairs", "right", [one["pairs"]["right"] for one in found])
    yield interval_row("run", "minutes", [one["minutes"] for one in found], "min")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "summary"))
    parser.add_argument("--model", help="directory of SmolLM2-135M-Instruct")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="a few steps, to try it; nothing is kept")
    given = parser.parse_args()
    if given.what == "summary":
        asked = "Does a model learn to decline what it was never told, without declining what it was?"
        print(write(NAME, asked=asked, rows=rows(read_raw(NAME)), note=NOTE))
    elif given.tiny:
        print(json.dumps(run(given.model, 0, TINY), indent=1))
    else:
        for cell in missing([{"seed": seed} for seed in range(given.seeds)], read_raw(NAME), ("seed",)):
            append_raw(NAME, run(given.model, cell["seed"], FULL))


if __name__ == "__main__":
    main()
