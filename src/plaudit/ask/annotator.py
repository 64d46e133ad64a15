"""Who answers questions: one protocol for people, simulated teachers and whatever else gives judgements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from plaudit.records import AnnotatorKind, AnnotatorProfile, Feedback, Query, SegmentData
from plaudit.records.codec import content_id


class Annotator(Protocol):
    """Answers questions. The loop asks; an answer of None means that it comes later, through the store."""

    @property
    def profile(self) -> AnnotatorProfile:
        """Who this is, as the store knows it."""
        ...

    def answer(self, query: Query, segments: Sequence[SegmentData]) -> Feedback | None:
        """The answer to a query about `segments`, which come in the query's own order, not the order on the screen."""
        ...


class People:
    """People who answer in the studio, each under a pseudonym; the loop finds their answers in the store."""

    profile = AnnotatorProfile(id="people", kind=AnnotatorKind.PERSON, description="people who answer in the studio")

    def answer(self, query: Query, segments: Sequence[SegmentData]) -> None:
        """Always None: people answer later."""
        del query, segments


@dataclass(frozen=True, slots=True)
class _Answered:
    query: str
    annotator: str


def feedback_id(query: str, annotator: str) -> str:
    """Id of the one answer that an annotator gives to a query: a second answer cannot get another id."""
    return content_id("fbk", _Answered(query, annotator))
