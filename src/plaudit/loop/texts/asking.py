"""The stage `ask` of a run on texts: which completions of which prompts are put to annotators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plaudit.ask.acquisition import disagreement, entropy
from plaudit.ask.mix import draw_kind
from plaudit.language.scorer import TextReward, side_by_side
from plaudit.loop.context import Outcome, stage_key
from plaudit.loop.desk import Desk
from plaudit.loop.texts.config import TextStrategy, questions_per_round
from plaudit.loop.texts.context import TextContext
from plaudit.records import Feedback, Query, QueryKind, TextSegment
from plaudit.report.samples import load
from plaudit.run.seeds import generator


def ask(context: TextContext, round_: int) -> Outcome:
    """Choose questions about what `act` sampled, put them to annotators, and take the answers that come in time."""
    count = questions_per_round(context.config)[round_]
    queries, segments = _questions(context, round_, count) if count else ([], [])
    context.journal.segments(segments)
    context.journal.queries(queries)
    desk = _Desk(context, round_)
    if queries:
        desk.put(queries)
    metrics, _ = desk.conclude(queries)
    return Outcome(metrics)


class _Desk(Desk):
    """One simulated teacher who reads."""

    def __init__(self, context: TextContext, round_: int) -> None:
        super().__init__(context, round_)
        self._context = context

    def answers(self, queries: Sequence[Query]) -> list[Feedback]:
        """The teacher's answers."""
        teacher = self._context.teacher
        assert teacher is not None  # or there would be no annotators
        found = self._context.journal.store.texts([name for query in queries for name in query.segments])
        return [teacher.answer(query, [found[name] for name in query.segments]) for query in queries]


@dataclass(frozen=True, slots=True)
class _Chosen:
    texts: tuple[TextSegment, ...]
    strategy: str
    score: float | None


def _questions(context: TextContext, round_: int, count: int) -> tuple[list[Query], list[TextSegment]]:
    """The questions of a round, each about a prompt of its own as long as there are such, and the texts they show."""
    ask, seed = context.config.ask, context.seed(round_, "ask")
    kinds = [draw_kind(ask.kinds, seed, index) for index in range(count)]
    candidates = _candidates(context, round_)
    queries: list[Query] = []
    used: dict[str, TextSegment] = {}
    taken: set[int] = set()
    for kind in dict.fromkeys(kinds):
        places = [index for index, one in enumerate(kinds) if one is kind]
        for index, chosen in zip(places, _choose(context, round_, kind, len(places), candidates, taken), strict=False):
            rng = generator(seed, "shown", index)
            used |= {text.id: text for text in chosen.texts}
            queries.append(
                Query(
                    kind=kind,
                    segments=tuple(text.id for text in chosen.texts),
                    shown=tuple(int(i) for i in rng.permutation(len(chosen.texts))),
                    round=round_,
                    index=index,
                    strategy=chosen.strategy,
                    score=chosen.score,
                    reward=context.reward_version,
                    levels=ask.levels if kind is QueryKind.RATING else None,
                )
            )
    return sorted(queries, key=lambda query: query.index), list(used.values())


def _candidates(context: TextContext, round_: int) -> list[list[TextSegment]]:
    """By prompt, the different completions that `act` sampled for it."""
    store, key = context.journal.store, stage_key(round_, "act")
    event = next(event for event in store.events(kinds={"stage.completed"}) if event.key == key)
    found: dict[object, dict[str, TextSegment]] = {}
    for sample in load(store.blobs, event.payload["artefacts"]["samples"]):
        if not sample.completion:
            continue  # there is nothing to read
        text = TextSegment(sample.prompt, sample.completion, context.version)
        found.setdefault(sample.prompt, {})[text.id] = text
    return [list(texts.values()) for texts in found.values()]


def _choose(
    context: TextContext,
    round_: int,
    kind: QueryKind,
    count: int,
    candidates: Sequence[Sequence[TextSegment]],
    taken: set[int],
) -> list[_Chosen]:
    """Up to `count` questions of a kind about prompts that are not `taken` yet; these are added to it.

    One group of completions is drawn for each prompt; the strategy says which of these groups are asked about.
    """
    size, rng = context.config.ask.size(kind), generator(context.seed(round_, "ask"), "choose", kind.value)
    fit = [number for number, texts in enumerate(candidates) if len(texts) >= size and number not in taken]
    order = [fit[int(i)] for i in rng.permutation(len(fit))]
    groups = {
        number: [candidates[number][int(i)] for i in rng.permutation(len(candidates[number]))[:size]]
        for number in order
    }
    scores = _scores(context, list(groups.values()))
    if scores is None:
        chosen = [(number, TextStrategy.RANDOM.value, None) for number in order[:count]]
    else:
        best = np.argsort(-scores, kind="stable")[:count].tolist()
        chosen = [(order[place], context.config.ask.strategy.value, float(scores[place])) for place in best]
    taken |= {number for number, _, _ in chosen}
    return [_Chosen(tuple(groups[number]), strategy, score) for number, strategy, score in chosen]


def _scores(context: TextContext, groups: Sequence[Sequence[TextSegment]]) -> np.ndarray | None:
    """[group] what the strategy expects of asking; None where it draws."""
    strategy, reward = context.config.ask.strategy, context.reward
    if reward is None or strategy is TextStrategy.RANDOM or not groups:
        return None
    members = _members(context, reward, [text for group in groups for text in group])
    size = len(groups[0])
    numbers = np.arange(len(groups) * size).reshape(-1, size)
    return disagreement(members, numbers) if strategy is TextStrategy.DISAGREEMENT else entropy(members, numbers)


def _members(context: TextContext, reward: TextReward, texts: Sequence[TextSegment]) -> np.ndarray:
    """[member, text] scores in log-odds units."""
    batch, place = side_by_side([context.group(text) for text in texts])
    return reward.score(batch).members[:, place]
