"""What the stages share that teach a language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from plaudit.engine.decode import Rollout, Sampling
from plaudit.engine.text import Group
from plaudit.language.scorer import TextReward
from plaudit.loop.context import Shared
from plaudit.loop.texts.config import TextRunConfig
from plaudit.loop.texts.gold import Gold, GoldTeacher
from plaudit.loop.texts.models import Cast
from plaudit.records import Text, TextSegment
from plaudit.worlds.prompts import Part, Prompt, PromptSet


@dataclass(slots=True, kw_only=True)
class TextContext(Shared[TextRunConfig]):
    """All that the stages share."""

    cast: Cast
    prompts: PromptSet
    gold: Gold
    teacher: GoldTeacher | None
    """the simulated annotator; None when people answer"""
    version: str
    """of the policy"""
    reward: TextReward | None = None
    reward_version: str | None = None

    def ids(self, prompts: Sequence[Prompt]) -> list[tuple[int, ...]]:
        """Tokens of prompts."""
        return [self.cast.tokeniser.prompt(prompt.text) for prompt in prompts]

    def sampling(self, max_tokens: int, temperature: float) -> Sampling:
        """How completions are drawn."""
        return Sampling(max_tokens=max_tokens, temperature=temperature, stop=self.cast.tokeniser.stop)

    def texts(self, prompts: Sequence[Prompt], rollout: Rollout) -> list[Text]:
        """[N] the completions of a rollout as records have them."""
        group = rollout.batch.group.tolist()
        return [
            self.cast.tokeniser.answer(prompts[number].text, row.tolist())
            for number, row in zip(group, rollout.batch.rows, strict=True)
        ]

    def group(self, text: TextSegment) -> Group:
        """Tokens of a text's prompt and completion, as the reward reads them; an empty completion is its end alone."""
        tokeniser = self.cast.tokeniser
        if not text.characters:
            return Group(tokeniser.prompt(text.prompt), (tokeniser.stop[:1],))
        return tokeniser.group(text.prompt, [text.completion])

    def held_out(self, count: int) -> tuple[Prompt, ...]:
        """The first held-out prompts."""
        return self.prompts[Part.HELD_OUT][:count]
