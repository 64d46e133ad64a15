"""The one place that knows which database it is: connecting, transactions, making tables, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    Table,
    cast,
    create_engine,
    event,
    exc,
)

from plaudit.errors import StoreError
from plaudit.store.schema import FORMAT, GENESIS, GUARDS, REVISION, about, metadata, revision

BUSY_SECONDS = 30
"""how long one process waits for another's transaction"""


def connect(path: Path) -> Engine:
    """An engine for a SQLite file: every commit flushed to disk, foreign keys on."""
    url = URL.create("sqlite", database=str(path))  # a path in a string would be parsed: ? and # mean something there
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, record: Any) -> None:
        del record
        connection.isolation_level = None  # the driver must not begin transactions by itself
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # a writer takes the lock at once: upgrading a read lock later fails when somebody else has written
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    del configure, begin  # registered
    return engine


def share(engine: Engine) -> None:
    """Let readers and a writer not wait for each other: changes go to a write-ahead log beside the file at first."""
    with explained(), engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")  # this is possible outside of transactions only; the file remembers it
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")


@contextmanager
def explained() -> Generator[None]:
    """Turn the database's errors into StoreError with a next step."""
    try:
        yield
    except UnicodeDecodeError as error:  # SQLite's message quotes damaged text, and the driver cannot read it
        raise StoreError("The database file is damaged", got=str(error)) from error
    except exc.DBAPIError as error:
        text = str(error.orig)
        if "full" in text:
            raise StoreError(
                "The disk is full", got=text, next_step="free some space and try again; nothing was half-written"
            ) from error
        if "locked" in text or "busy" in text:
            raise StoreError(
                "The store is locked by another process",
                got=text,
                next_step=f"try again; it was waited for {BUSY_SECONDS} s",
            ) from error
        raise StoreError("The database refused", got=text) from error


def in_transaction(connection: Connection) -> bool:
    """Whether the transaction stands; SQLite rolls back all of it, savepoints or not, when the disk is full."""
    driver: Any = connection.connection.driver_connection
    return bool(driver.in_transaction)


def exact(table: Table) -> list[ColumnElement[Any]]:
    """All columns as the bytes of their text, since damaged text would not decode; a row's number is always a number."""
    number = table.primary_key.columns.get("seq")
    return [c if c is number else cast(c, LargeBinary).label(c.name) for c in table.columns]


def damage(connection: Connection) -> list[str]:
    """What the database's own check finds wrong with its file, for example an index that does not fit its table."""
    found = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars().all()
    return [] if found == ["ok"] else [f"the database file is damaged: {line}" for line in found]


def make_tables(engine: Engine) -> None:
    """Make all tables of the present format in an empty database: what migrations lead to, without importing Alembic."""
    with explained(), engine.execution_options(writes=True).connect() as connection, connection.begin():
        metadata.create_all(connection)
        revision.create(connection)
        for name, when in GUARDS.items():
            refuse = "BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END"
            connection.exec_driver_sql(f"CREATE TRIGGER {name} BEFORE {when} {refuse}")
        connection.execute(revision.insert().values(version_num=REVISION))
        connection.execute(about.insert().values(name="format", value=str(FORMAT)))
        connection.execute(about.insert().values(name="head", value=f"0 {GENESIS}"))


def format_of(engine: Engine, path: Path) -> str | None:
    """Number of the format of a store. Raises StoreError when the file is none."""
    try:
        with engine.connect() as connection:
            found = connection.execute(about.select().where(about.c.name == "format")).first()
    except (exc.DBAPIError, UnicodeDecodeError) as error:
        reason = getattr(error, "orig", error)
        raise StoreError("This is no store of plaudit", got=f"{path}: {reason}", next_step="check the path") from error
    return None if found is None else str(found.value)


def require_format(engine: Engine, path: Path) -> None:
    """Raise StoreError unless the file is a store of the present format."""
    found = format_of(engine, path)
    if found != str(FORMAT):
        raise StoreError(
            "The store has another format",
            got=found,
            expected=FORMAT,
            next_step="run `plaudit migrate` if it is older, or install a newer plaudit",
        )
