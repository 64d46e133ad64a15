"""Keys for programs: what each may do, until when, and under which pseudonym it answers. Only their hashes are kept."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from plaudit.errors import RecordError, StoreError
from plaudit.records import AnnotatorKind, AnnotatorProfile, digest
from plaudit.store.schema import account, api_key
from plaudit.store.store import Store
from plaudit.studio.accounts import TOUCH_SECONDS, new_id, new_token
from plaudit.studio.roles import MAY, Caller, Permission, Role

PREFIX = "plaudit_"
NEVER = frozenset({Permission.KEYS, Permission.IDENTITIES})
"""what no key may do: keys make no keys, and names stay with people"""


@dataclass(frozen=True, slots=True)
class Key:
    """A key, without its secret."""

    id: str
    account: str
    """who made it; it may never do more than they"""
    annotator: str
    """pseudonym under which its answers are stored"""
    name: str
    """what it is for"""
    scopes: tuple[str, ...]
    created_at: float
    until: float | None
    used_at: float | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a key is to be."""

    name: str
    scopes: frozenset[Permission]
    until: float | None = None
    """seconds since 1970"""
    annotator: str | None = None
    """pseudonym for answers: a program's own, never a person's; None: the key's id"""


class Keys:
    """All keys of a run.

    Args:
        store: the run's store.
        clock: seconds since 1970.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def make(self, caller: Caller, wish: Wish) -> tuple[Key, str]:
        """A key and its secret, which is shown this once. Raises RecordError when the caller may not do that much."""
        allowed = caller.may - NEVER
        if not wish.scopes or not wish.scopes <= allowed:
            raise RecordError(
                "A key may do only what its maker may",
                got=", ".join(sorted(one.value for one in wish.scopes)) or "nothing",
                expected=", ".join(sorted(one.value for one in allowed)),
            )
        id = new_id("key")
        annotator = id if wish.annotator is None else self._programs(wish.annotator)
        token = f"{PREFIX}{id.removeprefix('key-')}_{new_token()}"
        row: dict[str, Any] = {
            "id": id,
            "hash": digest(token.encode()),
            "account": caller.account,
            "annotator": annotator,
            "name": wish.name,
            "scopes": json.dumps(sorted(one.value for one in wish.scopes)),
            "created_at": self._clock(),
            "until": wish.until,
        }
        if Permission.LABEL in wish.scopes and annotator == id:
            about = AnnotatorProfile(id, AnnotatorKind.SIMULATED, "a program that answers with a key")
            self._store.add_annotator(about)
        self._store.change(lambda connection: connection.execute(api_key.insert().values(row)) and None)
        return self.all(id=id)[0], token

    def all(self, *, maker: str | None = None, id: str | None = None) -> list[Key]:
        """Keys, oldest first: all, or those of an account, or the one of this id."""
        wanted = select(api_key).order_by(api_key.c.created_at)
        wanted = wanted if maker is None else wanted.where(api_key.c.account == maker)
        wanted = wanted if id is None else wanted.where(api_key.c.id == id)
        with self._store.reading() as connection:
            return [_key(row) for row in connection.execute(wanted)]

    def delete(self, id: str) -> None:
        """End a key."""
        self._store.change(lambda connection: connection.execute(api_key.delete().where(api_key.c.id == id)) and None)

    def caller(self, token: str) -> Caller | None:
        """Who a key stands for; None when there is none, it ran out, or its maker's account was closed."""
        id = f"key-{token.removeprefix(PREFIX).partition('_')[0]}"
        wanted = select(api_key, account.c.role, account.c.closed_at).join(account, api_key.c.account == account.c.id)
        with self._store.reading() as connection:
            row = connection.execute(wanted.where(api_key.c.id == id)).first()
        if row is None or not hmac.compare_digest(row.hash, digest(token.encode())):
            return None
        now = self._clock()
        if not _lasts(row, now):
            return None
        if row.used_at is None or now - row.used_at > TOUCH_SECONDS:
            with suppress(StoreError):  # reading goes on while the disk is full
                touched = api_key.update().where(api_key.c.id == id).values(used_at=now)
                self._store.change(lambda connection: connection.execute(touched) and None)
        return Caller(row.account, Role.SERVICE, row.annotator, _may(row), key=id)

    def lasting(self, ids: set[str]) -> dict[str, frozenset[Permission]]:
        """Of these keys those that have not ended, and what each may do. Does not count as use."""
        if not ids:
            return {}
        wanted = select(api_key, account.c.role, account.c.closed_at).join(account, api_key.c.account == account.c.id)
        with self._store.reading() as connection:
            rows = connection.execute(wanted.where(api_key.c.id.in_(sorted(ids)))).all()
        now = self._clock()
        return {row.id: _may(row) for row in rows if _lasts(row, now)}

    def _programs(self, annotator: str) -> str:
        """A pseudonym that answers of a program may be stored under."""
        profile = self._store.annotators().get(annotator)
        if profile is None or profile.kind is not AnnotatorKind.SIMULATED:
            raise RecordError(
                "A key answers for no person",
                got=annotator,
                expected="a simulated annotator that the run knows",
                next_step="leave it out: the key gets a pseudonym of its own",
            )
        return annotator


def _lasts(row: Any, now: float) -> bool:
    return row.closed_at is None and (row.until is None or now < row.until)


def _may(row: Any) -> frozenset[Permission]:
    scopes = {Permission(one) for one in json.loads(row.scopes)}
    return MAY[Role.SERVICE] | (scopes & MAY[Role(row.role)] - NEVER)


def _key(row: Any) -> Key:
    scopes = tuple(json.loads(row.scopes))
    return Key(row.id, row.account, row.annotator, row.name, scopes, row.created_at, row.until, row.used_at)
