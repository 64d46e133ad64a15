"""What exists: behaviour, questions, feedback, people. Standard library and numpy only."""

from plaudit.records.behaviour import Scores, Segment, SegmentData, StepBatch
from plaudit.records.codec import canonical_json, content_id, digest, from_json, to_json
from plaudit.records.feedback import (
    FEEDBACK_KINDS,
    Choice,
    Comparison,
    Critique,
    Feedback,
    Note,
    Ranking,
    Rating,
    StepFeedback,
    is_skip,
    kind_of,
)
from plaudit.records.people import AnnotatorKind, AnnotatorProfile
from plaudit.records.tasks import Query, QueryKind
from plaudit.records.text import Message, Text, TextSegment, segment_from_json

__all__ = [
    "FEEDBACK_KINDS",
    "AnnotatorKind",
    "AnnotatorProfile",
    "Choice",
    "Comparison",
    "Critique",
    "Feedback",
    "Message",
    "Note",
    "Query",
    "QueryKind",
    "Ranking",
    "Rating",
    "Scores",
    "Segment",
    "SegmentData",
    "StepBatch",
    "StepFeedback",
    "Text",
    "TextSegment",
    "canonical_json",
    "content_id",
    "digest",
    "from_json",
    "is_skip",
    "kind_of",
    "segment_from_json",
    "to_json",
]
