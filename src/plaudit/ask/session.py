"""One annotator's labelling session, as a state machine without I/O and without a clock.

The studio feeds it events and the time; it says what is on the screen, which answer may still be undone, and which
records are to be saved. It hands out a record until it is told that the record is saved, so a refused write loses
nothing; a submission that arrives again changes nothing, so a lost reply doubles nothing.

An answer is held for a short grace before it is handed out: until the next answer, a break, the end, or `grace`
seconds. Until then it can be undone.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import assert_never

from plaudit.ask.submission import Submission, record_of
from plaudit.errors import RecordError
from plaudit.records import Feedback, Query, TextSegment

GRACE_SECONDS = 5.0


class State(enum.Enum):
    """What the annotator sees."""

    WAITING = "waiting"
    SHOWN = "shown"
    BREAK = "break"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Offered:
    """A query is there for this annotator; `front` puts it on the screen at once."""

    query: Query
    front: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """The annotator has answered the query on the screen."""

    submission: Submission


@dataclass(frozen=True, slots=True)
class Undone:
    """The annotator takes back the last answer."""

    submission: str


@dataclass(frozen=True, slots=True)
class Saved:
    """The record of this id is in the store for good."""

    record: str


@dataclass(frozen=True, slots=True)
class Recognised:
    """A submission came that the store already has an answer for, from before this session began."""

    submission: str


class Cue(enum.Enum):
    """Events that carry nothing but their time."""

    TICK = "tick"
    PAUSE = "pause"
    RESUME = "resume"
    END = "end"


Event = Offered | Answered | Undone | Saved | Recognised | Cue


class Fate(enum.Enum):
    """What became of a submission."""

    HELD = "held"
    HANDED_OUT = "handed out"
    SAVED = "saved"
    UNDONE = "undone"


TRANSITIONS: dict[State, dict[Hashable, State]] = {
    State.WAITING: {
        Offered: State.WAITING,
        Undone: State.SHOWN,
        Saved: State.WAITING,
        Recognised: State.WAITING,
        Cue.TICK: State.WAITING,
        Cue.PAUSE: State.BREAK,
        Cue.END: State.FINISHED,
    },
    State.SHOWN: {
        Offered: State.SHOWN,
        Answered: State.WAITING,
        Undone: State.SHOWN,
        Saved: State.SHOWN,
        Recognised: State.SHOWN,
        Cue.TICK: State.SHOWN,
        Cue.PAUSE: State.BREAK,
        Cue.END: State.FINISHED,
    },
    State.BREAK: {
        Saved: State.BREAK,
        Recognised: State.BREAK,
        Cue.TICK: State.BREAK,
        Cue.RESUME: State.WAITING,
        Cue.END: State.FINISHED,
    },
    State.FINISHED: {
        Saved: State.FINISHED,
        Recognised: State.FINISHED,
        Cue.TICK: State.FINISHED,
    },
}
"""next state by state and event; what is not listed is refused. A waiting session that has a line shows its head"""


@dataclass(frozen=True, slots=True)
class Held:
    """The last answer, while it can be undone."""

    query: Query
    submission: Submission
    until: float


class Session:
    """See the module.

    Attributes:
        state: what the annotator sees.
        line: queries to answer; the first is on the screen.
        held: the last answer, while it can be undone.
        saved: the submissions that were saved last, newest at the end.

    Args:
        annotator: id of who answers.
        grace: seconds for which an answer can be undone.
    """

    def __init__(self, annotator: str, *, grace: float = GRACE_SECONDS) -> None:
        self.annotator = annotator
        self.state = State.WAITING
        self.line: deque[Query] = deque()
        self.held: Held | None = None
        self._grace = grace
        self.saved: deque[str] = deque(maxlen=100)
        self._outgoing: dict[str, tuple[Feedback, Submission]] = {}
        self._fates: dict[str, Fate] = {}

    @property
    def shown(self) -> Query | None:
        """The query on the screen."""
        return self.line[0] if self.state is State.SHOWN else None

    @property
    def outgoing(self) -> tuple[tuple[Feedback, TextSegment | None], ...]:
        """Records to save, oldest first, each with the text that it brings; each stays here until `Saved` is handled."""
        return tuple((feedback, submission.text) for feedback, submission in self._outgoing.values())

    @property
    def claims(self) -> frozenset[str]:
        """Queries that nobody else needs to answer: on the screen, in line, held, or on their way to the store."""
        held = [] if self.held is None else [self.held.query.id]
        return frozenset([*(query.id for query in self.line), *held, *(record.query for record, _ in self.outgoing)])

    def fate(self, submission: str) -> Fate | None:
        """What became of a submission; None if it never came."""
        return self._fates.get(submission)

    def handle(self, event: Event, at: float) -> None:
        """Take one event at a time (seconds, any monotonic clock).

        Raises RecordError when the event does not fit the state; nothing has changed then.
        """
        if isinstance(event, Answered) and event.submission.id in self._fates:
            return
        key = event if isinstance(event, Cue) else type(event)
        if key not in TRANSITIONS[self.state]:
            raise RecordError("This cannot be done now", got=f"{_name(event)} while {self.state.value}")
        match event:
            case Offered(query, front):
                self._offer(query, front=front)
            case Answered(submission):
                self._answer(submission, at)
            case Undone(submission):
                self._undo(submission)
            case Saved(record):
                self._saved(record)
            case Recognised(submission):
                self._fates.setdefault(submission, Fate.SAVED)
            case Cue.TICK:
                if self.held is not None and at >= self.held.until:
                    self._hand_out()
            case Cue.PAUSE | Cue.END:
                self._hand_out()
                self.line.clear()
            case Cue.RESUME:
                pass
            case _:
                assert_never(event)
        self.state = TRANSITIONS[self.state][key]
        if self.state is State.WAITING and self.line:
            self.state = State.SHOWN

    def _offer(self, query: Query, *, front: bool) -> None:
        if front and query in self.line:
            self.line.remove(query)
            self.line.appendleft(query)
        elif query.id not in self.claims:
            self.line.insert(0 if front else len(self.line), query)

    def _answer(self, submission: Submission, at: float) -> None:
        query = self.line[0]
        if submission.query != query.id:
            raise RecordError("The answer is not to the query on the screen", got=submission.query, expected=query.id)
        record_of(query, submission, self.annotator)  # raises before anything changes
        self._hand_out()
        self.line.popleft()
        self.held = Held(query, submission, at + self._grace)
        self._fates[submission.id] = Fate.HELD

    def _undo(self, submission: str) -> None:
        if self.held is None or self.held.submission.id != submission:
            raise RecordError(
                "The answer cannot be undone any more", got=submission, expected="the last answer, in time"
            )
        self.line.appendleft(self.held.query)
        self.held = None
        self._fates[submission] = Fate.UNDONE

    def _hand_out(self) -> None:
        if self.held is not None:
            record = record_of(self.held.query, self.held.submission, self.annotator)
            self._outgoing[record.id] = (record, self.held.submission)
            self._fates[self.held.submission.id] = Fate.HANDED_OUT
            self.held = None

    def _saved(self, record: str) -> None:
        if record in self._outgoing:
            _, submission = self._outgoing.pop(record)
            self._fates[submission.id] = Fate.SAVED
            self.saved.append(submission.id)


def _name(event: Event) -> str:
    return event.value if isinstance(event, Cue) else type(event).__name__.lower()
