"""`Store`: everything that a run, the studio and the media worker share."""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, exists, select

from plaudit.errors import RecordError, StoreError
from plaudit.records import (
    AnnotatorProfile,
    Feedback,
    Query,
    Segment,
    SegmentData,
    TextSegment,
    from_json,
    kind_of,
    segment_from_json,
    to_json,
)
from plaudit.records.feedback import FEEDBACK_KINDS
from plaudit.run.checkpoint import flush_folder
from plaudit.store import log, schema, verify, work
from plaudit.store.blobs import BlobStore
from plaudit.store.database import connect, explained, format_of, make_tables, require_format, share
from plaudit.store.log import Entry, Event
from plaudit.store.schema import feedback, query
from plaudit.store.verify import Verification
from plaudit.store.work import Job
from plaudit.store.writer import Writer

TAKEN = re.compile(r"run|stage/.*|(seg|qry|fbk)_[0-9a-f]{32}", re.DOTALL)
"""keys of other events: all kinds share one space of keys, and a key is logged once"""
MOST_VARIABLES = 500
"""ids in one SELECT; databases limit them"""
T = TypeVar("T")

_INHERITED: list[Engine] = []
"""engines of a parent process, kept from being closed: that would undo the parent's locks"""


class Store:
    """Event log, projections, blobs, jobs and leases of one run. Safe to use from several threads and processes.

    A forked child and a pickled copy get connections and a writer of their own. Everything that appends returns when the
    data are on disk. Made by `Store.create` or `Store.open`.
    """

    def __init__(self, engine: Engine, path: Path) -> None:
        self._closed = False
        self._start(engine)
        self.path = path
        self.blobs = BlobStore(path.parent / "blobs")

    @classmethod
    def create(cls, path: Path | str, run: dict[str, Any]) -> Store:
        """A new store whose first event is `run.created` with payload `run`; a crash leaves all of it or nothing.

        Raises StoreError when one is there, or the disk refuses. Two processes must not create the same one at once.
        """
        path = Path(path).absolute()  # connections are opened later too, wherever the process has gone by then
        if path.exists():
            raise StoreError("There is a store already", got=str(path), next_step="open it, or choose another place")
        temporary = path.with_name(f".tmp-{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with cls(connect(temporary), temporary) as fresh:
                make_tables(fresh._engine)
                fresh._writer.write(lambda connection: log.append(connection, [Entry("run.created", run, "run")]))
            os.replace(temporary, path)
            flush_folder(path.parent)
        except OSError as error:
            raise StoreError("The store could not be created", got=f"{path}: {error}") from error
        finally:
            with suppress(OSError):
                temporary.unlink()
        return cls.open(path)

    @classmethod
    def open(cls, path: Path | str) -> Store:
        """A store that is there. Raises StoreError when it is not, or has another format; the file is untouched then."""
        path = Path(path).absolute()
        if not path.is_file():
            raise StoreError("There is no store", got=str(path), next_step="check the path of the run's directory")
        engine = connect(path)
        try:
            require_format(engine, path)
            share(engine)
        except StoreError:
            engine.dispose()
            raise
        return cls(engine, path)

    @staticmethod
    def format_of(path: Path | str) -> str | None:
        """Number of a store's format, whether or not this version opens it. Raises StoreError when there is no store."""
        engine = connect(Path(path).absolute())
        try:
            return format_of(engine, Path(path))
        finally:
            engine.dispose()

    def close(self) -> None:
        """Finish writing and let go of the file; anything later raises StoreError."""
        self._settle()
        self._closed = True
        self._writer.close()
        self._engine.dispose()

    def __reduce__(self) -> tuple[Callable[[Path], Store], tuple[Path]]:
        return Store.open, (self.path,)

    def _start(self, engine: Engine) -> None:
        self._process, self._engine, self._writer = os.getpid(), engine, Writer(engine)

    def _settle(self) -> None:
        """In a forked child, leave the parent's connections alone and begin with fresh ones."""
        if self._process != os.getpid():
            _INHERITED.append(self._engine)
            self._start(connect(self.path))

    def _require_open(self) -> None:
        self._settle()
        if self._closed:
            raise StoreError("The store is closed", next_step="open it again")

    def _write(self, change: Callable[[Connection], T]) -> T:
        self._require_open()
        return self._writer.write(change)

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        self._require_open()
        with explained(), self._engine.connect() as connection:
            yield connection

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # the log

    def append(self, kind: str, payload: dict[str, Any], key: str | None = None) -> int:
        """Append one event; returns its seq. The same key with the same payload again returns the old seq.

        Raises StoreError when the key is there with another payload, or the disk refuses.
        """
        return self.append_many([(kind, payload, key)])[0]

    def append_many(self, items: Sequence[tuple[str, dict[str, Any], str | None]]) -> list[int]:
        """Append several events in one transaction, in order; all or none."""
        entries = [Entry(*item) for item in items]
        return self._write(lambda connection: log.append(connection, entries))

    def events(self, after: int = 0, upto: int | None = None, kinds: Collection[str] | None = None) -> Iterator[Event]:
        """Events with after < seq <= upto, oldest first, with flat memory."""
        return log.read(self._reading, after=after, upto=upto, kinds=kinds)

    def head(self) -> tuple[int, str]:
        """Seq and hash of the newest event."""
        with self._reading() as connection:
            return log.head(connection)

    def verify(self) -> Verification:
        """Check the chain, the projections and the blobs of all segments."""
        with self._reading() as connection:
            return verify.verify(connection, self.blobs)

    def rebuild_projections(self) -> None:
        """Fill all projections from the log again."""
        self._write(verify.rebuild)

    # records

    def add_segments(self, segments: Sequence[Segment | TextSegment]) -> list[int]:
        """Log segments; the arrays of control segments must be in `blobs`."""
        return self._add("segment.added", segments)

    def add_queries(self, queries: Sequence[Query]) -> list[int]:
        """Log questions."""
        return self._add("query.asked", queries)

    def add_annotator(self, profile: AnnotatorProfile) -> int:
        """Log that an annotator takes part.

        Raises RecordError for an id that could be the key of another kind of event, which it would keep from being logged.
        """
        if TAKEN.fullmatch(profile.id):
            raise RecordError(
                "This id cannot be an annotator's",
                got=profile.id,
                expected="a pseudonym; `run`, `stage/...` and the ids of segments, questions and answers are taken",
                next_step="choose another name",
            )
        return self._add("annotator.added", [profile])[0]

    def add_feedback(self, answers: Sequence[Feedback]) -> list[int]:
        """Log answers. Raises StoreError when one answers an unknown query, has the wrong form, brings a segment that is not
        there, or was derived from others and confirmed by nobody; then none is kept.
        """
        items = [("feedback.given", {"kind": kind_of(answer), **to_json(answer)}, answer.id) for answer in answers]
        return self.append_many(items)

    def _add(self, kind: str, records: Sequence[Segment | TextSegment | Query | AnnotatorProfile]) -> list[int]:
        return self.append_many([(kind, to_json(record), record.id) for record in records])

    def segment(self, id: str) -> Segment:
        """A control segment by id. Raises StoreError when there is none."""
        return self.segments([id])[id]

    def segments(self, ids: Sequence[str]) -> dict[str, Segment]:
        """Control segments by id. Raises StoreError naming those that are missing, or are text."""
        found = self._segments(ids)
        control = {id_: segment for id_, segment in found.items() if isinstance(segment, Segment)}
        if len(control) < len(found):
            raise StoreError(
                "These segments are text, and what reads them here is made for control",
                got=sorted(set(found) - set(control))[:5],
                expected="segments of an environment's behaviour",
                next_step="keep imported texts in a store of their own",
            )
        return control

    def texts(self, ids: Sequence[str]) -> dict[str, TextSegment]:
        """Text segments by id. Raises StoreError naming those that are missing, or are no text."""
        found = self._segments(ids)
        texts = {id_: segment for id_, segment in found.items() if isinstance(segment, TextSegment)}
        if len(texts) < len(found):
            raise StoreError("These segments are no text", got=sorted(set(found) - set(texts))[:5])
        return texts

    def _segments(self, ids: Sequence[str]) -> dict[str, Segment | TextSegment]:
        records = self._records(schema.segment, ids)
        missing = set(ids) - set(records)
        if missing:
            raise StoreError("There are no such segments", got=sorted(missing)[:5])
        return {id_: segment_from_json(json.loads(record)) for id_, record in records.items()}

    def segment_data(self, segment: Segment) -> SegmentData:
        """Arrays of a segment. Raises StoreError when they are missing, IntegrityError when they were changed."""
        return SegmentData.from_arrays(self.blobs.get_arrays(segment.blob))

    def query(self, id: str) -> Query:
        """A question by id. Raises StoreError when there is none."""
        return self.queries_by_id([id])[id]

    def queries_by_id(self, ids: Sequence[str]) -> dict[str, Query]:
        """Questions by id. Raises StoreError naming one that is missing."""
        found = {id_: from_json(Query, json.loads(record)) for id_, record in self._records(query, ids).items()}
        for id_ in ids:
            if id_ not in found:
                raise StoreError("There is no such query", got=id_)
        return found

    def queries(self, round: int | None = None) -> list[Query]:
        """Questions of a round, or all, in log order."""
        wanted = select(query.c.record).order_by(query.c.seq)
        return self._queries(wanted if round is None else wanted.where(query.c.round == round))

    def unanswered(self, limit: int | None = None) -> list[Query]:
        """Questions without any answer, oldest first."""
        answered = exists().where(feedback.c.query == query.c.id)
        return self._queries(select(query.c.record).where(~answered).order_by(query.c.seq).limit(limit))

    def feedback(self, upto: int | None = None, after: int = 0) -> list[tuple[int, Feedback]]:
        """Answers with after < seq <= upto, in log order."""
        wanted = select(feedback).where(feedback.c.seq > after).order_by(feedback.c.seq)
        if upto is not None:
            wanted = wanted.where(feedback.c.seq <= upto)
        with self._reading() as connection:
            rows = connection.execute(wanted).yield_per(log.PAGE)
            return [(row.seq, from_json(FEEDBACK_KINDS[row.kind], json.loads(row.record))) for row in rows]

    def _queries(self, wanted: Any) -> list[Query]:
        with self._reading() as connection:
            return [from_json(Query, json.loads(record)) for record in connection.execute(wanted).scalars()]

    def _records(self, table: Table, ids: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        with self._reading() as connection:
            for first in range(0, len(ids), MOST_VARIABLES):
                wanted = select(table.c.id, table.c.record).where(table.c.id.in_(ids[first : first + MOST_VARIABLES]))
                found |= {row.id: row.record for row in connection.execute(wanted)}
        return found

    # jobs and leases, outside the log

    def add_job(self, kind: str, payload: dict[str, Any], key: str) -> None:
        """Ask another process for a job; a key that is there changes nothing."""
        self._write(lambda connection: work.add_job(connection, kind, payload, key))

    def claim_job(self, kind: str, worker: str, lease_seconds: float, *, now: float | None = None) -> Job | None:
        """The oldest open job of a kind that nobody holds; it is the worker's for that long."""
        moment = time.time() if now is None else now
        return self._write(
            lambda connection: work.claim_job(connection, kind, worker, until=moment + lease_seconds, now=moment)
        )

    def finish_job(self, id: int, result: dict[str, Any] | None = None, error: str | None = None) -> None:
        """End a job with its result, or with what went wrong; the first end counts."""
        self._write(lambda connection: work.finish_job(connection, id, result, error))

    def job(self, key: str) -> Job | None:
        """A job by key."""
        with self._reading() as connection:
            row = connection.execute(select(work.job).where(work.job.c.key == key)).first()
        return None if row is None else work.job_of(row)

    def lease_query(self, annotator: str, seconds: float, *, now: float | None = None) -> Query | None:
        """The oldest question that nobody answered and nobody holds; it is the annotator's for that long."""
        moment = time.time() if now is None else now
        record = self._write(
            lambda connection: work.lease_query(connection, annotator, until=moment + seconds, now=moment)
        )
        return None if record is None else from_json(Query, json.loads(record))

    def release(self, query: str, annotator: str) -> None:
        """Give a leased question back."""
        self._write(lambda connection: work.release(connection, query, annotator))


__all__ = ["Event", "Job", "Store", "Verification"]
