"""Hypothesis strategies for records and payloads."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Correction,
    Critique,
    Demonstration,
    Feedback,
    Flag,
    Level,
    Message,
    Note,
    Query,
    QueryKind,
    Ranking,
    Rating,
    Segment,
    StepFeedback,
    TextSegment,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
"""any text that UTF-8 can write"""
NAMES = st.text("abcxyz-/é", min_size=1, max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
LEVELS = 5

payloads = st.dictionaries(
    TEXT,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | NUMBERS | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
"""JSON objects"""

annotators = st.builds(AnnotatorProfile, id=NAMES, kind=st.sampled_from(AnnotatorKind), description=TEXT)


def segments(blob: str) -> st.SearchStrategy[Segment]:
    """Segments whose arrays are one blob."""
    return st.builds(
        Segment,
        world=NAMES,
        policy=NAMES,
        episode=NAMES,
        start=st.integers(0, 500),
        length=st.integers(1, 60),
        blob=st.just(blob),
    )


conversations = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["system", "user", "assistant"]),
        content=TEXT,
        extra=st.none() | st.just({"tool_calls": [{"name": "f"}]}),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
"""turns of a conversation"""
texts = st.builds(
    TextSegment, prompt=TEXT | conversations, completion=TEXT | conversations, policy=st.sampled_from(["", "gpt-j"])
)
"""prompts with completions"""


@st.composite
def queries(draw: st.DrawFn, known: Sequence[Segment | TextSegment]) -> Query:
    """Queries of every kind about known segments."""
    kind = draw(st.sampled_from(QueryKind))
    count = kind.segments + (draw(st.integers(0, 2)) if kind.open_ended else 0)
    chosen = [draw(st.sampled_from(known)).id for _ in range(count)]
    return Query(
        kind=kind,
        segments=tuple(chosen),
        shown=tuple(draw(st.permutations(range(count)))),
        round=draw(st.integers(0, 3)),
        index=draw(st.integers(0, 9)),
        strategy=draw(st.sampled_from(["uniform", "disagreement"])),
        score=draw(st.none() | NUMBERS),
        propensity=draw(st.none() | st.floats(0, 1)),
        reward=draw(st.none() | NAMES),
        levels=LEVELS if kind is QueryKind.RATING else None,
        aspect=draw(st.none() | NAMES),
        constraint=draw(NAMES) if kind is QueryKind.FLAG else None,
        level=draw(st.none() | st.sampled_from(Level)),
    )


@st.composite
def answers(draw: st.DrawFn, query: Query) -> Feedback:
    """Feedback of the kind that a query asks for."""
    annotator = draw(NAMES)
    id_, seconds = f"fb/{query.id}/{annotator}", draw(st.none() | st.floats(0, 1e3))
    span = draw(st.none() | st.tuples(st.integers(0, 9), st.integers(1, 9)))
    start, end = (None, None) if span is None else (span[0], sum(span))
    match query.kind:
        case QueryKind.COMPARISON:
            strength = draw(st.none() | st.floats(0.01, 1))
            choice = draw(st.sampled_from(Choice))
            return Comparison(
                id=id_,
                query=query.id,
                annotator=annotator,
                response_seconds=seconds,
                derived_from=tuple(draw(st.lists(NAMES, max_size=2))),
                confirmed_by=draw(NAMES),
                phase_seconds=draw(st.none() | st.dictionaries(NAMES, st.floats(0, 1e3), max_size=2)),
                interface=draw(st.none() | NAMES),
                choice=choice,
                strength=strength,
            )
        case QueryKind.RATING:
            value = draw(st.none() | st.integers(0, LEVELS - 1))
            return Rating(
                id=id_, query=query.id, annotator=annotator, response_seconds=seconds, value=value, levels=LEVELS
            )
        case QueryKind.STEPS:
            steps = draw(st.lists(st.integers(0, 59), unique=True, max_size=5))
            scores = draw(st.lists(st.floats(0, 1), min_size=len(steps), max_size=len(steps)))
            return StepFeedback(
                id=id_,
                query=query.id,
                annotator=annotator,
                response_seconds=seconds,
                steps=tuple(steps),
                scores=tuple(scores),
            )
        case QueryKind.RANKING:
            drawn = draw(st.lists(st.integers(0, 3), min_size=len(query.segments), max_size=len(query.segments)))
            ranks = tuple(sorted(set(drawn)).index(rank) for rank in drawn)
            return Ranking(id=id_, query=query.id, annotator=annotator, response_seconds=seconds, ranks=ranks)
        case QueryKind.CRITIQUE:
            spans = st.none() | st.tuples(st.integers(0, 9), st.integers(1, 9))
            notes = [
                Note(text, None if span is None else span[0], None if span is None else sum(span))
                for text, span in draw(st.lists(st.tuples(TEXT, spans), max_size=2))
            ]
            return Critique(id=id_, query=query.id, annotator=annotator, response_seconds=seconds, notes=tuple(notes))
        case QueryKind.DEMONSTRATION:
            shown = draw(st.none() | st.sampled_from(query.segments))
            return Demonstration(id=id_, query=query.id, annotator=annotator, response_seconds=seconds, segment=shown)
        case QueryKind.CORRECTION:
            better = draw(st.none() | st.sampled_from(query.segments))
            return Correction(id=id_, query=query.id, annotator=annotator, segment=better, start=start, end=end)
        case QueryKind.FLAG:
            assert query.constraint
            severity = draw(st.none() | st.floats(0, 1))
            return Flag(
                id=id_,
                query=query.id,
                annotator=annotator,
                constraint=query.constraint,
                severity=severity,
                start=start,
                end=end,
            )
