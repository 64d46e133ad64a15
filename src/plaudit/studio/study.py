"""What the lead of a study sees of annotators and answers. Everything is read on one thread of its own, however many look.

The statistics are those of `plaudit audit quality`. They cost seconds where there are many answers, so while answers go on coming they
are made anew only every so often; who is at work, and which answers there are, is always as it is now.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from plaudit.ask.service import RE_ASKED, ServiceConfig
from plaudit.errors import RecordError, StoreError
from plaudit.quality import table as tables
from plaudit.quality.audit import Agreement, Audit, AuditConfig, audit
from plaudit.quality.drift import Drift, drifts
from plaudit.quality.gold import asked_again, read_gold, said
from plaudit.quality.groups import groups
from plaudit.quality.population import LEAST
from plaudit.quality.table import ComparisonTable, Material
from plaudit.records import Feedback, Query, is_skip
from plaudit.report.card import Card, model_card
from plaudit.report.gather import summarise
from plaudit.report.source import Source
from plaudit.stats.undefined import Undefined
from plaudit.store import log
from plaudit.store.lineage import uses_of
from plaudit.store.signoff import standings
from plaudit.store.store import Store
from plaudit.studio.study_shapes import (
    Agreements,
    Annotators,
    Answers,
    GoldAnswer,
    GoldQuestion,
    GoldQuestions,
    Groups,
    Reasked,
    Retracted,
    ranged,
)
from plaudit.studio.study_views import (
    agreement_view,
    annotator_view,
    answer_view,
    by_aspect,
    ceiling,
    is_stopped,
    question_view,
    suspicions,
    together,
    trait_view,
    word,
)

T = TypeVar("T")
SHARE = 0.05
"""of one core that statistics may take while answers come: the more they cost, the less often they are made"""
SHOWN = 200
"""gold questions that are listed, those with most failures"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found at a log position."""

    seq: int
    made_at: float
    material: Material
    table: ComparisonTable
    audit: Audit
    drifts: Mapping[str, Drift | Undefined]
    agreement: Sequence[tuple[str | None, bool, Agreement]]
    """aspect, whether all are taken together, and what was found"""


