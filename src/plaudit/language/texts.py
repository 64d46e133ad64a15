"""What people demonstrated and preferred, as texts to learn from; prompts to be answered."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from plaudit.engine.model import LanguageModel
from plaudit.engine.text import Group, Tokeniser
from plaudit.errors import ConfigError, LearningError, RecordError
from plaudit.records import Choice, Comparison, Demonstration, Feedback, Message, Query, Rating, Text, TextSegment
from plaudit.reward.texts import TextStore
from plaudit.worlds.prompts import Prompt

Read = Callable[[tuple[str, ...], Tokeniser], Sequence[Prompt]]
"""prompts of files; the reader of files lives above this layer's siblings"""


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


class AsUser:
    """A store whose plain prompts are what a user says, and whose plain completions are the assistant's answer; ids stay.

    Conversations stay as they are.
    """

    def __init__(self, store: TextStore) -> None:
        self._store = store

    def queries(self) -> list[Query]:
        """All queries."""
        return self._store.queries()

    def texts(self, ids: Sequence[str]) -> dict[str, TextSegment]:
        """Texts by id. Raises as the store does."""
        return {name: _conversation(text) for name, text in self._store.texts(ids).items()}


def _conversation(text: TextSegment) -> TextSegment:
    if not isinstance(text.prompt, str) or not isinstance(text.completion, str) or not text.completion:
        return text
    said, answered = (Message("user", text.prompt),), (Message("assistant", text.completion),)
    return TextSegment(said, answered, text.policy, text.id)


def asked_by_user(read: Read) -> Read:
    """What reads prompts of files, its plain ones taken as what a user says."""

    def prompts(files: tuple[str, ...], tokeniser: Tokeniser) -> Sequence[Prompt]:
        found = read(files, tokeniser)
        return [replace(one, text=(Message("user", one.text),)) if isinstance(one.text, str) else one for one in found]

    return prompts


@dataclass(frozen=True, slots=True)
class Verdict:
    """A prompt with an answer that was found good or bad."""

    prompt: Text
    completion: Text
    good: bool


@dataclass(frozen=True, slots=True)
class Logged:
    """A prompt with an answer that was given to it, and how good it was found, in any unit."""

    prompt: Text
    completion: Text
    score: float


def demonstrated(answers: Sequence[Feedback], store: TextStore) -> list[Example]:
    """What people wrote when they were asked to show how it is done; skips are left out."""
    shown = [answer.segment for answer in answers if isinstance(answer, Demonstration) and answer.segment is not None]
    texts = store.texts(shown)
    said = [texts[name] for name in shown if texts[name].characters]
    _tell_empty(len(shown) - len(said), "demonstrations")
    return [Example(text.prompt, text.completion) for text in said]


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
    said = [pair for pair in found if all(texts[name].characters for name in pair)]
    _tell_empty(len(found) - len(said), "comparisons")
    return [_pair(texts[chosen], texts[rejected]) for chosen, rejected in said]


def judged(answers: Sequence[Feedback], store: TextStore, *, pairs: bool = True) -> list[Verdict]:
    """Answers that people found good or bad, one verdict for each time that somebody said so.

    A rating above the middle of its scale is good, one below it bad; those in the middle, skips and ratings of one aspect
    are left out. Of a comparison the preferred answer is good and the other bad, unless `pairs` is False.
    """
    queries = {query.id: query for query in store.queries()}
    found: list[tuple[str, bool]] = []
    for answer in answers:
        if isinstance(answer, Rating) and answer.value is not None and queries[answer.query].aspect is None:
            above = 2 * answer.value - (answer.levels - 1)
            found += [(queries[answer.query].segments[0], above > 0)] if above else []
    texts = store.texts(sorted({name for name, _ in found}))
    said = [(texts[name], good) for name, good in found if texts[name].characters]
    _tell_empty(len(found) - len(said), "ratings")
    verdicts = [Verdict(text.prompt, text.completion, good) for text, good in said]
    for pair in preferred(answers, store) if pairs else ():
        verdicts += [Verdict(pair.prompt, pair.chosen, True), Verdict(pair.prompt, pair.rejected, False)]
    return verdicts


