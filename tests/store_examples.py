"""Small stores for the tests of the store, and ways to damage them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Query,
    QueryKind,
    Rating,
    Segment,
    SegmentData,
)
from plaudit.store.database import for_writing
from plaudit.store.store import Store

TABLES = ("segment", "query", "annotator", "feedback")
RUN = {"format": 1, "config": {"seed": 3}}


def arrays(seed: int = 0) -> SegmentData:
    return SegmentData(
        observations=np.full((4, 2), seed, np.float32),
        actions=np.zeros((4, 1), np.float32),
        true_rewards=np.arange(4.0),
    )


def add_segments(store: Store, count: int, episode: str = "e") -> list[Segment]:
    made = [
        Segment("Pendulum-v1", "p0", f"{episode}{i}", 0, 4, store.blobs.put_arrays(arrays(i).arrays()))
        for i in range(count)
    ]
    store.add_segments(made)
    return made


def question(index: int, first: Segment, second: Segment | None = None, round_: int = 0) -> Query:
    """A comparison of two segments, or a rating of one."""
    if second is None:
        return Query(QueryKind.RATING, (first.id,), (0,), round_, index, "uniform", levels=5)
    return Query(QueryKind.COMPARISON, (first.id, second.id), (1, 0), round_, index, "uniform", score=0.5)


def answer(query: Query, annotator: str = "ann", choice: Choice = Choice.FIRST) -> Comparison:
    return Comparison(id=f"fb/{query.id}/{annotator}", query=query.id, annotator=annotator, choice=choice)


def make_store(place: Path | str, blobs: Path | None = None) -> Store:
    """Eight events: run, annotator, two segments, two queries, one answer to each. In a folder, or a database."""
    store = Store.create(
        place / "store.sqlite" if isinstance(place, Path) and blobs is None else place, RUN, blobs=blobs
    )
    store.add_annotator(AnnotatorProfile("ann", AnnotatorKind.PERSON))
    first, second = add_segments(store, 2)
    compare, rate = question(0, first, second), question(1, second)
    store.add_queries([compare, rate])
    store.add_feedback([answer(compare)])
    store.add_feedback([Rating(id="fb/rate", query=rate.id, annotator="ann", value=3, levels=5)])
    return store


def projections(store: Store) -> dict[str, list[Any]]:
    """All rows of all projections."""
    return {table: sql(store, f"SELECT * FROM {table} ORDER BY id") for table in TABLES}


def sql(store: Store, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement in a connection of one's own, as somebody would who has the database."""
    with for_writing(store._engine).connect() as connection, connection.begin():
        done = connection.exec_driver_sql(statement)
        return [tuple(row) for row in done.all()] if done.returns_rows else []


def tamper(path: Path, *statements: str) -> None:
    """Change a closed store as somebody would who has the file."""
    with sqlite3.connect(path, isolation_level=None) as connection:
        for action in ("update", "delete"):
            connection.execute(f"DROP TRIGGER event_no_{action}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def flip(path: Path, table: str, where: str, column: str, at: int, bit: int) -> None:
    """Flip one bit of one text cell; `at` wraps around."""
    with sqlite3.connect(path) as connection:
        cell = f"CAST({column} AS BLOB)"
        data = bytearray(connection.execute(f"SELECT {cell} FROM {table} WHERE {where}").fetchone()[0])
        data[at % len(data)] ^= 1 << bit
    connection.close()
    tamper(path, f"UPDATE {table} SET {column} = CAST(x'{data.hex()}' AS TEXT) WHERE {where}")


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs Python code; its output is read line by line."""
    command = [sys.executable, "-u", "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
