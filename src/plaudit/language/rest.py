"""Rejection sampling and ReST: sample, score, keep the best, imitate them, and again from the policy that this made.

Rejection sampling (RAFT, Dong et al. 2023, https://arxiv.org/abs/2304.06767) keeps the best of each prompt. ReST (Gulcehre et
al. 2023, https://arxiv.org/abs/2308.08998) learns from all above a threshold, and then from those above a higher one:
RestConfig(keep=8, thresholds=(0.5, 0.7, 0.9)) with samples=8.

rest = Rest(model, RestConfig(rounds=5), seed=0)
train(rest, prompts, paid_by(reward), folder=Path("runs/rest"))

Step by step: found = rest.grow(prompts, score); metrics = rest.improve(found).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Sampler, Sampling
from plaudit.errors import ConfigError, LearningError
from plaudit.language.best_of_n import Candidates, Learned, fined, sample
from plaudit.language.experience import (
    Prompts,
    Score,
    about_completions,
    mean_of,
    order,
    read_facts,
    write_facts,
)
from plaudit.language.sft import Sft, SftConfig
from plaudit.language.update import UpdateConfig, keep, named, resume, rows_of_step
from plaudit.run.seeds import derive


@dataclass(frozen=True, slots=True)
class RestConfig:
    """Imitation of the best of what the policy writes."""

    rounds: int = 10
    """times that completions are sampled and the best of them imitated"""
    prompts: int = 32
    """prompts per round"""
    samples: int = 8
    """completions per prompt"""
    keep: int = 1
    """of each prompt's completions, how many of the best may be imitated; 1 is rejection sampling, as many as `samples` ReST"""
    thresholds: tuple[float, ...] = (0.0,)
    """quantiles of the round's scores, from lower to higher: for each, steps on the completions that reach it"""
    steps: int = 8
    """optimiser steps per threshold"""
    batch_size: int = 16
    """completions in each"""
    max_tokens: int = 128
    """longest completion"""
    temperature: float = 1.0
    """what logits are divided by in sampling"""
    missing_end: float = 0.0
    """taken off the score of a completion that did not end by itself"""
    checkpoint_every: int = 1
    """rounds between checkpoints, where there is a folder for them"""
    update: UpdateConfig = field(default_factory=lambda: UpdateConfig(learning_rate=5e-5))
    """the optimiser"""

    def __post_init__(self) -> None:
        counts = min(self.rounds, self.prompts, self.samples, self.steps, self.batch_size, self.max_tokens)
        rising = self.thresholds == tuple(sorted(self.thresholds)) and all(0 <= one < 1 for one in self.thresholds)
        wrong = not 1 <= self.keep <= self.samples or not self.thresholds or not rising or self.missing_end < 0
        if min(counts, self.checkpoint_every) < 1 or wrong or not self.temperature > 0:
            raise ConfigError(
                "The settings of rejection sampling are out of range", got=self,
                expected="counts >= 1, keep <= samples, thresholds in [0, 1) from lower to higher, missing_end >= 0, "
                "temperature > 0",
            )  # fmt: skip


class Rest:
    """A policy under training. Everything random is drawn from the seed and the number of the round.

    Args:
        model: the policy.
        config: settings.
        seed: of completions, and of the order of prompts and of what is imitated.
        sampler: what completes prompts, if not the model itself.

    Attributes:
        rounds: learned from so far.
        sft: what imitates.
    """

    def __init__(
        self, model: LanguageModel, config: RestConfig, seed: int, *, sampler: Sampler | None = None
    ) -> None:  # fmt: skip
        self.config, self.seed, self.rounds = config, seed, 0
        self.sampler = model if sampler is None else sampler
        steps = config.rounds * len(config.thresholds) * config.steps
        self.sft = Sft(model, SftConfig(steps=steps, update=config.update), training=named(config, seed))

    def grow(self, prompts: Prompts, score: Score) -> Candidates:
        """The next prompts' completions with their scores, those without an end fined."""
        config = self.config
        places = order(self.seed, len(prompts), start=self.rounds * config.prompts, size=config.prompts)
        return sample(
            self.sampler, [prompts[place] for place in places], fined(score, config.missing_end),
            n=config.samples,
            sampling=Sampling(max_tokens=config.max_tokens, temperature=config.temperature),
            seed=derive(self.seed, self.rounds, "rest"),
        )  # fmt: skip

    def improve(self, found: Candidates) -> dict[str, float]:
        """Imitate what was kept, for each threshold `steps` steps; ends the round.

        Returns the means over steps of what `Sft.step` does, completions/ and num_tokens of all that was sampled, reward
        (their mean score), reward_kept and kept (mean score and number of those above the last threshold).
        Raises LearningError if no completion has a score.
        """
        config, batch = self.config, found.rollout.batch
        moved: list[dict[str, float]] = []
        rows: list[int] = []
        for number, threshold in enumerate(config.thresholds):
            rows = reaching(found, config.keep, threshold)
            texts = [(batch.prompts[row // found.n], batch.rows[row]) for row in rows]
            for step in range(config.steps):
                drawn = rows_of_step(
                    step, config.batch_size, count=len(rows), seed=derive(self.seed, self.rounds, number), name="rest"
                )
                some = [texts[place] for place in drawn]
                moved.append(self.sft.step(Batch(tuple(p for p, _ in some), tuple((c,) for _, c in some))))
        self.rounds += 1
        return mean_of(moved) | about_completions(found.rollout) | {
            "reward": float(found.scores.nanmean()),
            "rewards/unscored": float(found.scores.isnan().double().mean()),
            "reward_kept": float(found.scores[rows].mean()),
            "kept": float(len(rows)),
        }  # fmt: skip

    def save(self, folder: Path) -> None:
        """Write weights, moments and place into a folder that exists; `load` goes on from them with equal bits."""
        self.sft.update.save(folder)
        write_facts(folder, {"rounds": self.rounds})

    def load(self, folder: Path) -> None:
        """Inverse of `save`. Raises RunError where it does not fit."""
        facts = read_facts(folder)
        self.sft.update.load(folder)
        self.rounds = facts["rounds"]


def reaching(found: Candidates, keep: int, threshold: float) -> list[int]:
    """Rows that are among the `keep` best of their prompt and reach this quantile of all scores; the very best always do.

    Raises LearningError if no completion has a score.
    """
    known = found.scores[~found.scores.isnan()]
    if not len(known):
        raise LearningError(
            "No completion can be imitated", got="no score at all", next_step="look at what the reward says"
        )
    least = float(torch.quantile(known, threshold, interpolation="lower"))
    best = found.ranks()[:, :keep].flatten()
    return sorted(best[found.scores[best] >= least].tolist())


def train(
    rest: Rest,
    prompts: Prompts,
    score: Score,
    *,
    folder: Path | None = None,
    each: Callable[[Learned], None] = lambda learned: None,
) -> None:
    """Sample and imitate until there were `config.rounds`; with a folder, from its newest checkpoint on with equal bits.

    Args:
        rest: the policy under training.
        prompts: asked in an order of their own, each once before any comes again.
        score: what the completions of a rollout are worth.
        folder: for checkpoints.
        each: is told of every round.
    """
    config = rest.config
    if folder is not None:
        resume(rest, folder)
    while rest.rounds < config.rounds:
        found = rest.grow(prompts, score)
        metrics = rest.improve(found)
        each(Learned(rest.rounds, found, metrics))
        if folder is not None and (rest.rounds % config.checkpoint_every == 0 or rest.rounds == config.rounds):
            keep(rest, folder)
