"""The Learn section: how well the reward model agrees with people, how sure it is, what it has of the true reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.check.learned import noise_ceiling
from plaudit.records import Choice, Comparison, SegmentData
from plaudit.report.answers import Answers
from plaudit.report.source import TEXT, Source
from plaudit.report.stage_log import last_metric
from plaudit.report.summary import Estimate, LearnSummary, ReliabilityBin
from plaudit.report.texts import gold_of
from plaudit.stats.intervals import wilson

FloatArray = NDArray[np.float64]
DOTS = 500
"""points of the scatter plot: enough to see its shape"""
PER_GROUP = 6
"""held-out answers in a group of the reliability diagram, at least; with fewer the interval says nothing"""
MOST_GROUPS = 6


def summarise_reward(source: Source, answers: Answers, teacher: Mapping[str, Any] | None) -> LearnSummary:
    """The section; `teacher` is the run file's simulated teacher, None where people answered."""
    learned = [row for row in source.rows if row.stage == "learn"]
    groups = _groups(source.last_artefact("learn", "calibration"))
    scatter = source.last_artefact("learn", "reward_scatter")
    dots = _sample(scatter.get("learned"), scatter.get("true"))
    step, train, held = _curves(source.last_artefact("learn", "history"))
    heldout = last_metric(learned, "reward/accuracy_heldout")
    return LearnSummary(
        accuracy=_agreement(groups) or (None if heldout is None else Estimate(heldout)),
        accuracy_train=last_metric(learned, "reward/accuracy_train"),
        noise_ceiling=_ceiling(source, answers, teacher),
        calibration_error=last_metric(learned, "reward/ece"),
        reliability=reliability(groups),
        correlation=last_metric(learned, "reward/correlation_true"),
        scatter_learned=floats(dots[0]),
        scatter_true=floats(dots[1]),
        history_step=step,
        history_train=train,
        history_heldout=held,
    )


def floats(values: FloatArray) -> tuple[float, ...]:
    """An array as plain numbers."""
    return tuple(float(value) for value in values)


@dataclass(frozen=True, slots=True)
class Group:
    """Held-out answers that the model was about equally sure of."""

    confidence: float
    right: float
    """how many went to the side that the model preferred; a half for a tie"""
    count: int

    def estimate(self) -> Estimate:
        """Share that the model was right about, with its Wilson interval."""
        found = wilson(round(self.right), self.count)
        return Estimate(self.right / self.count, found.low, found.high, self.count)


def _groups(calibration: Mapping[str, FloatArray]) -> list[Group]:
    parts = [calibration.get(name) for name in ("confidence", "right", "count")]
    confidence, right, count = (np.zeros(0) if part is None else part for part in parts)
    rows = zip(confidence.tolist(), right.tolist(), count.tolist(), strict=True)
    return sorted((Group(sure, share * n, int(n)) for sure, share, n in rows if n > 0), key=lambda one: one.confidence)


def _together(groups: Sequence[Group]) -> Group:
    count = sum(one.count for one in groups)
    return Group(sum(one.confidence * one.count for one in groups) / count, sum(one.right for one in groups), count)


def _agreement(groups: Sequence[Group]) -> Estimate | None:
    return _together(groups).estimate() if groups else None


def reliability(groups: Sequence[Group]) -> tuple[ReliabilityBin, ...]:
    """Neighbouring groups joined until each is large enough, from the least to the most confident answers."""
    total = sum(one.count for one in groups)
    enough = max(PER_GROUP, total / MOST_GROUPS)
    joined: list[list[Group]] = [[]]
    for one in groups:
        if sum(each.count for each in joined[-1]) >= enough:
            joined.append([])
        joined[-1].append(one)
    if len(joined) > 1 and sum(each.count for each in joined[-1]) < PER_GROUP:
        last = joined.pop()
        joined[-1] += last
    found = [_together(each) for each in joined if sum(one.count for one in each) >= PER_GROUP]
    return tuple(ReliabilityBin(one.confidence, one.estimate()) for one in found)


def _sample(learned: FloatArray | None, true: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    if learned is None or true is None or learned.shape != true.shape:
        return np.zeros(0), np.zeros(0)
    known = np.isfinite(learned) & np.isfinite(true)
    learned, true = learned[known], true[known]
    picked = np.unique(np.linspace(0, len(true) - 1, min(DOTS, len(true))).round().astype(int)) if len(true) else []
    return learned[picked], true[picked]


Curve = tuple[float, ...]


def _curves(history: Mapping[str, FloatArray]) -> tuple[Curve, Curve, Curve]:
    """Steps, training loss and held-out loss; losses of several members are averaged."""
    step, train, held = (history.get(name) for name in ("step", "train", "heldout"))
    if step is None or train is None or len(step) < 2:
        return (), (), ()
    return floats(step), _curve(train, len(step)), _curve(held, len(step))


def _curve(values: FloatArray | None, steps: int) -> Curve:
    if values is None or len(values) != steps:
        return ()
    mean = values.reshape(steps, -1).mean(axis=1)
    return floats(mean) if np.isfinite(mean).all() else ()


def _ceiling(source: Source, answers: Answers, teacher: Mapping[str, Any] | None) -> float | None:
    """What the teacher's noise allows, from the true returns of the clips that it compared."""
    logged = last_metric(source.rows, "reward/noise_ceiling")
    if logged is not None or teacher is None:
        return logged
    if not all(isinstance(one, Comparison) for one in answers.feedback):
        return None  # the accuracy that it would stand beside is one of all kinds
    queries = {query.id: query for query in answers.queries}
    decided = [
        one for one in answers.feedback if isinstance(one, Comparison) and one.choice in (Choice.FIRST, Choice.SECOND)
    ]
    names = [segment for one in decided for segment in queries[one.query].segments]
    if any(name.startswith(TEXT) for name in names):
        gold = gold_of(source)
        returns = np.array([gold.get(name, np.nan) for name in names]).reshape(-1, 2)
    else:
        returns = np.array(source.of_segments("return", names, _true_return)).reshape(-1, 2)
    apart = returns[:, 0] - returns[:, 1]
    differences = apart[np.isfinite(apart)]
    if not len(differences):
        return None
    if teacher.get("discount", 1.0) < 1:
        return None  # it does not judge by returns
    # of answers turned round with probability m as many agree as of answers that are random with probability 2 m
    lapse = float(teacher.get("lapse", 0.0))
    random = lapse + 2.0 * float(teacher.get("mistake", 0.0)) * (1.0 - lapse)
    return noise_ceiling(differences, float(teacher.get("temperature", 1.0)), random)


def _true_return(data: SegmentData) -> float:
    return np.nan if data.true_rewards is None else float(data.true_rewards.sum())
