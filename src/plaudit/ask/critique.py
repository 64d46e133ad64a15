"""From what a critique says to records that a fit can use, with a person in between.

A reader of critiques, `propose: Callable[[str], list[Proposal]]`, says what the words of a remark seem to mean. `Rules`
is one; a language model can be another. A proposal is no record: it is stored nowhere and enters no fit. A person
looks at it, and `confirm` turns it into a question and an answer that name the critique and the person. The store and
`reward.collate` refuse derived records without one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plaudit.errors import RecordError
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Critique,
    Feedback,
    Flag,
    Level,
    Query,
    QueryKind,
    Rating,
    StepFeedback,
    TextSegment,
    sentences,
)
from plaudit.records.codec import content_id

STRATEGY = "critique"
"""of the queries that confirmed proposals answer"""
GOOD = "good|great|nice|well|smooth|correct|right|excellent|perfect|clean|stable|safe|helpful|clear"
BAD = "bad|badly|poor|poorly|wrong|wrongly|awkward|jerky|terrible|awful|incorrect|unstable|clumsy|shaky|useless|confusing|ugly"
NOT = r"(?:\b(?:not|never|hardly|no)|n't)\s+(?:so\s+|very\s+|really\s+|at\s+all\s+)?"
FIRST, SECOND = r"first|left|former", r"second|right one|latter"
VERDICT = re.compile(rf"(?P<no>{NOT})?\b(?:(?P<good>{GOOD})|(?P<bad>{BAD}))\b", re.IGNORECASE)
ORDER = re.compile(
    rf"\b(?:(?P<first>{FIRST})|(?P<second>{SECOND}))\b(?:\s+one)?\s+(?:is|was|looks|does|seems)\s+(?:much\s+|a bit\s+|slightly\s+)?"
    r"(?:(?P<up>better|nicer|safer|smoother|clearer)|(?P<down>worse|clumsier|riskier))\b",
    re.IGNORECASE,
)
MILD, SEVERE = (
    re.compile(r"\b(?:slightly|a bit|a little|somewhat|almost)\b", re.I),
    re.compile(r"\b(?:very|far|badly)\b", re.I),
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a remark seems to say, for a person to confirm: a comparison, a verdict, or a flag."""

    kind: QueryKind
    """comparison, rating (a verdict on two levels) or flag"""
    words: str
    """the words that say so"""
    choice: Choice | None = None
    """of a comparison"""
    score: float | None = None
    """of a rating, 1 good or 0 bad; of a flag, its severity"""
    constraint: str | None = None
    """of a flag"""

    def __post_init__(self) -> None:
        complete = {
            QueryKind.COMPARISON: self.choice is not None,
            QueryKind.RATING: self.score in (0.0, 1.0),
            QueryKind.FLAG: self.score is not None and bool(self.constraint),
        }
        if not complete.get(self.kind, False):
            raise RecordError(
                "A proposal is incomplete", got=self, expected="a comparison, a rating of 0 or 1, or a flag"
            )


Propose = Callable[[str], list[Proposal]]
"""reads one remark"""


@dataclass(frozen=True, slots=True)
class Rules:
    """Reads English remarks by their words: which is better, good or bad, and words that speak of a constraint.

    Sentences are read one by one. It is careful rather than complete: contradicting verdicts of a sentence cancel, and
    what it does not know it leaves alone.
    """

    constraints: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """words, or beginnings of words, that speak of each constraint: {"contact": ["collid", "bump", "hit"]}"""

    def __call__(self, text: str) -> list[Proposal]:
        """What a remark seems to say, in its order."""
        sentences = [one.strip() for one in re.split(r"[.!?;\n]+", text) if one.strip()]
        return [proposal for sentence in sentences for proposal in self._sentence(sentence)]

    def _sentence(self, sentence: str) -> list[Proposal]:
        found = self._flags(sentence)
        if order := ORDER.search(sentence):
            first = bool(order["first"]) == bool(order["up"])
            return [*found, Proposal(QueryKind.COMPARISON, sentence, choice=Choice.FIRST if first else Choice.SECOND)]
        verdicts = {bool(one["good"]) != bool(one["no"]) for one in VERDICT.finditer(sentence)}
        if len(verdicts) == 1 and not found:
            found.append(Proposal(QueryKind.RATING, sentence, score=float(verdicts.pop())))
        return found

    def _flags(self, sentence: str) -> list[Proposal]:
        severity = 0.25 if MILD.search(sentence) else 1.0 if SEVERE.search(sentence) else 0.75
        found: list[Proposal] = []
        for name, words in self.constraints.items():
            spoken = re.search(rf"(?P<no>{NOT})?\b(?:{'|'.join(map(re.escape, words))})", sentence, re.IGNORECASE)
            if words and spoken:
                score = 0.0 if spoken["no"] else severity
                found.append(Proposal(QueryKind.FLAG, sentence, score=score, constraint=name))
        return found


@dataclass(frozen=True, slots=True)
class _Derived:
    critique: str
    note: int
    query: str
    words: str


