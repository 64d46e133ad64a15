"""What people showed by hand and no answer has brought yet: stored as segments, and offered to them again."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from plaudit.ask.annotator import feedback_id
from plaudit.ask.teacher_remarks import changed
from plaudit.errors import RecordError, StoreError
from plaudit.records import QueryKind, Segment
from plaudit.store.store import Store
from plaudit.worlds.kept import SUFFIX, About, Keeper, Kept, kept_in
from plaudit.worlds.wire import segment_data

POLICY = "person"
"""what segments name as the policy that acted"""
FOLDER = "shown"
KEPT_SECONDS = 30 * 24 * 3600.0
"""after which nobody is waited for who showed something and gave no answer"""
MOST = 3
"""that are kept for one question of one annotator"""


@dataclass(frozen=True, slots=True)
class Showing:
    """What was shown, as it is stored."""

    segment: str
    start: int | None
    """first and last step that a correction changed; None for a demonstration"""
    end: int | None
    length: int


class Showings:
    """See the module.

    Args:
        store: of the run; files lie beside it, or in this machine's temporary folder for a database without a directory.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        home = store.place.parent if isinstance(store.place, Path) else Path(tempfile.gettempdir()) / "plaudit"
        self._folder = home / FOLDER

    def keeper(self, about: About) -> Keeper:
        """Where a world's process is to keep what is shown in it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Keeper(self._folder / f"{about.id}{SUFFIX}", about)

    def add(self, about: About, attempt: int, start: int, arrays: bytes) -> Showing:
        """Store what was shown, once however often; its file stays until the answer is there.

        Raises:
            RecordError: it corrects nothing.
            StoreError: it cannot be stored.
        """
        query, data = self._store.query(about.query), segment_data(arrays)
        before = self._store.segment(query.segments[0])
        first, end = None, None
        if query.kind is QueryKind.CORRECTION:
            first, end = changed(self._store.segment_data(before), data)
            if first is None:
                raise RecordError("This is what was there already", next_step="do something else from some step on")
        segment = Segment(
            world=before.world,
            policy=POLICY,
            episode=f"live/{about.id}/{attempt}",
            start=start,
            length=len(data),
            blob=self._store.blobs.put_arrays(data.arrays()),
        )
        self._store.add_segments([segment])
        return Showing(segment.id, first, end, segment.length)

    def waiting(self, annotator: str, query: str) -> list[tuple[float, Showing]]:
        """What this annotator showed for a question and gave no answer with, newest first, and when."""
        self.sweep()
        found: list[tuple[float, Showing]] = []
        for kept in self._of(annotator, query):
            try:
                found.append((kept.at, self.add(kept.about, kept.attempt, kept.start, kept.arrays)))
            except RecordError:  # it corrects nothing
                _drop(kept)
        return found

    def sweep(self) -> None:
        """Delete what an answer has brought, and what nobody came back for."""
        for kept in kept_in(self._folder):
            if time.time() - kept.at > KEPT_SECONDS or self._answered(kept.about):
                _drop(kept)

    def _of(self, annotator: str, query: str) -> Iterator[Kept]:
        mine = [one for one in kept_in(self._folder) if (one.about.annotator, one.about.query) == (annotator, query)]
        for kept in mine[MOST:]:
            _drop(kept)
        yield from mine[:MOST]

    def _answered(self, about: About) -> bool:
        try:
            self._store.query(about.query)
        except StoreError:
            return False  # of another run, whose studio keeps its things in the same folder
        try:
            self._store.answer(feedback_id(about.query, about.annotator))
        except StoreError:
            return False
        return True


def _drop(kept: Kept) -> None:
    with suppress(OSError):
        kept.path.unlink(missing_ok=True)
