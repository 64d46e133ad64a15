"""Answers that people, teachers and judges give: a closed union of feedback kinds.

A new kind is one record class here (and its name, and what a skip is), one likelihood in `reward/dispatch.py` and one
studio form.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from plaudit.errors import RecordError


class QueryKind(enum.Enum):
    """What form an answer takes; the values are the names in `FEEDBACK_KINDS`."""

    COMPARISON = "comparison"
    RATING = "rating"
    STEPS = "steps"
    RANKING = "ranking"
    CRITIQUE = "critique"
    DEMONSTRATION = "demonstration"
    CORRECTION = "correction"
    FLAG = "flag"

    @property
    def segments(self) -> int:
        """How many segments such a query shows, or the fewest where it is `open_ended`."""
        return 2 if self in (QueryKind.COMPARISON, QueryKind.RANKING) else 1

    @property
    def open_ended(self) -> bool:
        """Whether such a query may show more segments."""
        return self in (QueryKind.RANKING, QueryKind.CRITIQUE, QueryKind.DEMONSTRATION)


class Choice(enum.Enum):
    """Outcome of a comparison. `FIRST` and `SECOND` mean the query's own order, never the order on the screen."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"
    INCOMPARABLE = "incomparable"
    """looked at, and better in nothing that both can be measured by; unlike a tie it does not say that they are equal"""
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What every feedback record carries."""

    id: str
    """unique; submitting the same id again changes nothing"""
    query: str
    """the query that is answered"""
    annotator: str
    """who answered"""
    answered_at: str | None = None
    """ISO 8601 time of the answer, for people; simulated annotators have none"""
    response_seconds: float | None = None
    """time from the query being visible to the answer"""
    derived_from: tuple[str, ...] = ()
    """records that this one was made from, for example a critique"""
    confirmed_by: str | None = None
    """the person who confirmed a derived record"""
    phase_seconds: dict[str, float] | None = None
    """how `response_seconds` were spent, by phase of the form, for example watch, decide, write"""
    interface: str | None = None
    """version of the form that was answered in"""
    arm: str | None = None
    """variant of the form that was drawn for this answer, for example edit or scratch, assisted or alone"""
    reason: str | None = None
    """why the annotator skipped, where they said so: cannot-tell, broken, unsafe, or words of their own"""

    def __post_init__(self) -> None:
        bad = {name: one for name, one in (self.phase_seconds or {}).items() if not (math.isfinite(one) and one >= 0)}
        if bad:
            raise RecordError("The seconds of a phase are out of range", got=bad, expected="finite numbers >= 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Answer):
    """Which of two segments is better."""

    choice: Choice
    strength: float | None = None
    """how much better, in (0, 1]; None when the form did not ask"""

    def __post_init__(self) -> None:
        Answer.__post_init__(self)
        if self.strength is not None and not 0 < self.strength <= 1:
            raise RecordError(
                "A comparison's strength is out of range", got=self.strength, expected="0 < strength <= 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating(Answer):
    """How good one segment is, on a declared scale; `value` None means the annotator skipped."""

    value: int | None = None
    """grade in 0 .. levels - 1, higher is better"""
    levels: int
    """number of grades on the scale"""

    def __post_init__(self) -> None:
        Answer.__post_init__(self)
        if self.levels < 2:
            raise RecordError("A rating scale needs at least two levels", got=self.levels)
        if self.value is not None and not 0 <= self.value < self.levels:
            raise RecordError("A rating is off its scale", got=self.value, expected=f"0 .. {self.levels - 1}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFeedback(Answer):
    """A score in [0, 1] for some steps of one segment: 1 good, 0 bad; steps that are not listed were not judged."""

    steps: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        Answer.__post_init__(self)
        if len(self.steps) != len(self.scores):
            raise RecordError(
                "Step feedback does not fit together", got=f"{len(self.steps)} steps, {len(self.scores)} scores"
            )
        bad = [score for score in self.scores if not (math.isfinite(score) and 0 <= score <= 1)]
        if bad or any(step < 0 for step in self.steps) or len(set(self.steps)) != len(self.steps):
            raise RecordError(
                "Step feedback is out of range", got=bad or self.steps, expected="distinct steps >= 0, scores in [0, 1]"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking(Answer):
    """An order of any number of segments, with ties; no ranks at all means that the annotator skipped."""

    ranks: tuple[int, ...] = ()
    """place of each of the query's segments: 0 is best, equal places are ties, no place is left out"""

    def __post_init__(self) -> None:
        Answer.__post_init__(self)
        if set(self.ranks) != set(range(len(set(self.ranks)))):
            raise RecordError(
                "The places of a ranking have gaps", got=self.ranks, expected="0 for the best, then 1, 2, ... as needed"
            )


