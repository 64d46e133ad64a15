"""Bring a store of an older format to the present one. Only this module imports Alembic, which takes its time to load."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from plaudit.errors import StoreError
from plaudit.store.database import connect, explained
from plaudit.store.schema import FORMAT, about

_MIGRATING = threading.Lock()  # Alembic keeps the migration that runs in global variables


def migrate(path: Path | str, backup: Path) -> None:
    """Bring a store to the present format, after a copy of it as it is now was made at `backup`.

    Raises StoreError when there is a backup already, or the disk refuses; the store is unchanged then.
    """
    if backup.exists():
        raise StoreError("There is a backup already", got=str(backup), next_step="move it away, then migrate again")
    engine = connect(Path(path).absolute())
    try:
        with explained(), engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")  # this is possible outside of transactions only
            connection.exec_driver_sql("VACUUM INTO ?", (str(backup),))  # with what the write-ahead log holds
        upgrade(engine)
    finally:
        engine.dispose()


def upgrade(engine: Engine) -> None:
    """Run all migrations that a database has not seen; the last writes the format's number."""
    config = Config()
    config.set_main_option("script_location", "plaudit.store:migrations")
    writing = engine.execution_options(writes=True)
    with _MIGRATING, explained(), writing.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.execute(about.update().where(about.c.name == "format").values(value=str(FORMAT)))
