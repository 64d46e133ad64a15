"""Work in progress, outside the log: jobs for the media worker, and leases of questions to people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, exists, select

from plaudit.records import canonical_json
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
        connection.execute(job.insert().values(kind=kind, key=key, payload=text, lease_until=0.0))


def claim_job(connection: Connection, kind: str, worker: str, *, until: float, now: float) -> Job | None:
    """The oldest job of a kind that is open and that nobody holds; held by `worker` until then."""
    free = select(job).where(
        job.c.kind == kind, job.c.result.is_(None), job.c.error.is_(None), job.c.lease_until <= now
    )
    row = connection.execute(free.order_by(job.c.id).limit(1)).first()
    if row is None:
        return None
    connection.execute(job.update().where(job.c.id == row.id).values(worker=worker, lease_until=until))
    return job_of(row)


def finish_job(connection: Connection, id_: int, result: dict[str, Any] | None, error: str | None) -> None:
    """End a job; the first end counts."""
    text = None if error is not None else canonical_json(result or {}).decode()
    unfinished = (job.c.id == id_) & job.c.result.is_(None) & job.c.error.is_(None)
    connection.execute(job.update().where(unfinished).values(result=text, error=error))


def lease_query(connection: Connection, annotator: str, *, until: float, now: float) -> str | None:
    """Record of the oldest question that nobody has answered and nobody holds; held by `annotator` until then."""
    answered = exists().where(feedback.c.query == query.c.id)
    held = exists().where(lease.c.query == query.c.id, lease.c.until > now)
    row = connection.execute(select(query).where(~answered, ~held).order_by(query.c.seq).limit(1)).first()
    if row is None:
        return None
    connection.execute(lease.delete().where(lease.c.query == row.id))
    connection.execute(lease.insert().values(query=row.id, annotator=annotator, until=until))
    return row.record


def release(connection: Connection, query_id: str, annotator: str) -> None:
    """Give a question back."""
    connection.execute(lease.delete().where(lease.c.query == query_id, lease.c.annotator == annotator))
