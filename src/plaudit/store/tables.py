"""Making the tables of a store, and telling which format a database has."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, exc, inspect

from plaudit.errors import StoreError
from plaudit.store.database import explained, is_sqlite, meaning, state_of
from plaudit.store.schema import FORMAT, GENESIS, REVISION, about, guards, metadata, revision


def make_tables(connection: Connection) -> None:
    """Make all tables of the present format in an empty database: what migrations lead to, without importing Alembic.

    Raises StoreError when there is a store.
    """
    with explained():
        if inspect(connection).has_table(about.name):
            raise StoreError("There is a store already", next_step="open it, or choose another place")
        metadata.create_all(connection)
        revision.create(connection)
        for statement in guards(connection.dialect.name):
            connection.exec_driver_sql(statement)
        connection.execute(revision.insert().values(version_num=REVISION))
        note(connection, "format", str(FORMAT))
        note(connection, "head", f"0 {GENESIS}")


def note(connection: Connection, name: str, value: str) -> None:
    """Keep a fact about the store itself."""
    connection.execute(about.insert().values(name=name, value=value))


def noted(engine: Engine, name: str) -> str | None:
    """A fact about the store itself; None if there is none."""
    with explained(), engine.connect() as connection:
        found = connection.execute(about.select().where(about.c.name == name)).first()
    return None if found is None else str(found.value)


def format_of(engine: Engine, place: object) -> str | None:
    """Number of the format of a store. Raises StoreError when there is none, or the server does not answer."""
    try:
        with engine.connect() as connection:
            found = connection.execute(about.select().where(about.c.name == "format")).first()
    except (exc.DBAPIError, UnicodeDecodeError) as error:
        if isinstance(error, exc.DBAPIError) and not is_sqlite(engine) and state_of(error) != "42P01":  # no such table
            raise meaning(error) from error
        reason = getattr(error, "orig", error)
        raise StoreError("This is no store of plaudit", got=f"{place}: {reason}", next_step="check the path") from error
    return None if found is None else str(found.value)


def require_format(engine: Engine, place: object) -> None:
    """Raise StoreError unless there is a store of the present format."""
    found = format_of(engine, place)
    if found != str(FORMAT):
        raise StoreError(
            "The store has another format",
            got=found,
            expected=FORMAT,
            next_step="run `plaudit migrate` if it is older, or install a newer plaudit",
        )
