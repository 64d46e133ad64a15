"""Putting questions to whoever answers: simulated annotators at once, people as long as patience lasts. The same for all runs."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any

from plaudit.loop.context import Shared, stage_key
from plaudit.records import Choice, Comparison, Feedback, Query, is_skip


class Desk(ABC):
    """Puts the questions of a stage to whoever answers.

    Args:
        shared: what the stages share.
        round_: whose questions.
    """

    def __init__(self, shared: Shared[Any], round_: int) -> None:
        self.looked_at: int | None = None
        """log position at which this stage last looked for answers; None if it did not wait for any"""
        self._shared = shared
        self._round = round_
        self._key = stage_key(round_, "ask")
        self._since = time.monotonic()

    @abstractmethod
    def answers(self, queries: Sequence[Query]) -> list[Feedback]:
        """What simulated annotators say to the questions that are put to them."""

    def put(self, queries: Sequence[Query]) -> int | None:
        """The log position at which all had been answered; None if some were not in time."""
        shared, journal = self._shared, self._shared.journal
        if shared.annotators:
            for annotator in shared.annotators:
                journal.annotator(annotator.profile)
            journal.feedback(self.answers(queries))
        recorded = shared.recorded.get(self._key)
        if recorded is None and not journal.replaying and not shared.annotators:
            self.looked_at = _wait_for_people(shared, queries, self._since)
        elif journal.replaying and not journal.asks_on(queries[-1].id, self._key):
            return None
        position = recorded or self.looked_at or journal.store.head()[0]
        answered = {answer.query for _, answer in journal.store.feedback(upto=position)}
        return position if all(query.id in answered for query in queries) else None

    def conclude(self, queries: Sequence[Query]) -> tuple[dict[str, float], list[Feedback]]:
        """End the stage: fix up to where answers are read. Returns metrics, and the answers to these questions."""
        shared, store = self._shared, self._shared.journal.store
        shared.journal.catch_up(self._key)
        # answers go on coming while a stage ends: one that is repeated or replayed reads up to the very same place
        ended = shared.recorded.get(self._key) or shared.journal.read_until(self._key) or self.looked_at
        shared.asked_until = ended or store.head()[0]
        answers = store.feedback(upto=shared.asked_until)
        here = {query.id for query in queries}
        given = [answer for _, answer in answers if answer.query in here]
        metrics = {
            "ask/asked": float(len(queries)),
            "ask/answered": float(sum(not is_skip(answer) for answer in given)),
            "ask/skipped": float(sum(is_skip(answer) for answer in given)),
            "ask/ties": float(sum(isinstance(a, Comparison) and a.choice is Choice.TIE for a in given)),
            "ask/human_seconds": float(sum(answer.response_seconds or 0.0 for answer in given)),
            "ask/labels_total": float(sum(not is_skip(answer) for _, answer in answers)),
        }
        return metrics, given


def _wait_for_people(shared: Shared[Any], queries: Sequence[Query], since: float) -> int:
    """Wait until people have answered, or until patience ends; the first round needs two answers to begin with.

    Returns the log position at which it looked last.
    """
    patience = shared.config.ask.patience_seconds
    here = {query.id for query in queries}
    while True:
        position = shared.journal.store.head()[0]
        answered = [answer for _, answer in shared.journal.store.feedback(upto=position)]
        given = Counter(answer.query for answer in answered)
        left = sum(given[query] < shared.config.ask.overlap for query in here)
        enough = sum(not is_skip(answer) for answer in answered) >= 2
        waited = time.monotonic() - since
        if left == 0 or (waited >= patience and enough):
            return position
        shared.progress.advance(len(here) - left, len(here), "answers")
        shared.progress.waiting(
            f"{left} of {len(here)} questions wait for people in the studio; "
            + (
                f"going on with what is there in {max(0, patience - waited):.0f} s"
                if enough
                else "at least two answers are needed"
            )
        )
        time.sleep(0.5)
