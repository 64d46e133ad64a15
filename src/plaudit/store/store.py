"""`Store`: everything that a run, the studio and the media worker share."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select

from plaudit.errors import RecordError
from plaudit.records import (
    AnnotatorProfile,
    Feedback,
    Query,
    Segment,
    TextSegment,
    canonical_json,
    digest,
    feedback_to_json,
    from_json,
    to_json,
)
from plaudit.store import log, verify, work
from plaudit.store.log import Entry, Event
from plaudit.store.reading import Reading
from plaudit.store.verify import Verification
from plaudit.store.work import Job

TAKEN = re.compile(
    r"run|(stage|submission|retracted|consent|withdrawn|import|gold|person|study|assistance|check|signoff|trust)/.*|(seg|txt|qry|fbk|imp)_[0-9a-f]{32}",
    re.DOTALL,
)
"""keys of other events: all kinds share one space of keys, and a key is logged once"""
LOOK_AHEAD = 50
"""questions leased between two looks at how far all are answered"""


class Store(Reading):
    """Event log, projections, blobs, jobs and leases of one run. Safe to use from several threads and processes.

    A forked child and a pickled copy get connections and a writer of their own. Everything that appends returns when the
    data are on disk. Made by `Store.create` or `Store.open`.
    """

    # the log

    def append(self, kind: str, payload: dict[str, Any], key: str | None = None) -> int:
        """Append one event; returns its seq. The same key with the same payload again returns the old seq.

        Raises StoreError when the key is there with another payload, or the disk refuses.
        """
        return self.append_many([(kind, payload, key)])[0]

    def append_many(self, items: Sequence[tuple[str, dict[str, Any], str | None]]) -> list[int]:
        """Append several events in one transaction, in order; all or none."""
        entries = [Entry(*item) for item in items]
        return self.change(lambda connection: log.append(connection, entries))

    def rebuild_projections(self) -> None:
        """Fill all projections from the log again."""
        self.change(verify.rebuild)

    # records

    def add_segments(self, segments: Sequence[Segment | TextSegment]) -> list[int]:
        """Log segments; the arrays of control segments must be in `blobs`."""
        return self._add("segment.added", segments)

    def add_queries(self, queries: Sequence[Query]) -> list[int]:
        """Log questions."""
        return self._add("query.asked", queries)

    def add_annotator(self, profile: AnnotatorProfile) -> int:
        """Log that an annotator takes part. Raises RecordError as `require_pseudonym`."""
        require_pseudonym(profile.id)
        return self._add("annotator.added", [profile])[0]

    def add_feedback(self, answers: Sequence[Feedback], brought: Sequence[TextSegment] = ()) -> list[int]:
        """Log answers, and before them, in the same transaction, texts that they bring.

        Raises StoreError when one answers an unknown query, has the wrong form, brings a segment that is not there, or was
        derived from others and confirmed by nobody; then none is kept.
        """
        texts = [("segment.added", to_json(text), text.id) for text in brought]
        return self.append_many([*texts, *(_given(answer) for answer in answers)])[len(texts) :]

    def submit(self, submission: uuid.UUID, answers: Sequence[Feedback]) -> list[int]:
        """Log answers that a client sends under a number of its own, exactly once, however often and to whatever process.

        The same number with the same answers gives the same positions again.

        Raises StoreError when the number came with other answers, and as `add_feedback`; then none is kept.
        """
        items = [_given(answer) for answer in answers]
        content = digest(canonical_json([payload for _, payload, _ in items]))
        receipt = {"answers": [answer.id for answer in answers], "sha256": content}
        return self.append_many([("submission.received", receipt, f"submission/{submission}"), *items])[1:]

    def retract(self, feedback: str, reason: str) -> int:
        """Log that an answer is not to count any more; what was learned from it so far stays as it is.

        Raises StoreError when there is no such answer, or it was retracted for another reason.
        """
        self.answer(feedback)
        payload = {"feedback": feedback, "reason": reason}
        return self.append(log.RETRACTED, payload, f"retracted/{digest(feedback.encode())}")

    def _add(self, kind: str, records: Sequence[Segment | TextSegment | Query | AnnotatorProfile]) -> list[int]:
        return self.append_many([(kind, to_json(record), record.id) for record in records])

    # jobs and leases, outside the log

    def add_job(self, kind: str, payload: dict[str, Any], key: str) -> None:
        """Ask another process for a job; a key that is there changes nothing."""
        self.change(lambda connection: work.add_job(connection, kind, payload, key))

    def claim_job(self, kind: str, worker: str, lease_seconds: float, *, now: float | None = None) -> Job | None:
        """The oldest open job of a kind that nobody holds; it is the worker's for that long."""
        moment = time.time() if now is None else now
        return self.change(
            lambda connection: work.claim_job(connection, kind, worker, until=moment + lease_seconds, now=moment)
        )

    def finish_job(self, id: int, result: dict[str, Any] | None = None, error: str | None = None) -> None:
        """End a job with its result, or with what went wrong; the first end counts."""
        self.change(lambda connection: work.finish_job(connection, id, result, error))

    def job(self, key: str) -> Job | None:
        """A job by key."""
        with self.reading() as connection:
            row = connection.execute(select(work.job).where(work.job.c.key == key)).first()
        return None if row is None else work.job_of(row)

    def lease_query(
        self,
        annotator: str,
        seconds: float,
        *,
        overlap: int = 1,
        among: Sequence[str] | None = None,
        barred: Collection[str] = (),
        after: int = 0,
        now: float | None = None,
    ) -> Query | None:
        """The oldest question for an annotator: not answered or held by them, and by fewer than `overlap` others.

        Args:
            annotator: who is to answer; the question is theirs for that long.
            seconds: length of the lease.
            overlap: answers wanted to each question; the same at every call on a store.
            among: only these questions, however many others answered them; None: all.
            barred: none of these.
            after: none that was asked up to this log position.
            now: the time, where it is not the clock's.
        """
        moment = time.time() if now is None else now
        wish = work.Wish(annotator, overlap, None if among is None else tuple(among), frozenset(barred))
        self._leased += 1
        if self._leased % LOOK_AHEAD == 1:
            with self.reading() as connection:
                self._look_ahead(connection, overlap)
        after = max(after, self._answered_upto.get(overlap, 0))
        record = self.change(
            lambda connection: work.lease_query(connection, wish, until=moment + seconds, now=moment, after=after)
        )
        return None if record is None else from_json(Query, json.loads(record))

    def release(self, query: str, annotator: str) -> None:
        """Give a leased question back."""
        self.change(lambda connection: work.release(connection, query, annotator))

    def release_all(self, annotator: str) -> None:
        """Give all questions back that an annotator holds."""
        self.change(lambda connection: work.release(connection, None, annotator))

    def was_given(self, query: str, annotator: str) -> bool:
        """Whether a question was ever leased to an annotator, however long ago."""
        with self.reading() as connection:
            return work.was_given(connection, query, annotator)


def require_pseudonym(id_: str) -> None:
    """Raises RecordError for an id that could be the key of another kind of event, which it would keep from being logged."""
    if TAKEN.fullmatch(id_):
        raise RecordError(
            "This id cannot be an annotator's",
            got=id_,
            expected="a pseudonym; `run`, `stage/...`, `consent/...` and the ids of segments, questions and answers are taken",
            next_step="choose another name",
        )


def _given(answer: Feedback) -> tuple[str, dict[str, Any], str]:
    return "feedback.given", feedback_to_json(answer), answer.id


__all__ = ["Event", "Job", "Store", "Verification"]
