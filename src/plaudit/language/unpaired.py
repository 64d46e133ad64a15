"""Alignment from single answers that somebody found good or bad, without a partner to compare them with: KTO, APO-zero.

model = LanguageModel.load("models/smollm2")     # with a fresh adapter; without it, give another model as reference
stage = train(model, judged(answers, store), UnpairedConfig(steps=100), seed=0, folder=Path("runs/kto"))
model.save("models/aligned")

Step by step: stage = Unpaired(model, config); metrics = stage.step(batch, good).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.text import Tokeniser
from plaudit.errors import ConfigError, RecordError
from plaudit.language.experience import reference_of, scored
from plaudit.language.texts import Verdict, fitting
from plaudit.language.update import Update, UpdateConfig, go_on, named, parts, rows_of_step
from plaudit.ops.direct import implicit
from plaudit.ops.tokens import segment_sum
from plaudit.ops.unpaired import drifted, unpaired_loss
from plaudit.run.monitor import Monitor


@dataclass(frozen=True, slots=True)
class UnpairedConfig:
    """Alignment from answers found good or bad."""

    beta: float = 0.1
    """how dear it is to leave the reference; lower allows more"""
    drift: bool = True
    """hold answers against how far the policy has gone everywhere (KTO), for a pass of each model more; else against the
    reference alone (APO-zero)"""
    desirable: float = 1.0
    """weight of good answers; KTO's authors advise desirable x good answers = 1 to 4/3 of undesirable x bad ones"""
    undesirable: float = 1.0
    """weight of bad answers"""
    pairs: bool = True
    """take comparisons too, the preferred answer as good and the other as bad; else ratings alone"""
    steps: int = 200
    """optimiser steps"""
    batch_size: int = 16
    """answers in each"""
    max_length: int = 1024
    """tokens of prompt and completion; longer texts are left out"""
    keep_reference: bool = True
    """score all answers with the reference once, before the first step, instead of in each step"""
    checkpoint_every: int = 50
    """steps between checkpoints, where there is a folder for them"""
    update: UpdateConfig = field(default_factory=lambda: UpdateConfig(learning_rate=5e-5))
    """the optimiser"""

    def __post_init__(self) -> None:
        counts = min(self.steps, self.batch_size, self.max_length, self.checkpoint_every)
        if counts < 1 or min(self.beta, self.desirable, self.undesirable) <= 0 or self.batch_size <= self.drift:
            raise ConfigError(
                "The settings of alignment from single answers are out of range", got=self,
                expected="counts of at least 1, beta and weights > 0, and with drift two answers or more in a batch",
            )  # fmt: skip


