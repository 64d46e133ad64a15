"""What reward models think of behaviour, kept for those who watch the run. Nothing in the run depends on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from plaudit.loop.context import Context
from plaudit.records import Segment, SegmentData, from_json
from plaudit.report.scores import When, keep
from plaudit.reward.collate import FeedbackData
from plaudit.reward.model import RewardModel

PORTION = 256
"""segments that a model is shown at a time; keeps memory flat"""
OTHERS = 256
"""pieces of behaviour that no answer is about, the newest, of which opinions are kept as well: what is listed for those who watch"""


def keep_opinions(context: Context, round_: int, data: FeedbackData, fitted: RewardModel) -> None:
    """Keep what `fitted` thinks of what answers are about and of what is listed beside, and its predecessor of this round's."""
    store = context.journal.store
    by_name = dict(zip(data.names, data.segments, strict=True))
    here = [one for query in store.queries(round_) for one in query.segments if one in by_name]
    if context.reward is not None and here:
        members = _members(context.reward, [by_name[name] for name in here])
        keep(store, round_, When.BEFORE, reward=context.reward.version, segments=here, members=members)
    names, parts = list(by_name), [_members(fitted, list(by_name.values()))]
    arrays = set().union(*(set(one.arrays()) for one in by_name.values()))
    for name, segment in _others(context, set(by_name)).items():
        # whole episodes among them: read and judged one by one, so that none has to be as long as another
        one = store.segment_data(segment)
        if ("pixels" in one.arrays()) == (
            "pixels" in arrays
        ):  # what was recorded without pictures cannot be judged by them
            names.append(name)
            parts.append(_members(fitted, [one]))
    members = np.concatenate(parts, axis=1)
    keep(store, round_, When.AFTER, reward=fitted.version, segments=names, members=members)


def _others(context: Context, known: set[str]) -> dict[str, Segment]:
    """Behaviour in the store that no answer is about."""
    store = context.journal.store
    logged = [event.payload for event in store.events(kinds={"segment.added"}) if event.payload.get("blob")]
    names = [from_json(Segment, payload).id for payload in logged]
    return store.segments([name for name in names if name not in known][-OTHERS:])


def _members(model: RewardModel, segments: Sequence[SegmentData]) -> NDArray[np.float64]:
    """[member, segment]"""
    parts = [model.score(segments[at : at + PORTION]).members for at in range(0, len(segments), PORTION)]
    return np.concatenate(parts, axis=1)
