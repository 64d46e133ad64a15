"""One writer thread with group commit.

Callers hand in functions on a connection and wait. The thread takes all that have come in meanwhile into one
transaction, each behind a savepoint, so that a bad one fails alone; one flush to disk then acknowledges them all.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from plaudit.errors import StoreError
from plaudit.store.database import ClashError, explained, for_writing, in_transaction

T = TypeVar("T")
LARGEST_GROUP = 256
MOST_CLASHES = 20
"""how often one write is begun again when other processes stand in its way"""


class Writer:
    """Serialises all writes of one process to one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = for_writing(engine)
        self._waiting: queue.SimpleQueue[tuple[Callable[[Connection], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and return its result once that is on disk.

        `work` may run a second time, after all that it did was rolled back.

        Raises StoreError when the database refuses or the store is closed, and whatever `work` raises.
        """
        result: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise StoreError("The store is closed", next_step="open it again")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="plaudit-writer", daemon=True)
                self._thread.start()
            self._waiting.put((work, result))
        return result.result()

    def close(self) -> None:
        """Finish what was handed in, and stop."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._waiting.put(None)
            thread.join()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            group = [first]
            last = False
            while len(group) < LARGEST_GROUP and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    last = True
                    break
                group.append(following)
            self._commit(group)
            if last:
                return

    def _commit(self, group: list[tuple[Callable[[Connection], Any], Future[Any]]], clashes: int = 0) -> None:
        """One transaction for all; results are handed out only after it is on disk."""
        begun = False
        try:
            with explained(), self._engine.connect() as connection, connection.begin():
                begun = True
                outcomes = [_attempt(connection, work) for work, _ in group]
        except BaseException as error:  # noqa: BLE001 - a thread boundary: the callers get it
            if begun and len(group) > 1:
                # all is rolled back; what one of them could not have, a full disk for example, the others still may
                for one in group:
                    self._commit([one])
                return
            if isinstance(error, ClashError) and clashes < MOST_CLASHES:
                self._commit(group, clashes + 1)
                return
            for _, result in group:
                result.set_exception(error)
            return
        for (_, result), (value, refusal) in zip(group, outcomes, strict=True):
            if refusal is None:
                result.set_result(value)
            else:
                result.set_exception(refusal)


def _attempt(connection: Connection, work: Callable[[Connection], Any]) -> tuple[Any, Exception | None]:
    """Result of `work`, or why it was undone. Raises when its failure took the whole transaction with it."""
    savepoint = connection.begin_nested()
    try:
        with explained():
            value = work(connection)
    except ClashError:
        raise  # what the neighbours hold is in the way too
    except Exception as error:  # a thread boundary: the caller gets it, its neighbours do not
        if not in_transaction(connection):
            raise
        savepoint.rollback()
        return None, error
    savepoint.commit()
    return value, None
