"""Questions as the page shows them: clips that the media worker draws, texts, the form's arm, what a helper says."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from plaudit.ask.assistance import ALONE, HELPED, Assistance
from plaudit.ask.mix import SHOWING
from plaudit.ask.service import ServiceConfig, arm_of
from plaudit.records import Query, Segment, TextSegment
from plaudit.records.text import Text as Written
from plaudit.store.store import Store
from plaudit.store.work import RENDER, render_key
from plaudit.studio.view import Assist, Clip, Item, Question, Remark, Text, Turn

T = TypeVar("T")
KEPT = 2000
"""questions, and clips, that are remembered; others are looked up again"""
SEEN = 400
"""clips that a person may ask for again, the last ones shown to them"""


class _Recent(Generic[T]):
    """A table that forgets what was used longest ago."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> T | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: str, value: T) -> None:
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            if len(self._entries) > self._size:
                self._entries.popitem(last=False)


class Showing:
    """Makes pages' questions of a store's. Every method may be called from any thread.

    Args:
        store: where segments, clips and jobs are.
        service: how people are asked.
        live: whether a real environment can be played.
    """

    def __init__(self, store: Store, service: ServiceConfig, *, live: bool) -> None:
        self._store, self._service, self._live = store, service, live
        self._segments: _Recent[Segment | TextSegment] = _Recent(KEPT)
        self._clips: _Recent[tuple[str, str]] = _Recent(KEPT)
        self._seen: dict[str, _Recent[str]] = {}

    def media_of(self, annotator: str, digest: str) -> str | None:
        """Type of a clip that was shown to this annotator; None if it was not: other blobs hold true rewards."""
        seen = self._seen.get(annotator)
        return None if seen is None else seen.get(digest)

    def question(self, query: Query, annotator: str, assistance: Assistance | None) -> Question:
        """What an annotator sees of a question; asks for clips that are not drawn yet."""
        segments = self.segments(query)
        items = [self._item(index, segments[index], annotator) for index in query.shown]
        written = query.kind in SHOWING and any(isinstance(one, TextSegment) for one in segments)
        arm, helped = (
            arm_of(query, annotator, self._service) if written and query.kind.value == "correction" else None,
            None,
        )
        if assistance is not None:
            drawn = self._service.drawn(self._service.assisted_share, "assisted", query.id, annotator)
            arm, helped = (HELPED, _assist(assistance)) if drawn else (ALONE, None)
        return Question(
            id=query.id,
            kind=query.kind.value,
            levels=query.levels,
            aspect=query.aspect,
            constraint=query.constraint,
            level=None if query.level is None else query.level.value,
            items=items,
            arm=arm,
            live=self._live and query.kind in SHOWING and not written,
            assist=helped,
        )

    def segments(self, query: Query) -> list[Segment | TextSegment]:
        """The segments of a question, in its own order."""
        found = {id_: known for id_ in query.segments if (known := self._segments.get(id_)) is not None}
        missing = [id_ for id_ in query.segments if id_ not in found]
        for id_, segment in (self._store.any_segments(missing) if missing else {}).items():
            self._segments.put(id_, segment)
            found[id_] = segment
        return [found[id_] for id_ in query.segments]

    def _item(self, index: int, segment: Segment | TextSegment, annotator: str) -> Item:
        if isinstance(segment, TextSegment):
            return Item(index=index, text=Text(prompt=_turns(segment.prompt), completion=_turns(segment.completion)))
        return Item(index=index, clip=self._clip(segment, annotator))

    def _clip(self, segment: Segment, annotator: str) -> Clip:
        drawn = self._clips.get(segment.id)
        if drawn is None:
            key = render_key(segment.id)
            job = self._store.job(key)
            if job is None:
                self._store.add_job(RENDER, {"segment": segment.id}, key)
            if job is None or not job.done:
                return Clip(steps=segment.length)
            if job.result is None:
                return Clip(error=job.error, steps=segment.length)
            drawn = job.result["blob"], job.result["mime"]
            self._clips.put(segment.id, drawn)
        digest, mime = drawn
        self._seen.setdefault(annotator, _Recent(SEEN)).put(digest, mime)
        return Clip(url=f"/media/{digest}", steps=segment.length)


def _turns(text: Written) -> list[Turn]:
    if isinstance(text, str):
        return [Turn(role="", content=text)] if text else []
    return [Turn(role=one.role, content=one.content) for one in text]


def _assist(said: Assistance) -> Assist:
    remarks = [Remark(text=note.text, start=note.start, end=note.end) for note in said.notes]
    return Assist(by=said.by, suggestion=said.suggestion or None, critiques=remarks)
