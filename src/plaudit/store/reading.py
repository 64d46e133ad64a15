"""What is read from a store: events, and the records that they hold."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, select

from plaudit.errors import StoreError
from plaudit.records import (
    AnnotatorProfile,
    Feedback,
    Query,
    Segment,
    SegmentData,
    TextSegment,
    from_json,
    segment_from_json,
)
from plaudit.records.feedback import FEEDBACK_KINDS
from plaudit.store import log, schema, verify, work
from plaudit.store.blobs import BlobStore
from plaudit.store.handle import Handle
from plaudit.store.log import Event
from plaudit.store.place import Place
from plaudit.store.schema import annotator, feedback, query
from plaudit.store.verify import Verification


class Reading(Handle):
    """Everything that can be asked of a store without changing it."""

    def __init__(self, engine: Engine, place: Place, blobs: BlobStore) -> None:
        super().__init__(engine, place, blobs)
        self._answered_upto: dict[int, int] = {}
        self._leased = 0

    def events(self, after: int = 0, upto: int | None = None, kinds: Collection[str] | None = None) -> Iterator[Event]:
        """Events with after < seq <= upto, oldest first, with flat memory."""
        return log.read(self.reading, after=after, upto=upto, kinds=kinds)

    def head(self) -> tuple[int, str]:
        """Seq and hash of the newest event."""
        with self.reading() as connection:
            return log.head(connection)

    def verify(self) -> Verification:
        """Check the chain, the projections and the blobs of all segments."""
        with self.reading() as connection:
            return verify.verify(connection, self.blobs)

    def segment(self, id: str) -> Segment:
        """A control segment by id. Raises StoreError when there is none."""
        return self.segments([id])[id]

    def segments(self, ids: Sequence[str]) -> dict[str, Segment]:
        """Control segments by id. Raises StoreError naming those that are missing, or are text."""
        found = self.any_segments(ids)
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
        found = self.any_segments(ids)
        texts = {id_: segment for id_, segment in found.items() if isinstance(segment, TextSegment)}
        if len(texts) < len(found):
            raise StoreError("These segments are no text", got=sorted(set(found) - set(texts))[:5])
        return texts

    def any_segments(self, ids: Sequence[str]) -> dict[str, Segment | TextSegment]:
        """Segments of either sort by id. Raises StoreError naming those that are missing."""
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
        with self.reading() as connection:
            return _queries(connection, wanted if round is None else wanted.where(query.c.round == round))

    def unanswered(self, limit: int | None = None, *, overlap: int = 1) -> list[Query]:
        """Questions with fewer than `overlap` answers, oldest first; one whose answer was retracted is not asked again."""
        with self.reading() as connection:
            wanted = work.open_questions(select(query.c.record), self._look_ahead(connection, overlap), overlap)
            return _queries(connection, wanted.order_by(query.c.seq).limit(limit))

    def _look_ahead(self, connection: Connection, overlap: int) -> int:
        """Log position up to which every question has its answers, and keeps them: only ever read from what is committed."""
        self._answered_upto[overlap] = work.answered_upto(connection, self._answered_upto.get(overlap, 0), overlap)
        return self._answered_upto[overlap]

    def feedback(
        self, upto: int | None = None, after: int = 0, *, retracted: bool = False, limit: int | None = None
    ) -> list[tuple[int, Feedback]]:
        """Answers with after < seq <= upto, in log order, without those that were retracted up to there.

        Args:
            upto: log position to read to; the same position gives the same answers, whatever was retracted later.
            after: log position to begin behind.
            retracted: with those that were retracted too.
            limit: the first so many.
        """
        wanted = select(feedback).where(feedback.c.seq > after).order_by(feedback.c.seq)
        if upto is not None:
            wanted = wanted.where(feedback.c.seq <= upto)
        with self.reading() as connection:
            gone = frozenset[str]() if retracted else log.retracted(connection, upto)
            rows = connection.execute(wanted).yield_per(log.PAGE)
            counted = islice((row for row in rows if row.id not in gone), limit)
            return [(row.seq, from_json(FEEDBACK_KINDS[row.kind], json.loads(row.record))) for row in counted]

    def newest_feedback(
        self,
        limit: int,
        *,
        before: int | None = None,
        annotator: str | None = None,
        kind: str | None = None,
        query: str | None = None,
    ) -> list[tuple[int, Feedback]]:
        """Answers, newest first, retracted ones too: at most so many, those given before a log position."""
        columns = {feedback.c.annotator: annotator, feedback.c.kind: kind, feedback.c.query: query}
        wanted = select(feedback).where(*(column == value for column, value in columns.items() if value is not None))
        if before is not None:
            wanted = wanted.where(feedback.c.seq < before)
        with self.reading() as connection:
            rows = connection.execute(wanted.order_by(feedback.c.seq.desc()).limit(limit))
            return [(row.seq, from_json(FEEDBACK_KINDS[row.kind], json.loads(row.record))) for row in rows]

    def presence(self, now: float) -> tuple[dict[str, float], dict[str, int]]:
        """By annotator, when their newest answer was saved (seconds since 1970), and how many questions they hold now."""
        newest = (
            select(feedback.c.annotator, func.max(feedback.c.seq).label("seq"))
            .group_by(feedback.c.annotator)
            .subquery()
        )
        seen = select(newest.c.annotator, schema.event.c.recorded_at).join(
            schema.event, schema.event.c.seq == newest.c.seq
        )
        lease = schema.lease
        held = select(lease.c.annotator, func.count()).where(lease.c.until > now).group_by(lease.c.annotator)
        with self.reading() as connection:
            last = {name: float(at) for name, at in connection.execute(seen)}
            return last, {name: int(count) for name, count in connection.execute(held)}

    def annotators(self, upto: int | None = None) -> dict[str, AnnotatorProfile]:
        """Profiles by id, in the order in which they came, of all who had come up to a log position."""
        wanted = select(annotator.c.record).order_by(annotator.c.seq)
        with self.reading() as connection:
            rows = connection.execute(wanted if upto is None else wanted.where(annotator.c.seq <= upto))
            profiles = [from_json(AnnotatorProfile, json.loads(record)) for record in rows.scalars()]
        return {one.id: one for one in profiles}

    def retracted(self, upto: int | None = None) -> frozenset[str]:
        """Ids of the answers that were retracted up to a log position."""
        with self.reading() as connection:
            return log.retracted(connection, upto)

    def answer(self, id: str) -> tuple[int, Feedback]:
        """Log position and record of an answer, retracted or not. Raises StoreError when there is none."""
        with self.reading() as connection:
            row = connection.execute(select(feedback).where(feedback.c.id == id)).first()
        if row is None:
            raise StoreError("There is no such answer", got=id, next_step="see the ids in the log, or in an export")
        return row.seq, from_json(FEEDBACK_KINDS[row.kind], json.loads(row.record))

    def _records(self, table: Table, ids: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        with self.reading() as connection:
            for some in log.portions(ids):
                wanted = select(table.c.id, table.c.record).where(table.c.id.in_(some))
                found |= {row.id: row.record for row in connection.execute(wanted)}
        return found


def _queries(connection: Connection, wanted: Any) -> list[Query]:
    return [from_json(Query, json.loads(record)) for record in connection.execute(wanted).scalars()]
