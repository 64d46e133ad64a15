"""What single questions and pieces of behaviour were worth: why asked, how answered, scored by whom, what was learned.

Rounds count from 1, as on the screen. Whatever is not kept is None: scores exist of behaviour that was there at a fit, by the
models that `plaudit.report.scores` describes. All answers of a round are learned from together, so what an answer changed is
what the fit changed that it was part of.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from plaudit.errors import StoreError
from plaudit.records import Feedback, Query, brought, is_skip
from plaudit.report import scores
from plaudit.report.answers import reply_of
from plaudit.report.scores import Scores, When
from plaudit.report.source import TEXT, Source
from plaudit.report.stage_log import StageRow
from plaudit.report.worth import Asked, Behaviour, BehaviourRow, Behaviours, Given, Learned, Model, Odds, Opinion

FloatArray = NDArray[np.float64]


def list_behaviours(source: Source, cursor: int | None, count: int) -> Behaviours:
    """`count` pieces of behaviour, newest first, from place `cursor` of the log's order downwards."""
    end = len(source.segments) if cursor is None else min(max(cursor, 0), len(source.segments))
    names = source.segments[max(end - count, 0) : end][::-1]
    following = str(end - len(names)) if end > len(names) else None
    return Behaviours(total=len(source.segments), cursor=following, rows=tuple(_rows(source, names)))


def behaviour(source: Source, segment: str) -> Behaviour:
    """One piece of behaviour. Raises StoreError when there is none."""
    if segment not in source.positions_of_segments:
        raise StoreError("There is no such behaviour", got=segment)
    (row,) = _rows(source, [segment])
    found = [_opinion(table, segment) for table in _fitted(source)]
    return Behaviour(
        row=row,
        opinions=tuple(one for one in found if one is not None),
        asked=tuple(question(source, one) for one in source.about.get(segment, ())),
    )


def question(source: Source, query: str) -> Asked:
    """One question. Raises StoreError when there is none."""
    found = source.queries.get(query)
    if found is None:
        raise StoreError("There is no such query", got=query)
    before = table(source, found.round, When.BEFORE)
    return Asked(
        query=found.id,
        kind=found.kind.value,
        round=found.round + 1,
        index=found.index,
        segments=found.segments,
        shown=found.shown,
        strategy=found.strategy,
        score=found.score,
        propensity=found.propensity,
        reward=found.reward,
        odds=_odds(before, found) if before is not None and before.reward == found.reward else None,
        given=tuple(_given(source, found, answer) for answer in source.answers_to.get(query, ())),
    )


def table(source: Source, round_: int, when: When) -> Scores | None:
    """Kept scores, read once; they never change."""
    name = f"{round_}/{when.value}"
    if not source.knows("scores", name):
        found = scores.load(source.store, round_, when)
        if found is None:
            return None  # they may come yet
        return source.once("scores", name, lambda: found)
    return source.once("scores", name, lambda: scores.load(source.store, round_, when))


def _fits(source: Source) -> list[StageRow]:
    """Stages that fitted a model, in order."""
    return [row for row in source.rows if row.stage == "learn" and "history" in row.artefacts]


def _fitted(source: Source) -> list[Scores]:
    tables = [table(source, row.round, When.AFTER) for row in _fits(source)]
    return [one for one in tables if one is not None]


def _rows(source: Source, names: Sequence[str]) -> list[BehaviourRow]:
    control = source.store.segments([name for name in names if not name.startswith(TEXT)])
    texts = source.store.texts([name for name in names if name.startswith(TEXT)])
    kept = {segment: label for row in source.rows for label, segment in row.clips.items()}
    tables = _fitted(source)[::-1]
    rows: list[BehaviourRow] = []
    for name in names:
        segment, asked = control.get(name), source.about.get(name, [])
        rows.append(
            BehaviourRow(
                segment=name,
                text=segment is None,
                world="" if segment is None else segment.world,
                policy=texts[name].policy if segment is None else segment.policy,
                episode="" if segment is None else segment.episode,
                start=0 if segment is None else segment.start,
                steps=0 if segment is None else segment.length,
                label=kept.get(name),
                questions=len(asked),
                answers=sum(one.id not in source.gone for query in asked for one in source.answers_to.get(query, ())),
                opinion=next((found for one in tables if (found := _opinion(one, name)) is not None), None),
            )
        )
    return rows


def _opinion(found: Scores, segment: str) -> Opinion | None:
    members = found.of(segment)
    if members is None:
        return None
    mean = float(members.mean())
    return Opinion(round=found.round + 1, reward=found.reward, mean=mean, members=tuple(members.tolist()))


def _odds(found: Scores | None, query: Query) -> Odds | None:
    if found is None or len(query.segments) != 2:
        return None
    first, second = (found.of(one) for one in query.segments)
    if first is None or second is None:
        return None
    chance: FloatArray = expit(first - second)
    return Odds(
        reward=found.reward, first=tuple(chance.tolist()), mean=float(chance.mean()), spread=float(chance.std())
    )


def _given(source: Source, query: Query, answer: Feedback) -> Given:
    return Given(
        id=answer.id,
        position=source.positions[answer.id],
        retracted=answer.id in source.gone,
        brought=brought(answer),
        reply=reply_of(answer, source.profiles),
        learned=None if is_skip(answer) else _learned(source, query, source.positions[answer.id]),
    )


def _learned(source: Source, query: Query, position: int) -> Learned | None:
    fits = _fits(source)
    which = next((place for place, row in enumerate(fits) if (row.log_position or 0) >= position), None)
    if which is None:
        return None
    here, earlier = fits[which], fits[which - 1] if which else None
    since = 0 if earlier is None else earlier.log_position or 0
    older = table(source, here.round, When.BEFORE) if earlier is not None else None
    odds = _odds(older, query)
    if odds is None and earlier is not None:  # it came late: only if others had answered before
        odds = _odds(table(source, earlier.round, When.AFTER), query)
    return Learned(
        round=here.round + 1,
        together=_new_answers(source, since, here.log_position or 0),
        before=None if earlier is None else _model(earlier),
        after=_model(here),
        odds_before=odds,
        odds_after=_odds(table(source, here.round, When.AFTER), query),
    )


def _new_answers(source: Source, since: int, until: int) -> int:
    def count() -> int:
        return sum(since < source.positions[one.id] <= until and not is_skip(one) for one in source.given.values())

    return source.once("together", f"{since}/{until}", count)


def _model(row: StageRow) -> Model:
    def metric(name: str) -> float | None:
        found = row.metrics.get(f"reward/{name}")
        return None if found is None else float(found)

    return Model(
        round=row.round + 1,
        reward=row.versions.get("reward"),
        labels=metric("labels"),
        accuracy_heldout=metric("accuracy_heldout"),
        calibration_error=metric("ece"),
        correlation_true=metric("correlation_true"),
        spread=metric("spread"),
    )
