"""A conversation in this process: what was said, the next answer, and what somebody thinks of it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from plaudit.ask import sent
from plaudit.engine.sampling import Sampling
from plaudit.errors import ConfigError, RecordError
from plaudit.records import Choice, Message, Query, Text, TextSegment
from plaudit.run.seeds import derive
from plaudit.serving.judging import Queue, answers_of, as_text, now, put, two_answers
from plaudit.serving.speaker import Speaker, Wish


@dataclass(frozen=True, slots=True)
class ChatConfig:
    """How a conversation goes."""

    system: str = ""
    """what the model is told first"""
    plain: bool = False
    """each line is a prompt by itself, without chat template and memory"""
    temperature: float = 0.7
    """0 takes the likeliest token"""
    top_p: float = 1.0
    """draw from the likeliest tokens that have this much probability together"""
    max_tokens: int = 256
    """most tokens of an answer, where the context has room for them"""
    seed: int = 0
    """of all answers"""


class Chat:
    """One conversation after the other.

    Args:
        speaker: the model.
        config: settings.
        queue: a store that takes what is thought of answers.
    """

    def __init__(self, speaker: Speaker, config: ChatConfig, queue: Queue | None = None) -> None:
        self._speaker, self._config, self._queue = speaker, config, queue
        self._turns = 0
        self._prompt: Text | None = None
        self._answer = ""
        self._query: Query | None = None
        self._pair: tuple[str, str] = "", ""
        self._before: tuple[Message, ...] = ()
        self.begin()

    def begin(self) -> None:
        """Forget what was said."""
        self._prompt, self._answer, self._query = None, "", None
        self._before = (Message("system", self._config.system),) if self._config.system else ()

    def say(self, line: str) -> Generator[str]:
        """The answer to a line, piece by piece. Raises as `Speaker.speak`; what failed is as if it had not been said."""
        config, prompt = self._config, self._next(line)
        found: list[str] = []
        for piece in self._speaker.speak(self._wish(prompt)):
            found.append(piece.text)
            yield piece.text
        self._prompt, self._answer, self._query = prompt, "".join(found), None
        if not config.plain and not isinstance(prompt, str):
            self._before = (*prompt, Message("assistant", self._answer))

    def two(self) -> tuple[str, str]:
        """Two answers to the last line, queued as a question; in the order on the screen.

        Raises ConfigError without a store or a line, RefusedError when the model keeps saying the same.
        """
        queue, prompt = self._require()
        self._pair = two_answers(answers_of(self._speaker), self._wish(prompt))
        self._query = put(queue, prompt, self._pair)
        first, second = (self._pair[place] for place in self._query.shown)
        return first, second

    def prefer(self, said: str) -> str:
        """Answer the question of `two`: 1 or 2 as on the screen, = for equal, nothing to leave it to others.

        The conversation goes on with the answer that was preferred. Raises ConfigError for anything else; the question stays queued.
        """
        queue, prompt = self._require()
        if self._query is None:
            raise ConfigError("Nothing was asked", next_step="/two asks")
        if not said:
            return f"queued: {self._query.id}"
        if said not in ("1", "2", "="):
            raise ConfigError("This is no answer; the question stays in the queue", got=said, expected="1, 2 or =")
        place = None if said == "=" else self._query.shown[int(said) - 1]
        choice = Choice.TIE if place is None else (Choice.FIRST, Choice.SECOND)[place]
        sent.prefer(queue.store, self._query, choice, annotator=queue.annotator, answered_at=now())
        if place is not None:
            self._answer = self._pair[place]
            if not isinstance(prompt, str):
                self._before = (*prompt, Message("assistant", self._answer))
        return f"stored: {choice.value} of {self._query.id}"

    def rate(self, *, good: bool) -> None:
        """A thumb up or down for the last answer. Raises ConfigError without a store or an answer."""
        queue, prompt = self._require()
        text = TextSegment(prompt, as_text(prompt, self._answer), queue.policy)
        sent.rate(queue.store, text, good=good, annotator=queue.annotator, answered_at=now())

    def _next(self, line: str) -> Text:
        return line if self._config.plain else (*self._before, Message("user", line))

    def _wish(self, prompt: Text) -> Wish:
        config = self._config
        sampling = Sampling(config.max_tokens, config.temperature or 1.0, config.temperature == 0, top_p=config.top_p)
        self._turns += 1
        return self._speaker.fitted(Wish(prompt, sampling, derive(config.seed, "chat", self._turns)), None)

    def _require(self) -> tuple[Queue, Text]:
        if self._queue is None:
            raise ConfigError("There is no store to keep this in", next_step="start with --store DIRECTORY")
        if self._prompt is None:
            raise ConfigError("Nothing was said yet", next_step="say something first")
        if not self._answer and self._query is None:
            raise RecordError("The model said nothing")
        return self._queue, self._prompt
