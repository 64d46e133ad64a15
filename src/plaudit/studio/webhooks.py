"""Webhooks: who is told of which events of the log, and where each stands. The log itself is the outbox.

Messages follow Standard Webhooks (https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp` and
`webhook-signature: v1,BASE64(HMAC-SHA256(secret, "ID.TIMESTAMP.BODY"))`. An id is the same at every attempt, and no message is
sent before the ones in front of it were received; a receiver may get one twice, never none.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select

from plaudit.errors import RecordError
from plaudit.records import canonical_json
from plaudit.store.log import Event
from plaudit.store.schema import account, webhook
from plaudit.store.store import Store
from plaudit.studio.accounts import new_id

EVENTS = {
    "feedback.given": ("id", "query", "annotator", "kind"),
    "query.asked": ("id", "kind", "round", "index"),
    "stage.completed": ("round", "stage"),
}
"""kind of event -> fields of its payload that are told; never the texts or judgements themselves"""
PAUSES = (5.0, 30.0, 300.0, 1800.0, 7200.0, 18_000.0)
"""seconds until the next attempt; the last goes on for ever"""
HELD_SECONDS = 60.0
"""for so long one studio has a receiver to itself"""
SECRET_PREFIX = "whsec_"
TEST = "webhook.test"
"""type of a message that says nothing but that it arrives"""
ATTEMPTS = 20
"""that are remembered of each receiver"""
MOST_WAITING = 1000
"""messages that wait are counted up to here"""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver of events."""

    id: str
    account: str
    url: str
    events: tuple[str, ...]
    secret: str
    private: bool
    told: int
    failures: int
    next_at: float
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a receiver was told something, or was not."""

    at: float
    """seconds since 1970"""
    type: str
    """kind of event, or `TEST`"""
    seq: int | None
    """its place in the log; None for a test"""
    trouble: str | None
    """why it was not received; None: it was"""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent."""

    headers: dict[str, str]
    body: bytes


