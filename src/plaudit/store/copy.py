"""Carry a store from one place to another, in any database: the same events, the same hashes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, Table, select

from plaudit.errors import IntegrityError, StoreError
from plaudit.store import log
from plaudit.store.database import connect, explained, for_writing, overwrite_deleted
from plaudit.store.log import PAGE, Entry
from plaudit.store.place import Place, place_of
from plaudit.store.schema import ACCESS, account, metadata, person, person_key, revision
from plaudit.store.store import Store


@dataclass(frozen=True, slots=True)
class Copied:
    """What was carried over now; what was there already is not counted."""

    events: int
    blobs: int


def copy(source: Store, place: Path | str, *, blobs: Path | str | None = None) -> Copied:
    """Copy a store: all events in their order, each hashed anew, all blobs, personal data with their keys, and accounts.

    A copy that was broken off is carried on, and one of an earlier day brought up to date. Jobs and leases are work in
    progress and stay behind. So does what lets somebody in: sessions, invitations, keys for programs, and webhooks.

    Args:
        source: what to copy; others may write to it meanwhile, and what they write is left for the next time.
        place: a SQLite file, or the URL of a PostgreSQL database; as for `Store.create`.
        blobs: where the blobs are to lie; None: beside the SQLite file, or where they lie already.

    Raises:
        IntegrityError: an event or a blob of the source was changed after it was written; all before it is copied.
        StoreError: another store lies there, the disk refuses, or the target is in use, so that bytes of people who were
            erased remain there.
    """
    end = source.head()[0]
    with _target(source, place, blobs) as target:
        moved = sum(_carried(source, target, name) for name in source.blobs.names())
        before = _shared(source, target)
        events = source.events(after=before, upto=end)
        while page := list(islice(events, PAGE)):
            entries = [Entry(one.kind, one.payload, one.key, one.recorded_at) for one in page]
            target.change(lambda connection, entries=entries, last=page[-1]: _append(connection, entries, last))
        _copy_people(source, target)
        return Copied(target.head()[0] - before, moved)


def snapshot(source: Store, path: Path) -> None:
    """A copy in a new SQLite file with its blobs beside: SQLite's own copy of its file, or `copy` out of another database.

    Raises as `copy`.
    """
    if source.copy_file(path):
        with Store.open(path) as target:
            for name in source.blobs.names():
                _carried(source, target, name)
    else:
        copy(source, path)


def drop(place: Place) -> None:
    """Delete a store's tables from a PostgreSQL database, with everything in them."""
    engine = connect(place.address)
    try:
        with explained(), for_writing(engine).connect() as connection, connection.begin():
            for table in (*reversed(metadata.sorted_tables), revision):
                table.drop(connection, checkfirst=True)
            for function in ("event_refuse", "event_require_order"):
                connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {function}")
    finally:
        engine.dispose()


def _target(source: Store, place: Path | str, blobs: Path | str | None) -> Store:
    there = place_of(place)
    try:
        return Store.open(place)
    except StoreError:
        if isinstance(there.address, Path) and there.address.exists():
            raise
    first = next(source.events(upto=1))
    entry = Entry(first.kind, first.payload, first.key, first.recorded_at)
    return Store.begin(place, entry, blobs=blobs)


def _carried(source: Store, target: Store, name: str) -> bool:
    if target.blobs.has(name):
        return False
    target.blobs.put(source.blobs.get(name))
    return True


def _shared(source: Store, target: Store) -> int:
    """Number of events that both have. Raises StoreError when the target is no earlier state of the source."""
    seq, digest = target.head()
    there = next(source.events(after=seq - 1, upto=seq), None)
    if there is None or there.hash != digest:
        raise StoreError(
            "Another store lies there", got=str(target.path), expected="none, or an earlier copy of the same one"
        )
    return seq


def _append(connection: Connection, entries: list[Entry], last: log.Event) -> None:
    log.append(connection, entries)
    if log.head(connection) != (last.seq, last.hash):
        raise IntegrityError(
            "An event does not match its hash, so it is not copied",
            got=f"between event {last.seq - len(entries) + 1} and {last.seq}",
            next_step="see `plaudit audit verify`",
        )


def _copy_people(source: Store, target: Store) -> None:
    """All rows anew, so that whoever was erased from the source is erased from the copy, and no bytes remain on disk."""
    with source.reading() as connection:
        rows = {
            table: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in (person, person_key, account)
        }

    def change(connection: Connection) -> None:
        overwrite_deleted(connection)
        for table in ACCESS:
            connection.execute(table.delete())
        for table, there in rows.items():
            _replace(connection, table, there)

    target.change(change)
    target.sweep(*rows)


def _replace(connection: Connection, table: Table, rows: list[dict[str, object]]) -> None:
    connection.execute(table.delete())
    if rows:
        connection.execute(table.insert(), rows)
