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

from plaudit.ask.annotator import feedback_id
from plaudit.errors import RecordError
from plaudit.records import Choice, Comparison, Feedback, Query, QueryKind, Rating, StepFeedback

GRACE_SECONDS = 5.0


class State(enum.Enum):
    """What the annotator sees."""

    WAITING = "waiting"
    SHOWN = "shown"
    BREAK = "break"
    FINISHED = "finished"


class Pick(enum.Enum):
    """An answer as it was given on the screen; sides are screen sides, not the query's order."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"
    SKIP = "skip"
    GRADE = "grade"


@dataclass(frozen=True, slots=True)
class Submission:
    """An answer as the page sends it. The record is a function of this and the query: sending it twice is harmless."""

    id: str
    """made by the page; the same id is the same submission"""
    query: str
    pick: Pick
    answered_at: str
    """ISO 8601 time, by the page's clock"""
    seconds: float
    """time with all clips visible, page in front, over all showings of the query"""
    grade: int | None = None
    """for GRADE: 0 is the lowest"""


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
        self._outgoing: dict[str, tuple[Feedback, str]] = {}
        self._fates: dict[str, Fate] = {}

    @property
    def shown(self) -> Query | None:
        """The query on the screen."""
        return self.line[0] if self.state is State.SHOWN else None

    @property
    def outgoing(self) -> tuple[Feedback, ...]:
        """Records to save, oldest first; each stays here until `Saved` is handled."""
        return tuple(feedback for feedback, _ in self._outgoing.values())

    @property
    def claims(self) -> frozenset[str]:
        """Queries that nobody else needs to answer: on the screen, in line, held, or on their way to the store."""
        held = [] if self.held is None else [self.held.query.id]
        return frozenset([*(query.id for query in self.line), *held, *(record.query for record in self.outgoing)])

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
            self._outgoing[record.id] = (record, self.held.submission.id)
            self._fates[self.held.submission.id] = Fate.HANDED_OUT
            self.held = None

    def _saved(self, record: str) -> None:
        if record in self._outgoing:
            _, submission = self._outgoing.pop(record)
            self._fates[submission] = Fate.SAVED
            self.saved.append(submission)


def record_of(query: Query, submission: Submission, annotator: str) -> Feedback:
    """The record that a submission makes, with screen sides turned into the query's order.

    Raises RecordError when the answer does not fit the kind of the query.
    """
    identity, when = feedback_id(query.id, annotator), submission.answered_at
    seconds = round(submission.seconds, 3)
    match query.kind, submission.pick:
        case QueryKind.COMPARISON, Pick.LEFT | Pick.RIGHT | Pick.TIE | Pick.SKIP:
            return Comparison(
                id=identity,
                query=query.id,
                annotator=annotator,
                answered_at=when,
                response_seconds=seconds,
                choice=_choice(query, submission.pick),
            )
        case QueryKind.RATING, Pick.GRADE | Pick.SKIP:
            if query.levels is None or (submission.pick is Pick.GRADE) != (submission.grade is not None):
                raise RecordError(
                    "A grade is missing, or came with a skip", got=submission.grade, expected=query.levels
                )
            return Rating(
                id=identity,
                query=query.id,
                annotator=annotator,
                answered_at=when,
                response_seconds=seconds,
                value=submission.grade,
                levels=query.levels,
            )
        case QueryKind.STEPS, Pick.SKIP:  # the page has no form for step scores yet
            return StepFeedback(
                id=identity,
                query=query.id,
                annotator=annotator,
                answered_at=when,
                response_seconds=seconds,
                steps=(),
                scores=(),
            )
        case _:
            raise RecordError(
                "The answer does not fit the question",
                got=submission.pick.value,
                expected=f"an answer to a {query.kind.value}",
            )


def _choice(query: Query, pick: Pick) -> Choice:
    match pick:
        case Pick.TIE:
            return Choice.TIE
        case Pick.SKIP:
            return Choice.SKIP
        case _:
            on_screen = 0 if pick is Pick.LEFT else 1
            return Choice.FIRST if query.shown[on_screen] == 0 else Choice.SECOND


def _name(event: Event) -> str:
    return event.value if isinstance(event, Cue) else type(event).__name__.lower()
