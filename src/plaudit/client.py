"""A program's way into a studio: label, read answers and the summary, follow the run. Only Python's standard library.

    client = Client("http://127.0.0.1:8765", key)
    for question in client.next()["questions"]:
        client.answer(question["id"], {"choice": "first"}, seconds=2.0)
    client.pause()  # what is held is saved

Answers have ids of their own, so they are sent again after a lost connection, and count once.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from plaudit.ask.submission import FROM_QUERY, REASON, SKIP
from plaudit.errors import ConfigError, PlauditError, RecordError, StoreError
from plaudit.records import Feedback, is_skip, to_json
from plaudit.records.feedback import Answer

LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
AGAIN = frozenset({429, 502, 503, 504})
"""refusals that pass"""
PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a studio."""

    timeout: float = 30.0
    """seconds for one reply"""
    total: float = 60.0
    """seconds over all attempts at one request"""
    sleep: Callable[[float], None] = time.sleep
    """how to wait"""


class Client:
    """See the module. Not for use by several threads at once.

    Args:
        url: address of the studio.
        key: a key with the scopes that are needed: `label` to answer, `export` for answers, `watch` for the rest.
        patience: how long to wait.

    Raises ConfigError when the key would cross a network in the clear.
    """

    def __init__(self, url: str, key: str, *, patience: Patience | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or (parts.scheme == "http" and parts.hostname not in LOCAL):
            raise ConfigError("A key must not cross a network in the clear", got=url, expected="https://HOST")
        self._patience = patience or Patience()
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._open = lambda: kind(parts.hostname or "", parts.port, timeout=self._patience.timeout)
        self._connection = self._open()
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}

    def me(self) -> dict[str, Any]:
        """Who this key is to the studio, and what it may do."""
        return self._call("GET", "/api/me")

    def next(self) -> dict[str, Any]:
        """The view of this key's annotator: `state`, `questions` (the first is to be answered first), `progress`, `waiting`."""
        return self._call("GET", "/api/next")

    def answer(
        self,
        question: str,
        fields: Mapping[str, Any],
        *,
        seconds: float = 0.0,
        about: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Answer a question that `next` gave; returns the view after it.

        Args:
            question: its id.
            fields: fields of the record of its kind, in the question's own order; or `{"skip": True}`, perhaps with a `reason`.
            seconds: how long the answer took.
            about: `answered_at`, `phases`, `interface`, `arm`, where there are such.

        Raises RecordError when the answer does not fit.
        """
        said = {"id": str(uuid.uuid4()), "query": question, "answer": dict(fields), "seconds": seconds}
        return self._call("POST", "/api/feedback", said | dict(about or {}))

    def give(self, record: Feedback) -> dict[str, Any]:
        """Answer with a record, for example a simulated teacher's; the key's annotator signs it. Returns the view after it."""
        common = {field.name for field in dataclasses.fields(Answer)}
        own = {name: value for name, value in to_json(record).items() if name not in common | {*FROM_QUERY}}
        fields = {SKIP: True, **({REASON: record.reason} if record.reason else {})} if is_skip(record) else own
        about = {
            "answered_at": record.answered_at,
            "phases": record.phase_seconds,
            "interface": record.interface,
            "arm": record.arm,
        }
        told = {name: value for name, value in about.items() if value is not None}
        return self.answer(record.query, fields, seconds=record.response_seconds or 0.0, about=told)

    def undo(self, submission: str) -> dict[str, Any]:
        """Take back the last answer, while `undoable` names it."""
        return self._call("POST", "/api/undo", {"submission": submission})

    def pause(self) -> dict[str, Any]:
        """Save what is held and give the questions back; `resume` goes on."""
        return self._call("POST", "/api/session", {"cue": "pause"})

    def resume(self) -> dict[str, Any]:
        """Go on after a pause."""
        return self._call("POST", "/api/session", {"cue": "resume"})

    def answers(self, after: int = 0) -> Iterator[dict[str, Any]]:
        """All answers behind a log position that were not retracted, oldest first: `seq`, `kind`, and the record's fields."""
        cursor: int | None = after
        while cursor is not None:
            page = self._call("GET", f"/api/answers?{urlencode({'after': cursor})}")
            yield from page["answers"]
            cursor = page["cursor"]

    def summary(self) -> dict[str, Any]:
        """The summary of the run, as in the report's JSON."""
        return self._call("GET", "/api/watch/summary")

    def stream(self) -> Iterator[tuple[str, Any]]:
        """What happens in the run, as (event, data), as long as somebody wants to know.

        Comes back by itself after a lost connection. Raises StoreError when the studio is away for longer than the patience.
        """
        last: str | None = None
        tried = 0.0
        while True:
            connection = self._open()
            try:
                resume = {} if last is None else {"Last-Event-ID": last}
                connection.request(
                    "GET", "/api/watch/stream", headers=self._headers | {"Accept": "text/event-stream"} | resume
                )
                reply = connection.getresponse()
                if reply.status != 200:
                    _raise(reply.status, reply.read())
                for event, data, id in _events(reply):
                    last, tried = id or last, 0.0
                    yield event, data
                tried = self._wait(tried, PAUSE_SECONDS, EOFError("the stream ended"))
            except (OSError, http.client.HTTPException) as error:
                tried = self._wait(tried, PAUSE_SECONDS, error)
            finally:
                connection.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        waited = 0.0
        while True:
            try:
                headers = self._headers if data is None else self._headers | {"Content-Type": "application/json"}
                self._connection.request(method, path, data, headers)
                reply = self._connection.getresponse()
                status, text = reply.status, reply.read()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                waited = self._wait(waited, PAUSE_SECONDS, error)
                continue
            if 200 <= status < 300:
                return json.loads(text)
            if status not in AGAIN:
                _raise(status, text)
            pause = reply.headers.get("Retry-After", "")
            waited = self._wait(waited, float(pause) if pause.isdecimal() else PAUSE_SECONDS, _refusal(status, text))

    def _wait(self, waited: float, pause: float, error: Exception) -> float:
        if waited + pause > self._patience.total:
            raise StoreError(
                "The studio does not answer", got=str(error), next_step="see that it runs, and try again"
            ) from error
        self._patience.sleep(pause)
        return waited + pause


def _raise(status: int, text: bytes) -> None:
    raise _refusal(status, text)


def _refusal(status: int, text: bytes) -> PlauditError:
    try:
        said = str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        said = "The studio refused"
    if status in (404, 409, 413, 422):
        return RecordError(said, got=f"status {status}")
    return StoreError(said, got=f"status {status}") if status >= 500 else PlauditError(said, got=f"status {status}")


def _events(lines: Iterator[bytes] | http.client.HTTPResponse) -> Iterator[tuple[str, Any, str | None]]:
    """Server-sent events: (event, data, id)."""
    fields: dict[str, list[str]] = {}
    for raw in lines:
        line = raw.decode().rstrip("\r\n")
        if line:
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
            continue
        if "data" in fields:
            text = "\n".join(fields["data"])
            yield fields.get("event", ["message"])[-1], json.loads(text), fields.get("id", [None])[-1]
        fields = {}
