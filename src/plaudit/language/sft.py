"""Supervised fine-tuning: the model learns to write the completions it is shown.

model = LanguageModel.load("models/smollm2")
stage = train(model, demonstrated(answers, store), SftConfig(steps=100), seed=0, folder=Path("runs/sft"))
model.save("models/taught")

Step by step: stage = Sft(model, config); metrics = stage.step(batch).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.text import Group, Tokeniser
from plaudit.errors import ConfigError
from plaudit.language.texts import Example, fitting
from plaudit.language.update import Update, UpdateConfig, go_on, named, parts, rows_of_step
from plaudit.ops.tokens import negative_log_likelihood, totals
from plaudit.run.monitor import Monitor


@dataclass(frozen=True, slots=True)
class SftConfig:
    """Supervised fine-tuning on completions; prompts are read, not learned."""

    steps: int = 200
    """optimiser steps"""
    batch_size: int = 16
    """examples in each"""
    max_length: int = 1024
    """tokens of prompt and completion; longer examples are left out, as a cut completion would teach not to stop"""
    checkpoint_every: int = 50
    """steps between checkpoints, where there is a folder for them"""
    update: UpdateConfig = field(default_factory=UpdateConfig)
    """the optimiser"""

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.max_length, self.checkpoint_every) < 1:
            raise ConfigError("The settings of fine-tuning are out of range", got=self, expected="counts of at least 1")


class Sft:
    """One model under training. What is kept of it: `keep(stage.update, folder)`, `resume(stage.update, folder)` of `plaudit.language.update`."""

    def __init__(self, model: LanguageModel, config: SftConfig, *, training: str = "") -> None:
        self.model, self.config = model, config
        self.update = Update(model.parameters(), config.update, steps=config.steps, training=training)

    def step(self, batch: Batch, *, weights: Tensor | None = None) -> dict[str, float]:
        """Learn from completions, `weights` [N] saying how much each one's tokens count.

        Minimises -sum_t w_t log p(token_t) / sum_t w_t over all completion tokens of the batch, however it is cut up.

        Returns what `Update.step` does, and entropy (mean over completion tokens, in nats), mean_token_accuracy (share of them
        than which no token was likelier) and num_tokens (of completions).
        """
        counted = None if weights is None else weights[batch.row]
        seen: dict[str, list[Tensor]] = {"entropy": [], "mean_token_accuracy": []}
        metrics = self.update.step(self._shares(batch, counted, seen))
        means = {name: float(torch.cat(values).mean()) for name, values in seen.items()}
        return {**metrics, **means, "num_tokens": float(len(batch.tokens))}

    def _shares(self, batch: Batch, weights: Tensor | None, seen: dict[str, list[Tensor]]) -> Iterator[Tensor]:
        whole = totals(batch.row, len(batch), weights=weights)
        for part in parts(batch, self.config.update.tokens(self.model.device)):
            scores = self.model.logprobs(part.batch, entropy=True)
            here = None if weights is None else weights[part.tokens].to(scores.logprobs)
            if scores.entropy is not None and scores.likeliest is not None:
                seen["entropy"].append(scores.entropy.detach())
                seen["mean_token_accuracy"].append(scores.likeliest.to(scores.entropy))
            row = part.batch.row.to(scores.logprobs.device)
            yield negative_log_likelihood(scores.logprobs, row, whole=whole, weights=here)


def train(
    model: LanguageModel,
    examples: Sequence[Example],
    config: SftConfig,
    *,
    seed: int,
    folder: Path | None = None,
    monitor: Monitor | None = None,
) -> Sft:
    """Teach a model from examples, epoch after epoch; with a folder, go on from its newest checkpoint with equal bits.

    Args:
        model: with a tokenizer; its parameters change.
        examples: prompts with completions; of a conversation, every turn of the assistant is learned.
        config: settings.
        seed: of the order of examples.
        folder: for checkpoints.
        monitor: is told the metrics of each step, and may stop.
    """
    rows, weights = rows_to_imitate(model, examples, config.max_length)
    listed = [[row.prompt, row.completions[0], weight] for row, weight in zip(rows, weights.tolist(), strict=True)]
    stage = Sft(model, config, training=named(config, seed, listed))

    def step() -> dict[str, float]:
        drawn = rows_of_step(stage.update.done, config.batch_size, count=len(rows), seed=seed, name="sft")
        batch = Batch.of([rows[place].prompt for place in drawn], [rows[place].completions for place in drawn])
        return stage.step(batch, weights=weights[drawn])

    go_on(stage.update, step, every=config.checkpoint_every, folder=folder, monitor=monitor)
    return stage


def rows_to_imitate(model: LanguageModel, examples: Sequence[Example], max_length: int) -> tuple[list[Group], Tensor]:
    """Examples as tokens, every turn of the assistant by itself, and [N] how much each counts; without those that are too long."""
    words = Tokeniser(model.tokenizer)
    every = [
        (group, example.weight) for example in examples for group in words.turns(example.prompt, example.completion)
    ]
    kept = fitting([group for group, _ in every], min(max_length, model.context))
    return [every[place][0] for place in kept], torch.tensor([every[place][1] for place in kept])
