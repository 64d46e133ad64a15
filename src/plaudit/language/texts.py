"""From texts to token ids: prompts and completions of people's demonstrations and comparisons, ended as the model is to end."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from plaudit.errors import ConfigError, LearningError, RecordError
from plaudit.records import Choice, Comparison, Demonstration, Feedback, Message, Query, Text, TextSegment

Ids = list[int]


class TextStore(Protocol):
    """Where records are looked up; `plaudit.store.Store` is one."""

    def queries(self) -> list[Query]:
        """All queries."""
        ...

    def texts(self, ids: Sequence[str]) -> dict[str, TextSegment]:
        """Texts by id. Raises StoreError when one is missing, or is no text."""
        ...


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and how it should be answered."""

    prompt: Text
    completion: Text
    weight: float = 1.0
    """how much its tokens count"""


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt with two answers, one of which was preferred."""

    prompt: Text
    chosen: Text
    rejected: Text


def demonstrated(answers: Sequence[Feedback], store: TextStore) -> list[Example]:
    """What people wrote when they were asked to show how it is done; skips are left out."""
    shown = [answer.segment for answer in answers if isinstance(answer, Demonstration) and answer.segment is not None]
    texts = store.texts(shown)
    return [Example(texts[name].prompt, texts[name].completion) for name in shown]


def preferred(answers: Sequence[Feedback], store: TextStore) -> list[Pair]:
    """Pairs of which people preferred one; ties, skips and comparisons in one aspect only are left out."""
    queries = {query.id: query for query in store.queries()}
    found: list[tuple[str, str]] = []
    for answer in answers:
        if not isinstance(answer, Comparison) or answer.choice not in (Choice.FIRST, Choice.SECOND):
            continue
        query = queries[answer.query]
        if query.aspect is None:
            first, second = query.segments
            found.append((first, second) if answer.choice is Choice.FIRST else (second, first))
    texts = store.texts(sorted({name for pair in found for name in pair}))
    return [_pair(texts[chosen], texts[rejected]) for chosen, rejected in found]


def _pair(chosen: TextSegment, rejected: TextSegment) -> Pair:
    if chosen.prompt != rejected.prompt:
        raise RecordError(
            "Two texts that were compared answer different prompts",
            got=f"{chosen.id} and {rejected.id}",
            expected="the same prompt: only then does their difference say something about answers",
        )
    return Pair(chosen.prompt, chosen.completion, rejected.completion)


def encode(tokenizer: Any, prompt: Text, completion: Text) -> tuple[Ids, Ids]:
    """Token ids of a prompt, exactly as it is sampled from, and of its completion with the token that ends it.

    Conversations go through the tokenizer's chat template; what it puts behind the end of a turn is left out, as sampling
    would never get there.
    """
    before = prompt_ids(tokenizer, prompt)
    if isinstance(prompt, str) and isinstance(completion, str):
        inside = tokenizer(completion, add_special_tokens=False)["input_ids"]
    else:
        turns = (Message("user", prompt),) if isinstance(prompt, str) else prompt
        answer = (Message("assistant", completion),) if isinstance(completion, str) else completion
        opening, whole = _render(tokenizer, turns, opened=True), _render(tokenizer, (*turns, *answer), opened=False)
        if not whole.startswith(opening):
            raise RecordError(
                "The chat template changes a prompt once it is answered", got=whole[:200], expected=opening[:200],
                next_step="use a template whose conversations begin with their prompts",
            )  # fmt: skip
        inside = tokenizer(whole[len(opening) :], add_special_tokens=False)["input_ids"]
        before = tokenizer(opening, add_special_tokens=False)["input_ids"]
    end = tokenizer.eos_token_id
    if end is None:
        raise ConfigError(
            "The tokenizer has no token that ends a text", got="eos_token None",
            next_step="set tokenizer.eos_token: without it a model cannot learn to stop",
        )  # fmt: skip
    return before, _ended(list(inside), end)


def prompt_ids(tokenizer: Any, prompt: Text) -> Ids:
    """Token ids of a prompt alone, a conversation with the opening of the answer's turn."""
    if isinstance(prompt, str):
        return list(tokenizer(prompt)["input_ids"])
    return list(tokenizer(_render(tokenizer, prompt, opened=True), add_special_tokens=False)["input_ids"])


def _render(tokenizer: Any, turns: Sequence[Message], *, opened: bool) -> str:
    listed = [{"role": turn.role, "content": turn.content, **(turn.extra or {})} for turn in turns]
    return str(tokenizer.apply_chat_template(listed, tokenize=False, add_generation_prompt=opened))


def _ended(ids: Ids, end: int) -> Ids:
    if end not in ids:
        return [*ids, end]
    return ids[: len(ids) - ids[::-1].index(end)]


def fitting(rows: Sequence[Sequence[Ids]], longest: int) -> list[int]:
    """Which rows (a prompt, then its completions) fit into `longest` tokens; the others are left out whole, with a warning.

    A completion that is cut loses its end, and the model would learn not to stop. Raises LearningError if none fits.
    """
    kept = [place for place, (prompt, *rest) in enumerate(rows) if all(len(prompt) + len(x) <= longest for x in rest)]
    if not kept:
        raise LearningError(
            "There is nothing to learn from", got=f"{len(rows)} texts, none of at most {longest} tokens",
            next_step="raise max_length, or bring shorter texts",
        )  # fmt: skip
    if len(kept) < len(rows):
        warnings.warn(
            f"{len(rows) - len(kept)} of {len(rows)} texts are longer than {longest} tokens: left out", stacklevel=2
        )
    return kept
