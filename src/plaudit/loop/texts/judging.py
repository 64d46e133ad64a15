"""What is thought of completions: by the learned reward, by the hidden one, and how far they are from the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from plaudit.engine.batch import Batch
from plaudit.engine.decode import Rollout
from plaudit.engine.model import LanguageModel
from plaudit.language.rollouts import FloatArray
from plaudit.loop.texts.context import TextContext
from plaudit.records import Text
from plaudit.worlds.prompts import Prompt

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
