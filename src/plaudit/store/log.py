"""The event log: append-only rows, each hashed together with the one before; and the projections that it fills.

    hash = SHA-256(prev_hash || canonical JSON of {"key", "kind", "payload", "seq"})

Wall-clock time of writing stands outside the hash, so the same events give the same head on every machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from plaudit.errors import IntegrityError, StoreError
from plaudit.records import canonical_json, digest
from plaudit.store.database import hold_log
from plaudit.store.schema import GENESIS, PROJECTIONS, about, event, feedback, query, segment

RETRACTED = "feedback.retracted"
MOST_VARIABLES = 500
"""ids in one SELECT; databases limit them"""
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
    recorded_at: float
    """seconds since 1970 at which it was written; outside the hash"""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that is to be appended."""

    kind: str
    payload: dict[str, Any]
    key: str | None = None
    recorded_at: float | None = None
    """seconds since 1970 at which it was first written, for copies; None: now"""


def hash_of(prev_hash: str, seq: int, *, kind: str, key: str | None, payload: bytes) -> str:
    """Hash of an event in its place; `payload` is the canonical JSON that is stored, and every byte of it counts."""
    names = canonical_json({"key": key, "kind": kind})[:-1]
    return digest(b'%s%s,"payload":%s,"seq":%d}' % (prev_hash.encode(), names, payload, seq))


def head(connection: Connection) -> tuple[int, str]:
    """Seq and hash of the newest event; (0, GENESIS) when there is none."""
    row = connection.execute(select(event.c.seq, event.c.hash).order_by(event.c.seq.desc()).limit(1)).first()
    return (0, GENESIS) if row is None else (row.seq, row.hash)


def append(connection: Connection, entries: Collection[Entry]) -> list[int]:
    """Append events in order and fill their projections, inside the caller's transaction.

    An entry whose key is there with the same kind and payload is not written again; its old seq is returned.

    Raises:
        StoreError: a key is there with another payload, a record lacks a field, or feedback does not fit its query or
            was derived from other records and confirmed by nobody.
    """
    hold_log(connection)
    seq, prev_hash = head(connection)
    there = _there(connection, [entry.key for entry in entries if entry.key is not None])
    found: list[int] = []
    fresh: list[tuple[int, Entry]] = []
    rows: list[dict[str, Any]] = []
    for entry in entries:
        data = canonical_json(entry.payload)
        text = data.decode()
        old = None if entry.key is None else there.get(entry.key)
        if old is not None:
            _require_same(entry, text, old)
            found.append(old.seq)
            continue
        if entry.kind == "feedback.given":
            _require_confirmed(entry.payload)
        seq += 1
        row_hash = hash_of(prev_hash, seq, kind=entry.kind, key=entry.key, payload=data)
        row = {"seq": seq, "kind": entry.kind, "key": entry.key, "payload": text, "prev_hash": prev_hash}
        recorded_at = time.time() if entry.recorded_at is None else entry.recorded_at
        rows.append(row | {"hash": row_hash, "recorded_at": recorded_at})
        fresh.append((seq, entry))
        if entry.key is not None:
            there[entry.key] = _Old(seq, entry.kind, text)
        prev_hash = row_hash
        found.append(seq)
    if rows:
        connection.execute(event.insert(), rows)
        project(connection, fresh)
        connection.execute(about.update().where(about.c.name == "head").values(value=f"{seq} {prev_hash}"))
    return found


class _Old(NamedTuple):
    """An event that is there under a key."""

    seq: int
    kind: str
    payload: str


def _there(connection: Connection, keys: list[str]) -> dict[str, _Old]:
    """The events that have these keys."""
    columns = (event.c.key, event.c.seq, event.c.kind, event.c.payload)
    found: dict[str, _Old] = {}
    for some in portions(keys):
        for row in connection.execute(select(*columns).where(event.c.key.in_(some))):
            found[row.key] = _Old(row.seq, row.kind, row.payload)
    return found


def _require_same(entry: Entry, text: str, old: _Old) -> None:
    if (old.kind, old.payload) != (entry.kind, text):
        raise StoreError(
            "An event with this key is there already, with another payload",
            got=f"{entry.kind} {entry.key}",
            expected=old.payload[:200],
            next_step="a repeated stage came to another result, or an id was used twice; see `plaudit audit verify`",
        )


