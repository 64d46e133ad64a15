"""Bring a store of an older format to the present one. Only this module imports Alembic, which takes its time to load."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from plaudit.errors import StoreError
from plaudit.store.database import connect, copy_file, explained, for_writing, is_sqlite
from plaudit.store.place import place_of
from plaudit.store.schema import FORMAT, about

_MIGRATING = threading.Lock()  # Alembic keeps the migration that runs in global variables


def migrate(place: Path | str, backup: Path) -> None:
    """Bring a store to the present format, after a copy of it as it is now was made at `backup`.

    No copy is made of a PostgreSQL database: all changes to its tables are one transaction.

    Raises StoreError when there is a backup already, or the disk refuses; the store is unchanged then.
    """
    if backup.exists():
        raise StoreError("There is a backup already", got=str(backup), next_step="move it away, then migrate again")
    engine = connect(place_of(place).address)
    try:
        if is_sqlite(engine):
            copy_file(engine, backup)
        upgrade(engine)
    finally:
        engine.dispose()


def upgrade(engine: Engine) -> None:
    """Run all migrations that a database has not seen; the last writes the format's number."""
    config = Config()
    config.set_main_option("script_location", "plaudit.store:migrations")
    writing = for_writing(engine)
    with _MIGRATING, explained(), writing.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.execute(about.update().where(about.c.name == "format").values(value=str(FORMAT)))
