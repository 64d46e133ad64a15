"""The stage `ask`: choose questions, put them to the annotator, take the answers that come in time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from plaudit.ask.acquisition import Proposal, Strategy, opening, propose
from plaudit.ask.annotator import Annotator
from plaudit.ask.sharing import within_tasks
from plaudit.loop.asking_lists import ask_lists, lists_of, measures
from plaudit.loop.candidates import background, candidates, places_of, segment_of
from plaudit.loop.config import labels_per_round
from plaudit.loop.context import Context, Outcome, stage_key
from plaudit.records import Choice, Comparison, Feedback, Query, is_skip
from plaudit.run.seeds import generator
from plaudit.worlds.behaviour import Cut


def ask(context: Context, round_: int) -> Outcome:
    """Choose questions, put them to the annotator, and take the answers that come in time."""
    key, store = stage_key(round_, "ask"), context.journal.store
    desk = _Desk(context, key)
    queries = _ask_lists(context, round_, desk) if context.config.ask.lists else _ask_at_once(context, round_, desk)
    context.journal.catch_up(key)
    # answers go on coming while a stage ends: one that is repeated or replayed reads up to the very same place
    ended = context.recorded.get(key) or context.journal.read_until(key) or desk.looked_at
    context.asked_until = ended or store.head()[0]
    answers = store.feedback(upto=context.asked_until)
    here = {query.id for query in queries}
    given = [answer for _, answer in answers if answer.query in here]
    metrics = {
        "ask/asked": float(len(queries)),
        "ask/answered": float(sum(not is_skip(answer) for answer in given)),
        "ask/skipped": float(sum(is_skip(answer) for answer in given)),
        "ask/ties": float(sum(isinstance(a, Comparison) and a.choice is Choice.TIE for a in given)),
        "ask/human_seconds": float(sum(answer.response_seconds or 0.0 for answer in given)),
        "ask/labels_total": float(sum(not is_skip(answer) for _, answer in answers)),
    }
    if context.config.ask.lists:
        asked = [query for query in store.queries() if query.round <= round_]
        metrics |= measures(lists_of(store, asked, upto=context.asked_until))
    return Outcome(metrics)


def _ask_at_once(context: Context, round_: int, desk: _Desk) -> list[Query]:
    """All questions of the round together."""
    count = labels_per_round(context.config)[round_]
    queries = _choose_queries(context, round_, count) if count else []
    if queries:
        desk.put(queries)
    return queries


def _ask_lists(context: Context, round_: int, desk: _Desk) -> list[Query]:
    """The questions that lists have; what earlier rounds could not ask, as answers did not come, is asked now."""
    counts = labels_per_round(context.config)
    before = sum(query.round < round_ for query in context.journal.store.queries())
    due = sum(counts[: round_ + 1]) - before
    return ask_lists(context, round_, due if counts[round_] else 0, desk.put)


def _choose_queries(context: Context, round_: int, count: int) -> list[Query]:
    """Cut candidates, let the members disagree about them, and log the chosen questions."""
    settings = context.config.ask
    rng = generator(context.seed(round_, "ask"), "choose")
    shown = count * settings.kind.segments
    cuts = candidates(context, shown * settings.pool, rng, least=shown)
    tasks = [context.world.task_of(cut.env) for cut in cuts]
    proposals: list[Proposal] = []
    for among, share in within_tasks(tasks, count, settings.kind.segments, first=round_):
        found = _proposals(context, round_, [cuts[index] for index in among], share, rng)
        proposals += [replace(one, indices=tuple(int(among[i]) for i in one.indices)) for one in found]
    chosen = sorted({index for proposal in proposals for index in proposal.indices})
    segments = {index: segment_of(context, cuts[index]) for index in chosen}
    queries = [
        Query(
            kind=settings.kind,
            segments=tuple(segments[index].id for index in proposal.indices),
            shown=tuple(int(i) for i in rng.permutation(len(proposal.indices))),
            round=round_,
            index=number,
            strategy=proposal.strategy,
            score=proposal.score,
            propensity=proposal.propensity,
            reward=None if context.reward is None else context.reward.version,
            levels=settings.levels if settings.kind.value == "rating" else None,
        )
        for number, proposal in enumerate(proposals)
    ]
    context.journal.segments(list(segments.values()))
    context.journal.queries(queries)
    return queries


def _proposals(
    context: Context, round_: int, cuts: Sequence[Cut], count: int, rng: np.random.Generator
) -> list[Proposal]:
    """Questions about some of the candidates: the first know nothing yet, later ones what the reward model thinks."""
    settings = context.config.ask
    batch = context.world.behaviour.batch(cuts, settings.segment_length)
    if context.reward is not None:
        members, known = context.reward.score(batch).members, background(context, round_, batch)
        return propose(
            settings.strategy, len(cuts), members, kind=settings.kind, count=count, rng=rng, background=known
        )
    if settings.first_spread:
        spread = settings.first_spread
        return opening(places_of(batch), kind=settings.kind, count=count, spread=spread, rng=rng)
    return propose(Strategy.UNIFORM, len(cuts), None, kind=settings.kind, count=count, rng=rng)


class _Desk:
    """Puts the questions of a stage to whoever answers."""

    def __init__(self, context: Context, key: str) -> None:
        self.looked_at: int | None = None
        """log position at which this stage last looked for answers; None if it did not wait for any"""
        self._context = context
        self._key = key
        self._since = time.monotonic()

    def put(self, queries: Sequence[Query]) -> int | None:
        """The log position at which all had been answered; None if some were not in time."""
        context, journal = self._context, self._context.journal
        if context.annotator is not None:
            _answer(context, context.annotator, queries)
        recorded = context.recorded.get(self._key)
        if recorded is None and not journal.replaying and context.annotator is None:
            self.looked_at = _wait_for_people(context, queries, self._since)
        elif journal.replaying and not journal.asks_on(queries[-1].id, self._key):
            return None
        position = recorded or self.looked_at or journal.store.head()[0]
        answered = {answer.query for _, answer in journal.store.feedback(upto=position)}
        return position if all(query.id in answered for query in queries) else None


def _answer(context: Context, annotator: Annotator, queries: Sequence[Query]) -> None:
    """Let a simulated annotator answer at once."""
    store = context.journal.store
    context.journal.annotator(annotator.profile)
    found = store.segments([segment for query in queries for segment in query.segments])
    answers: list[Feedback] = []
    for query in queries:
        answer = annotator.answer(query, [store.segment_data(found[segment]) for segment in query.segments])
        if answer is not None:
            answers.append(answer)
    context.journal.feedback(answers)


def _wait_for_people(context: Context, queries: Sequence[Query], since: float) -> int:
    """Wait until people have answered, or until patience ends; the first round needs two answers to begin with.

    Returns the log position at which it looked last.
    """
    patience = context.config.ask.patience_seconds
    here = {query.id for query in queries}
    while True:
        position = context.journal.store.head()[0]
        answered = [answer for _, answer in context.journal.store.feedback(upto=position)]
        left = len(here) - len(here & {answer.query for answer in answered})
        enough = sum(not is_skip(answer) for answer in answered) >= 2
        waited = time.monotonic() - since
        if left == 0 or (waited >= patience and enough):
            return position
        context.progress.advance(len(here) - left, len(here), "answers")
        context.progress.waiting(
            f"{left} of {len(here)} questions wait for people in the studio; "
            + (
                f"going on with what is there in {max(0, patience - waited):.0f} s"
                if enough
                else "at least two answers are needed"
            )
        )
        time.sleep(0.5)
