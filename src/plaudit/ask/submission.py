"""An answer as a page sends it, and the record that it makes.

A form sends the fields of its kind's own record, in the query's own order, or a skip. The record is built from the
class that the kind names, so a new kind needs nothing here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plaudit.ask.annotator import feedback_id
from plaudit.errors import RecordError
from plaudit.records import (
    FEEDBACK_KINDS,
    SKIPS,
    Correction,
    Demonstration,
    Feedback,
    Query,
    Ranking,
    TextSegment,
    from_json,
    is_skip,
)
from plaudit.records.feedback import Answer

SKIP, REASON = "skip", "reason"
FROM_QUERY = ("levels", "constraint")
"""fields of an answer that the query decides, where the kind has them"""


@dataclass(frozen=True, slots=True)
class Submission:
    """An answer as the page sends it. The record is a function of this and the query: sending it twice is harmless."""

    id: str
    """made by the page; the same id is the same submission"""
    query: str
    answer: Mapping[str, Any]
    """fields of the kind's record, in the query's own order; or `skip: true` and perhaps a `reason`"""
    answered_at: str | None
    """ISO 8601 time, by the page's clock; simulated annotators have none"""
    seconds: float
    """time with everything visible, page in front, over all showings of the query"""
    phases: Mapping[str, float] | None = None
    """how `seconds` were spent, by phase of the form"""
    interface: str | None = None
    """version of the page"""
    arm: str | None = None
    """variant of the form"""
    text: TextSegment | None = None
    """what a demonstration or correction in words brings; stored together with the record"""


def record_of(query: Query, submission: Submission, annotator: str) -> Feedback:
    """The record that a submission makes.

    Raises RecordError when the answer does not fit the query.
    """
    cls = FEEDBACK_KINDS[query.kind.value]
    names = {field.name for field in dataclasses.fields(cls)} - {field.name for field in dataclasses.fields(Answer)}
    own = names - set(FROM_QUERY)
    said = dict(submission.answer)
    skipped, reason = said.pop(SKIP, False) is True, said.pop(REASON, None)
    foreign = set(said) - own
    if foreign or (skipped and said):
        raise RecordError(
            "The answer does not fit the question",
            got=sorted(foreign or said),
            expected=f"fields of a {query.kind.value}: {', '.join(sorted(own))}; or skip alone",
        )
    fields = SKIPS.get(query.kind.value, {}) if skipped else said
    fixed = {name: getattr(query, name) for name in FROM_QUERY if name in names}
    brought = {} if submission.text is None or skipped else {"segment": submission.text.id}
    about = {
        "answered_at": submission.answered_at,
        "response_seconds": round(submission.seconds, 3),
        "phase_seconds": _rounded(submission.phases),
        "interface": submission.interface,
        "arm": submission.arm,
        "reason": reason,
    }
    record = from_json(
        cls,
        {"id": feedback_id(query.id, annotator), "query": query.id, "annotator": annotator}
        | {name: value for name, value in (about | fields | fixed | brought).items() if value is not None},
    )
    if is_skip(record) != skipped:
        raise RecordError("The answer says nothing", got=dict(submission.answer), expected="a judgement, or skip: true")
    _require_fit(query, record)
    return record


def _rounded(phases: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if not phases else {name: round(float(value), 3) for name, value in phases.items()}


def _require_fit(query: Query, record: Feedback) -> None:
    """Raise RecordError where a record is sound in itself and still no answer to this query."""
    match record:
        case Ranking() if record.ranks and len(record.ranks) != len(query.segments):
            raise RecordError(
                "A ranking leaves segments out", got=f"{len(record.ranks)} places", expected=len(query.segments)
            )
        case Demonstration() | Correction() if record.segment in query.segments:
            raise RecordError("What was shown is what was asked about", got=record.segment, expected="something new")
        case _:
            pass
