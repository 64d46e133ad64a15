"""A model behind an OpenAI-compatible endpoint, as a judge's reader and as a writer. Only Python's standard library.

It asks `POST URL/chat/completions` for one short answer with the likeliest tokens beside it (`logprobs`), and reads the letter
out of the text where the server has none. What does not come is asked for again, and in the end named in an error: nothing is
made up for it.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from plaudit.ask.judge import LETTERS
from plaudit.errors import ConfigError, EndpointError

FloatArray = NDArray[np.float64]
LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""refusals that pass"""
UNKNOWN = frozenset({400, 404, 422})
"""what servers say to settings that they do not have"""
LONGEST_WAIT = 60.0
"""seconds between two attempts, whatever a server asks for"""
TOP = 20
"""likeliest tokens asked for, the most that servers give"""
LETTER = re.compile(r"(?<![A-Za-z])([AB])(?![A-Za-z'\u2019])")
"""a letter that stands by itself, also beside Chinese characters"""


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """Where a model answers, and how it is asked."""

    url: str = ""
    """address up to /chat/completions, for example http://127.0.0.1:8000/v1; plain http to this machine only"""
    model: str = ""
    """name of the model there"""
    key_variable: str = ""
    """environment variable that holds the key; empty: none is sent"""
    timeout: float = 60.0
    """seconds that one reply may take"""
    retries: int = 4
    """attempts beside the first, each after twice the wait"""
    wait: float = 1.0
    """seconds before the second attempt, where the server names none"""
    at_once: int = 4
    """requests at a time"""
    max_tokens: int = 8
    """most tokens of an answer to a question of a judge"""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError("This is no address of an endpoint", got=self.url, expected="https://HOST/v1")
        if parts.scheme == "http" and parts.hostname not in LOCAL:
            raise ConfigError(
                "Judged texts and keys must not cross a network in the clear", got=self.url, expected="https://HOST/v1"
            )
        good = self.timeout > 0 and self.retries >= 0 and self.wait >= 0 and min(self.at_once, self.max_tokens) >= 1
        if not (good and self.model):
            raise ConfigError(
                "The settings of the endpoint are out of range",
                got=self,
                expected="a model's name, timeout > 0, retries and wait >= 0, at_once and max_tokens >= 1",
            )


