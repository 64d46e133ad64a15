"""What the studio tells its page about labelling, as JSON; the page's only contract."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from plaudit.ask.submission import Submission
from plaudit.records import TextSegment


class Shape(BaseModel):
    """Strict: what is not named is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Clip(Shape):
    """One clip of a question: ready (url), failed (error), or being drawn (neither)."""

    url: str | None = None
    error: str | None = None
    steps: int
    """length of the segment; spans and step scores count these"""


class Turn(Shape):
    """One turn of a conversation, or all of a plain text (role "")."""

    role: str
    content: str


class Text(Shape):
    """A prompt and what was answered to it; spans count the characters of the completion's turns, one after the other."""

    prompt: list[Turn]
    completion: list[Turn]


class Item(Shape):
    """One segment of a question: a clip or a text."""

    index: int
    """place in the question's own order; answers speak of these, never of places on the screen"""
    clip: Clip | None = None
    text: Text | None = None


class Remark(Shape):
    """One remark of a helper about an item."""

    text: str
    start: int | None = None
    end: int | None = None


class Assist(Shape):
    """What a helper says beside a question."""

    by: str
    suggestion: str | None = None
    critiques: list[Remark] = []


class Question(Shape):
    """A question, with its items in the order on the screen."""

    id: str
    kind: str
    levels: int | None
    aspect: str | None
    constraint: str | None
    level: str | None
    items: list[Item]
    arm: str | None
    """variant of the form: edit or scratch for corrections of texts, assisted or alone where there is help"""
    live: bool
    """whether a real environment can be played"""
    assist: Assist | None


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
    seconds: float
    """response time of this annotator so far, as measured by the page"""


class Waiting(Shape):
    """Why there is no question."""

    stage: Literal["act", "ask", "learn", "improve", "check"] | None
    """what the run does now"""
    seconds: float | None
    """estimate until the next question, from the waits so far"""


class View(Shape):
    """All that the labelling page needs; every answer of its API is one."""

    run: str
    """names the event log, so that answers kept in a browser never reach another run"""
    session: str
    """names this life of the studio; what another life was sent and did not save has to be sent again"""
    annotator: str
    state: Literal["question", "waiting", "break", "finished", "stopped"]
    screening: bool
    """whether the questions are those that newcomers answer first"""
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
    trouble_code: str | None = None
    """of `trouble`, as of every refusal"""


class Answer(Shape):
    """An answer from the page."""

    id: str = Field(min_length=8, max_length=64)
    query: str = Field(max_length=64)
    answer: dict[str, Any]
    """fields of the record of the question's kind, in the question's own order; `text` for what was written as a
    demonstration or a correction; or `skip: true` and perhaps a `reason`"""
    answered_at: str | None = Field(
        default=None, max_length=40, pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"
    )
    """ISO 8601 time, by the page's clock; a simulated annotator has none"""
    seconds: float = Field(ge=0, le=86_400)
    phases: dict[str, float] | None = Field(default=None, max_length=10)
    interface: str | None = Field(default=None, max_length=40)
    arm: str | None = Field(default=None, max_length=20)

    def submission(self, text: TextSegment | None = None) -> Submission:
        """For the session; `text` is the segment that was made of a written demonstration or correction."""
        said = {name: value for name, value in self.answer.items() if name != "text"}
        return Submission(
            id=self.id,
            query=self.query,
            answer=said,
            answered_at=self.answered_at,
            seconds=self.seconds,
            phases=self.phases,
            interface=self.interface,
            arm=self.arm,
            text=text,
        )


class Undo(Shape):
    """A wish to take back an answer."""

    submission: str


class SessionCue(Shape):
    """A wish for a break, or to go on."""

    cue: Literal["pause", "resume"]
