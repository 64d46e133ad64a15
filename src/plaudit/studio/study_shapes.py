"""What the studio says of annotators and answers, as JSON. A number that the data cannot give is null; `reasons` says why."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from plaudit.quality.gold import GoldTest
from plaudit.stats.intervals import Interval
from plaudit.stats.undefined import Undefined
from plaudit.store.lineage import Use
from plaudit.store.signoff import Subject
from plaudit.studio.view import Shape

Said = Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=128)]


@dataclass(frozen=True, slots=True)
class Range:
    """An estimate with its 95 % interval, as far as it has one."""

    value: float
    low: float | None = None
    high: float | None = None


def ranged(found: Interval | Undefined) -> Range | None:
    """An interval as JSON has it: no infinite ends."""
    if isinstance(found, Undefined) or not math.isfinite(found.value):
        return None
    low, high = (end if math.isfinite(end) else None for end in (found.low, found.high))
    return Range(found.value, low, high)


@dataclass(frozen=True, slots=True)
class Gold:
    """The test on gold questions of one annotator."""

    right: int
    answered: int
    verdict: str
    """passed, stopped, or open: more gold is needed"""

    @classmethod
    def of(cls, test: GoldTest | Undefined) -> Gold | None:
        """From the test."""
        return None if isinstance(test, Undefined) else cls(test.right, test.answered, test.verdict.value)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why to look at somebody."""

    about: str
    """gold, agreement, side, order, rushed, copies"""
    sentence: str
    numbers: dict[str, float]
    """those in the sentence"""
    other: str | None = None
    """whose answers resemble theirs"""


@dataclass(frozen=True, slots=True)
class DriftView:
    """Agreement with most others in the first and the second half of one's answers."""

    early: Range
    late: Range
    change: Range


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorView:
    """One annotator, under the pseudonym."""

    annotator: str
    name: str | None
    """only for those who may see identities"""
    kind: str
    answers: int
    """that stand, without skips"""
    skips: int
    reasons_to_skip: dict[str, int]
    retracted: int
    seconds: float
    """response times of all answers, skips and retracted ones too: the time that is to be paid"""
    untimed: int
    """answers without a response time"""
    median_seconds: float | None
    gold: Gold | None
    first_shown: Range | None
    """share of decided comparisons that took what was shown first"""
    side_bias: Range | None
    """the same in log-odds, with the fitted values of the items held equal"""
    repeats: Range | None
    """share of repeated questions that were answered the same"""
    repeated: int
    accuracy: Range | None
    """against what annotators say together"""
    drift: DriftView | None
    suspicions: list[Suspicion]
    stopped: bool
    """asked no more"""
    last_seen: float | None
    """when the newest answer was saved, in seconds since 1970"""
    holds: int
    """questions that are on their screen or in line for it now"""
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    """why a number is not there"""


@dataclass(frozen=True, slots=True)
class Annotators:
    """Everybody who answers."""

    seq: int
    """log position up to which the statistics reach"""
    made_at: float
    """when they were made, in seconds since 1970"""
    now: float
    annotators: list[AnnotatorView]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementView:
    """Agreement of annotators on one form of question."""

    kind: str
    levels: int | None
    """grades on the scale of ratings"""
    aspect: str | None
    """what was judged; None: overall, or all aspects where `all_aspects`"""
    all_aspects: bool
    alpha: Range | None
    """Krippendorff's"""
    ac1: float | None
    """Gwet's"""
    questions: int
    """answered by two annotators or more"""
    reason: str | None
    """why there is no alpha"""


@dataclass(frozen=True, slots=True)
class Together:
    """What annotators together say about pairs."""

    pairs: int
    changed: int
    """where a model of the annotators' skills comes to another answer than the majority"""
    sure: float


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Between what bounds the best accuracy of any model lies."""

    low: float
    high: float
    questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreements:
    """How far annotators agree."""

    seq: int
    made_at: float
    answers: int
    skips: int
    questions: int
    kinds: list[AgreementView]
    together: Together | None
    first_shown: Range | None
    repeats: Range | None
    others: Ceiling | None
    """against an answer by anybody"""
    same: Ceiling | None
    """against an answer by an annotator whom the model knows"""
    reasons: dict[str, str]


@dataclass(frozen=True, slots=True)
class GoldAnswer:
    """An answer to a gold question."""

    feedback: str
    annotator: str
    said: str
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldQuestion:
    """A question whose right answer is known."""

    query: str
    kind: str
    levels: int | None
    right: str
    """first, second or tie in the question's own order; a grade from 0"""
    answers: list[GoldAnswer]
    wrong: int


