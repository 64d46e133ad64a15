"""One writer thread with group commit.

Callers hand in functions on a connection and wait. The thread takes all that have come in meanwhile into one
transaction, each behind a savepoint, so that a bad one fails alone; one flush to disk then acknowledges them all.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine

from plaudit.errors import PlauditError, StoreError
from plaudit.store.database import explained

T = TypeVar("T")
LARGEST_GROUP = 256


class Writer:
    """Serialises all writes of one process to one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(writes=True)
        self._waiting: queue.SimpleQueue[tuple[Callable[[Connection], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and return its result once that is on disk.

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
            thread, self._thread = self._thread, None
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

    def _commit(self, group: list[tuple[Callable[[Connection], Any], Future[Any]]]) -> None:
        """One transaction for all; results are handed out only after it is on disk."""
        done: list[tuple[Future[Any], Any]] = []
        refused: list[tuple[Future[Any], BaseException]] = []
        try:
            with explained(), self._engine.connect() as connection, connection.begin():
                for work, result in group:
                    try:
                        with explained(), connection.begin_nested():
                            done.append((result, work(connection)))
                    except PlauditError as error:
                        refused.append((result, error))
        except BaseException as error:  # noqa: BLE001 - a thread boundary: the callers get it
            for _, result in group:
                result.set_exception(cast(Exception, error))
            return
        for result, value in done:
            result.set_result(value)
        for result, error in refused:
            result.set_exception(error)