@dataclass(frozen=True, slots=True)
class Note:
    """One remark of a critique."""

    text: str = ""
    """what the annotator says, in free words"""
    start: int | None = None
    """first character of the span of the completion (or step of the segment) that it is about; None: about all of it"""
    end: int | None = None
    """one past the last character or step of the span"""
    aspect: str = ""
    """what it speaks of, for example the type of an error"""

    def __post_init__(self) -> None:
        _check_span("note", self.start, self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Critique(Answer):
    """Remarks about the query's segments; no note at all means that the annotator skipped. It enters no fit by itself."""

    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration(Answer):
    """Behaviour that the annotator showed: chosen over the query's segments, which are the policy's own samples."""

    segment: str | None = None
    """id of the segment that was shown; None: the annotator skipped"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction(Answer):
    """A better version of the query's one segment."""

    segment: str | None = None
    """id of the corrected version; None: the annotator skipped"""
    start: int | None = None
    """first step or character of the query's segment that was changed; None: not said, or all of it"""
    end: int | None = None
    """one past the last that was changed"""

    def __post_init__(self) -> None:
        Answer.__post_init__(self)
        _check_span("correction", self.start, self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Answer):
    """Whether the query's one segment violates a constraint, and how badly."""

    constraint: str
    """name of the constraint; the query names it too"""
    severity: float | None = None
    """0: looked, and found no violation; 1: the worst there is; None: the annotator skipped"""
    start: int | None = None
    """first step or character of the violation; None: not said, or all of the segment"""
    end: int | None = None
    """one past the last"""

    def __post_init__(self) -> None:
        Answer.__post_init__(self)
        if not self.constraint:
            raise RecordError("A flag names no constraint", expected="a name, for example speed")
        if self.severity is not None and not 0 <= self.severity <= 1:
            raise RecordError("A flag's severity is out of range", got=self.severity, expected="0 <= severity <= 1")
        _check_span("flag", self.start, self.end)


def _check_span(what: str, start: int | None, end: int | None) -> None:
    if (start is None) != (end is None) or (start is not None and end is not None and not 0 <= start < end):
        raise RecordError(
            f"A {what} has no proper span", got=f"{start} .. {end}", expected="0 <= start < end, or neither"
        )


Feedback = Comparison | Rating | StepFeedback | Ranking | Critique | Demonstration | Correction | Flag
FEEDBACK_KINDS: dict[str, type[Feedback]] = {
    "comparison": Comparison,
    "rating": Rating,
    "steps": StepFeedback,
    "ranking": Ranking,
    "critique": Critique,
    "demonstration": Demonstration,
    "correction": Correction,
    "flag": Flag,
}
"""name on disk of each kind"""


def kind_of(feedback: Feedback) -> str:
    """Name on disk of a feedback record's kind."""
    return next(name for name, cls in FEEDBACK_KINDS.items() if isinstance(feedback, cls))


def is_skip(feedback: Feedback) -> bool:
    """True when the annotator declined to judge; such a record counts as asked, not as answered."""
    match feedback:
        case Comparison():
            return feedback.choice is Choice.SKIP
        case Rating():
            return feedback.value is None
        case StepFeedback():
            return not feedback.steps
        case Ranking():
            return not feedback.ranks
        case Critique():
            return not feedback.notes
        case Demonstration() | Correction():
            return feedback.segment is None
        case Flag():
            return feedback.severity is None


SKIPS: dict[str, dict[str, str]] = {"comparison": {"choice": Choice.SKIP.value}}
"""by kind, the fields of a skip; every other kind is skipped by saying nothing"""


def brought(feedback: Feedback) -> tuple[str, ...]:
    """Ids of the segments that come with an answer rather than with its query."""
    match feedback:
        case Demonstration() | Correction():
            return () if feedback.segment is None else (feedback.segment,)
        case _:
            return ()


def require_confirmed(feedback: Feedback) -> None:
    """Raises RecordError for a record that was derived from others and that no person has confirmed."""
    if feedback.derived_from and not feedback.confirmed_by:
        raise RecordError(
            "A derived record was not confirmed",
            got=f"{feedback.id}, derived from {', '.join(feedback.derived_from)}",
            expected="confirmed_by: the person who looked at it",
            next_step="let a person confirm the proposal",
        )
