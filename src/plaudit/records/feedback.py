"""Answers that people, teachers and judges give: a closed union of feedback kinds.

A new kind is one record class here, one likelihood function in `reward/likelihood.py` and one studio form.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from plaudit.errors import RecordError


class Choice(enum.Enum):
    """Outcome of a comparison. `FIRST` and `SECOND` mean the query's own order, never the order on the screen."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Answer):
    """Which of two segments is better."""

    choice: Choice
    strength: float | None = None
    """how much better, in (0, 1]; None when the form did not ask"""

    def __post_init__(self) -> None:
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
        if self.levels < 2:
            raise RecordError("A rating scale needs at least two levels", got=self.levels)
        if self.value is not None and not 0 <= self.value < self.levels:
            raise RecordError("A rating is off its scale", got=self.value, expected=f"0 .. {self.levels - 1}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFeedback(Answer):
    """A score in [0, 1] for some steps of one segment: 1 good, 0 bad; steps that are not listed were not judged."""

    steps: tuple[int, ...]
    scores: tuple[float, ...]

    def __post_init__(self) -> None:
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
        start, end = self.start, self.end
        if (start is None) != (end is None) or (start is not None and end is not None and not 0 <= start < end):
            raise RecordError(
                "A note has no proper span", got=f"{start} .. {end}", expected="0 <= start < end, or neither"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Critique(Answer):
    """Remarks about the query's segments; no note at all means that the annotator skipped. It enters no fit by itself."""

    notes: tuple[Note, ...] = ()


Feedback = Comparison | Rating | StepFeedback | Ranking | Critique
FEEDBACK_KINDS: dict[str, type[Comparison] | type[Rating] | type[StepFeedback] | type[Ranking] | type[Critique]] = {
    "comparison": Comparison,
    "rating": Rating,
    "steps": StepFeedback,
    "ranking": Ranking,
    "critique": Critique,
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
