"""Questions from a conversation: what somebody sees while chatting with a model goes straight into a store's labelling queue."""

from __future__ import annotations

from collections.abc import Sequence

from plaudit.ask.annotator import feedback_id
from plaudit.errors import ConfigError, RecordError
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Feedback,
    Query,
    QueryKind,
    Rating,
    Text,
    TextSegment,
    feedback_to_json,
    to_json,
)
from plaudit.run.seeds import generator
from plaudit.store.store import Store, require_pseudonym

CHAT = "chat"
"""strategy of questions that come from a conversation"""
THUMBS = 2
"""grades of a rating that is a thumb down or up"""


def require_texts(store: Store) -> None:
    """Raises ConfigError for the store of a control agent's run: nothing there reads texts."""
    config = next(store.events(upto=1)).payload.get("config") or {}
    if "world" in config:
        raise ConfigError(
            "This store belongs to a run of a control agent", got=str(store.path),
            expected="a run that teaches a language model, or a directory of imports",
            next_step="name a directory that is not there yet, and it is made",
        )  # fmt: skip


def ask_to_compare(store: Store, prompt: Text, answers: Sequence[Text], *, policy: str) -> Query:
    """Put two answers to a prompt into the queue, in one transaction; on disk when it returns.

    Args:
        store: of a run on texts or of imports.
        prompt: what was asked.
        answers: two, which differ.
        policy: version or name of the model that answered.

    Raises:
        RecordError: the answers are equal, or not two.
    """
    texts = tuple(TextSegment(prompt, answer, policy) for answer in answers)
    if len({text.id for text in texts}) != 2 or len(texts) != 2:
        raise RecordError("There is nothing to compare", got=f"{len(texts)} answers", expected="two that differ")
    query = _query(store, QueryKind.COMPARISON, texts)
    store.append_many(_asked(query, texts))
    return query


def prefer(store: Store, query: Query, choice: Choice, *, annotator: str, answered_at: str | None = None) -> Comparison:
    """Answer such a question at once. The first answer of an annotator stands.

    Raises StoreError when the question is none of the store's, or the annotator has given another answer to it.
    """
    answer = Comparison(
        id=feedback_id(query.id, annotator), query=query.id, annotator=annotator, choice=choice, answered_at=answered_at
    )
    store.append_many(_given(store, answer))
    return answer


def rate(
    store: Store, text: TextSegment, *, good: bool, annotator: str, answered_at: str | None = None
) -> tuple[Query, Rating]:
    """A thumb up or down for one answer: the question and the rating on two grades, in one transaction.

    Raises RecordError for an empty answer.
    """
    if not text.characters:
        raise RecordError("An answer that says nothing cannot be rated", got=text.id)
    query = _query(store, QueryKind.RATING, (text,))
    answer = Rating(
        id=feedback_id(query.id, annotator), query=query.id, annotator=annotator, value=int(good), levels=THUMBS,
        answered_at=answered_at,
    )  # fmt: skip
    store.append_many([*_asked(query, (text,)), *_given(store, answer)])
    return query, answer


Entry = tuple[str, dict[str, object], str]


def _asked(query: Query, texts: Sequence[TextSegment]) -> list[Entry]:
    added: list[Entry] = [("segment.added", to_json(text), text.id) for text in texts]
    return [*added, ("query.asked", to_json(query), query.id)]


def _given(store: Store, answer: Feedback) -> list[Entry]:
    require_pseudonym(answer.annotator)
    said: Entry = ("feedback.given", feedback_to_json(answer), answer.id)
    if answer.annotator in store.annotators():
        return [said]
    return [
        ("annotator.added", to_json(AnnotatorProfile(answer.annotator, AnnotatorKind.PERSON)), answer.annotator),
        said,
    ]


def _query(store: Store, kind: QueryKind, texts: Sequence[TextSegment]) -> Query:
    there = store.queries()
    number = sum(one.strategy == CHAT for one in there)
    ids = tuple(text.id for text in texts)
    shown = generator(number, CHAT, *ids).permutation(len(ids))
    return Query(
        kind, ids, tuple(int(place) for place in shown), max((one.round for one in there), default=0), number, CHAT,
        levels=THUMBS if kind is QueryKind.RATING else None,
    )  # fmt: skip
