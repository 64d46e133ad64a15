"""A language model that answers piece by piece: text as it comes, ends, stop words, and one thread for whoever asks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Sampling
from plaudit.engine.text import Ids, Tokeniser, stop_ids
from plaudit.errors import ConfigError, PlauditError, RunError
from plaudit.records import Text

UNFINISHED = "\ufffd"
"""what bytes decode to that are no whole character yet"""
End = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be answered, and how."""

    prompt: Text
    sampling: Sampling
    seed: int
    samples: int = 1
    stop: tuple[str, ...] = ()
    """words that end an answer and are no part of it"""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one answer."""

    sample: int
    """which answer"""
    text: str
    tokens: int
    """of the answer so far"""
    end: End | None = None
    """why it ended, in its last piece"""


class Speaker:
    """Answers in pieces. One thing at a time: not safe to use from several threads, but for `prompt_ids`.

    Args:
        model: with a tokenizer.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.tokeniser = Tokeniser(model.tokenizer, stop=stop_ids(model.causal, model.tokenizer))
        self._lock = threading.Lock()  # tokenizers may not be used by two threads at once

    @property
    def converses(self) -> bool:
        """Whether the model has a chat template."""
        return bool(self.model.tokenizer.chat_template)

    def prompt_ids(self, wish: Wish) -> Ids:
        """The prompt as tokens. Raises ConfigError and RecordError as `Tokeniser.prompt`, and ConfigError when it is too long."""
        with self._lock:
            ids = self.tokeniser.prompt(wish.prompt)
        if len(ids) + wish.sampling.max_tokens > self.model.context:
            raise ConfigError(
                "The prompt with its answer does not fit into the model's context",
                got=f"{len(ids)} tokens of the prompt, {wish.sampling.max_tokens} of the answer",
                expected=f"together at most {self.model.context}", next_step="shorten it, or ask for fewer tokens",
            )  # fmt: skip
        return ids

    def fitted(self, wish: Wish, most: int | None) -> Wish:
        """A wish for as many tokens as there is room for, where it did not say how many. Raises as `Tokeniser.prompt`."""
        if most is not None:
            return wish
        with self._lock:
            left = self.model.context - len(self.tokeniser.prompt(wish.prompt))
        return replace(wish, sampling=replace(wish.sampling, max_tokens=max(1, min(wish.sampling.max_tokens, left))))

    def speak(self, wish: Wish) -> Generator[Piece]:
        """The answers as they come; each ends with a piece that says why. Raises as `prompt_ids` and `LanguageModel.stream`."""
        ids = self.prompt_ids(wish)
        sampling = replace(wish.sampling, stop=self.tokeniser.stop)
        said = [_Said(number, wish.stop, self.tokeniser.stop, sampling.max_tokens) for number in range(wish.samples)]
        for sample, token in self.model.stream(ids, sampling=sampling, seed=wish.seed, samples=wish.samples):
            one = said[sample]
            if not one.over:
                with self._lock:
                    piece = one.add(token, self.tokeniser)
                if piece is not None:
                    yield piece
            if all(each.over for each in said):
                return

    def answers(self, wish: Wish) -> tuple[str, ...]:
        """The answers whole. Raises as `speak`."""
        found = [""] * wish.samples
        for piece in self.speak(wish):
            found[piece.sample] += piece.text
        return tuple(found)


@dataclass
class _Said:
    """One answer so far."""

    number: int
    words: tuple[str, ...]
    ends: Ids
    most: int
    ids: list[int] = field(default_factory=list[int])
    told: str = ""
    over: bool = False

    def add(self, token: int, tokeniser: Tokeniser) -> Piece | None:
        """What can be told after one more token; None for nothing new."""
        self.ids.append(token)
        ended = token in self.ends
        text = tokeniser.text(self.ids[:-1] if ended else self.ids)
        cut = min((place for place in (text.find(word) for word in self.words) if place >= 0), default=-1)
        end: End | None = "stop" if ended or cut >= 0 else "length" if len(self.ids) == self.most else None
        self.over = end is not None
        safe = text[:cut] if cut >= 0 else text if self.over else self._safe(text)
        fresh, self.told = safe[len(self.told) :], max(safe, self.told, key=len)
        return Piece(self.number, fresh, len(self.ids), end) if fresh or self.over else None

    def _safe(self, text: str) -> str:
        """Without a character that is not whole yet, and without what may become a stop word."""
        text = text.rstrip(UNFINISHED)
        longest = max((len(word) for word in self.words), default=0)
        for size in range(min(longest - 1, len(text)), 0, -1):
            if any(word.startswith(text[-size:]) for word in self.words):
                return text[:-size]
        return text


class BusyError(RunError):
    """Too many wait for an answer already."""


class Reply:
    """What the model's thread says to a wish. Iterate once; `cancel` when nobody listens any more."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.cancelled = threading.Event()
        self.pieces: queue.SimpleQueue[Piece | Exception | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[Piece]:
        while (piece := self.next()) is not None:
            yield piece

    def next(self) -> Piece | None:
        """The next piece; None at the end. Raises what went wrong."""
        found = self.pieces.get()
        if isinstance(found, Exception):
            raise found
        return found

    def cancel(self) -> None:
        """Let the model go on to the next wish."""
        self.cancelled.set()


class Talker:
    """One thread that has the model to itself, and a queue before it. Safe to use from any thread.

    Args:
        speaker: the model.
        waiting: how many may wait besides the one that is answered.
    """

    def __init__(self, speaker: Speaker, *, waiting: int = 16) -> None:
        self.speaker = speaker
        self._queue: queue.Queue[Reply | None] = queue.Queue(maxsize=waiting)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="plaudit-model", daemon=True)
        self._thread.start()

    def ask(self, wish: Wish) -> Reply:
        """Queue a wish; what is wrong with it is said here and now.

        Raises BusyError when too many wait, RunError when closed, and as `Speaker.prompt_ids`.
        """
        self.speaker.prompt_ids(wish)
        if self._closed:
            raise RunError("The model is not served any more", next_step="start it again")
        reply = Reply(wish)
        try:
            self._queue.put_nowait(reply)
        except queue.Full:
            raise BusyError(
                "Too many wait for an answer", got=self._queue.maxsize, next_step="try again in a while"
            ) from None
        return reply

    def close(self) -> None:
        """Stop after the answer that is being given; whoever waits gets an error."""
        self._closed = True
        with suppress(queue.Empty):
            while (reply := self._queue.get_nowait()) is not None:
                reply.pieces.put(RunError("The model is not served any more", next_step="start it again"))
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (reply := self._queue.get()) is not None:
            speaking = self.speaker.speak(reply.wish)
            try:
                for piece in speaking:
                    if reply.cancelled.is_set() or self._closed:
                        break
                    reply.pieces.put(piece)
                reply.pieces.put(None)
            except Exception as error:  # noqa: BLE001 - a thread boundary: whoever asked gets it
                known = isinstance(error, PlauditError)
                reply.pieces.put(error if known else RunError("The model failed", got=repr(error)))
            finally:
                speaking.close()
