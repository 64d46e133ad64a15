"""A causal language model as a judge's reader and as a writer, and a reward as something that prefers texts.

judge = Judge(LetterReader(model, "my-model"), Rubric("Which summary is more accurate?"))
judge.answers(queries, store.texts(ids))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from plaudit.ask.judge import LETTERS, Pair
from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Sampling
from plaudit.engine.text import Group, Ids, Tokeniser
from plaudit.language.scorer import TextReward
from plaudit.records import Message, Text, TextSegment
from plaudit.reward.dispatch import OVERALL

FloatArray = NDArray[np.float64]
TOKENS = 4096
"""tokens that are read at once"""
LEAD = "\n\nAnswer:"
"""what a model without a chat template goes on from"""


@dataclass(frozen=True, slots=True)
class LetterReader:
    """Reads what a judge is asked, and compares the log-probabilities of the letters as its next words.

    One pass per question: both letters answer the same prompt, which is read once.
    """

    model: LanguageModel
    name: str
    """names the weights"""
    tokens: int = TOKENS
    """that are read at once"""
    _tokeniser: Tokeniser = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tokeniser", Tokeniser(self.model.tokenizer))

    def read(self, questions: Sequence[str]) -> FloatArray:
        """See `Reader`: log-odds [question]; NaN for questions that do not fit into the model's context."""
        groups = [self._group(question) for question in questions]
        longest = [len(one.prompt) + max(map(len, one.completions)) for one in groups]
        fit = [number for number, tokens in enumerate(longest) if tokens <= self.model.context]
        found = np.full(len(questions), np.nan)
        if fit:
            found[fit] = self._odds([groups[number] for number in fit])
        return found

    def _group(self, question: str) -> Group:
        """The letters behind a question, without the token that would end the answer: more may be said after a letter."""
        chats = bool(getattr(self._tokeniser.tokenizer, "chat_template", None))
        asked: Text = (Message("user", question),) if chats else question + LEAD
        said: list[Text] = [(Message("assistant", one),) if chats else f" {one}" for one in LETTERS]
        group = self._tokeniser.group(asked, said)
        return Group(group.prompt, tuple(one[:-1] for one in group.completions))

    def _odds(self, groups: Sequence[Group]) -> FloatArray:
        batch = Batch.of([one.prompt for one in groups], [one.completions for one in groups])
        found: list[float] = []
        with torch.no_grad():
            for rows in batch.parts(self.tokens, whole=True):
                part = batch.take(rows)
                scores = self.model.logprobs(part).logprobs.double().cpu()
                sums = torch.zeros(len(part), dtype=torch.float64).index_add_(0, part.row, scores).view(-1, 2)
                found += (sums[:, 0] - sums[:, 1]).tolist()
        return np.array(found)


@dataclass(frozen=True, slots=True)
class LocalWriter:
    """A causal language model that writes what it is asked to (see `plaudit.ask.constitution.Writer`)."""

    model: LanguageModel
    name: str
    """names the weights"""
    temperature: float = 1.0
    """at which it is sampled"""

    def say(self, prompts: Sequence[str], *, max_tokens: int, seed: int) -> list[str]:
        """What the model says to each prompt; each draw depends on the seed, the prompt and how often it came before, alone.

        Raises ConfigError where a prompt does not fit into the model's context.
        """
        tokeniser = Tokeniser(self.model.tokenizer)
        chats = bool(getattr(tokeniser.tokenizer, "chat_template", None))
        asked: list[Ids] = [tokeniser.prompt((Message("user", one),) if chats else one + LEAD) for one in prompts]
        sampling = Sampling(max_tokens=max_tokens, temperature=self.temperature)
        rollout = self.model.generate(asked, samples=1, sampling=sampling, seed=seed)
        return [tokeniser.text(row.tolist()).strip() for row in rollout.batch.rows]


@dataclass(frozen=True, slots=True)
class RewardJudge:
    """What a reward prefers, for tests that take judges: it has no places, so both orders say the same."""

    reward: TextReward

    def odds(self, pairs: Sequence[Pair]) -> FloatArray:
        """See `Prefers`: the difference of the mean scores, and minus it. An aspect is read at its own head where there is one."""
        texts = [TextSegment(pair.prompt, said) for pair in pairs for said in (pair.first, pair.second)]
        heads = [f"aspect/{pair.aspect}" if pair.aspect else OVERALL for pair in pairs]
        scores = np.zeros((len(pairs), 2))
        for head in dict.fromkeys(heads):
            rows = [number for number, one in enumerate(heads) if one == head]
            known = head if head in self.reward.names else OVERALL
            chosen = [text for row in rows for text in texts[2 * row : 2 * row + 2]]
            scores[rows] = self.reward.judge(chosen, known).mean.reshape(-1, 2)
        difference = scores[:, 0] - scores[:, 1]
        return np.stack([difference, -difference], axis=1)
