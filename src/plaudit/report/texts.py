"""What a run that teaches a language model has come to, from its log: how it does on held-out prompts, and completions to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from plaudit.records import Sample, TextSegment, plain
from plaudit.report import samples
from plaudit.report.source import Source
from plaudit.report.stage_log import StageRow, last_metric
from plaudit.report.summary import Estimate, SampleSummary, TextMeasures, TextsSummary
from plaudit.run.seeds import generator
from plaudit.stats.intervals import mean_interval

SHOWN = 20
"""completions on the page"""
START = "start"
NUMBERS = {
    "win_rate_gold": "check/win_rate_gold",
    "win_rate_gold_length_matched": "check/win_rate_gold_length_matched",
    "win_rate_reward": "check/win_rate_reward",
    "win_rate_reward_length_matched": "check/win_rate_reward_length_matched",
    "length_matched": "check/length_matched",
    "kl": "check/kl",
    "repetition": "check/repetition",
    "missing_end": "check/missing_end",
    "length": "check/length_mean",
}
"""metric of each number"""


def summarise_texts(source: Source) -> TextsSummary | None:
    """The section; None for a run that teaches something else."""
    config = source.config
    if "model" not in config:
        return None
    began = [row for row in source.rows if row.stage == "act" and START in row.artefacts]
    checks = [row for row in source.rows if row.stage == "check"]
    improved = [row for row in source.rows if row.stage == "improve"]
    rollouts = [(row, name) for row in improved for name in sorted(_rollouts(row), key=_number)]
    shown = (checks or began)[-1:]
    newest = [one for row, name in rollouts[-1:] for one in _samples(source, row.artefacts[name])]
    return TextsSummary(
        model=str(config["model"].get("path", "")),
        algorithm=_algorithm(config),
        measures=(
            *(_measures(source, row, 0, f"_{START}") for row in began),
            *(_measures(source, row, row.round + 1, "") for row in checks),
        ),
        samples=tuple(
            _summary(f"{number + 1}", one)
            for row in shown
            for number, one in enumerate(
                _drawn(source, row, _samples(source, row.artefacts.get("samples", row.artefacts.get(START))))
            )
        ),
        rollouts=len(rollouts),
        rollout=tuple(_summary(f"{number + 1}", one) for number, one in enumerate(newest[:SHOWN])),
    )


def gold_of(source: Source) -> dict[str, float]:
    """True rewards of what was sampled for questions, by id of the text."""
    found: dict[str, float] = {}
    for row in source.rows:
        if row.stage == "act" and "samples" in row.artefacts:
            for one in _samples(source, row.artefacts["samples"]):
                name = TextSegment(one.prompt, one.completion, row.versions.get("policy") or "").id
                found[name] = math.nan if one.gold is None else one.gold
    return found


def _algorithm(config: dict[str, Any]) -> str:
    improve: dict[str, Any] = config.get("improve") or {}
    return "PPO" if improve.get("ppo") else str(improve.get("preset", "")).upper()


def _rollouts(row: StageRow) -> list[str]:
    return [name for name in row.artefacts if name.startswith("rollout/")]


def _number(name: str) -> int:
    return int(name.partition("/")[2])


def _samples(source: Source, digest: str | None) -> list[Sample]:
    if digest is None or not source.store.blobs.has(digest):
        return []
    return source.once("samples", digest, lambda: samples.load(source.store.blobs, digest))


def _drawn(source: Source, row: StageRow, among: Sequence[Sample]) -> list[Sample]:
    """Some, drawn at random: nobody chose them."""
    order = generator(int(source.config.get("seed", 0)), "report", row.round).permutation(len(among))[:SHOWN]
    return [among[number] for number in sorted(order.tolist())]


def _measures(source: Source, row: StageRow, number: int, ending: str) -> TextMeasures:
    kept = {name: last_metric([row], f"{metric}{ending}") for name, metric in NUMBERS.items()}
    values = (
        source.arrays(row.artefacts["returns"]).get("returns", np.zeros(0))
        if "returns" in row.artefacts
        else np.zeros(0)
    )
    values = values[np.isfinite(values)]
    gold = None
    if len(values) > 1:
        found = mean_interval(values)
        gold = Estimate(found.value, found.low, found.high, len(values))
    return TextMeasures(number=number, policy=row.versions.get("policy"), gold=gold, **kept)


def _summary(label: str, one: Sample) -> SampleSummary:
    return SampleSummary(
        label=label,
        prompt=plain(one.prompt),
        completion=plain(one.completion),
        tokens=one.tokens,
        finished=one.finished,
        gold=one.gold,
        reward=one.reward,
        spread=one.spread,
        advantage=one.advantage,
        kl=one.kl,
    )