class Webhooks:
    """All webhooks of a run.

    Args:
        store: the run's store.
        clock: seconds since 1970.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._attempts: dict[str, deque[Attempt]] = {}

    def attempts(self, hook: Webhook) -> list[Attempt]:
        """How the last messages of this process fared, newest first."""
        return list(self._attempts.get(hook.id, ()))

    def tried(self, hook: Webhook, type: str, seq: int | None, trouble: str | None) -> Attempt:
        """Note how a message fared."""
        attempt = Attempt(self._clock(), type, seq, None if trouble is None else trouble[:500])
        self._attempts.setdefault(hook.id, deque(maxlen=ATTEMPTS)).appendleft(attempt)
        return attempt

    def waiting(self, hook: Webhook) -> int:
        """Messages that the receiver has not got yet; `MOST_WAITING` stands for more."""
        return sum(1 for _ in islice(self.events(hook), MOST_WAITING))

    def test(self, hook: Webhook) -> Message:
        """A signed message that says nothing."""
        now = self._clock()
        when = datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z")
        body = canonical_json({"type": TEST, "timestamp": when, "data": {}})
        return signed(hook.secret, f"test_{secrets.token_hex(12)}", int(now), body)

    def make(self, maker: str, url: str, events: tuple[str, ...], *, private: bool) -> Webhook:
        """A webhook for what happens from now on. Raises RecordError when the URL cannot be one."""
        require_url(url, private=private)
        row: dict[str, Any] = {
            "id": new_id("hook"),
            "account": maker,
            "url": url,
            "events": json.dumps(sorted(set(events))),
            "secret": SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode(),
            "private": int(private),
            "told": self._store.head()[0],
            "failures": 0,
            "next_at": 0.0,
        }
        self._store.change(lambda connection: connection.execute(webhook.insert().values(row)) and None)
        return self.all(id=row["id"])[0]

    def all(self, *, maker: str | None = None, id: str | None = None) -> list[Webhook]:
        """Webhooks: all, or those of an account, or the one of this id."""
        wanted = select(webhook).order_by(webhook.c.id)
        wanted = wanted if maker is None else wanted.where(webhook.c.account == maker)
        wanted = wanted if id is None else wanted.where(webhook.c.id == id)
        with self._store.reading() as connection:
            return [_webhook(row) for row in connection.execute(wanted)]

    def delete(self, id: str) -> None:
        """End a webhook."""
        self._store.change(lambda connection: connection.execute(webhook.delete().where(webhook.c.id == id)) and None)

    def due(self) -> list[Webhook]:
        """Webhooks whose turn it is, held for this process for a minute."""
        now = self._clock()
        waiting = webhook.c.next_at <= now
        wanted = select(webhook.c.id).join(account, webhook.c.account == account.c.id)
        with self._store.reading() as connection:
            ids = connection.execute(wanted.where(waiting, account.c.closed_at.is_(None))).scalars().all()
        with_news = [one for id in ids for one in self.all(id=id) if next(self.events(one), None) is not None]
        held = webhook.update().values(next_at=now + HELD_SECONDS)
        return [
            one
            for one in with_news
            if self._store.change(
                lambda connection, id=one.id: connection.execute(held.where(webhook.c.id == id, waiting)).rowcount
            )
        ]

    def events(self, hook: Webhook) -> Any:
        """Events that the receiver has not been told of yet, in their order."""
        return self._store.events(after=hook.told, kinds=frozenset(hook.events))

    def told(self, hook: Webhook, seq: int) -> None:
        """Note that the receiver has everything up to a log position."""
        self._set(hook, told=seq, failures=0, trouble=None, next_at=self._clock() + HELD_SECONDS)

    def free(self, hook: Webhook) -> None:
        """Let any process send the next message."""
        self._set(hook, next_at=0.0)

    def failed(self, hook: Webhook, why: str) -> None:
        """Note that the receiver could not be told, and when to try again."""
        pause = PAUSES[min(hook.failures, len(PAUSES) - 1)]
        self._set(hook, failures=hook.failures + 1, trouble=why[:500], next_at=self._clock() + pause)

    def message(self, hook: Webhook, event: Event) -> Message:
        """The signed message of an event."""
        when = datetime.fromtimestamp(event.recorded_at, UTC).isoformat().replace("+00:00", "Z")
        data = {"seq": event.seq} | {name: event.payload.get(name) for name in EVENTS[event.kind]}
        body = canonical_json({"type": event.kind, "timestamp": when, "data": data})
        return signed(hook.secret, f"evt_{event.hash[:24]}", int(self._clock()), body)

    def _set(self, hook: Webhook, **values: Any) -> None:
        change = webhook.update().where(webhook.c.id == hook.id).values(values)
        self._store.change(lambda connection: connection.execute(change) and None)


def signed(secret: str, id: str, timestamp: int, body: bytes) -> Message:
    """A message with the headers of Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    mac = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    headers = {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }
    return Message(headers, body)


def require_url(url: str, *, private: bool) -> None:
    """Raise RecordError unless a URL can be told of events; what it leads to is looked at when something is sent."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme == "https" or (private and parts.scheme == "http")
        fine = fine and bool(parts.hostname) and parts.username is None and (parts.port or 1) > 0 and url.isascii()
        fine = fine and url.isprintable() and " " not in url
    except ValueError:  # a port that is no number, brackets that do not match
        fine = False
    if not fine:
        expected = "http:// or https://HOST/..." if private else "https://HOST/..."
        raise RecordError(
            "This URL cannot be told of events", got=url[:200], expected=f"{expected}, without a password"
        )


def _webhook(row: Any) -> Webhook:
    events = tuple(json.loads(row.events))
    return Webhook(
        id=row.id,
        account=row.account,
        url=row.url,
        events=events,
        secret=row.secret,
        private=bool(row.private),
        told=row.told,
        failures=row.failures,
        next_at=row.next_at,
        trouble=row.trouble,
    )
