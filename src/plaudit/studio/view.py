"""What the studio tells its page, as JSON; the page's only contract."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from plaudit.ask.session import Pick, Submission
from plaudit.records import QueryKind


class Shape(BaseModel):
    """Strict: what is not named is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Clip(Shape):
    """One clip of a question: ready (url), failed (error), or being drawn (neither)."""

    url: str | None = None
    error: str | None = None


class Question(Shape):
    """A question, with its clips in the order on the screen."""

    id: str
    kind: QueryKind
    levels: int | None
    clips: list[Clip]


class Progress(Shape):
    """How far labelling has come."""

    mine: int
    """answers of this annotator"""
    answered: int
    """answers of everybody"""
    open: int
    """questions that wait for an answer now"""
    total: int | None
    """questions of the whole run, where it is known"""


class Waiting(Shape):
    """Why there is no question."""

    stage: Literal["act", "ask", "learn", "improve", "check"] | None
    """what the run does now"""
    seconds: float | None
    """estimate until the next question, from the waits so far"""


class View(Shape):
    """All that the page needs; every answer of the API is one."""

    run: str
    """names the event log, so that answers kept in a browser never reach another run"""
    session: str
    """names this life of the studio; what another life was sent and did not save has to be sent again"""
    annotator: str
    state: Literal["question", "waiting", "break", "finished"]
    instruction: str
    questions: list[Question]
    """the first is to be shown; the others are to be loaded"""
    undoable: str | None
    """id of the submission that can still be undone"""
    saved: list[str]
    """ids of submissions that are in the store for good, newest last"""
    progress: Progress
    waiting: Waiting | None
    trouble: str | None
    """what hinders the studio now, in plain words"""


class Answer(Shape):
    """An answer from the page."""

    id: str = Field(min_length=8, max_length=64)
    query: str = Field(max_length=64)
    pick: Pick
    answered_at: str = Field(max_length=40, pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
    seconds: float = Field(ge=0, le=86_400)
    grade: int | None = None

    def submission(self) -> Submission:
        """For the session."""
        return Submission(
            id=self.id,
            query=self.query,
            pick=self.pick,
            answered_at=self.answered_at,
            seconds=self.seconds,
            grade=self.grade,
        )


class Undo(Shape):
    """A wish to take back an answer."""

    submission: str


class SessionCue(Shape):
    """A wish for a break, or to go on."""

    cue: Literal["pause", "resume"]
