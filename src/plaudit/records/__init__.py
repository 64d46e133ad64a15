"""What exists: behaviour, questions, feedback, people. Standard library and numpy only."""

from plaudit.records.behaviour import Scores, Segment, SegmentData, StepBatch
from plaudit.records.codec import canonical_json, content_id, digest, from_json, to_json
from plaudit.records.feedback import (
    FEEDBACK_KINDS,
    Choice,
    Comparison,
    Correction,
    Critique,
    Demonstration,
    Feedback,
    Flag,
    Note,
    QueryKind,
    Ranking,
    Rating,
    StepFeedback,
    brought,
    is_skip,
    kind_of,
    require_confirmed,
)
from plaudit.records.people import AnnotatorKind, AnnotatorProfile
from plaudit.records.tasks import Level, Query
from plaudit.records.text import Message, Text, TextSegment, segment_from_json, sentences

__all__ = [
    "FEEDBACK_KINDS",
    "AnnotatorKind",
    "AnnotatorProfile",
    "Choice",
    "Comparison",
    "Correction",
    "Critique",
    "Demonstration",
    "Feedback",
    "Flag",
    "Level",
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
    "brought",
    "canonical_json",
    "content_id",
    "digest",
    "from_json",
    "is_skip",
    "kind_of",
    "require_confirmed",
    "segment_from_json",
    "sentences",
    "to_json",
]
