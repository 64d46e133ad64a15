"""Work in progress, outside the log: jobs for the media worker, and leases of questions to people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, exists, func, select

from plaudit.records import canonical_json
from plaudit.store.database import insert_new
from plaudit.store.schema import feedback, job, lease, query


@dataclass(frozen=True, slots=True)
class Job:
    """Something that another process is to do."""

    id: int
    kind: str
    key: str
    payload: dict[str, Any]
    result: dict[str, Any] | None
    error: str | None

    @property
    def done(self) -> bool:
        """Whether it ended, well or not."""
        return self.result is not None or self.error is not None


def job_of(row: Any) -> Job:
    """A job from its row."""
    result = None if row.result is None else json.loads(row.result)
    return Job(row.id, row.kind, row.key, json.loads(row.payload), result, row.error)


def add_job(connection: Connection, kind: str, payload: dict[str, Any], key: str) -> None:
    """Ask for a job once; a key that is there changes nothing."""
    if connection.execute(select(job.c.id).where(job.c.key == key)).first() is None:
        text = canonical_json(payload).decode()
        insert_new(connection, job, {"kind": kind, "key": key, "payload": text, "lease_until": 0.0})


def claim_job(connection: Connection, kind: str, worker: str, *, until: float, now: float) -> Job | None:
    """The oldest job of a kind that is open and that nobody holds; held by `worker` until then."""
    free = select(job).where(
        job.c.kind == kind, job.c.result.is_(None), job.c.error.is_(None), job.c.lease_until <= now
    )
    oldest = free.order_by(job.c.id).limit(1).with_for_update(skip_locked=True)
    row = connection.execute(oldest).first()
    if row is None:
        return None
    connection.execute(job.update().where(job.c.id == row.id).values(worker=worker, lease_until=until))
    return job_of(row)


def finish_job(connection: Connection, id_: int, result: dict[str, Any] | None, error: str | None) -> None:
    """End a job; the first end counts."""
    text = None if error is not None else canonical_json(result or {}).decode()
    unfinished = (job.c.id == id_) & job.c.result.is_(None) & job.c.error.is_(None)
    connection.execute(job.update().where(unfinished).values(result=text, error=error))


def answered_upto(connection: Connection, after: int) -> int:
    """A log position up to which every question is answered, given an earlier one; so that nobody looks there again."""
    first = open_questions(select(query.c.seq), after).order_by(query.c.seq).limit(1)
    found = connection.execute(first).scalar()
    if found is not None:
        return found - 1
    return max(connection.execute(select(func.max(query.c.seq))).scalar() or 0, after)


def open_questions(wanted: Select[Any], after: int = 0) -> Select[Any]:
    """Of the questions that are wanted, those asked behind a log position that nobody has answered."""
    return wanted.where(query.c.seq > after, ~exists().where(feedback.c.query == query.c.id))


def lease_query(connection: Connection, annotator: str, *, until: float, now: float, after: int = 0) -> str | None:
    """Record of the oldest question that nobody has answered and nobody holds; held by `annotator` until then.

    Every question up to log position `after` must have been answered.
    """
    free = open_questions(select(query), after).where(~exists().where(lease.c.query == query.c.id, lease.c.until > now))
    # not locked against answers to it, which may come meanwhile
    oldest = free.order_by(query.c.seq).limit(1).with_for_update(of=query, skip_locked=True, key_share=True)
    while (row := connection.execute(oldest).first()) is not None:
        # the row is ours from here on, but somebody may have leased or answered it while we looked
        if connection.execute(free.where(query.c.id == row.id)).first() is not None:
            connection.execute(lease.delete().where(lease.c.query == row.id))
            connection.execute(lease.insert().values(query=row.id, annotator=annotator, until=until))
            return row.record
    return None


def release(connection: Connection, query_id: str, annotator: str) -> None:
    """Give a question back."""
    connection.execute(lease.delete().where(lease.c.query == query_id, lease.c.annotator == annotator))
