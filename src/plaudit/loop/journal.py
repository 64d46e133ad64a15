"""The run's way of writing to its log, and of replaying another run's log.

A run is a function of (run file, event log). When a source log is given, answers that people gave there, and all else that
the run does not write itself, are copied at the very places where they stood, so every stage reads at the same position
and comes to the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from plaudit.ask.sent import CHAT
from plaudit.ask.service import RE_ASKED
from plaudit.errors import RunError
from plaudit.quality import gold
from plaudit.records import AnnotatorProfile, Choice, Feedback, Query, Segment, TextSegment
from plaudit.store.log import Event
from plaudit.store.store import Store

OWN = ("run.created", "segment.added", "query.asked", "stage.completed")
"""events that a run always writes itself"""


class Journal:
    """Writes events of one run.

    Args:
        store: where they go.
        source: another run's store whose answers are replayed.
        own_annotators: ids of the simulated annotators, whose answers the run makes itself.
    """

    def __init__(
        self, store: Store, *, source: Store | None = None, own_annotators: frozenset[str] = frozenset()
    ) -> None:
        self.store = store
        self._source = source
        self._own = own_annotators
        self._copied = 0
        self._positions: dict[str, int] = {}
        self._read_until: dict[str, int] = {}
        self._brought: set[str] = set()
        for event in () if source is None else source.events():
            if event.key:
                self._positions[event.key] = event.seq
            if event.kind == "stage.completed" and event.key:
                self._read_until[event.key] = event.payload["log_position"]
            elif event.kind == "feedback.given" and event.payload["annotator"] not in own_annotators:
                self._brought.add(event.payload.get("segment", ""))  # shown by a person
            elif event.kind == "query.asked" and event.payload["strategy"] == CHAT:
                self._brought.update(event.payload["segments"])

    @property
    def replaying(self) -> bool:
        """Whether answers come from another run's log."""
        return self._source is not None

    def segments(self, segments: Sequence[Segment | TextSegment]) -> None:
        """Log segments."""
        self._write([segment.id for segment in segments], lambda: self.store.add_segments(list(segments)))

    def queries(self, queries: Sequence[Query]) -> None:
        """Log questions."""
        self._write([query.id for query in queries], lambda: self.store.add_queries(list(queries)))

    def annotator(self, profile: AnnotatorProfile) -> None:
        """Log that an annotator takes part."""
        self._write([profile.id], lambda: self.store.add_annotator(profile))

    def feedback(self, feedback: Sequence[Feedback]) -> None:
        """Log answers that the run's own teacher gave."""
        self._write([answer.id for answer in feedback], lambda: self.store.add_feedback(list(feedback)))

    def gold(self, answers: Mapping[str, Choice | int]) -> None:
        """Log right answers of questions, by query id."""
        self._write([f"gold/{id_}" for id_ in answers], lambda: gold.set_gold(self.store, answers))

    def stage(self, key: str, payload: dict[str, object]) -> None:
        """Log the end of a stage. Raises RunError when a repeated stage came to another result."""
        self._write([key], lambda: self.store.append("stage.completed", payload, key))

    def catch_up(self, key: str) -> None:
        """When replaying: copy what others than the run wrote before event `key` of the source: answers, consent, ..."""
        if self._source is None:
            return
        end = self._positions.get(key)
        if end is None:
            raise RunError(
                "The replayed log does not know this event",
                got=key,
                expected="a log of a run with the same run file",
                next_step="replay with the run file, seed and versions that the log names",
            )
        for event in self._source.events(after=self._copied, upto=end - 1):
            # one without a key is there if its place is: both logs are the same up to here
            there = event.key is None and event.seq <= self.store.head()[0]
            if not there and not self._writes(event):
                if event.kind == "segment.added" and event.payload.get("blob"):
                    self.store.blobs.put(self._source.blobs.get(event.payload["blob"]))
                self.store.append(event.kind, event.payload, event.key)
        self._copied = max(self._copied, end)

    def _writes(self, event: Event) -> bool:
        """Whether the run comes to an event of the source by itself."""
        match event.kind:
            case "annotator.added":
                return event.payload["id"] in self._own
            case "feedback.given":
                return event.payload["annotator"] in self._own
            case "query.asked":
                return event.payload["strategy"] not in (RE_ASKED, CHAT)
            case "segment.added":
                return event.payload["id"] not in self._brought
            case _:
                return event.kind in OWN

    def read_until(self, key: str) -> int | None:
        """When replaying: log position up to which stage `key` read answers in the source; None if there is no such stage."""
        return self._read_until.get(key)

    def asks_on(self, query: str, key: str) -> bool:
        """When replaying: whether more was asked after a question, before stage `key` ended; copies answers up to there."""
        if self._source is None:
            return False
        more = self._source.events(
            after=self._positions.get(query, 0), upto=self._positions.get(key), kinds={"segment.added", "query.asked"}
        )
        following = next((event for event in more if self._writes(event)), None)
        if following is None or following.key is None:
            return False
        self.catch_up(following.key)
        return True

    def _write(self, keys: Sequence[str], write: Callable[[], object]) -> None:
        if keys:
            self.catch_up(keys[0])
            write()