class Unpaired:
    """One policy under training. What is kept of it: `keep(stage.update, folder)`, `resume(stage.update, folder)` of `plaudit.language.update`.

    Args:
        model: the policy.
        config: settings.
        reference: what the policy is held to; its own base weights if None.
        training: name of all that it depends on.

    Raises ConfigError if the reference is the policy itself.
    """

    def __init__(
        self,
        model: LanguageModel,
        config: UnpairedConfig,
        *,
        reference: LanguageModel | None = None,
        training: str = "",
    ) -> None:
        held_to = reference_of(model, reference, needed=True)
        assert held_to is not None
        self.model, self.config, self.reference = model, config, held_to
        self.update = Update(model.parameters(), config.update, steps=config.steps, training=training)

    def step(self, batch: Batch, good: Tensor, *, reference: Tensor | None = None) -> dict[str, float]:
        """Learn from answers.

        Args:
            batch: N completions.
            good: [N] bool, what was found of each.
            reference: [N] log-probabilities under the reference (`score`), where they are kept.

        The loss is the mean over the step of each answer's weight times `unpaired_loss`. The drift is measured on the same
        completions, each behind the prompt of the one after it, before the step (TRL does so within a micro-batch).

        Returns what `Update.step` does, and as TRL names it: kl (the drift in nats), entropy, num_tokens; of each sort that
        the step has, rewards/chosen, rewards/rejected (beta times the sum of log ratios), logps/chosen, logps/rejected
        (sums over tokens), and with both rewards/margins.
        """
        if good.shape != (len(batch),) or good.dtype != torch.bool:
            raise RecordError(
                "Each completion needs a verdict", got=f"{good.dtype} {tuple(good.shape)}", expected="bool [N]"
            )
        drift = self.drift(batch) if self.config.drift else torch.zeros(())
        ours, theirs, entropies = list[Tensor](), list[Tensor](), list[Tensor]()
        held = self.score(batch) if reference is None else reference

        def shares() -> Iterator[Tensor]:
            for part in parts(batch, self.config.update.tokens(self.model.device)):
                scores = self.model.logprobs(part.batch, entropy=True)
                row = part.batch.row.to(scores.logprobs.device)
                here = held[part.rows].to(scores.logprobs)
                liked = good[part.rows].to(row.device)
                h = implicit(scores.logprobs, here, row)
                losses = unpaired_loss(h, liked, beta=self.config.beta, drift=drift.to(h))
                ours.append((h + here).detach().cpu())
                theirs.append(here.cpu())
                entropies.extend([] if scores.entropy is None else [scores.entropy.detach().cpu()])
                yield (losses * self._weights(liked, h)).sum() / len(batch)

        metrics = self.update.step(shares())
        metrics |= {"kl": float(drift), "entropy": float(torch.cat(entropies).mean())}
        metrics["num_tokens"] = float(len(batch.tokens))
        return metrics | _about(torch.cat(ours), torch.cat(theirs), good, self.config.beta)

    def _weights(self, liked: Tensor, like: Tensor) -> Tensor:
        return torch.where(liked, like.new_tensor(self.config.desirable), like.new_tensor(self.config.undesirable))

    def score(self, batch: Batch) -> Tensor:
        """[N] log-probability of each completion under the reference, to be kept."""
        return self._whole(self.reference, batch)

    def drift(self, batch: Batch) -> Tensor:
        """[] how far the policy has gone from the reference on completions that answer other prompts, in nats, at least 0."""
        prompts = [batch.prompts[number] for number in batch.group.tolist()]
        rows = batch.rows
        others = [rows[number - 1] for number in range(len(rows))]
        shortened = [
            (one[: max(1, self.model.context - len(prompt))],) for prompt, one in zip(prompts, others, strict=True)
        ]
        turned = Batch(tuple(prompts), tuple(shortened))
        return drifted(self._whole(self.model, turned) - self._whole(self.reference, turned))

    def _whole(self, model: LanguageModel, batch: Batch) -> Tensor:
        tokens = scored(model, batch, temperature=1.0, max_tokens=self.config.update.tokens(self.model.device))
        return segment_sum(tokens, batch.row, len(batch))


def _about(ours: Tensor, theirs: Tensor, good: Tensor, beta: float) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, some in (("chosen", good), ("rejected", ~good)):
        if some.any():
            found[f"rewards/{name}"] = float(beta * (ours - theirs)[some].mean())
            found[f"logps/{name}"] = float(ours[some].mean())
    if len(found) == 4:
        found["rewards/margins"] = found["rewards/chosen"] - found["rewards/rejected"]
    return found


def train(
    model: LanguageModel,
    verdicts: Sequence[Verdict],
    config: UnpairedConfig,
    *,
    seed: int,
    reference: LanguageModel | None = None,
    folder: Path | None = None,
    monitor: Monitor | None = None,
) -> Unpaired:
    """Align a policy with answers found good or bad, epoch after epoch; with a folder, go on with equal bits.

    Args:
        model: the policy, with a tokenizer; its parameters change.
        verdicts: prompts with an answer and what was found of it.
        config: settings.
        seed: of the order of answers.
        reference: see `Unpaired`.
        folder: for checkpoints.
        monitor: is told the metrics of each step, and may stop.
    """
    words = Tokeniser(model.tokenizer)
    every = [words.group(verdict.prompt, (verdict.completion,)) for verdict in verdicts]
    kept = fitting(every, min(config.max_length, model.context))
    rows, good = [every[place] for place in kept], torch.tensor([verdicts[place].good for place in kept])
    listed = [[row.prompt, row.completions[0], liked] for row, liked in zip(rows, good.tolist(), strict=True)]
    stage = Unpaired(model, config, reference=reference, training=named(config, seed, listed))
    size = config.batch_size

    def batch(places: Sequence[int]) -> Batch:
        return Batch.of([rows[place].prompt for place in places], [rows[place].completions for place in places])

    held: Tensor | None = None
    if config.keep_reference:
        turns = [range(start, min(start + size, len(rows))) for start in range(0, len(rows), size)]
        held = torch.cat([stage.score(batch(places)) for places in turns])

    def step() -> dict[str, float]:
        drawn = rows_of_step(stage.update.done, size, count=len(rows), seed=seed, name="unpaired")
        return stage.step(batch(drawn), good[drawn], reference=None if held is None else held[drawn])

    go_on(stage.update, step, every=config.checkpoint_every, folder=folder, monitor=monitor)
    return stage
