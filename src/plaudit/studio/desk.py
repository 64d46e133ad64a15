"""Labelling sessions over a store: leases questions, saves answers. The I/O around `ask.session`."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial

from plaudit.ask.annotator import feedback_id
from plaudit.ask.mix import SHOWING
from plaudit.ask.service import ServiceConfig
from plaudit.ask.session import (
    Answered,
    Cue,
    Event,
    Fate,
    Offered,
    Recognised,
    Saved,
    Session,
    State,
    Undone,
)
from plaudit.ask.submission import Submission, record_of
from plaudit.errors import RecordError, StoreError
from plaudit.records import AnnotatorKind, AnnotatorProfile, Query, TextSegment, brought
from plaudit.store.store import Store
from plaudit.studio.outlook import Outlook
from plaudit.studio.refusals import code_of
from plaudit.studio.showing import Showing
from plaudit.studio.view import Answer, Progress, View, Waiting

LINE = 3
"""questions handed to one annotator at a time: one on the screen, the others being loaded"""
LEASE_SECONDS = 600.0
AWAY_SECONDS = 150.0
"""a page that has not asked for so long is gone: its questions go to others (hidden tabs ask once a minute)"""
LONGEST_TEXT = 100_000
"""characters of a written demonstration or correction"""


class Desk:
    """All sessions of one studio. Every method may be called from any thread.

    Args:
        store: where questions come from and answers go.
        service: how people are asked.
        clock: seconds, monotonic.
        live: whether a real environment can be played.
    """

    def __init__(self, store: Store, service: ServiceConfig, *, clock: Callable[[], float], live: bool = False) -> None:
        self.showing = Showing(store, service, live=live)
        self._store = store
        self._service = service
        self._clock = clock
        self._life = uuid.uuid4().hex[:12]
        self._outlook = Outlook(store, service, clock)
        self._sessions: dict[str, Session] = {}
        self._seen: dict[str, float] = {}
        self._away: set[str] = set()
        self._trouble: str | None = None
        self._trouble_code: str | None = None
        self._opening = threading.Lock()
        self._locks: dict[str, threading.RLock] = {}

    def view(self, annotator: str) -> View:
        """What this annotator is to see now; leases questions and asks for their clips."""
        with self._at_work(annotator) as session:
            self._seen[annotator] = self._clock()
            if annotator in self._away:
                self._away.remove(annotator)
                self._tell(session, Cue.RESUME)
            self._tell(session, Cue.TICK)
            self._outlook.read()  # what was asked again meanwhile is for others
            self._fill(session)
            return self._view(session)

    def submit(self, annotator: str, answer: Answer) -> View:
        """Take an answer, once, however often it is sent.

        Raises:
            RecordError: it does not fit the question, or another answer of this annotator stands.
        """
        with self._at_work(annotator) as session:
            if session.fate(answer.id) is None:
                self._accept(session, answer)
            view = self.view(annotator)
            repeated = session.fate(answer.id) is Fate.SAVED and answer.id not in view.saved
            return view.model_copy(update={"saved": [*view.saved, answer.id]}) if repeated else view

    def undo(self, annotator: str, submission: str) -> View:
        """Take back the last answer. Raises RecordError when it is too late."""
        with self._at_work(annotator) as session:
            if session.fate(submission) is not Fate.UNDONE:
                self._tell(session, Undone(submission))
            return self.view(annotator)

    def pause(self, annotator: str) -> View:
        """Begin a break: what is held is saved, questions go to others."""
        with self._at_work(annotator) as session:
            if session.state is not State.BREAK:
                self._tell(session, Cue.PAUSE)
            return self.view(annotator)

    def resume(self, annotator: str) -> View:
        """End a break."""
        with self._at_work(annotator) as session:
            if session.state is State.BREAK:
                self._away.discard(annotator)
                self._tell(session, Cue.RESUME)
            return self.view(annotator)

    def tick(self) -> None:
        """Save answers whose grace is over, and let the questions go of those whose page is gone."""
        for annotator in list(self._sessions):
            with self._at_work(annotator) as session:
                self._tell(session, Cue.TICK)
                silent = self._clock() - self._seen.get(annotator, self._clock())
                if silent > AWAY_SECONDS and session.state is not State.BREAK:
                    self._away.add(annotator)
                    self._tell(session, Cue.PAUSE)

    def close(self) -> None:
        """Save everything that is held, and let all questions go."""
        for annotator in list(self._sessions):
            with self._at_work(annotator) as session:
                self._tell(session, Cue.END)

    def holds(self, annotator: str, query: str) -> bool:
        """Whether a question is on this annotator's screen or in line for it."""
        with self._at_work(annotator) as session:
            return any(one.id == query for one in session.line)

    @contextmanager
    def _at_work(self, annotator: str) -> Generator[Session]:
        """The session of an annotator, alone: different annotators' answers can be saved together."""
        with self._opening:
            lock = self._locks.setdefault(annotator, threading.RLock())
        with lock:
            if annotator not in self._sessions:
                self._store.add_annotator(self._profile(annotator))
                self._store.release_all(annotator)  # leases of a studio that died are this annotator's no longer
                self._outlook.read()
                self._sessions[annotator] = Session(annotator)
            yield self._sessions[annotator]

    def _profile(self, annotator: str) -> AnnotatorProfile:
        known = self._store.annotators().get(annotator)
        return known or AnnotatorProfile(id=annotator, kind=AnnotatorKind.PERSON)

    def _tell(self, session: Session, event: Event) -> None:
        """Let a session handle an event, then carry out what follows from it."""
        before = session.claims
        session.handle(event, self._clock())
        for record, text in session.outgoing:
            try:
                self._store.add_feedback([record], [] if text is None else [text])
            except StoreError as error:
                self._outlook.read()
                if not self._outlook.has_answered(session.annotator, record.query):  # it stays and is tried again
                    self._trouble = f"Your answers cannot be saved at the moment. They are kept. {error}"
                    self._trouble_code = code_of(str(error))
                    break
            self._trouble = self._trouble_code = None
            session.handle(Saved(record.id), self._clock())
        for query in before - session.claims:
            self._store.release(query, session.annotator)

    def _accept(self, session: Session, answer: Answer) -> None:
        try:
            query = self._store.query(answer.query)
        except StoreError as error:
            raise RecordError("This run has no such question", got=answer.query) from error
        if query not in session.line and not self._store.was_given(query.id, session.annotator):
            raise RecordError("This question was not given to you", got=query.id, next_step="reload the page")
        submission = self._submission(session.annotator, query, answer)
        self._outlook.read()
        if self._outlook.has_answered(session.annotator, query.id):
            _, earlier = self._store.answer(feedback_id(query.id, session.annotator))
            if earlier != record_of(query, submission, session.annotator):
                raise RecordError("You have answered this question already; the first answer stands")
            self._tell(session, Recognised(submission.id))
            return
        if session.state is State.BREAK:
            self._away.discard(session.annotator)
            self._tell(session, Cue.RESUME)
        if session.shown != query:  # an answer from before this studio began, or from a page that was ahead
            self._tell(session, Offered(query, front=True))
        self._tell(session, Answered(submission))

    def _submission(self, annotator: str, query: Query, answer: Answer) -> Submission:
        """The submission, with the text that it brings made a segment."""
        written = answer.answer.get("text")
        if written is None:
            submission = answer.submission()
            for id_ in brought(record_of(query, submission, annotator)):
                try:
                    self._store.any_segments([id_])
                except StoreError as error:
                    raise RecordError("What was shown is not there", got=id_, next_step="show it again") from error
            return submission
        prompts = [one.prompt for one in self.showing.segments(query) if isinstance(one, TextSegment)]
        sound = isinstance(written, str) and bool(written.strip()) and len(written) <= LONGEST_TEXT
        if query.kind not in SHOWING or not prompts or not sound:
            raise RecordError(
                "This answer cannot be a text",
                got=f"{len(written)} characters" if isinstance(written, str) else type(written).__name__,
                expected=f"1 to {LONGEST_TEXT} characters, for a demonstration or a correction of a text",
            )
        return answer.submission(TextSegment(prompts[0], written, policy=annotator))

    def _fill(self, session: Session) -> None:
        if session.state in {State.BREAK, State.FINISHED}:
            return
        if self._outlook.offer(session.annotator).stopped:
            self._tell(session, Cue.PAUSE)
            return
        while len(session.line) < LINE:
            query = self._lease(session)
            if query is None:
                break
            # one that the session holds already, from before a break or a restart, is only leased again
            self._tell(session, Offered(query))

    def _lease(self, session: Session) -> Query | None:
        """The question that this annotator is given next."""
        annotator = session.annotator
        offer, since = self._outlook.offer(annotator, session.claims), self._outlook.since
        lease = partial(self._store.lease_query, annotator, LEASE_SECONDS, overlap=self._service.overlap, after=since)
        if offer.stopped:
            return None
        if offer.among:
            found = lease(among=offer.among)
            if found is not None or offer.screening:
                return found
        found = lease(barred=offer.barred)
        if found is None and offer.barred:  # rather somebody less suited than nobody
            found = lease(barred=offer.others)
        return found

    def _view(self, session: Session) -> View:
        annotator, line, held = session.annotator, list(session.line), session.held
        on_the_way = [record for record, _ in session.outgoing]
        waiting = len(on_the_way) + (held is not None)
        offer = self._outlook.offer(annotator)
        state = "question" if line else "break" if session.state is State.BREAK else "waiting"
        if not line and offer.stopped:
            state = "stopped"
        elif state == "waiting" and self._outlook.complete:
            state = "finished"
        return View(
            run=self._outlook.run,
            session=self._life,
            annotator=annotator,
            state=state,
            screening=offer.screening,
            instruction=self._service.instruction,
            questions=[self.showing.question(one, annotator, self._outlook.assistance(one.id)) for one in line],
            undoable=None if held is None else held.submission.id,
            saved=list(session.saved),
            progress=Progress(
                mine=self._outlook.by_annotator[annotator] + waiting,
                answered=self._outlook.answered + (waiting if self._service.overlap == 1 else 0),
                open=max(self._outlook.open - waiting, 0),
                total=self._outlook.total,
                seconds=round(self._outlook.seconds_of.get(annotator, 0.0), 1),
            ),
            waiting=Waiting(stage=self._outlook.stage, seconds=self._outlook.seconds()) if state == "waiting" else None,
            trouble=self._trouble,
            trouble_code=self._trouble_code,
        )