@dataclass(frozen=True, slots=True)
class GoldQuestions:
    """Gold questions, those with most failures first."""

    total: int
    questions: list[GoldQuestion]


@dataclass(frozen=True, slots=True)
class Group:
    """Annotators who said the same of themselves."""

    value: str
    annotators: int
    answers: int
    agreement: Range | None
    """share of their comparisons that most others answered the same; interval by clusters of annotators"""


@dataclass(frozen=True, slots=True)
class Trait:
    """What annotators were asked about themselves."""

    trait: str
    groups: list[Group]
    hidden: bool
    """whether there are groups of too few people to be shown"""


@dataclass(frozen=True, slots=True)
class Groups:
    """Counts and agreement by group."""

    seq: int
    least: int
    """people in a group that is shown"""
    traits: list[Trait]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    """One answer."""

    seq: int
    feedback: str
    query: str
    annotator: str
    kind: str
    said: dict[str, Any]
    """fields of the record; sides, ranks and places in the question's own order"""
    skipped: bool
    reason: str | None
    seconds: float | None
    answered_at: str | None
    arm: str | None
    retracted: str | None
    """why it does not count any more"""
    right: bool | None
    """whether it is the right one, for gold"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyQuestion:
    """A question of these answers."""

    query: str
    kind: str
    round: int
    """from 0"""
    index: int
    strategy: str
    segments: list[str]
    shown: list[int]
    """places of the segments in the order on the screen"""
    levels: int | None
    aspect: str | None
    constraint: str | None
    answers: int
    """given to it, retracted ones too"""
    asked_again: int
    """how many questions ask the same again on the lead's wish"""
    gold: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A page of answers, newest first."""

    answers: list[AnswerView]
    cursor: int | None
    """of the next page; None at the end"""
    questions: list[StudyQuestion]


class Retract(Shape):
    """An answer that is not to count any more."""

    feedback: Id
    reason: Said


@dataclass(frozen=True, slots=True)
class Retracted:
    """What rests on an answer that was retracted."""

    seq: int
    uses: list[Use]
    """reward models that learned from it, and policies trained on them"""


class Reask(Shape):
    """A question that is to be asked again."""

    query: Id
    count: int = Field(1, ge=1, le=20)
    """of how many others"""


@dataclass(frozen=True, slots=True)
class Reasked:
    """The questions that ask it again."""

    queries: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOffView:
    """What a reviewer said."""

    verdict: str
    comment: str
    reviewer: str
    name: str | None
    """only for those who may see identities, and for the reviewer"""
    at: float
    seq: int
    policy: str | None
    reward: str | None


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check, and what was said about it, newest last."""

    name: str
    what: str
    usual: bool
    state: str
    """unsigned, accepted, rejected, or outdated: signed for something older than what there is now"""
    said: list[SignOffView]


@dataclass(frozen=True, slots=True)
class Checks:
    """Where the sign-off stands."""

    subject: Subject
    """what a sign-off speaks of that is given now"""
    checks: list[CheckView]


class NewCheck(Shape):
    """Something else that is to be looked at."""

    name: Annotated[str, StringConstraints(max_length=40)]
    what: Said


class Sign(Shape):
    """What a reviewer says about a check."""

    id: uuid.UUID
    """made by whoever sends it, so that it counts once"""
    check: Annotated[str, StringConstraints(max_length=40)]
    verdict: Literal["accepted", "rejected"]
    comment: Said
    seq: int = Field(ge=1, le=2**53)
    head: Annotated[str, StringConstraints(max_length=64)]
    """log position and hash of what was looked at, as `subject` said"""