def confirm(
    critique: Critique, note: int, proposal: Proposal, *, query: Query, person: AnnotatorProfile
) -> tuple[Query, Feedback]:
    """The question and the answer that a confirmed proposal makes; both go into the store, the question first.

    A verdict on a span of steps becomes step feedback on these steps, one on a span of a text a rating at the level of
    tokens, which the audit keeps apart from ratings of the whole. The answer is the critic's, and names the critique
    and who confirmed it; the same again gives the same records.

    Args:
        critique: what was said.
        note: which of its notes, counted from 0.
        proposal: what it means, as the person confirms it.
        query: the question that the critique answered.
        person: who confirms.

    Raises:
        RecordError: nobody but a person confirms, and a comparison needs two segments, everything else one.
    """
    if person.kind is not AnnotatorKind.PERSON:
        raise RecordError("Only a person confirms a proposal", got=f"{person.id}, {person.kind.value}")
    needed = 2 if proposal.kind is QueryKind.COMPARISON else 1
    if critique.query != query.id or len(query.segments) != needed:
        raise RecordError(
            "A proposal does not fit what was criticised",
            got=f"{len(query.segments)} segments in {query.id}",
            expected=f"{needed} for a {proposal.kind.value}, in {critique.query}",
        )
    said = critique.notes[note]
    span = None if said.start is None or said.end is None else (said.start, said.end)
    stepwise = proposal.kind is QueryKind.RATING and span is not None and query.segments[0].startswith("seg_")
    kind = QueryKind.STEPS if stepwise else proposal.kind
    asked = Query(
        kind=kind,
        segments=query.segments,
        shown=query.shown,
        round=query.round,
        index=query.index,
        strategy=STRATEGY,
        levels=2 if kind is QueryKind.RATING else None,
        aspect=None if kind is QueryKind.FLAG else said.aspect or query.aspect,
        constraint=proposal.constraint,
        level=_level(kind, query) if span is not None else query.level,
    )
    head: dict[str, Any] = {
        "id": content_id("fbk", _Derived(critique.id, note, asked.id, proposal.words)),
        "query": asked.id,
        "annotator": critique.annotator,
        "answered_at": critique.answered_at,
        "derived_from": (critique.id,),
        "confirmed_by": person.id,
    }
    score = proposal.score or 0.0
    match kind:
        case QueryKind.COMPARISON:
            return asked, Comparison(**head, choice=proposal.choice or Choice.SKIP)
        case QueryKind.FLAG:
            constraint = proposal.constraint or ""
            return asked, Flag(**head, constraint=constraint, severity=score, start=said.start, end=said.end)
        case QueryKind.STEPS:
            steps = range(*span) if span else range(0)
            return asked, StepFeedback(**head, steps=tuple(steps), scores=(score,) * len(steps))
        case _:
            return asked, Rating(**head, value=int(score), levels=2)


def _level(kind: QueryKind, query: Query) -> Level | None:
    """How much of the behaviour a remark about a span judges, where the answer does not say so itself."""
    match kind:
        case QueryKind.STEPS:
            return Level.STEP
        case QueryKind.RATING:
            return Level.TOKENS
        case _:
            return query.level


def marked(
    critique: Critique, *, query: Query, text: TextSegment, person: AnnotatorProfile
) -> tuple[Query, StepFeedback]:
    """What a critic highlighted in a text, as a score of every sentence: the share of its characters that is not highlighted.

    Only for critics who were told to highlight every fault, as a person confirms here for the whole critique: what they left
    alone then counts as good. Notes without a span say nothing. The same again gives the same records.

    Raises:
        RecordError: nobody but a person confirms, the critique is about something else, or the text is a conversation.
    """
    if person.kind is not AnnotatorKind.PERSON:
        raise RecordError("Only a person confirms a proposal", got=f"{person.id}, {person.kind.value}")
    if critique.query != query.id or query.segments != (text.id,) or not isinstance(text.completion, str):
        raise RecordError(
            "A critique does not fit the text", got=f"{critique.id} of {query.segments}", expected=f"a text, {text.id}"
        )
    spans = [(note.start, note.end) for note in critique.notes if note.start is not None and note.end is not None]
    hit = {place for start, end in spans for place in range(start, end)}
    pieces = [range(start, end) for start, end in sentences(text.completion)]
    scores = tuple(1.0 - sum(place in hit for place in piece) / max(len(piece), 1) for piece in pieces)
    asked = Query(
        QueryKind.STEPS, query.segments, query.shown, query.round, query.index, STRATEGY, aspect=query.aspect,
        level=Level.SENTENCE,
    )  # fmt: skip
    answer = StepFeedback(
        id=content_id("fbk", _Derived(critique.id, -1, asked.id, "")),
        query=asked.id,
        annotator=critique.annotator,
        answered_at=critique.answered_at,
        derived_from=(critique.id,),
        confirmed_by=person.id,
        steps=tuple(range(len(scores))),
        scores=scores,
    )
    return asked, answer
