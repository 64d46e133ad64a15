"""Rollouts as people look at them: every completion with its prompt and what it was worth to the learner, one file for each.

They are JSON lines, packed: `zcat runs/rloo/rollouts/000012.jsonl.gz | jq` reads them, and so does
`plaudit train show runs/rloo --rollout 12`. The bytes are a function of the rollout, so that a training that is killed and
resumed writes the same files again.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plaudit.engine.sampling import Rollout
from plaudit.errors import RunError
from plaudit.language.experience import Experience
from plaudit.ops.tokens import segment_sum
from plaudit.records import Sample, Text, canonical_json, from_json
from plaudit.run.directory import writing
from plaudit.worlds.prompts import Prompt

FloatArray = NDArray[np.float64]
FOLDER, ENDING = "rollouts", ".jsonl.gz"


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of each completion of a rollout; [N] each, NaN or None where nothing is."""

    gold: FloatArray | None = None
    members: FloatArray | None = None
    """[member, N] of the learned reward, normalised"""
    advantage: FloatArray | None = None
    kl: FloatArray | None = None


def judged(found: Experience, *, gold: FloatArray | None = None) -> Judged:
    """What a learner made of a rollout: scores as they came, advantages as means over tokens, distances as sums."""
    rollout, row, count = found.rollout, found.rollout.batch.row, len(found.rollout.batch)
    distance = None
    if found.reference is not None:
        distance = segment_sum((rollout.logprobs.cpu() - found.reference.cpu()).double(), row, count).numpy()
    advantages = segment_sum(found.advantages.double().cpu(), row, count) / rollout.batch.lengths
    return Judged(gold, found.scores.double().numpy()[None], advantages.numpy(), distance)


def samples_of(prompts: Sequence[Prompt], rollout: Rollout, texts: Sequence[Text], judged: Judged) -> list[Sample]:
    """The completions of a rollout, to be kept.

    Args:
        prompts: which each group answers.
        rollout: completions.
        texts: the same as text, [N].
        judged: what is known of them.
    """
    group, ends = rollout.batch.group.tolist(), rollout.finished.tolist()
    lengths, members = rollout.batch.lengths.tolist(), judged.members
    return [
        Sample(
            prompt=prompts[group[row]].text,
            completion=text,
            where=prompts[group[row]].where,
            tokens=lengths[row],
            finished=ends[row],
            gold=_at(judged.gold, row),
            reward=None if members is None else _known(members[:, row].mean()),
            spread=None if members is None else _known(members[:, row].std()),
            advantage=_at(judged.advantage, row),
            kl=_at(judged.kl, row),
        )
        for row, text in enumerate(texts)
    ]


def write(root: Path, number: int, samples: Sequence[Sample]) -> None:
    """Keep a rollout in the folder of a training; one of that number that is there is replaced. Raises RunError."""
    path = root / FOLDER / f"{number:06d}{ENDING}"
    lines = b"".join(canonical_json(one.row()) + b"\n" for one in samples)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(gzip.compress(lines, mtime=0))
        fresh.replace(path)


def read(root: Path, number: int) -> list[Sample]:
    """Inverse of `write`. Raises RunError where there is no such rollout, or it was damaged."""
    path = root / FOLDER / f"{number:06d}{ENDING}"
    try:
        lines = gzip.decompress(path.read_bytes()).splitlines()
        if not lines:
            raise EOFError("nothing is in it")
        return [from_json(Sample, json.loads(line)) for line in lines]
    except (OSError, EOFError, zlib.error, ValueError) as error:
        there = numbers(root)
        raise RunError(
            "A rollout cannot be read", got=f"{path}: {error}",
            expected=f"one from {there[0]} to {there[-1]}" if there else "the folder of `plaudit train group` or `ppo`",
        ) from error  # fmt: skip


def numbers(root: Path) -> list[int]:
    """Which rollouts the folder of a training holds, in order."""
    names = (path.name.removesuffix(ENDING) for path in (root / FOLDER).glob(f"*{ENDING}"))
    return sorted(int(name) for name in names if name.isdecimal())


def _at(values: FloatArray | None, row: int) -> float | None:
    return None if values is None else _known(values[row])


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
