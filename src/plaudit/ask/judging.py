"""Judges at work on a store: first held against people, then let in, then they answer. The same again changes nothing.

judge = Judge(reader, Rubric("..."))
admit(store, judge, TrustConfig())         # raises ConfigError, with the figures, for one that is no better than length
answer(store, judge, JudgingConfig())      # its answers, beside those of people
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from plaudit.ask.judge import Judge, Pair, debiased, pair_of
from plaudit.errors import ConfigError
from plaudit.quality.trust import Decided, Trust, TrustConfig, decided_by_people, drawn, measure, note, require_let_in
from plaudit.records import Query, QueryKind, TextSegment
from plaudit.run.seeds import derive, generator
from plaudit.store.store import Store

T = TypeVar("T")
AT_ONCE = 64
"""answers that are logged together"""
HERE = "here"
"""whose people a judge was held against: those of the store in which it answers"""
Each = Callable[[int, int], object]
"""is told how many of how many are done"""


class Which(enum.Enum):
    """Questions that a judge answers."""

    OPEN = "open"
    """that nobody answered yet"""
    ALL = "all"
    """every comparison that it has not answered itself"""


@dataclass(frozen=True, slots=True)
class JudgingConfig:
    """Which questions a judge answers."""

    which: Which = Which.OPEN
    """open: those that nobody answered yet; all: every comparison that this judge has not answered"""
    share: float = 1.0
    """share of them, drawn by question: the others are left to people"""
    limit: int = 0
    """most answers, oldest questions first; 0: no limit"""
    seed: int = 0
    """of the draw"""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or self.limit < 0:
            raise ConfigError(
                "The settings of what a judge answers are out of range",
                got=f"share {self.share}, limit {self.limit}",
                expected="0 < share <= 1, limit >= 0",
            )


def agreement(store: Store, judge: Judge, config: TrustConfig, *, each: Each = lambda done, count: None) -> Trust:
    """How far a judge agrees with the people whose answers a store holds. Changes nothing.

    Questions about texts with different prompts are left out.
    """
    decided = drawn(_judgeable(store), config)
    texts = store.texts(sorted({name for one in decided for name in one.query.segments}))
    odds: list[float] = []
    for some in _portions(decided):
        odds += debiased(judge.odds([pair_of(one.query, texts) for one in some])).tolist()
        each(len(odds), len(decided))
    return measure(decided, np.array(odds, dtype=np.float64), texts)


def admit(
    store: Store,
    judge: Judge,
    config: TrustConfig,
    *,
    on: Store | None = None,
    each: Each = lambda done, count: None,
) -> Trust:
    """Hold a judge against people, log its figures and its profile, and let it in. Done before it answers anything.

    Args:
        store: where the judge is to answer.
        judge: who.
        config: when it is let in.
        on: whose people it is held against, for example a store of imported PandaLM; None: those of `store`.
        each: is told of the progress.

    Raises:
        ConfigError: the judge agrees with people no more than the length of texts does, or no more than chance, or too few
            people answered to tell; not with `config.anyway`.
    """
    found = agreement(store if on is None else on, judge, config, each=each)
    why = found.refusal(config)
    let_in = why is None or config.anyway
    store.add_annotator(judge.profile)
    note(store, judge.profile.id, found, on=HERE if on is None else on.head()[1], let_in=let_in)
    if not let_in:
        raise ConfigError(
            "This judge is not let in",
            got=f"{judge.profile.description}: {why}",
            expected="agreement with people above that of length and of chance",
            next_step="take another model or rubric, measure it on more answers of people, or set trust.anyway",
        )
    return found


def answer(store: Store, judge: Judge, config: JudgingConfig, *, each: Each = lambda done, count: None) -> int:
    """The judge answers questions of a store; returns how many answers are new. Stopped midway, it goes on where it was.

    It answers comparisons of texts with one prompt; all other questions are left alone. The run and people who wait for the
    same questions see its answers as they come.

    Raises ConfigError for a judge that was not let in (`admit`).
    """
    require_let_in(store, judge.profile.id)
    waiting, texts = _waiting(store, judge, config)
    done = 0
    for some in _portions(waiting):
        store.add_feedback(judge.answers(some, texts))
        done += len(some)
        each(done, len(waiting))
    return done


def some_pairs(store: Store, count: int, *, seed: int) -> list[Pair]:
    """Pairs of texts that somebody was asked to compare, drawn at random. Raises ConfigError where there are none."""
    fit, texts = _of_texts(store, store.queries())
    different = {(*sorted(query.segments), query.aspect): query for query in fit}
    queries = list(different.values())
    rows = generator(seed, "pairs").permutation(len(queries))[:count].tolist()
    if not rows:
        raise ConfigError(
            "No texts were compared here", next_step="import comparisons, or begin a study with `plaudit study`"
        )
    return [pair_of(queries[row], texts) for row in rows]


def some_texts(store: Store, count: int, *, seed: int) -> list[TextSegment]:
    """Texts of one turn that somebody was asked about, drawn at random. Raises ConfigError where there are none."""
    names = list(dict.fromkeys(name for query in store.queries() for name in query.segments))
    found = store.any_segments(names)
    texts = [found[name] for name in names]
    fit = [text for text in texts if isinstance(text, TextSegment) and _one_turn(text)]
    rows = generator(seed, "texts").permutation(len(fit))[:count].tolist()
    if not rows:
        raise ConfigError("Nobody was asked about texts here", next_step="import comparisons, or ratings, of texts")
    return [fit[row] for row in rows]


def _one_turn(text: TextSegment) -> bool:
    return isinstance(text.completion, str) or len(text.completion) == 1


def _waiting(store: Store, judge: Judge, config: JudgingConfig) -> tuple[list[Query], dict[str, TextSegment]]:
    """Questions that the judge is to answer, and their texts."""
    who = judge.profile.id
    known = {given.query for _, given in store.feedback(retracted=True) if given.annotator == who}
    asked = store.unanswered() if config.which is Which.OPEN else store.queries()
    fit, texts = _of_texts(store, [query for query in asked if query.id not in known])
    chosen = [one for one in fit if derive(config.seed, "judged", one.id) < config.share * 2**63]
    return chosen[: config.limit or None], texts


def _judgeable(store: Store) -> list[Decided]:
    """What people decided about texts of one prompt."""
    answers = [given for _, given in store.feedback()]
    decided = decided_by_people(store.queries(), answers, store.annotators())
    fit, _ = _of_texts(store, [one.query for one in decided])
    kept = {query.id for query in fit}
    return [one for one in decided if one.query.id in kept]


def _of_texts(store: Store, queries: Sequence[Query]) -> tuple[list[Query], dict[str, TextSegment]]:
    """The comparisons of texts with one prompt among these, and all texts that they are about."""
    asked = [query for query in queries if query.kind is QueryKind.COMPARISON]
    found = store.any_segments(sorted({name for query in asked for name in query.segments}))
    texts = {name: one for name, one in found.items() if isinstance(one, TextSegment)}
    fit = [
        query
        for query in asked
        if all(name in texts for name in query.segments)
        and texts[query.segments[0]].prompt == texts[query.segments[1]].prompt  # turns with extras have no hash
    ]
    return fit, texts


def _portions(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE)]