def portions(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Names in portions that one statement takes."""
    return (names[first : first + MOST_VARIABLES] for first in range(0, len(names), MOST_VARIABLES))


def project(connection: Connection, events: Sequence[tuple[int, Entry]]) -> None:
    """Fill the projections of events that follow each other."""
    for kind, table in PROJECTIONS.items():
        entries = [(seq, entry) for seq, entry in events if entry.kind == kind]
        rows = [projected(seq, entry) for seq, entry in entries]
        if table is feedback:
            _require_fit(connection, entries)
        if rows:
            connection.execute(table.insert(), rows)


def projected(seq: int, entry: Entry) -> dict[str, Any]:
    """The row that an event puts into its projection. Raises StoreError when its payload lacks a field."""
    table, payload = PROJECTIONS[entry.kind], entry.payload
    record = {name: value for name, value in payload.items() if not (table is feedback and name == "kind")}
    row: dict[str, Any] = {"seq": seq, "record": canonical_json(record).decode()}
    if entry.kind == "segment.added" and "completion" in payload:
        row["blob"] = ""  # a text stands in the record itself
    try:
        return row | {column.name: payload[column.name] for column in table.columns if column.name not in row}
    except KeyError as error:
        raise StoreError(
            f"A payload of {entry.kind} lacks a field", got=sorted(payload), expected=error.args[0]
        ) from error


def _require_fit(connection: Connection, answers: Sequence[tuple[int, Entry]]) -> None:
    """Raise StoreError unless each answer follows its question, and has its form."""
    asked: dict[str, Row[Any]] = {}
    for some in portions([entry.payload["query"] for _, entry in answers]):
        wanted = select(query.c.id, query.c.seq, query.c.kind).where(query.c.id.in_(some))
        asked |= {row.id: row for row in connection.execute(wanted)}
    for seq, entry in answers:
        there = asked.get(entry.payload["query"])
        if there is None or there.seq > seq:
            raise StoreError("Feedback answers a query that nobody asked", got=entry.payload["query"])
        if there.kind != entry.payload["kind"]:
            raise StoreError("Feedback does not fit its query", got=entry.payload["kind"], expected=there.kind)
    brought = {entry.payload["segment"]: seq for seq, entry in reversed(answers) if entry.payload.get("segment")}
    known: dict[str, int] = {}
    for some in portions(list(brought)):  # of demonstrations and corrections
        wanted = select(segment.c.id, segment.c.seq).where(segment.c.id.in_(some))
        known |= {row.id: row.seq for row in connection.execute(wanted)}
    missing = [id_ for id_, seq in brought.items() if known.get(id_, seq) >= seq]
    if missing:
        raise StoreError(
            "Feedback brings a segment that is not there", got=missing[0], next_step="add the segment first"
        )


def _require_confirmed(payload: dict[str, Any]) -> None:
    """When logging only: what an older log holds can be projected anew, and `reward.collate` refuses it."""
    if payload.get("derived_from") and not payload.get("confirmed_by"):
        raise StoreError(
            "A derived record was not confirmed",
            got=payload.get("id"),
            expected="confirmed_by: the person who looked at it",
            next_step="let a person confirm the proposal",
        )


def retracted(connection: Connection, upto: int | None = None) -> frozenset[str]:
    """Ids of the answers that were retracted up to a log position."""
    wanted = select(event.c.payload).where(event.c.kind == RETRACTED)
    if upto is not None:
        wanted = wanted.where(event.c.seq <= upto)
    return frozenset(json.loads(payload)["feedback"] for payload in connection.execute(wanted).scalars())


def page(
    connection: Connection, *, after: int, upto: int | None = None, kinds: Collection[str] | None = None
) -> list[Event]:
    """The next events with after < seq <= upto, oldest first; none at the end.

    Raises:
        IntegrityError: a payload is no JSON any more.
    """
    wanted = select(event).where(event.c.seq > after).order_by(event.c.seq).limit(PAGE)
    if upto is not None:
        wanted = wanted.where(event.c.seq <= upto)
    if kinds is not None:
        wanted = wanted.where(event.c.kind.in_(kinds))
    return [_event(row) for row in connection.execute(wanted)]


def read(
    reading: Callable[[], AbstractContextManager[Connection]],
    *,
    after: int = 0,
    upto: int | None = None,
    kinds: Collection[str] | None = None,
) -> Iterator[Event]:
    """Events with after < seq <= upto, oldest first, with flat memory; those that are there when reading begins.

    Each page is read in a transaction of its own, so a slow reader holds nothing open.
    """
    with reading() as connection:
        newest, _ = head(connection)
    end = newest if upto is None else min(upto, newest)
    while after < end:
        with reading() as connection:
            events = page(connection, after=after, upto=end, kinds=kinds)
        if not events:
            return
        yield from events
        after = events[-1].seq


def _event(row: Row[Any]) -> Event:
    try:
        payload = json.loads(row.payload)
    except ValueError as error:
        raise IntegrityError(
            f"The payload of event {row.seq} is damaged", got=str(error), next_step="see `plaudit audit verify`"
        ) from error
    return Event(row.seq, row.kind, payload, row.key, row.prev_hash, row.hash, row.recorded_at)