class Study:
    """Statistics of annotators, and what a lead does about them. Every method may be awaited from any task.

    Args:
        store: the run's or the study's store.
        service: how people are asked.
        name_of: the name behind a pseudonym, where one is kept.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        service: ServiceConfig,
        *,
        name_of: Callable[[str], str | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._service, self._name_of, self._clock = store, service, name_of, clock
        self._config = AuditConfig(gold=service.gold_test)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="study")
        self._facts: Facts | None = None
        self._cost = 0.0

    async def do(self, work: Callable[[], T]) -> T:
        """Run something where all this is run."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def annotators(self, *, names: bool) -> Annotators:
        """Everybody who answers, with names or without."""
        facts, now = self._look(), self._clock()
        given = self._store.feedback(retracted=True)
        last, held = self._store.presence(now)
        audited = {one.name: one for one in facts.audit.annotators}
        gone = self._store.retracted()
        by_name: dict[str, list[Feedback]] = {name: [] for name in self._store.annotators()}
        for _, one in given:
            by_name.setdefault(one.annotator, []).append(one)
        found = [
            replace(
                annotator_view(name, answers, audited.get(name), facts.drifts.get(name), gone=gone),
                name=self._name_of(name) if names else None,
                kind=facts.material.kind(name),
                suspicions=suspicions(name, audited.get(name), facts.audit),
                stopped=self._service.screen and is_stopped(audited.get(name)),
                last_seen=last.get(name),
                holds=held.get(name, 0),
            )
            for name, answers in by_name.items()
        ]
        return Annotators(facts.seq, facts.made_at, now, found)

    def agreement(self) -> Agreements:
        """How far annotators agree."""
        facts = self._look()
        found = facts.audit
        wanting = {"together": found.consensus, "repeats": found.repeats, "first_shown": found.side}
        wanting |= {"others": found.overlap_ceiling, "same": found.repeat_ceiling}
        return Agreements(
            seq=facts.seq,
            made_at=facts.made_at,
            answers=found.answers,
            skips=found.skipped,
            questions=found.questions,
            kinds=[agreement_view(*one) for one in facts.agreement],
            together=together(found.consensus),
            first_shown=None if isinstance(found.side, Undefined) else ranged(found.side.share),
            repeats=None if isinstance(found.repeats, Undefined) else ranged(found.repeats.same),
            others=ceiling(found.overlap_ceiling),
            same=ceiling(found.repeat_ceiling),
            reasons={name: one.reason for name, one in wanting.items() if isinstance(one, Undefined)},
        )

    def gold(self) -> GoldQuestions:
        """Questions whose right answer is known, and who failed them."""
        right = read_gold(self._store)
        given: dict[str, list[GoldAnswer]] = {query: [] for query in right}
        for _, one in self._store.feedback():
            if one.query in right and not is_skip(one):
                mine = said(one)
                given[one.query].append(GoldAnswer(one.id, one.annotator, word(mine), mine == right[one.query]))
        asked = self._store.queries_by_id(list(right))
        found = [
            GoldQuestion(
                query=query,
                kind=asked[query].kind.value,
                levels=asked[query].levels,
                right=word(answer),
                answers=given[query],
                wrong=sum(not one.right for one in given[query]),
            )
            for query, answer in right.items()
        ]
        found.sort(key=lambda one: -one.wrong)
        return GoldQuestions(len(found), found[:SHOWN])

    def groups(self) -> Groups:
        """Counts and agreement by what annotators said of themselves; nothing of groups of too few people."""
        facts = self._look()
        return Groups(facts.seq, LEAST, [trait_view(one) for one in groups(facts.material, facts.table)])

    def card(self, name_of: Callable[[str], str]) -> str:
        """The model card as Markdown."""
        facts = self._look(fresh=True)
        summary = summarise(Source(self._store).read(), None)
        traits = groups(facts.material, facts.table)
        return model_card(Card(summary, facts.audit, traits, standings(self._store), name_of))

    def answers(
        self, limit: int, *, before: int | None, annotator: str | None, kind: str | None, query: str | None
    ) -> Answers:
        """A page of answers, newest first."""
        found = self._store.newest_feedback(limit, before=before, annotator=annotator, kind=kind, query=query)
        why, right = self._retracted(), read_gold(self._store)
        asked = self._store.queries_by_id(list(dict.fromkeys(one.query for _, one in found)))
        if query is not None and not found:
            asked = {query: self._query(query)}
        again = Counter(_same(one) for one in self._store.queries() if one.strategy == RE_ASKED)
        return Answers(
            answers=[answer_view(seq, one, why, right) for seq, one in found],
            cursor=found[-1][0] if len(found) == limit else None,
            questions=[
                question_view(
                    one,
                    answers=len(self._store.newest_feedback(1000, query=one.id)),
                    again=again[_same(one)],
                    gold=one.id in right,
                )
                for one in asked.values()
            ],
        )

    def retract(self, feedback: str, reason: str) -> Retracted:
        """Take an answer out of later fits, and say what rests on it.

        Raises RecordError when there is no such answer, or it was retracted for another reason.
        """
        try:
            self._store.answer(feedback)
        except StoreError as error:
            raise RecordError("There is no such answer", got=feedback) from error
        before = self._retracted().get(feedback, reason)
        if before != reason:
            raise RecordError("This answer was retracted already", got=feedback, expected=before)
        seq = self._store.retract(feedback, reason)
        self._facts = None
        return Retracted(seq, uses_of(self._store, feedback))

    def reask(self, query: str, count: int) -> Reasked:
        """Ask a question again, of so many people who did not answer it. Raises RecordError when there is none."""
        old = self._query(query)
        taken = max((one.index for one in self._store.queries(old.round)), default=old.index)
        fresh = [
            replace(
                asked_again(old, round=old.round, index=taken + 1 + i, seed=self._service.seed),
                strategy=RE_ASKED,
                id="",
            )
            for i in range(count)
        ]
        self._store.add_queries(fresh)
        return Reasked([one.id for one in fresh])

    def _retracted(self) -> dict[str, str]:
        """Why, by answer."""
        events = self._store.events(kinds={log.RETRACTED})
        return {event.payload["feedback"]: event.payload["reason"] for event in events}

    def _query(self, id: str) -> Query:
        try:
            return self._store.query(id)
        except StoreError as error:
            raise RecordError("There is no such question", got=id) from error

    def _look(self, *, fresh: bool = False) -> Facts:
        seq, now = self._store.head()[0], self._clock()
        due = self._facts is None or fresh or now - self._facts.made_at >= self._cost / SHARE
        if self._facts is None or (due and self._facts.seq != seq):
            began = time.perf_counter()
            material = tables.read(self._store)
            table = tables.comparisons(material)
            found = audit(self._store, self._config)
            agreed = by_aspect(material, found, self._config)
            self._facts = Facts(seq, now, material, table, found, drifts(table), agreed)
            self._cost = time.perf_counter() - began
        return self._facts


def _same(query: Query) -> tuple[object, ...]:
    """What questions have in common that ask the same."""
    return (query.kind, query.segments, query.aspect, query.constraint, query.level)
