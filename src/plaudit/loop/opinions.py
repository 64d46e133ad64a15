"""What reward models think of behaviour, kept for those who watch the run. Nothing in the run depends on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from plaudit.loop.context import Context
from plaudit.records import SegmentData
from plaudit.report.scores import When, keep
from plaudit.reward.collate import FeedbackData
from plaudit.reward.model import RewardModel

PORTION = 256
"""segments that a model is shown at a time; keeps memory flat"""


def keep_opinions(context: Context, round_: int, data: FeedbackData, fitted: RewardModel) -> None:
    """Keep what `fitted` thinks of all that answers are about, and what the model before it thought of this round's."""
    store = context.journal.store
    by_name = dict(zip(data.names, data.segments, strict=True))
    here = [one for query in store.queries(round_) for one in query.segments if one in by_name]
    if context.reward is not None and here:
        _keep(context, round_, When.BEFORE, context.reward, {name: by_name[name] for name in here})
    _keep(context, round_, When.AFTER, fitted, by_name)


def _keep(context: Context, round_: int, when: When, model: RewardModel, segments: dict[str, SegmentData]) -> None:
    keep(
        context.journal.store,
        round_,
        when,
        reward=model.version,
        segments=list(segments),
        members=_members(model, list(segments.values())),
    )


def _members(model: RewardModel, segments: Sequence[SegmentData]) -> NDArray[np.float64]:
    """[member, segment]"""
    parts = [model.score(segments[at : at + PORTION]).members for at in range(0, len(segments), PORTION)]
    return np.concatenate(parts, axis=1)
