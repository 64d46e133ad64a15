"""Accounts of the studio and their sessions, in the run's store and outside its log.

An account's id is the pseudonym under which its answers are stored. Of names, passwords and session tokens only hashes are
kept; what a person is called stands in the person's encrypted data (`store.people`), where that extra is installed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from plaudit.errors import MissingExtra, RecordError, StoreError
from plaudit.records import digest
from plaudit.store import people
from plaudit.store.schema import account, session
from plaudit.store.store import Store
from plaudit.studio.passwords import clean_name, fits, hashed, login_hash
from plaudit.studio.roles import Role

IDLE_SECONDS = 12 * 3600.0
SESSION_SECONDS = 7 * 24 * 3600.0
TOUCH_SECONDS = 60.0
"""how exactly it is known when a session was used last"""
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may use the studio."""

    id: str
    role: Role
    signs_in: bool
    """whether there is a name or a provider to sign in with; others come in by a link"""
    created_at: float
    closed: bool


def new_token() -> str:
    """256 random bits that nobody guesses."""
    return secrets.token_urlsafe(32)


def new_id(prefix: str) -> str:
    """A short random id that can be read aloud."""
    return f"{prefix}-{''.join(secrets.choice(_LETTERS) for _ in range(8))}"


class Accounts:
    """See the module. Safe to use from several threads and processes.

    Args:
        store: the run's store.
        clock: seconds since 1970.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._run = next(store.events(upto=1)).hash

    def all(self) -> list[Account]:
        """Every account, oldest first."""
        with self._store.reading() as connection:
            return [_account(row) for row in connection.execute(select(account).order_by(account.c.created_at))]

    def get(self, id: str) -> Account:
        """An account by id. Raises RecordError when there is none."""
        with self._store.reading() as connection:
            row = connection.execute(select(account).where(account.c.id == id)).first()
        if row is None:
            raise RecordError("There is no such account", got=id[:64])
        return _account(row)

    def any_sign_in(self) -> bool:
        """Whether an owner can sign in from elsewhere."""
        wanted = account.c.login.is_not(None), account.c.closed_at.is_(None), account.c.role == Role.OWNER.value
        with self._store.reading() as connection:
            return connection.execute(select(account.c.id).where(*wanted).limit(1)).first() is not None

    def ensure(self, id: str, role: Role) -> None:
        """Make an account of this id for whoever holds a link, unless it is there."""

        def change(connection: Connection) -> None:
            if connection.execute(select(account.c.id).where(account.c.id == id)).first() is None:
                self.insert(connection, id, role)

        self._store.change(change)

    def add(self, role: Role, name: str, password: str) -> Account:
        """A new account that signs in by name and password. Raises RecordError when one of them cannot be."""
        called, kept, id = clean_name(name), hashed(password), new_id("person")
        login = self.login(called)
        self._store.change(lambda connection: self.insert(connection, id, role, login=login, password=kept))
        self.remember(id, {"name": called})
        return self.get(id)

    def login(self, name: str) -> str:
        """What is kept of a name."""
        return login_hash(self._run, "name", clean_name(name).casefold())

    def insert(
        self, connection: Connection, id: str, role: Role, *, login: str | None = None, password: str | None = None
    ) -> None:
        """Make an account as part of a change. Raises RecordError when the name is taken."""
        if login is not None and connection.execute(select(account.c.id).where(account.c.login == login)).first():
            raise RecordError("Somebody has this name already", next_step="take another one")
        values = {"id": id, "role": role.value, "login": login, "password": password, "created_at": self._clock()}
        connection.execute(account.insert().values(values))

    def remember(self, id: str, data: dict[str, str]) -> None:
        """Keep what a person is called, encrypted, where that is installed; otherwise the pseudonym is all there is."""
        with suppress(MissingExtra):
            people.keep(self._store, id, (people.personal(self._store, id) or {}) | data)

    def name(self, id: str) -> str | None:
        """What a person is called, where that is kept and can be read."""
        with suppress(MissingExtra):
            return (people.personal(self._store, id) or {}).get("name")
        return None

    def sign_in(self, name: str, password: str) -> Account | None:
        """The account of a name and a password; None for a wrong one of them, after the same time."""
        try:
            login = self.login(name)
        except RecordError:
            login = ""
        with self._store.reading() as connection:
            row = connection.execute(select(account).where(account.c.login == login)).first()
        right = fits(None if row is None else row.password, password)
        return _account(row) if right and row is not None and row.closed_at is None else None

    def of_subject(self, issuer: str, subject: str, role: Role) -> Account:
        """The account of somebody whom a provider vouches for, made or brought to this role."""
        login, id = login_hash(self._run, "oidc", issuer, subject), new_id("person")

        def change(connection: Connection) -> str:
            row = connection.execute(select(account).where(account.c.login == login)).first()
            if row is None:
                self.insert(connection, id, role, login=login)
                return id
            if row.role != role.value:
                connection.execute(account.update().where(account.c.id == row.id).values(role=role.value))
                connection.execute(session.delete().where(session.c.account == row.id))
            return str(row.id)

        return self.get(self._store.change(change))

    def change(self, id: str, *, role: Role | None = None, closed: bool | None = None) -> Account:
        """Another role, closed or open again; signs the account out everywhere. Raises RecordError for the last owner."""
        before = self.get(id)

        def change(connection: Connection) -> None:
            values: dict[str, Any] = {} if role is None else {"role": role.value}
            if closed is not None:
                values["closed_at"] = self._clock() if closed else None
            connection.execute(account.update().where(account.c.id == id).values(values))
            owners = select(func.count()).select_from(account)
            owners = owners.where(account.c.role == Role.OWNER.value, account.c.closed_at.is_(None))
            if before.role is Role.OWNER and connection.execute(owners).scalar_one() == 0:
                raise RecordError("This is the last owner", next_step="make somebody else an owner first")
            connection.execute(session.delete().where(session.c.account == id))

        self._store.change(change)
        return self.get(id)

    def new_password(self, id: str, old: str, new: str) -> None:
        """Another password for an account that has one; signs it out everywhere. Raises RecordError for a wrong old one."""
        with self._store.reading() as connection:
            kept = connection.execute(select(account.c.password).where(account.c.id == id)).scalar()
        if not fits(kept, old):
            raise RecordError("The old password is another one")
        wanted = hashed(new)

        def change(connection: Connection) -> None:
            connection.execute(account.update().where(account.c.id == id).values(password=wanted))
            connection.execute(session.delete().where(session.c.account == id))

        self._store.change(change)

    # sessions

    def open_session(self, id: str, *, instead_of: str | None = None) -> str:
        """The token of a new session, which takes the place of an old one; tidies up what ran out."""
        token, now = new_token(), self._clock()

        def change(connection: Connection) -> None:
            over = (session.c.used_at <= now - IDLE_SECONDS) | (session.c.created_at <= now - SESSION_SECONDS)
            connection.execute(session.delete().where(over | (session.c.hash == digest((instead_of or "").encode()))))
            row = {"hash": digest(token.encode()), "account": id, "created_at": now, "used_at": now}
            connection.execute(session.insert().values(row))

        self._store.change(change)
        return token

    def holder(self, token: str) -> tuple[Account, str] | None:
        """The account and id of the session that a token belongs to; None for none, or no longer."""
        hash_, now = digest(token.encode()), self._clock()
        wanted = select(account, session.c.used_at).join(session, session.c.account == account.c.id)
        lasting = (session.c.used_at > now - IDLE_SECONDS) & (session.c.created_at > now - SESSION_SECONDS)
        with self._store.reading() as connection:
            row = connection.execute(wanted.where(session.c.hash == hash_, lasting)).first()
        if row is None or row.closed_at is not None:
            return None
        if now - row.used_at > TOUCH_SECONDS:
            with suppress(StoreError):  # reading goes on while the disk is full
                touched = session.update().where(session.c.hash == hash_).values(used_at=now)
                self._store.change(lambda connection: connection.execute(touched) and None)
        return _account(row), hash_

    def lasting(self, ids: set[str]) -> dict[str, Account]:
        """Of these sessions those that have not ended, with the accounts that they belong to. Does not count as use."""
        if not ids:
            return {}
        now = self._clock()
        wanted = select(account, session.c.hash).join(session, session.c.account == account.c.id)
        wanted = wanted.where(session.c.hash.in_(sorted(ids)), account.c.closed_at.is_(None))
        wanted = wanted.where(session.c.used_at > now - IDLE_SECONDS, session.c.created_at > now - SESSION_SECONDS)
        with self._store.reading() as connection:
            return {row.hash: _account(row) for row in connection.execute(wanted)}

    def end_sessions(self, id: str, *, only: str | None = None) -> None:
        """Sign an account out everywhere, or end the one session of this id."""
        which = session.c.account == id if only is None else (session.c.account == id) & (session.c.hash == only)
        self._store.change(lambda connection: connection.execute(session.delete().where(which)) and None)


def _account(row: Any) -> Account:
    return Account(row.id, Role(row.role), row.login is not None, row.created_at, row.closed_at is not None)
