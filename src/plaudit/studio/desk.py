"""Labelling sessions over a store: leases questions, asks for clips, saves answers. The I/O around `ask.session`."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

from plaudit.ask.annotator import feedback_id
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
    Submission,
    Undone,
    record_of,
)
from plaudit.errors import RecordError, StoreError
from plaudit.records import AnnotatorKind, AnnotatorProfile, Query
from plaudit.store.store import Store
from plaudit.studio.outlook import Outlook
from plaudit.studio.view import Clip, Progress, Question, View, Waiting

LINE = 3
"""questions handed to one annotator at a time: one on the screen, the others being loaded"""
LEASE_SECONDS = 600.0
AWAY_SECONDS = 150.0
"""a page that has not asked for so long is gone: its questions go to others (hidden tabs ask once a minute)"""


class Desk:
    """All sessions of one studio. Every method may be called from any thread.

    Args:
        store: where questions come from and answers go.
        instruction: what annotators are to judge by, in a sentence.
        clock: seconds, monotonic.
    """

    def __init__(self, store: Store, *, instruction: str, clock: Callable[[], float]) -> None:
        self.media: dict[str, str] = {}
        self._store = store
        self._instruction = instruction
        self._clock = clock
        self._life = uuid.uuid4().hex[:12]
        self._outlook = Outlook(store, clock)
        self._sessions: dict[str, Session] = {}
        self._seen: dict[str, float] = {}
        self._away: set[str] = set()
        self._trouble: str | None = None
        self._lock = threading.RLock()

    def view(self, annotator: str) -> View:
        """What this annotator is to see now; leases questions and asks for their clips."""
        with self._lock:
            session = self._session(annotator)
            self._seen[annotator] = self._clock()
            if annotator in self._away:
                self._away.remove(annotator)
                self._tell(session, Cue.RESUME)
            self._tell(session, Cue.TICK)
            self._fill(session)
            return self._view(session)

    def submit(self, annotator: str, submission: Submission) -> View:
        """Take an answer, once, however often it is sent.

        Raises:
            RecordError: it does not fit the question, or another answer of this annotator stands.
        """
        with self._lock:
            session = self._session(annotator)
            if session.fate(submission.id) is None:
                self._accept(session, submission)
            view = self.view(annotator)
            repeated = session.fate(submission.id) is Fate.SAVED and submission.id not in view.saved
            return view.model_copy(update={"saved": [*view.saved, submission.id]}) if repeated else view

    def undo(self, annotator: str, submission: str) -> View:
        """Take back the last answer. Raises RecordError when it is too late."""
        with self._lock:
            session = self._session(annotator)
            if session.fate(submission) is not Fate.UNDONE:
                self._tell(session, Undone(submission))
            return self.view(annotator)

    def pause(self, annotator: str) -> View:
        """Begin a break: what is held is saved, questions go to others."""
        with self._lock:
            session = self._session(annotator)
            if session.state is not State.BREAK:
                self._tell(session, Cue.PAUSE)
            return self.view(annotator)

    def resume(self, annotator: str) -> View:
        """End a break."""
        with self._lock:
            session = self._session(annotator)
            if session.state is State.BREAK:
                self._away.discard(annotator)
                self._tell(session, Cue.RESUME)
            return self.view(annotator)

    def tick(self) -> None:
        """Save answers whose grace is over, and let the questions go of those whose page is gone."""
        with self._lock:
            for annotator, session in self._sessions.items():
                self._tell(session, Cue.TICK)
                silent = self._clock() - self._seen.get(annotator, self._clock())
                if silent > AWAY_SECONDS and session.state is not State.BREAK:
                    self._away.add(annotator)
                    self._tell(session, Cue.PAUSE)

    def close(self) -> None:
        """Save everything that is held, and let all questions go."""
        with self._lock:
            for session in self._sessions.values():
                self._tell(session, Cue.END)

    def _session(self, annotator: str) -> Session:
        if annotator not in self._sessions:
            self._store.add_annotator(AnnotatorProfile(id=annotator, kind=AnnotatorKind.PERSON))
            for query in self._store.unanswered():  # leases of a studio that died are this annotator's no longer
                self._store.release(query.id, annotator)
            self._sessions[annotator] = Session(annotator)
        return self._sessions[annotator]

    def _tell(self, session: Session, event: Event) -> None:
        """Let a session handle an event, then carry out what follows from it."""
        before = session.claims
        session.handle(event, self._clock())
        for record in session.outgoing:
            try:
                self._store.add_feedback([record])
            except StoreError as error:
                self._outlook.read()
                if record.id not in self._outlook.answers:  # it stays with the session and is tried again
                    self._trouble = f"Your answers cannot be saved at the moment. They are kept. {error}"
                    break
            self._trouble = None
            session.handle(Saved(record.id), self._clock())
        for query in before - session.claims:
            self._store.release(query, session.annotator)

    def _accept(self, session: Session, submission: Submission) -> None:
        try:
            query = self._store.query(submission.query)
        except StoreError as error:
            raise RecordError("This run has no such question", got=submission.query) from error
        self._outlook.read()
        earlier = self._outlook.answers.get(feedback_id(query.id, session.annotator))
        if earlier is not None:
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

    def _fill(self, session: Session) -> None:
        if session.state in {State.BREAK, State.FINISHED}:
            return
        while len(session.line) < LINE:
            query = self._store.lease_query(session.annotator, LEASE_SECONDS)
            if query is None:
                break
            # one that the session holds already, from before a break or a restart, is only leased again
            self._tell(session, Offered(query))

    def _view(self, session: Session) -> View:
        self._outlook.read()
        line = list(session.line)
        held = session.held
        on_the_way = len(session.outgoing) + (held is not None)
        unanswered = len(self._store.unanswered())
        self._outlook.note(dry=unanswered == 0)
        state = "question" if line else "break" if session.state is State.BREAK else "waiting"
        if state == "waiting" and self._outlook.complete:
            state = "finished"
        return View(
            run=self._outlook.run,
            session=self._life,
            annotator=session.annotator,
            state=state,
            instruction=self._instruction,
            questions=[self._question(query) for query in line],
            undoable=None if held is None else held.submission.id,
            saved=list(session.saved),
            progress=Progress(
                mine=self._outlook.by_annotator[session.annotator] + on_the_way,
                answered=len(self._outlook.answers) + on_the_way,
                open=max(unanswered - on_the_way, 0),
                total=self._outlook.labels,
            ),
            waiting=Waiting(stage=self._outlook.stage, seconds=self._outlook.seconds()) if state == "waiting" else None,
            trouble=self._trouble,
        )

    def _question(self, query: Query) -> Question:
        clips = [self._clip(query.segments[index]) for index in query.shown]
        return Question(id=query.id, kind=query.kind, levels=query.levels, clips=clips)

    def _clip(self, segment: str) -> Clip:
        key = f"render/{segment}"
        job = self._store.job(key)
        if job is None:
            self._store.add_job("render", {"segment": segment}, key)
            return Clip()
        if job.error is not None:
            return Clip(error=job.error)
        if job.result is None:
            return Clip()
        self.media[job.result["blob"]] = job.result["mime"]
        return Clip(url=f"/media/{job.result['blob']}")
