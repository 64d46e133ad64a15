"""Distillation: a student learns to say next what a teacher would, on texts that are there and on its own (GKD).

Agarwal et al. 2024, https://arxiv.org/abs/2306.13649. On its own texts a student learns what to do after its own mistakes.
(To imitate what a teacher wrote, without the teacher at hand, is fine-tuning: `plaudit.language.sft`.)

stage = Distillation(student, teacher, DistillConfig(own=0.5), seed=0)
train(stage, prompts, texts, folder=Path("runs/distilled"))

Step by step: batch = stage.batch(prompts, texts); metrics = stage.step(batch).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Sampling
from plaudit.engine.text import Group
from plaudit.errors import ConfigError
from plaudit.language.experience import Prompts, order
from plaudit.language.update import Update, UpdateConfig, go_on, named, parts, rows_of_step
from plaudit.ops.distill import divergence
from plaudit.run.monitor import Monitor
from plaudit.run.seeds import derive, generator


@dataclass(frozen=True, slots=True)
class DistillConfig:
    """Distillation of a teacher that is at hand, with the same vocabulary."""

    mix: float = 0.5
    """which divergence: 0 KL(teacher || student), 1 KL(student || teacher), between them a Jensen-Shannon divergence"""
    own: float = 1.0
    """share of steps on completions that the student samples; the others take texts that are there"""
    temperature: float = 1.0
    """what both models' logits are divided by where they are compared; sampling has temperature 1"""
    steps: int = 100
    """optimiser steps"""
    batch_size: int = 16
    """completions in each"""
    max_tokens: int = 128
    """longest completion that is sampled"""
    max_length: int = 1024
    """tokens of prompt and completion of texts that are there; longer ones are left out"""
    checkpoint_every: int = 10
    """steps between checkpoints, where there is a folder for them"""
    update: UpdateConfig = field(default_factory=lambda: UpdateConfig(learning_rate=5e-5))
    """the optimiser"""

    def __post_init__(self) -> None:
        counts = min(self.steps, self.batch_size, self.max_tokens, self.max_length, self.checkpoint_every)
        if counts < 1 or not (0 <= self.mix <= 1 and 0 <= self.own <= 1) or not self.temperature > 0:
            raise ConfigError(
                "The settings of distillation are out of range", got=self,
                expected="counts >= 1, mix and own in [0, 1], temperature > 0",
            )  # fmt: skip


class Distillation:
    """A student under training. Everything random is drawn from the seed and the number of the step.

    Args:
        model: the student; its view's parameters are trained.
        teacher: another model, or another view, with the same tokens.
        config: settings.
        seed: of completions, of which steps take them, and of orders.

    Raises ConfigError where the teacher has other tokens, or a model's head is not a plain matrix.
    """

    def __init__(self, model: LanguageModel, teacher: LanguageModel, config: DistillConfig, seed: int) -> None:
        sizes = [_head(one).out_features for one in (model, teacher)]
        names = [getattr(one.tokenizer, "get_vocab", dict)() for one in (model, teacher)]
        if sizes[0] != sizes[1] or (all(names) and names[0] != names[1]):
            raise ConfigError(
                "Student and teacher have other tokens", got=f"{sizes[0]} and {sizes[1]}", expected="one vocabulary",
                next_step="let the teacher write texts, and fine-tune the student on these",
            )  # fmt: skip
        self.model, self.teacher, self.config, self.seed = model, teacher, config, seed
        self.update = Update(model.parameters(), config.update, steps=config.steps, training=named(config, seed))

    def batch(self, prompts: Prompts, texts: Sequence[Group]) -> Batch:
        """What the next step learns from: completions of the next prompts, or texts that are there, as `own` says."""
        config, done = self.config, self.update.done
        if generator(self.seed, done, "distill").random() < config.own:
            places = order(self.seed, len(prompts), start=done * config.batch_size, size=config.batch_size)
            sampling = Sampling(max_tokens=config.max_tokens)
            seed = derive(self.seed, done, "distill", "rollout")
            return self.model.generate([prompts[p] for p in places], samples=1, sampling=sampling, seed=seed).batch
        drawn = rows_of_step(done, config.batch_size, count=len(texts), seed=self.seed, name="distill")
        return Batch.of([texts[place].prompt for place in drawn], [texts[place].completions for place in drawn])

    def step(self, batch: Batch) -> dict[str, float]:
        """Learn from completions, whoever wrote them: the mean divergence over their tokens is made smaller.

        Returns what `Update.step` does; divergence (nats per token, at `temperature`), num_tokens (of completions).
        """
        seen: list[float] = []
        metrics = self.update.step(self._shares(batch, seen))
        return metrics | {"divergence": sum(seen), "num_tokens": float(len(batch.tokens))}

    def _shares(self, batch: Batch, seen: list[float]) -> Iterator[Tensor]:
        config = self.config
        for part in parts(batch, config.update.tokens(self.model.device)):
            with torch.no_grad():
                theirs = _logits(self.teacher, part.batch)
            ours = _logits(self.model, part.batch)
            found = divergence(
                ours / config.temperature, theirs.to(ours) / config.temperature, mix=config.mix
            )  # fmt: skip
            share = found.sum() / len(batch.tokens)
            seen.append(float(share.detach()))
            yield share


def train(
    stage: Distillation,
    prompts: Prompts,
    texts: Sequence[Group] = (),
    *,
    folder: Path | None = None,
    monitor: Monitor | None = None,
) -> None:
    """Learn until there were `config.steps`; with a folder, from its newest checkpoint on with equal bits.

    Args:
        stage: the student under training.
        prompts: that the student answers; not needed where `own` is 0.
        texts: prompts with a completion, as tokens (`plaudit.language.sft.rows_to_imitate`); not needed where `own` is 1.
        folder: for checkpoints.
        monitor: is told the metrics of each step, and may stop.

    Raises ConfigError where what a step would take is not there.
    """
    config = stage.config
    if (config.own > 0 and not prompts) or (config.own < 1 and not texts):
        raise ConfigError(
            "There is nothing to distil on", got=f"{len(prompts)} prompts, {len(texts)} texts, own = {config.own}",
            expected="prompts for own > 0, texts for own < 1",
        )  # fmt: skip
    go_on(
        stage.update, lambda: stage.step(stage.batch(prompts, texts)), every=config.checkpoint_every, folder=folder,
        monitor=monitor,
    )  # fmt: skip


def _head(model: LanguageModel) -> torch.nn.Linear:
    head: Any = model.causal.get_output_embeddings()
    if not isinstance(head, torch.nn.Linear):
        raise ConfigError(
            "The head of a model is not a plain matrix",
            got=type(head).__name__,
            expected="no adapter on the vocabulary head",
        )
    return head


def _logits(model: LanguageModel, batch: Batch) -> Tensor:
    """[T, vocabulary] before each response token, in fp32 or more; with gradients."""
    hidden = model.hidden(batch, before=True)
    head: Any = _head(model)  # whose bias the types of torch say is always there
    found = torch.nn.functional.linear(
        hidden, head.weight.to(hidden), None if head.bias is None else head.bias.to(hidden)
    )
    return found.to(torch.promote_types(found.dtype, torch.float32))
