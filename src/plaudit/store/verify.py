"""Find anything that was changed after it was written: log, projections, blobs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from plaudit.errors import StoreError
from plaudit.store.blobs import BlobStore
from plaudit.store.log import GENESIS, PAGE, Entry, hash_of, project, projected
from plaudit.store.schema import PROJECTIONS, event


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of the whole store found."""

    ok: bool
    events: int
    problems: tuple[str, ...]
    """first broken event, then differing projections, then damaged blobs"""


def verify(engine: Engine, blobs: BlobStore) -> Verification:
    """Check the chain from the first event on, every projection row, and the blob of every segment."""
    problems: list[str] = []
    counts: Counter[str] = Counter()
    prev, seq = GENESIS, 0
    while rows := _page(engine, seq):
        with engine.connect() as connection:
            for row in rows:
                wrong = _broken(row, prev, seq + 1)
                if wrong:
                    # everything behind a broken link is unproven, so nothing more is said of the chain
                    return Verification(False, seq, (*problems, f"event {row.seq}: {wrong}"))
                prev, seq = row.hash, row.seq
                counts[row.kind] += 1
                problems += _differs(connection, seq, Entry(row.kind, json.loads(row.payload), row.key))
                if row.kind == "segment.added":
                    problems += _damaged(blobs, json.loads(row.payload))
    with engine.connect() as connection:
        for kind, table in PROJECTIONS.items():
            there = connection.execute(select(func.count()).select_from(table)).scalar() or 0
            if there != counts[kind]:
                problems.append(f"table {table.name} has {there} rows, the log has {counts[kind]} events {kind}")
    return Verification(not problems, seq, tuple(problems))


def rebuild(connection: Connection) -> None:
    """Empty all projections and fill them from the log again, inside the caller's transaction."""
    for table in reversed(list(PROJECTIONS.values())):
        connection.execute(table.delete())
    after = 0
    while True:
        wanted = select(event).where(event.c.seq > after).order_by(event.c.seq).limit(PAGE)
        rows = connection.execute(wanted).all()
        if not rows:
            return
        for row in rows:
            project(connection, row.seq, Entry(row.kind, json.loads(row.payload), row.key))
        after = rows[-1].seq


def _page(engine: Engine, after: int) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(event).where(event.c.seq > after).order_by(event.c.seq).limit(PAGE)))


def _broken(row: Any, prev: str, expected: int) -> str:
    if row.seq != expected:
        return f"event {expected} is missing"
    if row.prev_hash != prev:
        return "does not follow the event before it"
    try:
        payload = json.loads(row.payload)
    except ValueError:
        return "the payload is no JSON"
    return "" if hash_of(prev, row.seq, Entry(row.kind, payload, row.key)) == row.hash else "does not match its hash"


def _differs(connection: Connection, seq: int, entry: Entry) -> list[str]:
    table = PROJECTIONS.get(entry.kind)
    if table is None:
        return []
    row = connection.execute(select(table).where(table.c.id == entry.payload["id"])).mappings().first()
    if row is None:
        return [f"event {seq}: its row in table {table.name} is missing"]
    same = dict(row) == projected(seq, entry)
    return [] if same else [f"event {seq}: its row in table {table.name} differs"]


def _damaged(blobs: BlobStore, payload: dict[str, Any]) -> list[str]:
    try:
        blobs.get(payload["blob"])
    except StoreError as error:
        return [f"segment {payload['id']}: {error.what}"]
    return []