@dataclass(eq=False)
class Endpoint:
    """See the module. Safe to use from several threads.

    Args:
        config: where, and how.
        sleep: how to wait.

    Raises ConfigError when the variable that should hold the key is empty.
    """

    config: EndpointConfig
    sleep: Callable[[float], None] = time.sleep
    _logprobs: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if name := self.config.key_variable:
            key = os.environ.get(name, "")
            if not key:
                raise ConfigError("The endpoint's key is not there", got=f"${name} is empty", expected="the key")
            self._headers["Authorization"] = f"Bearer {key}"

    @property
    def name(self) -> str:
        """The model's; the address does not change what it says."""
        return self.config.model

    def read(self, questions: Sequence[str]) -> FloatArray:
        """See `Reader`. Raises EndpointError."""
        return np.array(self._all(self._letter, questions), dtype=np.float64)

    def say(self, prompts: Sequence[str], *, max_tokens: int, seed: int) -> list[str]:
        """See `Writer`. What a server makes of the seed is its own affair. Raises EndpointError."""

        def one(prompt: str) -> str:
            settings = {"max_tokens": max_tokens, "temperature": 1.0, "seed": seed % 2**31}
            return _said(self._ask(prompt, settings))

        return self._all(one, prompts)

    def _all(self, one: Callable[[str], Any], texts: Sequence[str]) -> list[Any]:
        with ThreadPoolExecutor(self.config.at_once) as pool:
            waiting = [pool.submit(one, text) for text in texts]
            try:
                return [each.result() for each in waiting]
            except EndpointError:
                for each in waiting:
                    each.cancel()
                raise

    def _letter(self, question: str) -> float:
        settings: dict[str, Any] = {"max_tokens": self.config.max_tokens, "temperature": 0.0}
        if self._logprobs:
            try:
                found = log_odds(self._ask(question, settings | {"logprobs": True, "top_logprobs": TOP}))
            except _UnknownSettingError:
                self._logprobs = False
            else:
                return found
        return log_odds(self._ask(question, settings))

    def _ask(self, text: str, settings: dict[str, Any]) -> dict[str, Any]:
        """The first choice of the reply."""
        body = {"model": self.config.model, "messages": [{"role": "user", "content": text}], **settings}
        reply = self._post(json.dumps(body).encode(), optional="logprobs" in settings)
        try:
            choice = json.loads(reply)["choices"][0]
            _said(choice)
        except (ValueError, LookupError, TypeError) as error:
            raise EndpointError(
                "The endpoint's reply cannot be read",
                got=reply[:200].decode(errors="replace"),
                expected='{"choices": [{"message": {"content": ...}}]}',
                next_step=f"see whether {self.config.url} speaks OpenAI's chat completions",
            ) from error
        return choice

    def _post(self, body: bytes, *, optional: bool) -> bytes:
        """The body of a reply; asks again while that may help."""
        last = ""
        for attempt in range(self.config.retries + 1):
            try:
                status, reply, asked = self._once(body)
            except (OSError, http.client.HTTPException) as error:
                last, asked = f"{type(error).__name__}: {error}", None
            else:
                if status == 200:
                    return reply
                last = f"status {status}: {reply[:200].decode(errors='replace')}"
                if status in UNKNOWN and optional:
                    raise _UnknownSettingError(last)
                if status not in AGAIN:
                    break
            if attempt < self.config.retries:
                self.sleep(min(LONGEST_WAIT, self.config.wait * 2**attempt if asked is None else asked))
        raise EndpointError(
            "The endpoint does not answer",
            got=last,
            expected=f"a reply of {self.config.model} at {self.config.url}",
            next_step="see that the server runs, and that url, model and key_variable are right; what was answered is kept",
        )

    def _once(self, body: bytes) -> tuple[int, bytes, float | None]:
        """Status, body, and how long the server asks to wait."""
        parts = urlsplit(self.config.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self.config.timeout)
        try:
            connection.request("POST", parts.path.rstrip("/") + "/chat/completions", body, self._headers)
            reply = connection.getresponse()
            after = reply.headers.get("Retry-After", "")
            return reply.status, reply.read(), float(after) if after.isdigit() else None
        finally:
            connection.close()


class _UnknownSettingError(Exception):
    """The server knows no `logprobs`."""


def log_odds(choice: dict[str, Any]) -> float:
    """Log-odds of A against B in one choice of a reply: of the tokens where the letter stands, or what the text says.

    Of a letter that is not among the likeliest tokens all that is known is that it is at most as likely as the last of them:
    that much it is given.
    """
    steps = (choice.get("logprobs") or {}).get("content") or []
    for step in steps:
        if _bare(step.get("token", "")) not in LETTERS:
            continue
        listed = [(one["token"], float(one["logprob"])) for one in step.get("top_logprobs") or []]
        if not listed:
            break
        floor = min(logprob for _, logprob in listed)
        found = [[logprob for token, logprob in listed if _bare(token) == letter] or [floor] for letter in LETTERS]
        first, second = (float(np.logaddexp.reduce(one)) for one in found)
        return first - second
    return parsed(_said(choice))


def parsed(text: str) -> float:
    """Infinite for A, minus infinite for B, NaN where the text names neither, or both."""
    named = set(LETTER.findall(text))
    if len(named) != 1:
        return math.nan
    return math.inf if named == {"A"} else -math.inf


def _bare(token: str) -> str:
    return token.strip(" \n\t\"'`*().:<>\u2581\u0120\uff1a\u3002")


def _said(choice: dict[str, Any]) -> str:
    text = choice["message"].get("content")
    if not isinstance(text, str | None):
        raise TypeError(f"content is {type(text).__name__}")
    return text or ""  # a model that thought until its tokens were spent says nothing
