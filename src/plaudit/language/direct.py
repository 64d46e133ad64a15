"""Direct alignment: the policy learns from comparisons of completions, without a reward model (DPO, cDPO, robust, hinge, IPO;
without a reference SimPO and ORPO).

model = LanguageModel.load("models/smollm2")     # with a fresh adapter; without it, the model is its own reference
stage = train(model, preferred(answers, store), DirectConfig(steps=100), seed=0, folder=Path("runs/dpo"))
model.save("models/aligned")

Step by step: stage = Alignment(model, config); metrics = stage.step(batch), whose groups are (chosen, rejected).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from plaudit.engine.batch import Batch, TokenScores
from plaudit.engine.model import LanguageModel
from plaudit.engine.text import Group, Tokeniser
from plaudit.errors import ConfigError, RecordError
from plaudit.language.texts import Pair, fitting
from plaudit.language.update import Update, UpdateConfig, go_on, named, parts, rows_of_step
from plaudit.ops.direct import Alone, Direct, alone_loss, averaged, implicit, pair_loss
from plaudit.ops.tokens import negative_log_likelihood, segment_mean, segment_sum, totals
from plaudit.run.monitor import Monitor

FAR = 1.0
"""nats that a completion's log-probability may differ from the reference's before the first step; low precision makes some"""
MARGIN = 0.5
"""of SimPO, where none is given; as in TRL"""


@dataclass(frozen=True, slots=True)
class DirectConfig:
    """Direct alignment from comparisons."""

    loss: Direct | Alone = Direct.SIGMOID
    """what a pair loses: sigmoid (DPO; cDPO with smoothing), robust, hinge or ipo; without a reference simpo or orpo"""
    beta: float = 0.1
    """how dear it is to leave the reference; lower allows more. simpo: how steep the loss is, 2 or more; orpo: its weight"""
    smoothing: float = 0.0
    """chance that an answer is the wrong way round, below one half, for sigmoid, robust and simpo"""
    margin: float | None = None
    """by how much beta times the mean log-probability should differ, for simpo alone; none: 0.5"""
    likelihood: float | None = None
    """weight of the chosen completions' negative log-likelihood per token beside the pairs' loss; none: 1 with orpo, else 0"""
    steps: int = 200
    """optimiser steps"""
    batch_size: int = 16
    """pairs in each"""
    max_length: int = 1024
    """tokens of prompt and completion; pairs with a longer text are left out whole"""
    keep_reference: bool = True
    """score all pairs with the reference once, before the first step, instead of in each step"""
    checkpoint_every: int = 50
    """steps between checkpoints, where there is a folder for them"""
    update: UpdateConfig = field(default_factory=lambda: UpdateConfig(learning_rate=5e-5))
    """the optimiser"""

    def __post_init__(self) -> None:
        counts = min(self.steps, self.batch_size, self.max_length, self.checkpoint_every)
        smoothed = self.smoothing > 0 and self.loss not in (Direct.SIGMOID, Direct.ROBUST, Alone.SIMPO)
        apart = self.margin is not None and (self.loss is not Alone.SIMPO or self.margin < 0)
        odd = smoothed or apart or (self.likelihood is not None and self.likelihood < 0)
        if counts < 1 or self.beta <= 0 or not 0 <= self.smoothing < 0.5 or odd:
            raise ConfigError(
                "The settings of direct alignment are out of range", got=self,
                expected="counts of at least 1, beta > 0, likelihood >= 0, smoothing in [0, 0.5), and only with "
                "sigmoid, robust or simpo, margin >= 0, and only with simpo",
            )  # fmt: skip

    @property
    def imitated(self) -> float:
        """Weight of the chosen completions' negative log-likelihood."""
        return float(self.loss is Alone.ORPO) if self.likelihood is None else self.likelihood


