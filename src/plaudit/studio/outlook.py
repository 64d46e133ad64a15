"""What the run is doing, what has been asked and what was answered, as far as its event log tells. Every event is read once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection
from typing import Literal

from plaudit.ask.assistance import ASSISTED, Assistance, assistance_of
from plaudit.ask.service import Offer, Roster, ServiceConfig
from plaudit.ask.study import EVENT as STUDY
from plaudit.quality.gold import EVENT as GOLD
from plaudit.quality.gold import gold_of
from plaudit.records import Query, from_json
from plaudit.store.store import Event, Store

Stage = Literal["act", "ask", "learn", "improve", "check"]
STAGES: tuple[Stage, ...] = ("act", "ask", "learn", "improve", "check")
FOLLOWED = frozenset({"run.created", "stage.completed", "query.asked", STUDY, GOLD, ASSISTED})


class Outlook:
    """Follows the log of a run. Every method may be called from any thread.

    Attributes:
        run: names the log.
        labels: questions of the whole run, where it says so.
        stage: what the run does now.
        since: position in the log before which nothing is to be answered: imports come before their study.
        open: number of questions that lack answers.
        by_annotator: number of answers of each annotator.
        seconds_of: response time of each annotator.

    Args:
        store: the run's store.
        service: how people are asked.
        clock: seconds, monotonic.
    """

    def __init__(self, store: Store, service: ServiceConfig, clock: Callable[[], float]) -> None:
        self.run = ""
        self.labels: int | None = None
        self.stage: Stage | None = None
        self.open = 0
        self.since = 0
        self.by_annotator: Counter[str] = Counter()
        self.seconds_of: dict[str, float] = {}
        self._roster = Roster(service)
        self._assistance: dict[str, Assistance] = {}
        self._store = store
        self._clock = clock
        self._read_upto = 0
        self._rounds: int | None = None
        self._rounds_done = 0
        self._dry_since: float | None = None
        self._last_dry: float | None = None
        self._given: dict[str, int] = {}
        self._lock = threading.RLock()

    @property
    def complete(self) -> bool:
        """Whether the run has come to its end; a study without a run is over when all its questions are answered."""
        if self._rounds is None:
            return bool(self._given) and self.open == 0
        return self._rounds_done >= self._rounds

    @property
    def total(self) -> int | None:
        """Questions in all, where that is known; of a study, those that it asked."""
        return len(self._given) if self.labels is None and self._rounds is None else self.labels

    @property
    def answered(self) -> int:
        """Questions that have all their answers."""
        return len(self._given) - self.open

    def read(self) -> None:
        """Take in what the log has got since the last time."""
        with self._lock:
            head = self._store.head()[0]
            for event in self._store.events(after=self._read_upto, upto=head, kinds=FOLLOWED):
                self._take(event)
            # retracted answers too: their questions are not asked again
            for _, answer in self._store.feedback(after=self._read_upto, upto=head, retracted=True):
                self._roster.given(answer)
                self.by_annotator[answer.annotator] += 1
                before = self.seconds_of.get(answer.annotator, 0.0)
                self.seconds_of[answer.annotator] = before + (answer.response_seconds or 0.0)
                if answer.query in self._given:
                    self._given[answer.query] += 1
                    self.open -= self._given[answer.query] == self._roster.config.overlap
            self._read_upto = head
            self._note(dry=self.open == 0)

    def _take(self, event: Event) -> None:
        payload = event.payload
        match event.kind:
            case "run.created":
                config = payload.get("config", {})
                self.run = event.hash[:16]
                self.labels = config.get("ask", {}).get("labels")
                self._rounds = config.get("loop", {}).get("rounds")
            case "stage.completed":
                done = STAGES.index(payload["stage"])
                self.stage = STAGES[(done + 1) % len(STAGES)]
                self._rounds_done += done == len(STAGES) - 1
            case "query.asked":
                query = from_json(Query, payload)
                self._given[query.id] = 0
                self.open += 1
                self._roster.asked(query)
            case _ if event.kind == STUDY:
                if not self.since:  # what was imported is no part of the study
                    self.since, self.open, self._given = event.seq, 0, {}
                    self._roster = Roster(self._roster.config)
            case _ if event.kind == GOLD:
                self._roster.golden(gold_of(payload))
            case _:
                self._assistance[payload["query"]] = assistance_of(payload)

    def offer(self, annotator: str, holding: Collection[str] = ()) -> Offer:
        """Which questions an annotator, who holds some already, may be given next."""
        with self._lock:
            return self._roster.offer(annotator, holding)

    def has_answered(self, annotator: str, query: str) -> bool:
        """Whether the store has an answer of this annotator to the question."""
        with self._lock:
            return query in self._roster.said.get(annotator, {})

    def assistance(self, query: str) -> Assistance | None:
        """What a helper says about a question."""
        return self._assistance.get(query)

    def _note(self, *, dry: bool) -> None:
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