def rated(answers: Sequence[Feedback], store: TextStore) -> list[Logged]:
    """Answers with their mean rating, from 0 for the lowest grade to 1 for the highest; in the order in which they were rated.

    Skips and ratings of one aspect are left out.
    """
    queries = {query.id: query for query in store.queries()}
    found: dict[str, list[float]] = {}
    for answer in answers:
        if isinstance(answer, Rating) and answer.value is not None and queries[answer.query].aspect is None:
            found.setdefault(queries[answer.query].segments[0], []).append(answer.value / (answer.levels - 1))
    texts = store.texts(list(found))
    said = {name: grades for name, grades in found.items() if texts[name].characters}
    _tell_empty(len(found) - len(said), "rated texts")
    return [Logged(texts[n].prompt, texts[n].completion, sum(grades) / len(grades)) for n, grades in said.items()]


def _tell_empty(count: int, what: str) -> None:
    if count:
        warnings.warn(
            f"{count} {what} with an empty text are left out: there is nothing to learn to write", stacklevel=3
        )


def _pair(chosen: TextSegment, rejected: TextSegment) -> Pair:
    if chosen.prompt != rejected.prompt:
        raise RecordError(
            "Two texts that were compared answer different prompts",
            got=f"{chosen.id} and {rejected.id}",
            expected="the same prompt: only then does their difference say something about answers",
        )
    return Pair(chosen.prompt, chosen.completion, rejected.completion)


def fitting(groups: Sequence[Group], longest: int) -> list[int]:
    """Which groups fit into `longest` tokens, prompt and each completion; the others are left out whole, with a warning.

    A completion that is cut loses its end, and the model would learn not to stop. Raises LearningError if none fits.
    """
    sizes = [len(group.prompt) + max(len(completion) for completion in group.completions) for group in groups]
    kept = [place for place, size in enumerate(sizes) if size <= longest]
    if not kept:
        raise LearningError(
            "There is nothing to learn from", got=f"{len(groups)} texts, none of at most {longest} tokens",
            next_step="raise max_length, or bring shorter texts",
        )  # fmt: skip
    if len(kept) < len(groups):
        warnings.warn(
            f"{len(groups) - len(kept)} of {len(groups)} texts are longer than {longest} tokens: left out", stacklevel=3
        )
    return kept


@dataclass(frozen=True, slots=True)
class Asked:
    """Prompts to be answered."""

    prompts: tuple[Prompt, ...]
    ids: tuple[tuple[int, ...], ...]
    """the same as tokens"""
    words: Tokeniser

    @classmethod
    def of(cls, read: Read, files: tuple[str, ...], models: Sequence[LanguageModel], *, room: int) -> Asked:
        """Prompts of files that leave room for a completion of so many tokens; the others are left out, with a warning.

        Args:
            read: reads files.
            files: of prompts.
            models: whose contexts hold prompt and completion, the policy's first.
            room: tokens of the longest completion.

        Raises ConfigError if none leaves room.
        """
        words, context = Tokeniser(models[0].tokenizer), min(model.context for model in models)
        prompts = read(files, words)
        ids = [words.prompt(one.text) for one in prompts]
        kept = [place for place, one in enumerate(ids) if len(one) + room <= context]
        if not kept:
            raise ConfigError(
                "No prompt leaves room for a completion",
                got=f"{len(ids)} prompts, the shortest of {min(map(len, ids), default=0)} tokens; completions up to {room}",
                expected=f"together at most {context} tokens",
                next_step="ask for shorter completions (`max_tokens`), or bring shorter prompts",
            )
        if len(kept) < len(ids):
            warnings.warn(
                f"{len(ids) - len(kept)} of {len(ids)} prompts are left out: with completions of up to {room} tokens they do not "
                f"fit into a context of {context}",
                stacklevel=3,
            )
        return cls(tuple(prompts[place] for place in kept), tuple(ids[place] for place in kept), words)
