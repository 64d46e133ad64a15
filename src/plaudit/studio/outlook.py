"""What the run is doing and what has been answered, as far as its event log tells. Every event is read once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal

from plaudit.records import Feedback
from plaudit.store.store import Store

Stage = Literal["act", "ask", "learn", "improve", "check"]
STAGES: tuple[Stage, ...] = ("act", "ask", "learn", "improve", "check")


class Outlook:
    """Follows the log of a run.

    Attributes:
        run: names the log.
        labels: questions of the whole run, where it says so.
        stage: what the run does now.
        answers: every answer by its id.
        by_annotator: number of answers of each annotator.

    Args:
        store: the run's store.
        clock: seconds, monotonic.
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.run = ""
        self.labels: int | None = None
        self.stage: Stage | None = None
        self.answers: dict[str, Feedback] = {}
        self.by_annotator: Counter[str] = Counter()
        self._store = store
        self._clock = clock
        self._read_events = 0
        self._read_answers = 0
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
        for event in self._store.events(after=self._read_events, kinds={"run.created", "stage.completed"}):
            self._read_events = event.seq
            if event.kind == "run.created":
                config = event.payload.get("config", {})
                self.run = event.hash[:16]
                self.labels = config.get("ask", {}).get("labels")
                self._rounds = config.get("loop", {}).get("rounds")
            else:
                done = STAGES.index(event.payload["stage"])
                self.stage = STAGES[(done + 1) % len(STAGES)]
                self._rounds_done += done == len(STAGES) - 1
        for seq, answer in self._store.feedback(after=self._read_answers):
            self._read_answers = seq
            self.answers[answer.id] = answer
            self.by_annotator[answer.annotator] += 1

    def note(self, *, dry: bool) -> None:
        """Measure for how long there is no question to answer."""
        now = self._clock()
        if dry and self._dry_since is None:
            self._dry_since = now
        elif not dry and self._dry_since is not None:
            self._last_dry = now - self._dry_since
            self._dry_since = None

    def seconds(self) -> float | None:
        """Estimated wait until the next question, as long as the last one was; None if that is unknown or over."""
        if self._last_dry is None or self._dry_since is None:
            return None
        left = self._last_dry - (self._clock() - self._dry_since)
        return left if left > 0 else None
