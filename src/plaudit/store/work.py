"""Work in progress, outside the log: jobs for the media worker, and leases of questions to people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, Table, exists, func, select

from plaudit.records import canonical_json
from plaudit.store.database import insert_new
from plaudit.store.schema import feedback, job, lease, query

RENDER = "render"
"""kind of the jobs that the media worker does: {segment} to {blob, mime}"""


def render_key(segment: str) -> str:
    """Key of the job that draws a segment."""
    return f"{RENDER}/{segment}"


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


def answered_upto(connection: Connection, after: int, overlap: int = 1) -> int:
    """A log position up to which every question has `overlap` answers, given an earlier one; so that nobody looks there again."""
    first = open_questions(select(query.c.seq), after, overlap).order_by(query.c.seq).limit(1)
    found = connection.execute(first).scalar()
    if found is not None:
        return found - 1
    return max(connection.execute(select(func.max(query.c.seq))).scalar() or 0, after)


def open_questions(wanted: Select[Any], after: int = 0, overlap: int = 1) -> Select[Any]:
    """Of the questions that are wanted, those asked behind a log position that have fewer than `overlap` answers."""
    if overlap == 1:
        return wanted.where(query.c.seq > after, ~exists().where(feedback.c.query == query.c.id))
    return wanted.where(query.c.seq > after, _count(feedback, feedback.c.query == query.c.id) < overlap)


def _count(table: Table, *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).select_from(table).where(*conditions).correlate(query).scalar_subquery()


@dataclass(frozen=True, slots=True)
class Wish:
    """Which questions an annotator may be given."""

    annotator: str
    overlap: int = 1
    """answers that each question is to get, each from another annotator"""
    among: tuple[str, ...] | None = None
    """only these, which anybody may answer, however many did; None: all that lack answers"""
    barred: frozenset[str] = frozenset()
    """none of these"""


def lease_query(connection: Connection, wish: Wish, *, until: float, now: float, after: int = 0) -> str | None:
    """Record of the oldest question that fits the wish and that enough others neither answered nor hold; held until then.

    Every question up to log position `after` must have its answers.
    """
    mine = wish.annotator
    held = (lease.c.query == query.c.id) & (lease.c.until > now) & (lease.c.annotator != mine)
    free = select(query).where(~exists().where(feedback.c.query == query.c.id, feedback.c.annotator == mine))
    free = free.where(~exists().where(lease.c.query == query.c.id, lease.c.annotator == mine, lease.c.until > now))
    if wish.among is not None:
        free = free.where(query.c.id.in_(wish.among))
    elif wish.overlap == 1:
        free = open_questions(free, after).where(~exists().where(held))
    else:
        taken = _count(feedback, feedback.c.query == query.c.id) + _count(lease, held)
        free = free.where(query.c.seq > after, taken < wish.overlap)
    if wish.barred:
        free = free.where(query.c.id.not_in(wish.barred))
    # not locked against answers to it, which may come meanwhile
    oldest = free.order_by(query.c.seq).limit(1).with_for_update(of=query, skip_locked=True, key_share=True)
    while (row := connection.execute(oldest).first()) is not None:
        # the row is ours from here on, but somebody may have leased or answered it while we looked
        if connection.execute(free.where(query.c.id == row.id)).first() is not None:
            connection.execute(lease.delete().where(lease.c.query == row.id, lease.c.annotator == mine))
            connection.execute(lease.insert().values(query=row.id, annotator=mine, until=until))
            return row.record
    return None


def release(connection: Connection, query_id: str | None, annotator: str) -> None:
    """Give a question back; None: all that the annotator holds. That it was theirs is remembered: an answer may come late."""
    mine = (lease.c.annotator == annotator) & (lease.c.until > 0)
    mine = mine if query_id is None else mine & (lease.c.query == query_id)
    connection.execute(lease.update().where(mine).values(until=0.0))


def was_given(connection: Connection, query_id: str, annotator: str) -> bool:
    """Whether a question was ever leased to an annotator."""
    wanted = select(lease.c.until).where(lease.c.query == query_id, lease.c.annotator == annotator)
    return connection.execute(wanted).first() is not None