class Alignment:
    """One policy under training. What is kept of it: `keep(stage.update, folder)`, `resume(stage.update, folder)` of `plaudit.language.update`.

    Args:
        model: the policy.
        config: settings.
        reference: what the policy is held to; its own base weights if None. An adapter that was trained before (SFT) is
            part of what the policy begins with: give a view of a frozen copy of it, or merge it, else KL is not 0 at step 0.
            simpo and orpo have none.

    Raises ConfigError if the policy has no adapter and there is no reference: it would be compared with itself.
    """

    def __init__(
        self, model: LanguageModel, config: DirectConfig, *, reference: LanguageModel | None = None, training: str = ""
    ) -> None:
        self.model, self.config = model, config
        if isinstance(config.loss, Alone):
            self.reference = None
        elif reference is None and model.adapter is None:
            raise ConfigError(
                "A model that is trained whole cannot be its own reference", got="no adapter and no reference",
                expected="an adapter, or a second model", next_step="add a LoRA adapter, or give `reference`",
            )  # fmt: skip
        else:
            self.reference = model.view(None) if reference is None else reference
        self.update = Update(model.parameters(), config.update, steps=config.steps, training=training)

    def step(self, batch: Batch, *, reference: Tensor | None = None) -> dict[str, float]:
        """Learn from groups of two, the chosen completion and the rejected one.

        Args:
            batch: P groups (chosen, rejected).
            reference: [2P] log-probabilities of the completions under the reference (`score`), where they are kept.

        Returns what `Update.step` does, and what TRL logs: rewards/chosen, rewards/rejected (beta times the sum of log
        ratios), rewards/margins, rewards/accuracies (share of pairs with a positive margin), logps/chosen, logps/rejected
        (sums over tokens), entropy, mean_token_accuracy (of chosen completions), num_tokens. Falling logps/chosen are to be
        expected. Without a reference, logps are means over tokens and rewards beta times these. Where the chosen ones'
        likelihood is a part of the loss, nll_loss.
        """
        if any(len(group) != 2 for group in batch.completions):
            raise RecordError(
                "Every prompt needs a chosen and a rejected completion", got=[len(x) for x in batch.completions]
            )
        seen = _Seen([], [], [], [], [])
        metrics = self.update.step(self._shares(batch, reference, seen))
        return {**metrics, **seen.metrics(self.config.beta), "num_tokens": float(len(batch.tokens))}

    def score(self, batch: Batch) -> Tensor:
        """[N] log-probability of each completion under the reference, to be kept; zeros without a reference."""
        if self.reference is None:
            return torch.zeros(len(batch))
        found: list[Tensor] = []
        with torch.no_grad():
            for part in parts(batch, self.config.update.tokens(self.model.device)):
                scores = self.reference.logprobs(part.batch)
                found.append(segment_sum(scores.logprobs, part.batch.row.to(scores.logprobs.device), len(part.batch)))
        return torch.cat(found)

    def _shares(self, batch: Batch, reference: Tensor | None, seen: _Seen) -> Iterator[Tensor]:
        liked, imitated = (batch.row % 2 == 0).double(), self.config.imitated
        whole = totals(batch.row, len(batch), weights=liked)
        for part in parts(batch, self.config.update.tokens(self.model.device)):
            scores = self.model.logprobs(part.batch, entropy=True)
            row = part.batch.row.to(scores.logprobs.device)
            held = self.score(part.batch) if reference is None else reference[part.rows]
            share = self._losses(scores.logprobs, held.to(scores.logprobs), row, seen).sum() / len(batch.prompts)
            seen.add(scores, row % 2 == 0)
            if imitated:
                weights = liked[part.tokens].to(scores.logprobs)
                nll = negative_log_likelihood(scores.logprobs, row, whole=whole, weights=weights)
                seen.nll.append(nll.detach())
                share = share + imitated * nll
            yield share

    def _losses(self, logprobs: Tensor, held: Tensor, row: Tensor, seen: _Seen) -> Tensor:
        """[P'] of the pairs of a micro-batch."""
        how, beta, smoothing = self.config.loss, self.config.beta, self.config.smoothing
        seen.theirs.append(held)
        if isinstance(how, Alone):
            means = segment_mean(logprobs, row, len(held))
            seen.ours.append(means.detach())
            margin = MARGIN if self.config.margin is None else self.config.margin
            return alone_loss(means[::2], means[1::2], how=how, beta=beta, margin=margin, smoothing=smoothing)
        seen.ours.append(segment_sum(logprobs.detach(), row, len(held)))
        h = implicit(logprobs, held, row, mean=averaged(how))
        return pair_loss(h[::2], h[1::2], how=how, beta=beta, smoothing=smoothing)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What metrics are made of, by micro-batch."""

    ours: list[Tensor]
    theirs: list[Tensor]
    entropies: list[Tensor]
    likeliest: list[Tensor]
    """of chosen completions only"""
    nll: list[Tensor]

    def add(self, scores: TokenScores, chosen: Tensor) -> None:
        if scores.entropy is not None and scores.likeliest is not None:
            self.entropies.append(scores.entropy.detach())
            self.likeliest.append(scores.likeliest[chosen].to(scores.entropy))

    def metrics(self, beta: float) -> dict[str, float]:
        ours = torch.cat(self.ours)
        rewards = beta * (ours - torch.cat(self.theirs))
        margins = rewards[::2] - rewards[1::2]
        found = {
            "rewards/chosen": rewards[::2], "rewards/rejected": rewards[1::2], "rewards/margins": margins,
            "rewards/accuracies": (margins > 0).to(margins), "logps/chosen": ours[::2], "logps/rejected": ours[1::2],
            "entropy": torch.cat(self.entropies), "mean_token_accuracy": torch.cat(self.likeliest),
        }  # fmt: skip
        imitated = {"nll_loss": float(torch.stack(self.nll).sum())} if self.nll else {}
        return {name: float(values.mean()) for name, values in found.items()} | imitated


def train(
    model: LanguageModel,
    pairs: Sequence[Pair],
    config: DirectConfig,
    *,
    seed: int,
    reference: LanguageModel | None = None,
    folder: Path | None = None,
    monitor: Monitor | None = None,
) -> Alignment:
    """Align a policy with pairs, epoch after epoch; with a folder, go on from its newest checkpoint with equal bits.

    Args:
        model: the policy, with a tokenizer; its parameters change.
        pairs: prompts with a chosen and a rejected completion.
        config: settings.
        seed: of the order of pairs.
        reference: see `Alignment`.
        folder: for checkpoints.
        monitor: is told the metrics of each step, and may stop.
    """
    words = Tokeniser(model.tokenizer)
    every = [words.group(pair.prompt, (pair.chosen, pair.rejected)) for pair in pairs]
    rows = [every[place] for place in fitting(every, min(config.max_length, model.context))]
    training = named(config, seed, [[row.prompt, *row.completions] for row in rows])
    stage = Alignment(model, config, reference=reference, training=training)
    held = _held(stage, rows) if config.keep_reference and stage.reference is not None else None

    def step() -> dict[str, float]:
        chosen = rows_of_step(stage.update.done, config.batch_size, count=len(rows), seed=seed, name="direct")
        kept = None if held is None else held[chosen].flatten()
        metrics = stage.step(_batch([rows[place] for place in chosen]), reference=kept)
        if stage.update.done == 1 and stage.reference is not None:
            _check_start(metrics, config.beta)
        return metrics

    go_on(stage.update, step, every=config.checkpoint_every, folder=folder, monitor=monitor)
    return stage


def _check_start(metrics: dict[str, float], beta: float) -> None:
    away = max(abs(metrics["rewards/chosen"]), abs(metrics["rewards/rejected"])) / beta
    if away > FAR:
        warnings.warn(
            f"The policy begins {away:.1f} nats a completion away from its reference: was its adapter trained before? "
            "Merge it first, or give the reference that it began from.",
            stacklevel=5,
        )


def _batch(rows: Sequence[Group]) -> Batch:
    return Batch.of([row.prompt for row in rows], [row.completions for row in rows])


def _held(stage: Alignment, rows: Sequence[Group]) -> Tensor:
    """[P, 2] what the reference makes of all pairs; the same for each start of the same training."""
    size = stage.config.batch_size
    scored = [stage.score(_batch(rows[start : start + size])) for start in range(0, len(rows), size)]
    return torch.cat(scored).view(-1, 2)
