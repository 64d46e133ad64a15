"""What is thought of completions: by the learned reward, by the hidden one, and how far they are from the reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from plaudit.engine.batch import Batch
from plaudit.engine.decode import Rollout
from plaudit.engine.model import LanguageModel
from plaudit.loop.texts.context import TextContext
from plaudit.records import Text
from plaudit.report.samples import Sample
from plaudit.worlds.prompts import Prompt

FloatArray = NDArray[np.float64]
TOKENS = 8192
"""tokens that are read at once"""


def golden(context: TextContext, prompts: Sequence[Prompt], rollout: Rollout, texts: Sequence[Text]) -> FloatArray:
    """[N] the true reward; NaN where nothing can be checked."""
    group = rollout.batch.group.tolist()
    found = [context.gold(prompts[number].text, text) for number, text in zip(group, texts, strict=True)]
    return np.array(found, dtype=np.float64)


def distances(policy: LanguageModel, reference: LanguageModel, batch: Batch, temperature: float) -> FloatArray:
    """[N] log-probability of each completion under the policy less that under the reference, in nats.

    Over completions that the policy sampled, its mean estimates KL(policy || reference) of a completion without bias.
    """
    found = torch.zeros(len(batch), dtype=torch.float64)
    with torch.no_grad():
        for rows in batch.parts(TOKENS):
            part = batch.take(rows)
            mine, theirs = (model.logprobs(part, temperature=temperature).logprobs for model in (policy, reference))
            apart = torch.zeros(len(rows), dtype=torch.float64).index_add_(0, part.row, (mine - theirs).double().cpu())
            found[torch.tensor(rows)] = apart
    return found.numpy()


def repetition(ids: Sequence[int], size: int = 4) -> float:
    """Share of a completion's runs of `size` tokens that occurred in it before; 0 where there are none.

    One less the share of distinct n-grams (Welleck et al. 2020, https://arxiv.org/abs/1908.04319, section 5).
    """
    runs = [tuple(ids[at : at + size]) for at in range(len(ids) - size + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of each completion of a rollout; [N] each, NaN or None where nothing is."""

    gold: FloatArray | None = None
    members: FloatArray | None = None
    """[member, N] of the learned reward, normalised"""
    advantage: FloatArray | None = None
    kl: FloatArray | None = None


def samples_of(prompts: Sequence[Prompt], rollout: Rollout, texts: Sequence[Text], judged: Judged) -> list[Sample]:
    """The completions of a rollout, to be kept."""
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
            reward=None if members is None else float(members[:, row].mean()),
            spread=None if members is None else float(members[:, row].std()),
            advantage=_at(judged.advantage, row),
            kl=_at(judged.kl, row),
        )
        for row, text in enumerate(texts)
    ]


def _at(values: FloatArray | None, row: int) -> float | None:
    return None if values is None or math.isnan(values[row]) else float(values[row])
