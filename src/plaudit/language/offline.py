"""Learning from logged answers with scores, without sampling: advantage-weighted and importance-weighted.

stage = train(model, logged, OfflineConfig(steps=100), seed=0, folder=Path("runs/offline"))

`rated(answers, store)` of `plaudit.language.texts` makes `logged` of ratings; any score will do, a reward's for instance.
Step by step: stage = Offline(model, config); metrics = stage.step(batch, advantages, behaviour=stage.score(batch)).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import torch
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.text import Ids, Tokeniser
from plaudit.errors import ConfigError, RecordError
from plaudit.language.experience import reference_of, scored
from plaudit.language.texts import Logged, fitting
from plaudit.language.update import Update, UpdateConfig, go_on, named, parts, rows_of_step
from plaudit.ops.offline import advantage_weights, effective_samples, importance_weights, logged_advantages
from plaudit.ops.tokens import segment_sum
from plaudit.run.monitor import Monitor


class Weighing(enum.Enum):
    """What makes a better policy of logged answers."""

    ADVANTAGE = "advantage"
    """imitate each by exp(advantage / temperature) (AWR): safe, and never far from what was logged"""
    IMPORTANCE = "importance"
    """the policy gradient, each answer weighed by how much likelier it has become than it was when it was logged"""


@dataclass(frozen=True, slots=True)
class OfflineConfig:
    """Learning from logged answers with scores."""

    weighing: Weighing = Weighing.ADVANTAGE
    """advantage (AWR) or importance (off-policy policy gradient)"""
    temperature: float = 1.0
    """for advantage, in deviations of scores: lower learns from the best alone, higher imitates everything alike"""
    highest: float = 20.0
    """largest weight of an answer; for importance 2 or so: what is cut away is bias, what is not is noise"""
    steps: int = 200
    """optimiser steps"""
    batch_size: int = 16
    """answers in each"""
    max_length: int = 1024
    """tokens of prompt and completion; longer texts are left out"""
    checkpoint_every: int = 50
    """steps between checkpoints, where there is a folder for them"""
    update: UpdateConfig = field(default_factory=lambda: UpdateConfig(learning_rate=5e-5))
    """the optimiser"""

    def __post_init__(self) -> None:
        counts = min(self.steps, self.batch_size, self.max_length, self.checkpoint_every)
        if counts < 1 or min(self.temperature, self.highest) <= 0:
            raise ConfigError(
                "The settings of learning from logged answers are out of range", got=self,
                expected="counts of at least 1, temperature > 0, highest > 0",
            )  # fmt: skip


class Offline:
    """One policy under training. What is kept of it: `keep(stage.update, folder)`, `resume(stage.update, folder)` of `plaudit.language.update`.

    Args:
        model: the policy.
        config: settings.
        logger: what wrote the answers, where their log-probabilities are not given; by default the policy without its
            adapter. Only importance weights need it.
        training: name of all that it depends on.

    Raises ConfigError if the logger is needed and is the policy itself.
    """

    def __init__(
        self, model: LanguageModel, config: OfflineConfig, *, logger: LanguageModel | None = None, training: str = ""
    ) -> None:
        self.model, self.config = model, config
        self.logger = reference_of(model, logger, needed=config.weighing is Weighing.IMPORTANCE)
        self.update = Update(model.parameters(), config.update, steps=config.steps, training=training)

    def step(self, batch: Batch, advantages: Tensor, *, behaviour: Tensor | None = None) -> dict[str, float]:
        """Learn from answers.

        ADVANTAGE minimises -sum_i w_i log p(completion_i) / tokens of the batch, w = exp(A / temperature), at most `highest`.
        IMPORTANCE has the loss -mean_i w_i A_i, w = p(completion_i) / mu(completion_i), at most `highest`, and the gradient
        -mean_i w_i A_i grad log p, cut weights too: `-loss` estimates how much better the policy is than what was logged.

        Args:
            batch: N completions.
            advantages: [N].
            behaviour: [N] log mu of each completion, for IMPORTANCE.

        Returns what `Update.step` does; weight_mean, weight_max and effective_samples of the weights, logps (mean
        log-probability of a completion), entropy and num_tokens (of completions).
        """
        if advantages.shape != (len(batch),) or (behaviour is None) is (self.config.weighing is Weighing.IMPORTANCE):
            raise RecordError(
                "What was logged does not fit the completions", got=f"advantages {tuple(advantages.shape)}",
                expected=f"{len(batch)}, and as many log-probabilities of the logger for importance weights, else none",
            )  # fmt: skip
        weights, logps, entropies = list[Tensor](), list[Tensor](), list[Tensor]()

        def shares() -> Iterator[Tensor]:
            for part in parts(batch, self.config.update.tokens(self.model.device)):
                found = self.model.logprobs(part.batch, entropy=True)
                row = part.batch.row.to(found.logprobs.device)
                whole = segment_sum(found.logprobs, row, len(part.batch))
                better = advantages[part.rows].to(whole)
                mu = None if behaviour is None else behaviour[part.rows].to(whole)
                loss, weight = self._losses(whole, better, mu)
                weights.append(weight.cpu())
                logps.append(whole.detach().cpu())
                entropies.extend([] if found.entropy is None else [found.entropy.detach().cpu()])
                yield loss.sum() / (len(batch.tokens) if mu is None else len(batch))

        metrics, w = self.update.step(shares()), torch.cat(weights)
        return metrics | {
            "weight_mean": float(w.mean()), "weight_max": float(w.max()), "effective_samples": float(effective_samples(w)),
            "logps": float(torch.cat(logps).mean()), "entropy": float(torch.cat(entropies).mean()),
            "num_tokens": float(len(batch.tokens)),
        }  # fmt: skip

    def _losses(self, whole: Tensor, advantages: Tensor, behaviour: Tensor | None) -> tuple[Tensor, Tensor]:
        """Losses and weights [N'] of whole completions."""
        config = self.config
        match config.weighing:
            case Weighing.ADVANTAGE:
                weights = advantage_weights(advantages, temperature=config.temperature, highest=config.highest)
                return -weights * whole, weights
            case Weighing.IMPORTANCE:
                assert behaviour is not None
                weights = importance_weights(whole, behaviour, highest=config.highest)
                # exp(x - x) is 1 with the gradient of x: the weight, cut or not, times the gradient of log p
                return -weights * advantages * torch.exp(whole - whole.detach()), weights
            case _:
                assert_never(config.weighing)

    def score(self, batch: Batch) -> Tensor:
        """[N] log-probability of each completion under the logger, to be kept."""
        assert self.logger is not None
        tokens = scored(
            self.logger, batch, temperature=1.0, max_tokens=self.config.update.tokens(self.model.device)
        )  # fmt: skip
        return segment_sum(tokens, batch.row, len(batch))


def train(
    model: LanguageModel,
    logged: Sequence[Logged],
    config: OfflineConfig,
    *,
    seed: int,
    logger: LanguageModel | None = None,
    folder: Path | None = None,
    monitor: Monitor | None = None,
) -> Offline:
    """Learn from logged answers, epoch after epoch; with a folder, go on from its newest checkpoint with equal bits.

    Args:
        model: the policy, with a tokenizer; its parameters change.
        logged: prompts with an answer and its score.
        config: settings.
        seed: of the order of answers.
        logger: see `Offline`.
        folder: for checkpoints.
        monitor: is told the metrics of each step, and may stop.
    """
    words = Tokeniser(model.tokenizer)
    every = [words.group(one.prompt, (one.completion,)) for one in logged]
    kept = fitting(every, min(config.max_length, model.context))
    rows, some = [every[place] for place in kept], [logged[place] for place in kept]
    listed = [[row.prompt, row.completions[0], one.score] for row, one in zip(rows, some, strict=True)]
    stage = Offline(model, config, logger=logger, training=named(config, seed, listed))
    advantages = logged_advantages(
        torch.tensor([one.score for one in some], dtype=torch.float64), _numbered([row.prompt for row in rows])
    )

    def batch(places: Sequence[int]) -> Batch:
        return Batch.of([rows[place].prompt for place in places], [rows[place].completions for place in places])

    behaviour: Tensor | None = None
    if config.weighing is Weighing.IMPORTANCE:
        turns = [
            range(start, min(start + config.batch_size, len(rows))) for start in range(0, len(rows), config.batch_size)
        ]
        behaviour = torch.cat([stage.score(batch(places)) for places in turns])

    def step() -> dict[str, float]:
        drawn = rows_of_step(stage.update.done, config.batch_size, count=len(rows), seed=seed, name="offline")
        return stage.step(batch(drawn), advantages[drawn], behaviour=None if behaviour is None else behaviour[drawn])

    go_on(stage.update, step, every=config.checkpoint_every, folder=folder, monitor=monitor)
    return stage


def _numbered(prompts: Sequence[Ids]) -> Tensor:
    """[N] the same number for the same prompt, from 0."""
    numbers: dict[Ids, int] = {}
    return torch.tensor([numbers.setdefault(prompt, len(numbers)) for prompt in prompts])
