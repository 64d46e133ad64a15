"""Asking for ranked lists: turn by turn, each list asks one comparison, and its answer decides the next.

What a turn asks depends on the log alone: on the answers that were there when the round's `act` ended, and on the answers
to this round's own questions, all of which a turn waits for. So a run that is killed, rebuilt or replayed asks the same,
and an answer that comes too late for its round is used by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from plaudit.ask.lists import INSERTION, Lists, RankedList
from plaudit.loop.candidates import candidates, segment_of
from plaudit.loop.context import Context, stage_key
from plaudit.records import Choice, Comparison, Query, QueryKind, Segment
from plaudit.run.seeds import generator
from plaudit.store.store import Store

Put = Callable[[Sequence[Query]], int | None]
"""puts questions to annotators; the log position at which all had been answered, None if some were not in time"""


def ask_lists(context: Context, round_: int, due: int, put: Put) -> list[Query]:
    """Ask up to `due` comparisons; fewer when answers, or behaviour to cut new segments from, run out."""
    store = context.journal.store
    before = [query for query in store.queries() if query.round < round_]
    lists = lists_of(store, before, upto=end_of_act(store, round_))
    fresh = _fresh(context, round_, due, lists)
    asked: list[Query] = []
    while True:
        turn, segments = _turn(context, lists, fresh, due - len(asked))
        queries = [_query(context, round_, len(asked) + number, pair) for number, pair in enumerate(turn)]
        if not queries:
            return asked
        context.journal.segments(segments)
        context.journal.queries(queries)
        asked += queries
        position = put(queries)
        if position is None:
            return asked
        choices = first_choices(store, upto=position)
        for query in queries:
            lists.ask(query)
            lists.answer(query, choices[query.id])


def lists_of(store: Store, queries: Sequence[Query], *, upto: int) -> Lists:
    """The lists that questions and the answers up to a log position have made."""
    return Lists.of(queries, first_choices(store, upto=upto))


def first_choices(store: Store, *, upto: int) -> dict[str, Choice]:
    """By question, the choice of the first comparison that came."""
    found: dict[str, Choice] = {}
    for _, answer in store.feedback(upto=upto):
        if isinstance(answer, Comparison):
            found.setdefault(answer.query, answer.choice)
    return found


def measures(lists: Lists) -> dict[str, float]:
    """Metrics of the lists so far."""
    return {
        "ask/list_asked": float(lists.asked),
        "ask/list_lower_bound": float(lists.lower_bound()),
        "ask/list_segments": float(sum(len(ranked.segments) for ranked in lists.lists)),
        "ask/list_pairs": float(lists.pairs()),
    }


def _turn(
    context: Context, lists: Lists, fresh: Iterator[Segment], most: int
) -> tuple[list[tuple[str, str]], list[Segment]]:
    """One comparison of each list that can ask, and the segments that are new; lists that are missing are founded."""
    turn: list[tuple[str, str]] = []
    used: list[Segment] = []
    for number in range(context.config.ask.lists):
        if len(turn) == most:
            break
        ranked = lists.lists[number] if number < len(lists.lists) else None
        if ranked is None or ranked.segment is None:
            needed = 2 if ranked is None else 1
            new = list(islice(fresh, needed))
            if len(new) < needed:
                continue
            used += new
            ranked = ranked or RankedList([[new[1].id]])
            ranked.insert(new[0].id)
        question = ranked.question()
        if question is not None:
            turn.append(question)
    return turn, used


def _fresh(context: Context, round_: int, due: int, lists: Lists) -> Iterator[Segment]:
    """Candidates of the round in random order, without behaviour that is in a list already."""
    settings, store = context.config.ask, context.journal.store
    rng = generator(context.seed(round_, "ask"), "choose")
    listed = store.segments(lists.segments).values()
    known = {(segment.episode, segment.start) for segment in listed}
    if not due:
        return
    behaviour, wanted = context.world.behaviour, due + settings.lists + len(known)
    for cut in candidates(context, wanted, rng, least=wanted):
        if (behaviour.episode_name(cut), behaviour.step_in_episode(cut)) not in known:
            yield segment_of(context, cut)


def _query(context: Context, round_: int, index: int, pair: tuple[str, str]) -> Query:
    shown = generator(context.seed(round_, "ask"), "shown", index).permutation(2)
    return Query(
        kind=QueryKind.COMPARISON,
        segments=pair,
        shown=tuple(int(i) for i in shown),
        round=round_,
        index=index,
        strategy=INSERTION,
        reward=None if context.reward is None else context.reward.version,
    )


def end_of_act(store: Store, round_: int) -> int:
    """Log position at which the `act` of a round ended."""
    key = stage_key(round_, "act")
    return next(event.seq for event in store.events(kinds={"stage.completed"}) if event.key == key)
