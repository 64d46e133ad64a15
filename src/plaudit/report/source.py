"""A run's log as it is read for reports: each event is parsed once, and every `read` takes in what is new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from plaudit.records import AnnotatorProfile, Feedback, Query, SegmentData, from_json
from plaudit.records.feedback import FEEDBACK_KINDS
from plaudit.report.answers import Answers
from plaudit.report.stage_log import StageRow, stage_row
from plaudit.store.log import RETRACTED, Event
from plaudit.store.store import Store

FloatArray = NDArray[np.float64]
T = TypeVar("T")
TEXT = "txt_"
"""what ids of texts begin with"""
KINDS = frozenset(
    {"run.created", "segment.added", "query.asked", "annotator.added", "feedback.given", RETRACTED, "stage.completed"}
)


class Source:
    """What reports read of a run, kept up to date at little cost. Not safe to use from several threads at once.

    Attributes:
        store: the run's store.
        head: seq and hash of the newest event that was taken in.
        created: payload of the run's first event.
        created_at: when that was written, in seconds since 1970.
        rows: finished stages, in the order of the log.
        finished_at: when each of `rows` was written, in seconds since 1970.
        segments: ids of all behaviour, in the order of the log.
        queries: questions by id, in the order of the log.
        given: answers by id, in the order of the log, with those that were retracted.
        positions: log position of each answer.
        gone: ids of the answers that were retracted.
        profiles: annotators by id.
        positions_of_segments: places of `segments` by id.
        answers_to: answers to each question, in the order of the log, with those that were retracted.
        about: questions that show a segment, or whose answers brought it, by its id.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.head: tuple[int, str] = (0, "")
        self.created: dict[str, Any] = {}
        self.created_at: float | None = None
        self.rows: list[StageRow] = []
        self.finished_at: list[float] = []
        self.segments: list[str] = []
        self.queries: dict[str, Query] = {}
        self.given: dict[str, Feedback] = {}
        self.positions: dict[str, int] = {}
        self.gone: set[str] = set()
        self.profiles: dict[str, AnnotatorProfile] = {}
        self.positions_of_segments: dict[str, int] = {}
        self.answers_to: dict[str, list[Feedback]] = {}
        self.about: dict[str, list[str]] = {}
        self._known: dict[tuple[str, str], Any] = {}

    def read(self) -> Source:
        """Take in what the log has got since the last time, and return itself."""
        head = self.store.head()
        if head != self.head:
            for event in self.store.events(after=self.head[0], upto=head[0], kinds=KINDS):
                self._take(event)
            self.head = head
        return self

    @property
    def config(self) -> dict[str, Any]:
        """The run file, as the log has it."""
        return self.created.get("config") or {}

    @property
    def answers(self) -> Answers:
        """Questions, and answers that were not retracted."""
        kept = [one for id_, one in self.given.items() if id_ not in self.gone]
        return Answers(list(self.queries.values()), kept, self.profiles)

    def knows(self, what: str, name: str) -> bool:
        """Whether `once` has made a thing of this name."""
        return (what, name) in self._known

    def once(self, what: str, name: str, make: Callable[[], T]) -> T:
        """`make()`, called only the first time for a thing of this name: what is named by content stays as it is."""
        key = (what, name)
        if key not in self._known:
            self._known[key] = make()
        found: T = self._known[key]
        return found

    def arrays(self, digest: str) -> dict[str, FloatArray]:
        """Arrays of a stage's artefact, as floats; none when the blob is gone."""
        if not self.store.blobs.has(digest):
            return {}
        found = self.once("arrays", digest, lambda: self.store.blobs.get_arrays(digest))
        return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}

    def last_artefact(self, stage: str, name: str) -> dict[str, FloatArray]:
        """Newest arrays that a stage left under a name, or nothing. Raises IntegrityError when they were changed."""
        for row in reversed(self.rows):
            if row.stage == stage and name in row.artefacts and self.store.blobs.has(row.artefacts[name]):
                return self.arrays(row.artefacts[name])
        return {}

    def of_segments(self, what: str, names: list[str], measure: Callable[[SegmentData], T]) -> list[T]:
        """`measure` of the arrays of each control segment; every segment is looked at once in the life of this source."""
        fresh = [name for name in dict.fromkeys(names) if (what, name) not in self._known]
        for name, segment in self.store.segments(fresh).items() if fresh else ():
            self._known[what, name] = measure(self.store.segment_data(segment))
        return [self._known[what, name] for name in names]

    def _take(self, event: Event) -> None:
        payload = event.payload
        match event.kind:
            case "run.created":
                self.created, self.created_at = payload, event.recorded_at
            case "segment.added":
                self.positions_of_segments[payload["id"]] = len(self.segments)
                self.segments.append(payload["id"])
            case "query.asked":
                query = from_json(Query, payload)
                self.queries[query.id] = query
                self._note(query.id, query.segments)
            case "annotator.added":
                self.profiles[payload["id"]] = from_json(AnnotatorProfile, payload)
            case "feedback.given":
                fields = {name: value for name, value in payload.items() if name != "kind"}
                answer = from_json(FEEDBACK_KINDS[payload["kind"]], fields)
                self.given[answer.id], self.positions[answer.id] = answer, event.seq
                self.answers_to.setdefault(answer.query, []).append(answer)
                self._note(answer.query, (payload["segment"],) if payload.get("segment") else ())
            case "stage.completed":
                self.rows.append(stage_row(payload))
                self.finished_at.append(event.recorded_at)
            case _:
                self.gone.add(payload["feedback"])

    def _note(self, query: str, segments: tuple[str, ...]) -> None:
        for segment in segments:
            among = self.about.setdefault(segment, [])
            if query not in among:
                among.append(query)
