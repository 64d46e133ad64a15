"""How a process holds a store: creating and opening, one writer, reading connections, forks and copies of the object."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import URL, Connection, Engine, Table

from plaudit.errors import StoreError
from plaudit.run.checkpoint import flush_folder
from plaudit.store import log
from plaudit.store.blobs import BlobStore
from plaudit.store.blobs_url import blobs_at
from plaudit.store.database import connect, copy_file, explained, for_writing, is_sqlite, share, sweep
from plaudit.store.log import Entry
from plaudit.store.place import Place, place_of
from plaudit.store.schema import about
from plaudit.store.tables import format_of, make_tables, note, noted, require_format
from plaudit.store.writer import Writer

T = TypeVar("T")
BLOBS = "blobs"
"""folder beside a SQLite file, and the fact in the store that says where else blobs lie"""

_INHERITED: list[Engine] = []
"""engines of a parent process, kept from being closed: that would undo the parent's locks"""


class Handle:
    """Connections to one store. Safe to use from several threads and processes.

    A forked child and a pickled copy get connections and a writer of their own.
    """

    def __init__(self, engine: Engine, place: Place, blobs: BlobStore) -> None:
        self._closed = False
        self._start(engine)
        self._place = place
        self.blobs = blobs

    @classmethod
    def create(cls, place: Path | str, run: dict[str, Any], *, blobs: Path | str | None = None) -> Self:
        """A new store whose first event is `run.created` with payload `run`; a crash leaves all of it or nothing.

        Args:
            place: a SQLite file, or the URL of a PostgreSQL database, `postgresql://USER@HOST/DATABASE`.
            run: what is to be known of the run from the start on.
            blobs: a folder or a URL that fsspec knows; None: a folder beside the SQLite file.

        Raises StoreError when one is there, or the disk refuses. Two processes must not create the same one at once.
        """
        return cls.begin(place, Entry("run.created", run, "run"), blobs=blobs)

    @classmethod
    def begin(cls, place: Path | str, first: Entry, *, blobs: Path | str | None) -> Self:
        """As `create`, with any first event."""
        there = place_of(place)
        if isinstance(blobs, Path) or (blobs is not None and "://" not in blobs):
            blobs = str(Path(blobs).absolute())
        if blobs is None and there.home is None:
            raise StoreError("Say where blobs are to lie", got=str(there), expected="a folder, or a URL as of fsspec")
        if isinstance(there.address, Path):
            _create_file(there.address, first, blobs)
        else:
            _fill(there.address, first, blobs)
        return cls.open(place)

    @classmethod
    def open(cls, place: Path | str, *, blobs: Path | str | None = None) -> Self:
        """A store that is there; `blobs` says where they lie now if they were moved.

        Raises StoreError when it is not there, or has another format; it is untouched then.
        """
        there = place_of(place)
        if isinstance(there.address, Path) and not there.address.is_file():
            raise StoreError("There is no store", got=str(there), next_step="check the path of the run's directory")
        engine = connect(there.address)
        try:
            require_format(engine, there)
            share(engine)
            return cls(engine, there, blobs_at(blobs or noted(engine, BLOBS) or _beside(there)))
        except StoreError:
            engine.dispose()
            raise

    @staticmethod
    def format_of(place: Path | str) -> str | None:
        """Number of a store's format, whether or not this version opens it. Raises StoreError when there is no store."""
        there = place_of(place)
        engine = connect(there.address)
        try:
            return format_of(engine, there)
        finally:
            engine.dispose()

    @property
    def path(self) -> Path | str:
        """The SQLite file, or the URL of the database without its password."""
        return self._place.address if isinstance(self._place.address, Path) else str(self._place)

    @property
    def place(self) -> Path | str:
        """What opens this store again."""
        return self._place.given

    def close(self) -> None:
        """Finish writing and let go of the database; anything later raises StoreError."""
        self._settle()
        self._closed = True
        self._writer.close()
        self._engine.dispose()

    def __reduce__(self) -> tuple[Callable[[Path | str], Self], tuple[Path | str]]:
        return type(self).open, (self._place.given,)

    def _start(self, engine: Engine) -> None:
        self._process, self._engine, self._writer = os.getpid(), engine, Writer(engine)

    def _settle(self) -> None:
        """In a forked child, leave the parent's connections alone and begin with fresh ones."""
        if self._process != os.getpid():
            _INHERITED.append(self._engine)
            self._start(connect(self._place.address))

    def _require_open(self) -> None:
        self._settle()
        if self._closed:
            raise StoreError("The store is closed", next_step="open it again")

    def change(self, change: Callable[[Connection], T]) -> T:
        """Run a change in a transaction, alone or with others, and return its result once it is on disk.

        The change may run more than once, after all that it did was rolled back.
        """
        self._require_open()
        return self._writer.write(change)

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A connection that sees one moment of the store."""
        self._require_open()
        with explained(), self._engine.connect() as connection:
            yield connection

    def copy_file(self, path: Path) -> bool:
        """SQLite's own copy of the whole store, blobs expected beside it. False, and no copy, for another database."""
        self._require_open()
        if not is_sqlite(self._engine):
            return False
        copy_file(self._engine, path)
        copied = connect(path)
        with explained(), for_writing(copied).connect() as connection, connection.begin():
            connection.execute(about.delete().where(about.c.name == BLOBS))
        copied.dispose()
        return True

    def sweep(self, *tables: Table) -> None:
        """Let nothing remain on disk of rows that were deleted from these tables, as far as the database can tell."""
        self._require_open()
        sweep(self._engine, *tables)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _beside(there: Place) -> Path:
    if there.home is None:
        raise StoreError("The store does not say where its blobs lie", got=str(there), next_step="say it: blobs=...")
    return there.home / BLOBS


def _create_file(path: Path, first: Entry, blobs: str | None) -> None:
    if path.exists():
        raise StoreError("There is a store already", got=str(path), next_step="open it, or choose another place")
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fill(temporary, first, blobs)
        os.replace(temporary, path)
        flush_folder(path.parent)
    except OSError as error:
        raise StoreError("The store could not be created", got=f"{path}: {error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _fill(address: Path | URL, first: Entry, blobs: str | None) -> None:
    """Make the tables and log the first event, in one transaction."""
    engine = connect(address)
    try:
        with explained(), for_writing(engine).connect() as connection, connection.begin():
            make_tables(connection)
            if blobs is not None:
                note(connection, BLOBS, blobs)
            log.append(connection, [first])
    finally:
        engine.dispose()
