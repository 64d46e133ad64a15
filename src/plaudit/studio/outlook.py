"""What the run is doing, as far as its event log tells: for progress and for plain words while there is no question."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from plaudit.records import is_skip
from plaudit.store.store import Store

Stage = Literal["act", "ask", "learn", "improve", "check"]
STAGES: tuple[Stage, ...] = ("act", "ask", "learn", "improve", "check")


class Outlook:
    """Follows the log of a run.

    Args:
        store: the run's store.
        clock: seconds, monotonic.
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.run = ""
        self.labels: int | None = None
        self.stage: Stage | None = None
        self._store = store
        self._clock = clock
        self._read = 0
        self._rounds: int | None = None
        self._rounds_done = 0
        self._dry_since: float | None = None
        self._last_dry: float | None = None

    @property
    def complete(self) -> bool:
        """Whether the run has come to its end."""
        return self._rounds is not None and self._rounds_done >= self._rounds

    def read(self) -> None:
        """Take in what the log has got since the last time."""
        for event in self._store.events(after=self._read, kinds={"run.created", "stage.completed"}):
            self._read = event.seq
            if event.kind == "run.created":
                self.run = event.hash[:16]
                config = event.payload.get("config", {})
                self.labels = config.get("ask", {}).get("labels")
                self._rounds = config.get("loop", {}).get("rounds")
            else:
                done = STAGES.index(event.payload["stage"])
                self.stage = STAGES[(done + 1) % len(STAGES)]
                self._rounds_done += done == len(STAGES) - 1

    def note(self, *, dry: bool) -> None:
        """Measure how long there is no question to answer."""
        now = self._clock()
        if dry and self._dry_since is None:
            self._dry_since = now
        elif not dry and self._dry_since is not None:
            self._last_dry = now - self._dry_since
            self._dry_since = None

    def seconds(self) -> float | None:
        """Estimated wait until the next question: what is left of as long a wait as the last one was."""
        if self._last_dry is None or self._dry_since is None:
            return None
        return max(self._last_dry - (self._clock() - self._dry_since), 0.0) or None


class Tally:
    """Counts the answers in the store, reading each only once."""

    def __init__(self, store: Store) -> None:
        self.by_annotator: dict[str, int] = {}
        self._store = store
        self._read = 0
        self.total = 0

    def read(self) -> None:
        """Take in the answers since the last time."""
        for seq, feedback in self._store.feedback(after=self._read):
            self._read = seq
            self.by_annotator[feedback.annotator] = self.by_annotator.get(feedback.annotator, 0) + 1
            self.total += not is_skip(feedback)
