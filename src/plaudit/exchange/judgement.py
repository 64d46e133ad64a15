"""What readers of formats yield: a judgement with all that it speaks of; equal content gets equal ids."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plaudit.errors import RecordError
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Critique,
    Feedback,
    Note,
    Query,
    QueryKind,
    Ranking,
    Rating,
    TextSegment,
    content_id,
    feedback_to_json,
    to_json,
)
from plaudit.store.blobs import BlobStore

THREE_WAY = (Choice.TIE, Choice.FIRST, Choice.SECOND)
"""what 0, 1 and 2 mean in data sets that number the outcomes of a comparison"""
LONGEST_NAME = 64
"""characters of an annotator's id in the store"""
Entry = tuple[str, dict[str, Any], str]
"""kind, payload and key of an event"""


@dataclass(frozen=True, slots=True)
class Judgement:
    """An answer, its question, who gave it, and the texts; without an answer: texts that show how to answer."""

    texts: tuple[TextSegment, ...]
    query: Query | None = None
    annotator: AnnotatorProfile | None = None
    feedback: Feedback | None = None

    def entries(self, _: BlobStore) -> list[Entry]:
        """The events that log it, in the order that the store asks for; texts need no blobs."""
        found: list[Entry] = [("segment.added", to_json(text), text.id) for text in self.texts]
        if self.query is not None and self.annotator is not None and self.feedback is not None:
            found.append(("annotator.added", to_json(self.annotator), self.annotator.id))
            found.append(("query.asked", to_json(self.query), self.query.id))
            found.append(("feedback.given", feedback_to_json(self.feedback), self.feedback.id))
        return found


@dataclass(frozen=True, slots=True)
class Judge:
    """Who judged, in which data set; its methods make judgements."""

    format: str
    """name of the format"""
    name: str = "unknown"
    """the annotator, as the data set calls it"""
    kind: AnnotatorKind = AnnotatorKind.PERSON

    @property
    def profile(self) -> AnnotatorProfile:
        """The annotator under an id that no other data set uses."""
        name = f"{self.format}/{self.name}"
        if len(name) > LONGEST_NAME:
            name = content_id("ann", AnnotatorProfile(name, self.kind, name))
        return AnnotatorProfile(name, self.kind, f"from imported data: {self.format}")

    def prefers(self, chosen: TextSegment, rejected: TextSegment) -> Judgement:
        """A comparison whose shown order is not known: the texts stand in the order of their ids, so that their places
        tell nothing about the answer. Raises RecordError when both are the same.
        """
        if chosen.id == rejected.id:
            raise RecordError("The chosen and the rejected text are the same")
        first, second = sorted((chosen, rejected), key=lambda text: text.id)
        return self.compares(first, second, Choice.FIRST if first is chosen else Choice.SECOND)

    def compares(
        self,
        first: TextSegment,
        second: TextSegment,
        choice: Choice,
        *,
        strength: float | None = None,
        aspect: str | None = None,
    ) -> Judgement:
        """A comparison of two texts in the order in which they were shown."""
        texts = (first, second)
        query = self._query(QueryKind.COMPARISON, texts, aspect=aspect)
        return self._answered(texts, query, Comparison(**self._head(query), choice=choice, strength=strength))

    def ranks(self, texts: Sequence[TextSegment], places: Sequence[float], *, aspect: str | None = None) -> Judgement:
        """A ranking, lower places better, equal places tied; texts stand in the order of their ids."""
        order = sorted(range(len(texts)), key=lambda index: texts[index].id)
        levels = sorted(set(places))
        ranks = tuple(levels.index(places[index]) for index in order)
        ordered = tuple(texts[index] for index in order)
        query = self._query(QueryKind.RANKING, ordered, aspect=aspect)
        return self._answered(ordered, query, Ranking(**self._head(query), ranks=ranks))

    def rates(self, text: TextSegment, value: int | None, levels: int, *, aspect: str | None = None) -> Judgement:
        """A rating, 0 .. levels - 1."""
        query = self._query(QueryKind.RATING, (text,), levels=levels, aspect=aspect)
        return self._answered((text,), query, Rating(**self._head(query), value=value, levels=levels))

    def notes(self, texts: Sequence[TextSegment], notes: Sequence[Note]) -> Judgement:
        """A critique; its spans count characters of the completion."""
        query = self._query(QueryKind.CRITIQUE, texts)
        return self._answered(tuple(texts), query, Critique(**self._head(query), notes=tuple(notes)))

    def _query(
        self, kind: QueryKind, texts: Sequence[TextSegment], *, levels: int | None = None, aspect: str | None = None
    ) -> Query:
        ids, shown = tuple(text.id for text in texts), tuple(range(len(texts)))
        return Query(kind, ids, shown, 0, 0, f"import/{self.format}", levels=levels, aspect=aspect)

    def _head(self, query: Query) -> dict[str, Any]:
        return {"id": "", "query": query.id, "annotator": self.profile.id}

    def _answered(self, texts: tuple[TextSegment, ...], query: Query, answer: Feedback) -> Judgement:
        """The answer's id is a hash of all that it says: the same row again changes nothing."""
        return Judgement(texts, query, self.profile, dataclasses.replace(answer, id=content_id("imp", answer)))
