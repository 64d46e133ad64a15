"""The stage `ask`: choose questions, put them to the annotator, take the answers that come in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from plaudit.ask.acquisition import Proposal, Strategy, opening, propose
from plaudit.ask.mix import SHOWING, draw_kind, segments_of
from plaudit.ask.service import RE_ASKED
from plaudit.ask.sharing import within_tasks
from plaudit.loop import panel
from plaudit.loop.asking_lists import ask_lists, lists_of, measures
from plaudit.loop.candidates import background, candidates, places_of, segment_of
from plaudit.loop.config import labels_per_round
from plaudit.loop.context import Context, Outcome
from plaudit.loop.desk import Desk
from plaudit.records import Choice, Feedback, Query, QueryKind, is_skip, kind_of
from plaudit.run.seeds import generator
from plaudit.worlds.behaviour import Cut


def ask(context: Context, round_: int) -> Outcome:
    """Choose questions, put them to the annotator, and take the answers that come in time."""
    store = context.journal.store
    desk = _Desk(context, round_)
    queries = _ask_lists(context, round_, desk) if context.config.ask.lists else _ask_at_once(context, round_, desk)
    metrics, given = desk.conclude(queries)
    if context.config.ask.mix is not None:
        counts = Counter(kind_of(answer) for answer in given if not is_skip(answer))
        metrics |= {f"ask/answered/{kind.value}": float(counts[kind.value]) for kind in context.config.ask.kinds}
    if context.config.ask.checks:
        metrics["ask/gold"] = float(len(desk.gold))
        metrics["ask/repeats"] = float(len(desk.assigned) - len(desk.gold))
        metrics["ask/stopped"] = float(len(panel.stopped_by(context, context.asked_until)))
    if context.config.ask.lists:
        asked = [query for query in store.queries() if query.round <= round_]
        metrics |= measures(lists_of(store, asked, upto=context.asked_until))
    return Outcome(metrics)


def _ask_at_once(context: Context, round_: int, desk: _Desk) -> list[Query]:
    """All questions of the round together."""
    count = labels_per_round(context.config)[round_]
    again = panel.checks(context, round_) if count and context.config.ask.checks else []
    # checks stand at places drawn among the others, so that nothing tells them apart
    places = generator(context.seed(round_, "ask"), "places").permutation(count) if again else np.arange(count)
    mine, others = places[: len(again)].tolist(), np.sort(places[len(again) :]).tolist()
    queries = _choose_queries(context, round_, others) if others else []
    for check, index in zip(again, mine, strict=True):
        query = panel.again(context, round_, check, index)
        queries.append(query)
        desk.assigned[query.id] = check.annotators
        desk.gold |= {} if check.gold is None else {query.id: check.gold}
    queries.sort(key=lambda query: query.index)
    context.journal.queries(queries)
    context.journal.gold(desk.gold)
    if queries:
        desk.put(queries)
    return queries


def _ask_lists(context: Context, round_: int, desk: _Desk) -> list[Query]:
    """The questions that lists have; what earlier rounds could not ask, as answers did not come, is asked now."""
    counts = labels_per_round(context.config)
    mine = [query for query in context.journal.store.queries() if query.strategy != RE_ASKED]
    before = sum(query.round < round_ for query in mine)
    due = sum(counts[: round_ + 1]) - before
    return ask_lists(context, round_, due if counts[round_] else 0, desk.put)


def _choose_queries(context: Context, round_: int, places: Sequence[int]) -> list[Query]:
    """The new questions of a round; `places` are theirs in it, and say of which kind each is."""
    seed, kinds = context.seed(round_, "ask"), context.config.ask.kinds
    drawn = [draw_kind(kinds, seed, place) for place in places]
    found: list[Query] = []
    for kind in dict.fromkeys(drawn):
        mine = [place for place, other in zip(places, drawn, strict=True) if other is kind]
        # without a mix the stream has the name that it always had
        names = ("choose",) if context.config.ask.mix is None else ("choose", kind.value)
        found += _choose_of_kind(context, round_, kind, mine, generator(seed, *names))
    return found


def _choose_of_kind(
    context: Context, round_: int, kind: QueryKind, places: Sequence[int], rng: np.random.Generator
) -> list[Query]:
    """Cut candidates, let the members disagree about them, and make questions of the chosen."""
    settings, count = context.config.ask, len(places)
    size = segments_of(kind, settings.ranking_size)
    cuts = candidates(context, count * size * settings.pool, rng, least=count * size)
    tasks = [context.world.task_of(cut.env) for cut in cuts]
    proposals: list[Proposal] = []
    for among, share in within_tasks(tasks, count, size, first=round_):
        found = _proposals(context, round_, kind, [cuts[index] for index in among], share, rng)
        proposals += [replace(one, indices=tuple(int(among[i]) for i in one.indices)) for one in found]
    chosen = sorted({index for proposal in proposals for index in proposal.indices})
    segments = {index: segment_of(context, cuts[index]) for index in chosen}
    queries = [
        Query(
            kind=kind,
            segments=tuple(segments[index].id for index in proposal.indices),
            shown=tuple(int(i) for i in rng.permutation(len(proposal.indices))),
            round=round_,
            index=places[number],
            strategy=proposal.strategy,
            score=proposal.score,
            propensity=proposal.propensity,
            reward=None if context.reward is None else context.reward.version,
            levels=settings.levels if kind is QueryKind.RATING else None,
            constraint=settings.constraint if kind is QueryKind.FLAG else None,
        )
        for number, proposal in enumerate(proposals)
    ]
    context.journal.segments(list(segments.values()))
    return queries


def _proposals(
    context: Context, round_: int, kind: QueryKind, cuts: Sequence[Cut], count: int, rng: np.random.Generator
) -> list[Proposal]:
    """Questions about some of the candidates: the first know nothing yet, later ones what the reward model thinks."""
    settings = context.config.ask
    size = segments_of(kind, settings.ranking_size)
    if kind in SHOWING:
        return propose(Strategy.UNIFORM, len(cuts), None, kind=kind, count=count, rng=rng, size=size)
    batch = context.world.behaviour.batch(cuts, settings.segment_length)
    if context.reward is not None:
        members, known = context.reward.score(batch).members, background(context, round_, batch, kind)
        return propose(
            settings.strategy, len(cuts), members, kind=kind, count=count, rng=rng, background=known, size=size
        )
    if settings.first_spread:
        spread = settings.first_spread
        return opening(places_of(batch), kind=kind, count=count, spread=spread, rng=rng, size=size)
    return propose(Strategy.UNIFORM, len(cuts), None, kind=kind, count=count, rng=rng, size=size)


class _Desk(Desk):
    """With who answers what is asked again."""

    def __init__(self, context: Context, round_: int) -> None:
        super().__init__(context, round_)
        self.assigned: dict[str, tuple[str, ...]] = {}
        """who answers the questions that are asked again; the others are dealt out"""
        self.gold: dict[str, Choice | int] = {}
        """right answers of questions of this round"""
        self._context = context

    def answers(self, queries: Sequence[Query]) -> list[Feedback]:
        """Each simulated annotator answers the questions that are put to it."""
        context, store = self._context, self._context.journal.store
        who = panel.who_answers(context, self._round, queries) | self.assigned
        by_name = {one.profile.id: one for one in context.annotators}
        found = store.segments([segment for query in queries for segment in query.segments])
        answers: list[Feedback] = []
        for query in queries:
            segments = [store.segment_data(found[segment]) for segment in query.segments]
            given = [by_name[name].answer(query, segments) for name in who[query.id]]
            answers += [answer for answer in given if answer is not None]
        return answers
