"""What a simulated annotator could show in a run: stretches of the run's own behaviour, and nothing better.

A person would act by hand. A teacher that only knows the true reward cannot, so it picks from what the policy itself has
done: the best of some stretches, for a correction of those that begin most like what is to be corrected. This never
shows more than the run has found already, so it says too little of what a skilled person's demonstrations are worth.
"""

from __future__ import annotations

import numpy as np

from plaudit.ask.teacher_remarks import Attempt
from plaudit.loop.candidates import candidates, segment_of
from plaudit.loop.context import Context
from plaudit.records import Query, QueryKind
from plaudit.run.seeds import generator
from plaudit.worlds.behaviour import Cut

LOOKED_AT = 20
"""stretches looked at for each attempt of a correction: how alike their beginnings are"""


def attempts_of(context: Context, query: Query) -> list[Attempt]:
    """Up to `ask.attempts` stretches, stored, in a world of the query's task; a function of the query and of behaviour up to its round.

    None of them is a segment of the query.
    """
    settings, store, behaviour = context.config.ask, context.journal.store, context.world.behaviour
    asked = store.segment(query.segments[0])
    rng = generator(context.seed(query.round, "ask"), "attempts", query.index)
    found = candidates(context, LOOKED_AT * settings.attempts, rng, least=settings.attempts)
    cuts = [cut for cut in found if context.world.name_of(cut.env) == asked.world]
    if query.kind is QueryKind.CORRECTION:
        cuts = _alike(context, cuts, store.segment_data(asked).observations[0])
    cuts = cuts[: settings.attempts + len(query.segments)]
    segments = [segment_of(context, cut) for cut in cuts]
    shown = [
        (segment, behaviour.data(cut, settings.segment_length))
        for segment, cut in zip(segments, cuts, strict=True)
        if segment.id not in query.segments
    ][: settings.attempts]
    context.journal.segments([segment for segment, _ in shown])
    return [Attempt(segment.id, data) for segment, data in shown]


def _alike(context: Context, cuts: list[Cut], beginning: np.ndarray) -> list[Cut]:
    """Stretches, those first that begin nearest to an observation, in units of the spread of all beginnings."""
    first = np.array([context.world.behaviour.observations[cut.time, cut.env].ravel() for cut in cuts])
    if not len(cuts):
        return cuts
    spread = first.std(axis=0)
    away = ((first - beginning.ravel()) / np.where(spread > 0, spread, 1.0)) ** 2
    return [cuts[index] for index in np.argsort(away.sum(axis=1), kind="stable")]
