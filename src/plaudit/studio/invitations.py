"""Invitations: a link that lets one person in, once, as a new account or as one that is there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from plaudit.errors import RecordError
from plaudit.exchange import consent
from plaudit.records import AnnotatorKind, AnnotatorProfile, digest, from_json, to_json
from plaudit.store import log
from plaudit.store.log import Entry
from plaudit.store.schema import invitation
from plaudit.store.store import Store
from plaudit.studio.accounts import Account, Accounts, new_id, new_token
from plaudit.studio.passwords import clean_name, hashed
from plaudit.studio.roles import Role

LINK_SECONDS = 12 * 3600.0
INVITATION_SECONDS = 14 * 24 * 3600.0
UNSAID = "prefer not to say"


@dataclass(frozen=True, slots=True)
class Asks:
    """What somebody who joins is asked, and for what consent."""

    traits: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """trait -> values to choose from; to prefer not to say is always possible"""
    purpose: str = ""
    """what the traits are needed for"""
    consent: str | None = None
    """version of what is agreed to; None: nothing has to be"""
    text: str = ""
    """what is agreed to, in full"""


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation, without its token."""

    id: str
    role: Role
    account: str | None
    """whom it lets in again; None: somebody new"""
    asks: Asks
    made_by: str
    until: float
    """seconds since 1970"""


@dataclass(frozen=True, slots=True)
class Joining:
    """What somebody who joins says."""

    name: str | None = None
    password: str | None = None
    """None: no password; this session is all there is, and a new link brings them back"""
    email: str | None = None
    traits: dict[str, str] = field(default_factory=dict[str, str])
    consent: str | None = None


class Invitations:
    """All invitations of a run.

    Args:
        store: the run's store.
        accounts: where accounts are made.
        clock: seconds since 1970.
    """

    def __init__(self, store: Store, accounts: Accounts, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._accounts = accounts
        self._clock = clock

    def make(self, role: Role, asks: Asks, *, made_by: str, seconds: float = INVITATION_SECONDS) -> tuple[str, str]:
        """The id and the token of an invitation for somebody new."""
        return self._make({"role": role.value, "account": None}, asks, made_by, seconds)

    def link(self, account: str, *, made_by: str, seconds: float = LINK_SECONDS) -> tuple[str, str]:
        """The id and the token of a link that lets an account in, whatever it signs in with."""
        role = self._accounts.get(account).role
        return self._make({"role": role.value, "account": account}, Asks(), made_by, seconds)

    def all(self) -> list[Invitation]:
        """Those that nobody used and that did not run out."""
        with self._store.reading() as connection:
            rows = connection.execute(select(invitation).order_by(invitation.c.until))
            return [_invitation(row) for row in rows if row.until > self._clock()]

    def look(self, token: str) -> Invitation:
        """An invitation by its token, which is not used up. Raises RecordError when it was used or ran out."""
        with self._store.reading() as connection:
            row = connection.execute(select(invitation).where(invitation.c.hash == digest(token.encode()))).first()
        if row is None or row.until <= self._clock():
            raise _used()
        return _invitation(row)

    def delete(self, id: str) -> None:
        """Take an invitation back."""
        which = invitation.c.hash.startswith(id, autoescape=True)
        self._store.change(lambda connection: connection.execute(invitation.delete().where(which)) and None)

    def enter(self, token: str) -> Account | None:
        """Use up a link and say whom it lets in; None when it was used, ran out, or is an invitation for somebody new."""

        def change(connection: Connection) -> str | None:
            which = (invitation.c.hash == digest(token.encode())) & (invitation.c.until > self._clock())
            row = connection.execute(select(invitation).where(which, invitation.c.account.is_not(None))).first()
            used = None if row is None else connection.execute(invitation.delete().where(which))
            return str(row.account) if row is not None and used is not None and used.rowcount == 1 else None

        id = self._store.change(change)
        found = None if id is None else self._accounts.get(id)
        return None if found is None or found.closed else found

    def join(self, token: str, said: Joining) -> Account:
        """Use up an invitation and make the account, its profile and its consent, all or nothing.

        Raises RecordError when the invitation was used, or what is said does not fit it.
        """
        there = self.look(token)
        if there.account is not None:
            raise RecordError("This link is for an account that is there", next_step="open it instead of joining")
        traits = _traits(there.asks, said.traits)
        if there.asks.consent is not None and said.consent != there.asks.consent:
            raise RecordError("The consent is missing", got=said.consent, expected=there.asks.consent)
        if (said.password is None) != (said.name is None):
            raise RecordError("A name and a password go together", next_step="give both, or neither")
        login = None if said.name is None else self._accounts.login(said.name)
        password = None if said.password is None else hashed(said.password)
        id, hash_ = new_id("person"), digest(token.encode())

        def change(connection: Connection) -> None:
            if connection.execute(invitation.delete().where(invitation.c.hash == hash_)).rowcount != 1:
                raise _used()
            self._accounts.insert(connection, id, there.role, login=login, password=password)
            log.append(connection, _entries(id, there, traits))

        self._store.change(change)
        told = {"name": None if said.name is None else clean_name(said.name), "email": said.email}
        if data := {name: value for name, value in told.items() if value}:
            self._accounts.remember(id, data)
        return self._accounts.get(id)

    def _make(self, row: dict[str, Any], asks: Asks, made_by: str, seconds: float) -> tuple[str, str]:
        token, now = new_token(), self._clock()
        hash_ = digest(token.encode())
        text = json.dumps(to_json(asks), ensure_ascii=False)
        row = row | {"hash": hash_, "asks": text, "made_by": made_by, "until": now + seconds}

        def change(connection: Connection) -> None:
            connection.execute(invitation.delete().where(invitation.c.until <= now))
            connection.execute(invitation.insert().values(row))

        self._store.change(change)
        return hash_[:16], token


def _entries(id: str, there: Invitation, traits: dict[str, str]) -> list[Entry]:
    profile = AnnotatorProfile(id, AnnotatorKind.PERSON, traits=traits or None)
    entries = [Entry("annotator.added", to_json(profile), id)] if there.role is Role.ANNOTATOR else []
    if there.asks.consent is not None:
        entries.append(Entry(*consent.given(id, there.asks.consent)))
    return entries


def _traits(asks: Asks, said: dict[str, str]) -> dict[str, str]:
    """The traits that were told; what somebody prefers not to say is not kept."""
    told = {name: value for name, value in said.items() if value != UNSAID}
    for name, value in told.items():
        if value not in asks.traits.get(name, ()):
            raise RecordError(
                "This was not among what was asked", got=f"{name}: {value}"[:200], expected=", ".join(asks.traits)
            )
    return told


def _invitation(row: Any) -> Invitation:
    asks = from_json(Asks, json.loads(row.asks))
    return Invitation(row.hash[:16], Role(row.role), row.account, asks, row.made_by, row.until)


def _used() -> RecordError:
    return RecordError(
        "This link was used, or has run out",
        next_step="ask whoever invited you for another one; each lets one person in",
    )
