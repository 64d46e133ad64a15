"""The one place that knows which database it is: connecting, transactions, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    Table,
    Text,
    cast,
    create_engine,
    event,
    exc,
    func,
    select,
)

from plaudit.errors import StoreError
from plaudit.run.optional import require
from plaudit.store.schema import about

BUSY_SECONDS = 30
"""how long one process waits for another's transaction"""


class ClashError(StoreError):
    """Two transactions stood in each other's way and the database gave one up; nothing of it is there, so do it again."""


def connect(address: Path | URL) -> Engine:
    """An engine for a SQLite file or a PostgreSQL database: every commit flushed to disk.

    Raises MissingExtra when PostgreSQL's driver is not installed.
    """
    return _connect_postgres(address) if isinstance(address, URL) else _connect_sqlite(address)


def _connect_sqlite(path: Path) -> Engine:
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


def _connect_postgres(url: URL) -> Engine:
    require("psycopg", "postgres")
    # a reader sees one moment throughout its transaction, as with SQLite; a server that was restarted is found again
    engine = create_engine(url, isolation_level="REPEATABLE READ", pool_pre_ping=True)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        del record
        connection.autocommit = True
        connection.execute(f"SET lock_timeout = {int(BUSY_SECONDS * 1000)}")
        connection.execute("SET synchronous_commit = on")
        connection.autocommit = False

    del configure  # registered
    return engine


def for_writing(engine: Engine) -> Engine:
    """The same engine, whose transactions write."""
    if is_sqlite(engine):
        return engine.execution_options(writes=True)
    return engine.execution_options(isolation_level="READ COMMITTED")  # it must see what others wrote while it waited


def is_sqlite(of: Engine | Connection) -> bool:
    """Whether the database is SQLite."""
    return of.dialect.name == "sqlite"


def share(engine: Engine) -> None:
    """Let readers and a writer not wait for each other: changes go to a write-ahead log beside the file at first."""
    if is_sqlite(engine):
        with explained(), engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")  # this is possible outside of transactions only; the file remembers
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")


def copy_file(engine: Engine, to: Path) -> None:
    """SQLite's own copy of its file as it is at this moment, with what the write-ahead log holds."""
    with explained(), engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")  # this is possible outside of transactions only
        connection.exec_driver_sql("VACUUM INTO ?", (str(to),))


def overwrite_deleted(connection: Connection) -> None:
    """Fill with zeros what this connection deletes from a SQLite file; other databases decide for themselves."""
    if is_sqlite(connection):
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def sweep(engine: Engine, *tables: Table) -> None:
    """Let nothing remain of deleted rows in the write-ahead log (SQLite) or in the tables' files (PostgreSQL).

    PostgreSQL writes the tables anew, but keeps in them what a transaction that began before can still see.

    Raises StoreError when somebody reads an earlier moment for so long that SQLite cannot empty its log.
    """
    if not is_sqlite(engine):
        with explained(), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM FULL " + ", ".join(table.name for table in tables))
        return
    with explained(), engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")  # this is possible outside of transactions only
        busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    if busy:
        raise StoreError(
            "Bytes of erased data may still lie on disk",
            got=f"the write-ahead log was in use for {BUSY_SECONDS} s",
            expected="that nobody reads meanwhile",
            next_step="wait for other processes or stop them, then erase again, or copy again",
        )


def hold_log(connection: Connection) -> None:
    """Wait until no other process appends, and keep others from it until the transaction ends; SQLite does so itself."""
    if not is_sqlite(connection):
        connection.execute(select(about.c.value).where(about.c.name == "head").with_for_update())


def insert_new(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert a row that was not there a moment ago, unless another process was faster; in SQLite none can be."""
    if is_sqlite(connection):
        connection.execute(table.insert().values(row))
    else:
        with suppress(exc.IntegrityError), connection.begin_nested():
            connection.execute(table.insert().values(row))


@contextmanager
def explained() -> Generator[None]:
    """Turn the database's errors into StoreError with a next step."""
    try:
        yield
    except UnicodeDecodeError as error:  # SQLite's message quotes damaged text, and the driver cannot read it
        raise StoreError("The database file is damaged", got=str(error)) from error
    except exc.DBAPIError as error:
        raise meaning(error) from error


def meaning(error: exc.DBAPIError) -> StoreError:
    """What an error of the database says to people."""
    text, state = str(error.orig).strip(), state_of(error)
    if state == "53100" or (state is None and "full" in text):
        return StoreError(
            "The disk is full", got=text, next_step="free some space and try again; nothing was half-written"
        )
    if state == "55P03" or (state is None and ("locked" in text or "busy" in text)):
        return StoreError(
            "The store is locked by another process",
            got=text,
            next_step=f"try again; it was waited for {BUSY_SECONDS} s",
        )
    if state in ("40P01", "40001"):
        return ClashError("Two processes stood in each other's way", got=text, next_step="try again")
    if not isinstance(error.orig, sqlite3.Error) and (
        isinstance(error, exc.OperationalError) or error.connection_invalidated
    ):
        return StoreError(
            "The database server cannot be reached",
            got=text,
            next_step="check the URL and that the server runs, then do the same again: what is there is not written twice",
        )
    return StoreError("The database refused", got=text)


def state_of(error: exc.DBAPIError) -> str | None:
    """PostgreSQL's five-letter code of an error; None for SQLite, and when no server answered."""
    return getattr(error.orig, "sqlstate", None)


def in_transaction(connection: Connection) -> bool:
    """Whether the transaction stands; SQLite rolls back all of it, savepoints or not, when the disk is full."""
    if connection.invalidated:  # the server has gone
        return False
    driver: Any = connection.connection.driver_connection
    if is_sqlite(connection):
        return bool(driver.in_transaction)
    return driver.info.transaction_status.name in ("INTRANS", "INERROR")


def exact(connection: Connection, table: Table) -> list[ColumnElement[Any]]:
    """All columns as the bytes of their text, since damaged text would not decode; a row's number is always a number."""
    number = table.primary_key.columns.get("seq")
    return [c if c is number else _octets(connection, c).label(c.name) for c in table.columns]


def _octets(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    if is_sqlite(connection):
        return cast(column, LargeBinary)
    return func.convert_to(cast(column, Text), "UTF8", type_=LargeBinary)


def damage(connection: Connection) -> list[str]:
    """What the database's own check finds wrong with its file, for example an index that does not fit its table.

    PostgreSQL has no such check in a standard installation; its pages have checksums instead.
    """
    if not is_sqlite(connection):
        return []
    found = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars().all()
    return [] if found == ["ok"] else [f"the database file is damaged: {line}" for line in found]
