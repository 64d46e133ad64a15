"""From a conversation into the labelling queue: two answers to compare, or a thumb up or down for one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request

from plaudit.ask import sent
from plaudit.exchange.bring import open_store
from plaudit.records import Message, Query, Text, TextSegment, to_json
from plaudit.run.directory import RunDirectory
from plaudit.serving import wire
from plaudit.serving.speaker import Speaker, Talker, Wish
from plaudit.serving.wire import Defaults, RefusedError
from plaudit.store.store import Store

TRIES = 4
"""how often two answers are drawn until they differ"""


@dataclass(frozen=True, slots=True)
class Queue:
    """A store that takes questions from conversations."""

    store: Store
    policy: str
    """version or name of the model that answers"""
    annotator: str = "person-1"
    """pseudonym of who rates, where they do not say"""


def open_queue(directory: Path, *, policy: str, annotator: str = "person-1") -> Queue:
    """The queue of a run on texts or of imports; where nothing is yet, a store is made as `plaudit import` makes one.

    Raises ConfigError for a control agent's run, StoreError as the store does.
    """
    there = RunDirectory(directory)
    store = Store.open(there.store) if there.exists else open_store(directory)
    try:
        sent.require_texts(store)
    except BaseException:
        store.close()
        raise
    return Queue(store, policy, annotator)


async def read_body(request: Request) -> Any:
    """The JSON of a request. Raises RefusedError for anything else."""
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise RefusedError(f"The body is no JSON: {error}", code="invalid_json") from error


def as_text(prompt: Text, answer: str) -> Text:
    """An answer as records have it: plain text, or a turn of the assistant."""
    return answer if isinstance(prompt, str) else (Message("assistant", answer),)


def two_answers(say: Callable[[Wish], tuple[str, str]], wish: Wish) -> tuple[str, str]:
    """Two answers that say something and differ. Raises RefusedError when the model keeps saying the same."""
    for number in range(TRIES):
        first, second = say(replace(wish, samples=2, seed=wish.seed + number))
        if first.strip() and second.strip() and first != second:
            return first, second
    raise RefusedError(
        f"In {TRIES} draws the model said the same twice, or nothing",
        param="temperature",
        code="same_answers",
        status=409,
    )


def put(queue: Queue, prompt: Text, answers: tuple[str, str]) -> Query:
    """Two answers into the queue; on disk when it returns."""
    texts = [as_text(prompt, answer) for answer in answers]
    return sent.ask_to_compare(queue.store, prompt, texts, policy=queue.policy)


def add_judging(app: FastAPI, queue: Queue, talker: Talker, defaults: Defaults, seed: Callable[[], int]) -> None:
    """The routes `/v1/plaudit/comparisons` and `/v1/plaudit/ratings`."""

    def ask(wish: Wish) -> tuple[str, str]:
        said = ["", ""]
        for piece in talker.ask(wish):
            said[piece.sample] += piece.text
        return said[0], said[1]

    @app.post("/v1/plaudit/comparisons")
    async def compare(request: Request) -> dict[str, Any]:
        """Draw two answers to a conversation, and queue the question which is better."""
        asked = wire.chat_asked(await read_body(request), defaults, seed=seed())
        wish = talker.speaker.fitted(asked.wishes[0], asked.most)
        if asked.stream or wish.samples != 1:
            raise RefusedError("Two answers are drawn and told whole: leave out `stream` and `n`", param="stream")
        answers = await asyncio.to_thread(two_answers, ask, wish)
        query = await asyncio.to_thread(put, queue, wish.prompt, answers)
        return {"object": "plaudit.comparison", "query": query.id, "answers": list(answers)}

    @app.post("/v1/plaudit/ratings")
    async def rate(request: Request) -> dict[str, Any]:
        """A thumb up or down: {messages, answer, good, annotator}."""
        body = await read_body(request)
        given = body if isinstance(body, dict) else {}
        answer, good, who = given.get("answer"), given.get("good"), given.get("annotator", queue.annotator)
        if not isinstance(answer, str) or not isinstance(good, bool) or not isinstance(who, str) or not who:
            raise RefusedError("Say `messages`, `answer` (a text), `good` (true or false), and perhaps `annotator`")
        prompt = wire.messages_of(given.get("messages"))
        text = TextSegment(prompt, as_text(prompt, answer), queue.policy)
        query, rating = await asyncio.to_thread(_rate, queue, text, good, who)
        return {"object": "plaudit.rating", "query": query.id, "feedback": to_json(rating)}


def _rate(queue: Queue, text: TextSegment, good: bool, who: str) -> tuple[Query, Any]:
    return sent.rate(queue.store, text, good=good, annotator=who, answered_at=now())


def now() -> str:
    """The time of an answer, as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def answers_of(speaker: Speaker) -> Callable[[Wish], tuple[str, str]]:
    """What draws two answers from a model that nobody else uses."""

    def say(wish: Wish) -> tuple[str, str]:
        first, second = speaker.answers(wish)
        return first, second

    return say
