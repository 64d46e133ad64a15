"""Online DPO: the policy answers, a reward says which of its own answers is better, and it learns from that pair.

Guo et al. 2024, https://arxiv.org/abs/2402.04792. Pairs are always of the policy as it is, where those of a store grow old.

online = Online(model, OnlineConfig(steps=100), seed=0)
train(online, prompts, paid_by(reward), folder=Path("runs/online"))

Step by step, where `score` is any function from a rollout to [N] numbers, NaN where it cannot say:

found = online.collect(prompts, score)     # n answers of each prompt
metrics = online.step(found)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Sampler, Sampling
from plaudit.errors import ConfigError
from plaudit.language.best_of_n import Candidates, Learned, fined, sample
from plaudit.language.direct import Alignment, DirectConfig
from plaudit.language.experience import Prompts, Score, about_completions, order
from plaudit.language.update import Schedule, UpdateConfig, keep, named, resume
from plaudit.ops.direct import Direct
from plaudit.run.seeds import derive


@dataclass(frozen=True, slots=True)
class OnlineConfig:
    """Direct alignment from the policy's own answers, ordered by a reward."""

    loss: Direct = Direct.SIGMOID
    """what a pair loses: sigmoid (DPO; cDPO with smoothing), robust, hinge or ipo"""
    beta: float = 0.1
    """how dear it is to leave the reference; lower allows more"""
    smoothing: float = 0.0
    """chance that the reward orders a pair the wrong way round, below one half, for sigmoid and robust"""
    steps: int = 100
    """rollouts, an optimiser step each"""
    prompts: int = 8
    """prompts per rollout"""
    samples: int = 2
    """completions per prompt, of which the best and the worst make a pair"""
    max_tokens: int = 128
    """longest completion"""
    temperature: float = 1.0
    """what logits are divided by in sampling"""
    missing_end: float = 0.0
    """taken off the score of a completion that did not end by itself"""
    checkpoint_every: int = 10
    """rollouts between checkpoints, where there is a folder for them"""
    update: UpdateConfig = field(
        default_factory=lambda: UpdateConfig(learning_rate=5e-5, schedule=Schedule.CONSTANT, betas=(0.9, 0.99))
    )
    """the optimiser"""

    def __post_init__(self) -> None:
        counts = min(self.steps, self.prompts, self.samples - 1, self.max_tokens, self.checkpoint_every)
        if counts < 1 or not self.temperature > 0 or self.missing_end < 0:
            raise ConfigError(
                "The settings of online alignment are out of range", got=self,
                expected="counts >= 1, two samples or more, temperature > 0, missing_end >= 0",
            )  # fmt: skip
        self.direct()  # which refuses what it does not know

    def direct(self) -> DirectConfig:
        """The part of it that says how a pair is learned from."""
        return DirectConfig(self.loss, self.beta, self.smoothing, steps=self.steps, update=self.update)


class Online:
    """A policy under training. Everything random is drawn from the seed and the number of the rollout.

    Args:
        model: the policy.
        config: settings.
        seed: of completions and of the order of prompts.
        reference: see `plaudit.language.direct.Alignment`.
        sampler: what completes prompts, if not the model itself.

    Attributes:
        alignment: what learns from pairs.
    """

    def __init__(
        self,
        model: LanguageModel,
        config: OnlineConfig,
        seed: int,
        *,
        reference: LanguageModel | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        self.model, self.config, self.seed = model, config, seed
        self.sampler = model if sampler is None else sampler
        name = named(config, seed)
        self.alignment = Alignment(model, config.direct(), reference=reference, training=name)

    @property
    def rollouts(self) -> int:
        """Learned from so far."""
        return self.alignment.update.done

    def collect(self, prompts: Prompts, score: Score) -> Candidates:
        """The next prompts' completions with their scores, those without an end fined."""
        config = self.config
        places = order(self.seed, len(prompts), start=self.rollouts * config.prompts, size=config.prompts)
        return sample(
            self.sampler, [prompts[place] for place in places], fined(score, config.missing_end),
            n=config.samples,
            sampling=Sampling(max_tokens=config.max_tokens, temperature=config.temperature),
            seed=derive(self.seed, self.rollouts, "online"),
        )  # fmt: skip

    def step(self, found: Candidates) -> dict[str, float]:
        """Learn from the best and the worst of each prompt; prompts whose scores are all the same teach nothing.

        Returns what `Alignment.step` does of the pairs, without any nothing but the optimiser's; reward (mean score),
        frac_reward_zero_std (share of prompts without a pair), completions/ and num_tokens of all that was sampled.
        """
        scores = found.scores.view(-1, found.n)
        apart = found.telling()
        metrics = self.alignment.step(found.pairs().batch) if apart else self.alignment.update.step(())
        return metrics | about_completions(found.rollout) | {
            "reward": float(scores.nanmean()),
            "rewards/unscored": float(scores.isnan().double().mean()),
            "frac_reward_zero_std": 1.0 - apart / len(scores),
        }  # fmt: skip

    def save(self, folder: Path) -> None:
        """Write weights, moments and place into a folder that exists; `load` goes on from them with equal bits."""
        self.alignment.update.save(folder)

    def load(self, folder: Path) -> None:
        """Inverse of `save`. Raises RunError where it does not fit."""
        self.alignment.update.load(folder)


def train(
    online: Online,
    prompts: Prompts,
    score: Score,
    *,
    folder: Path | None = None,
    each: Callable[[Learned], None] = lambda learned: None,
) -> None:
    """Learn from rollouts until there were `config.steps`; with a folder, from its newest checkpoint on with equal bits.

    Args:
        online: the policy under training.
        prompts: asked in an order of their own, each once before any comes again.
        score: what the completions of a rollout are worth.
        folder: for checkpoints.
        each: is told of every rollout.
    """
    if folder is not None:
        resume(online, folder)
    while online.rollouts < online.config.steps:
        found = online.collect(prompts, score)
        metrics = online.step(found)
        each(Learned(online.rollouts, found, metrics))
        if folder is not None and online.alignment.update.due(online.config.checkpoint_every):
            keep(online, folder)
