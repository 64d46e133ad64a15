"""The event log: append-only rows, each hashed together with the one before; and the projections that it fills.

    hash = SHA-256(prev_hash || canonical JSON of {"key", "kind", "payload", "seq"})

Wall-clock time of writing stands outside the hash, so the same events give the same head on every machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.engine import Row

from plaudit.errors import StoreError
from plaudit.records import canonical_json, digest
from plaudit.store.schema import PROJECTIONS, event, feedback, query

GENESIS = "0" * 64
"""what stands before the first event"""
PAGE = 1000
"""events read at a time; keeps memory flat"""


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the log."""

    seq: int
    kind: str
    payload: dict[str, Any]
    key: str | None
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that is to be appended."""

    kind: str
    payload: dict[str, Any]
    key: str | None = None


def hash_of(prev_hash: str, seq: int, entry: Entry) -> str:
    """Hash of an event in its place."""
    body = {"seq": seq, "kind": entry.kind, "key": entry.key, "payload": entry.payload}
    return digest(prev_hash.encode() + canonical_json(body))


def append(connection: Connection, entries: Collection[Entry]) -> list[int]:
    """Append events in order and fill their projections, inside the caller's transaction.

    An entry whose key is there with the same kind and payload is not written again; its old seq is returned.

    Raises:
        StoreError: a key is there with another payload, or feedback does not fit its query.
    """
    last = connection.execute(select(event.c.seq, event.c.hash).order_by(event.c.seq.desc()).limit(1)).first()
    seq, head = (0, GENESIS) if last is None else (last.seq, last.hash)
    found: list[int] = []
    for entry in entries:
        text = canonical_json(entry.payload).decode()
        there = None if entry.key is None else connection.execute(select(event).where(event.c.key == entry.key)).first()
        if there is not None:
            if (there.kind, there.payload) != (entry.kind, text):
                raise StoreError(
                    "An event with this key is there already, with another payload",
                    got=f"{entry.kind} {entry.key}",
                    expected=there.payload[:200],
                    next_step="a repeated stage came to another result, or an id was used twice; see `plaudit audit verify`",
                )
            found.append(there.seq)
            continue
        seq += 1
        row_hash = hash_of(head, seq, entry)
        connection.execute(
            event.insert().values(
                seq=seq,
                kind=entry.kind,
                key=entry.key,
                payload=text,
                prev_hash=head,
                hash=row_hash,
                recorded_at=time.time(),
            )
        )
        project(connection, seq, entry)
        head = row_hash
        found.append(seq)
    return found


def project(connection: Connection, seq: int, entry: Entry) -> None:
    """Fill the projection of one event."""
    table = PROJECTIONS.get(entry.kind)
    if table is None:
        return
    if table is feedback:
        _require_fit(connection, entry.payload)
    connection.execute(table.insert().values(projected(seq, entry)))


def projected(seq: int, entry: Entry) -> dict[str, Any]:
    """The row that an event puts into its projection."""
    table, payload = PROJECTIONS[entry.kind], entry.payload
    record = {name: value for name, value in payload.items() if not (table is feedback and name == "kind")}
    row: dict[str, Any] = {"seq": seq, "record": canonical_json(record).decode()}
    return row | {column.name: payload[column.name] for column in table.columns if column.name not in row}


def _require_fit(connection: Connection, payload: dict[str, Any]) -> None:
    asked = connection.execute(select(query.c.kind).where(query.c.id == payload["query"])).first()
    if asked is None:
        raise StoreError("Feedback answers a query that nobody asked", got=payload["query"])
    if asked.kind != payload["kind"]:
        raise StoreError("Feedback does not fit its query", got=payload["kind"], expected=asked.kind)


def read(
    engine: Engine, *, after: int = 0, upto: int | None = None, kinds: Collection[str] | None = None
) -> Iterator[Event]:
    """Events with after < seq <= upto, oldest first, with flat memory; those that are there when reading begins."""
    with engine.connect() as connection:
        newest = connection.execute(select(func.max(event.c.seq))).scalar() or 0
    end = newest if upto is None else min(upto, newest)
    while after < end:
        wanted = select(event).where(event.c.seq > after, event.c.seq <= end).order_by(event.c.seq).limit(PAGE)
        if kinds is not None:
            wanted = wanted.where(event.c.kind.in_(kinds))
        with engine.connect() as connection:
            rows = connection.execute(wanted).all()
        if not rows:
            return
        yield from map(_event, rows)
        after = rows[-1].seq


def _event(row: Row[Any]) -> Event:
    return Event(row.seq, row.kind, json.loads(row.payload), row.key, row.prev_hash, row.hash)
