"""What exists: behaviour, questions, feedback, people. Standard library and numpy only."""

from plaudit.records.behaviour import Scores, Segment, SegmentData, StepBatch
from plaudit.records.codec import canonical_json, content_id, digest, from_json, to_json
from plaudit.records.feedback import (
    FEEDBACK_KINDS,
    Choice,
    Comparison,
    Feedback,
    Rating,
    StepFeedback,
    is_skip,
    kind_of,
)
from plaudit.records.people import AnnotatorKind, AnnotatorProfile
from plaudit.records.tasks import Query, QueryKind

__all__ = [
    "FEEDBACK_KINDS",
    "AnnotatorKind",
    "AnnotatorProfile",
    "Choice",
    "Comparison",
    "Feedback",
    "Query",
    "QueryKind",
    "Rating",
    "Scores",
    "Segment",
    "SegmentData",
    "StepBatch",
    "StepFeedback",
    "canonical_json",
    "content_id",
    "digest",
    "from_json",
    "is_skip",
    "kind_of",
    "to_json",
]
