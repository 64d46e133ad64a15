"""Find anything that was changed after it was written: log, projections, blobs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from plaudit.errors import StoreError
from plaudit.store.blobs import BlobStore
from plaudit.store.database import damage, exact, explained, hold_log
from plaudit.store.log import PAGE, Entry, hash_of, page, project, projected
from plaudit.store.schema import GENESIS, PROJECTIONS, about, event


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of the whole store found.

    Who can rewrite the whole database can also rewrite the chain: for that, compare its head with one noted elsewhere.
    """

    ok: bool
    events: int
    """events in an unbroken chain from the first one on"""
    problems: tuple[str, ...]
    """differing projections and damaged blobs in log order, then the first broken event or wrong counts of rows"""


def verify(connection: Connection, blobs: BlobStore) -> Verification:
    """Check the chain from the first event to the last, every projection row, every segment's blob, and the file itself.

    One transaction reads it all, so what others write meanwhile is not seen.
    """
    try:
        with explained():
            return _walk(connection, blobs)
    except StoreError as error:  # the database file itself is damaged, or somebody made up events and their hashes
        return Verification(False, 0, (str(error),))


def _walk(connection: Connection, blobs: BlobStore) -> Verification:
    problems: list[str] = []
    counts: Counter[str] = Counter()
    seq, prev_hash = 0, GENESIS
    while rows := _page(connection, seq):
        entries: list[tuple[int, Entry]] = []
        for row in rows:
            entry = _proven(row, seq + 1, prev_hash)
            if isinstance(entry, str):
                # everything behind a broken link is unproven, so nothing more is said of it
                problems += [*_unequal(connection, entries), *_damaged(blobs, entries), f"event {row.seq}: {entry}"]
                return Verification(False, seq, tuple(problems))
            seq, prev_hash = row.seq, row.hash.decode()
            entries.append((seq, entry))
        problems += [*_unequal(connection, entries), *_damaged(blobs, entries)]
        counts.update(entry.kind for _, entry in entries)
    if seq == 0:
        problems.append("the log is empty, though each begins with run.created")
    for kind, table in PROJECTIONS.items():
        there = connection.execute(select(func.count()).select_from(table)).scalar_one()
        if there != counts[kind]:
            problems.append(f"table {table.name} has {there} rows, the log has {counts[kind]} events {kind}")
    noted = connection.execute(select(*exact(connection, about)).where(about.c.name == "head")).scalars("value").first()
    if noted != f"{seq} {prev_hash}".encode():
        problems.append(f"event {seq + 1}: missing; the log ends before it, but was written up to {noted}")
    problems += damage(connection)
    return Verification(not problems, seq, tuple(problems))


def rebuild(connection: Connection) -> None:
    """Empty all projections and fill them from the log again, inside the caller's transaction."""
    hold_log(connection)
    for table in reversed(PROJECTIONS.values()):
        connection.execute(table.delete())
    after = 0
    while events := page(connection, after=after):
        project(connection, [(one.seq, Entry(one.kind, one.payload, one.key)) for one in events])
        after = events[-1].seq


def _page(connection: Connection, after: int) -> Sequence[Any]:
    wanted = select(*exact(connection, event)).where(event.c.seq > after).order_by(event.c.seq).limit(PAGE)
    return connection.execute(wanted).all()


def _proven(row: Any, expected: int, prev_hash: str) -> Entry | str:
    """The event of a row, or what is wrong with it."""
    if row.seq != expected:
        return f"event {expected} is missing"
    if row.prev_hash != prev_hash.encode():
        return "does not follow the event before it"
    try:
        kind, key = row.kind.decode(), None if row.key is None else row.key.decode()
        if row.hash.decode() != hash_of(prev_hash, row.seq, kind=kind, key=key, payload=row.payload):
            return "does not match its hash"
        return Entry(kind, json.loads(row.payload), key)
    except ValueError as error:
        return f"is unreadable: {error}"


def _unequal(connection: Connection, entries: Sequence[tuple[int, Entry]]) -> list[str]:
    """Projection rows that events did not make."""
    problems: list[str] = []
    for kind, table in PROJECTIONS.items():
        expected = [projected(seq, entry) for seq, entry in entries if entry.kind == kind]
        wanted = select(*exact(connection, table)).where(table.c.id.in_([row["id"] for row in expected]))
        found = {row["id"]: dict(row) for row in connection.execute(wanted).mappings()}
        for row in expected:
            there = found.get(row["id"].encode())
            if there is None:
                problems.append(f"event {row['seq']}: its row in table {table.name} is missing")
            elif there != {name: None if value is None else str(value).encode() for name, value in row.items()}:
                problems.append(f"event {row['seq']}: its row in table {table.name} differs")
    return problems


def _damaged(blobs: BlobStore, entries: Sequence[tuple[int, Entry]]) -> list[str]:
    """Segments whose arrays are missing or were changed."""
    problems: list[str] = []
    for segment in (entry.payload for _, entry in entries if entry.kind == "segment.added" and "blob" in entry.payload):
        try:
            blobs.get(segment["blob"])
        except StoreError as error:
            problems.append(f"segment {segment['id']}: {error.what}: {segment['blob'][:12]}")
    return problems
