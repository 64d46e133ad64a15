"""Teach a language model to decline what it does not know: preferences from its own consistency, for direct alignment.

pairs = build(model, prompts, RefusalConfig(), seed=0)
direct.train(model, pairs, DirectConfig(), seed=0)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Sampling
from plaudit.engine.text import Tokeniser, stop_ids
from plaudit.errors import ConfigError
from plaudit.language.texts import Pair
from plaudit.records import Message, Text
from plaudit.run.seeds import derive
from plaudit.worlds.knowledge import DeclinePair, decline_pairs


@dataclass(frozen=True, slots=True)
class RefusalConfig:
    """How preferences for declining are built."""

    samples: int = 8
    """answers that are drawn to each prompt"""
    threshold: float = 0.6
    """share of them that must say the same for the answer to stand; below, declining is preferred. Higher declines more"""
    max_tokens: int = 32
    """most tokens of an answer"""
    temperature: float = 1.0
    """that answers are drawn with; higher lets them differ more"""

    def __post_init__(self) -> None:
        if self.samples < 2 or not 0 < self.threshold <= 1:
            raise ConfigError(
                "Agreement cannot be measured so", got=self, expected="at least 2 samples, a threshold in (0, 1]"
            )


def sampled(
    model: LanguageModel, prompts: Sequence[Text], sampling: Sampling, *, samples: int, seed: int
) -> list[list[str]]:
    """[prompt][sample] what a model answers."""
    words = Tokeniser(model.tokenizer, stop=stop_ids(model.causal, model.tokenizer))
    rollout = model.generate([words.prompt(one) for one in prompts], samples=samples, sampling=sampling, seed=seed)
    said = [words.text(row.tolist()) for row in rollout.batch.rows]
    return [said[start : start + samples] for start in range(0, len(said), samples)]


def build(
    model: LanguageModel, prompts: Sequence[str], config: RefusalConfig, *, seed: int
) -> tuple[tuple[DeclinePair, ...], tuple[Pair, ...]]:
    """Preferences from a model's own samples: as they were built, and as what a user says with what the assistant answers.

    Args:
        model: that is to learn to decline; it is asked as a user asks.
        prompts: questions; nobody says which of them it can know.
        config: settings.
        seed: of the samples, and of the words that decline.
    """
    sampling = Sampling(config.max_tokens, config.temperature)
    asked: list[Text] = [asks(prompt) for prompt in prompts]
    said = sampled(model, asked, sampling, samples=config.samples, seed=derive(seed, "refusal"))
    built = decline_pairs(prompts, said, threshold=config.threshold, seed=seed)
    pairs = [Pair(asks(one.prompt), says(one.chosen), says(one.rejected)) for one in built]
    return tuple(built), tuple(pairs)


def asks(prompt: str) -> Text:
    """A question as a user asks it."""
    return (Message("user", prompt),)


def says(answer: str) -> Text:
    """An answer as the assistant gives it."""
    return (Message("assistant", answer),)
