"""The Learn section: how well the reward model agrees with people, how sure it is, what it has of the true reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.check.learned import noise_ceiling
from plaudit.loop.report.answers import Answers
from plaudit.loop.report.stage_log import StageRow, last_artefact, last_metric
from plaudit.loop.report.summary import Estimate, LearnSummary, ReliabilityBin
from plaudit.records import Choice, Comparison
from plaudit.stats.intervals import wilson
from plaudit.store.store import Store

FloatArray = NDArray[np.float64]
DOTS = 500
"""points of the scatter plot: enough to see its shape"""
PER_BIN = 6
"""held-out answers in a bin of the reliability diagram, at least; with fewer the interval says nothing"""
MOST_BINS = 8


def summarise_reward(
    store: Store, rows: Sequence[StageRow], answers: Answers, teacher: Mapping[str, Any] | None
) -> LearnSummary:
    """The section; `teacher` is the run file's simulated teacher, None where people answered."""
    learned = [row for row in rows if row.stage == "learn"]
    sure, right = _confidence(last_artefact(store, learned, "calibration"))
    scatter = last_artefact(store, learned, "reward_scatter")
    dots = _sample(scatter.get("learned"), scatter.get("true"))
    step, train, held = _curves(last_artefact(store, learned, "history"))
    heldout = last_metric(learned, "reward/accuracy_heldout")
    return LearnSummary(
        accuracy=share(right) if len(right) else None if heldout is None else Estimate(heldout),
        accuracy_train=last_metric(learned, "reward/accuracy_train"),
        noise_ceiling=_ceiling(store, rows, answers, teacher),
        calibration_error=last_metric(learned, "reward/ece"),
        reliability=reliability(sure, right),
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


def share(right: FloatArray) -> Estimate:
    """Share of ones among zeros and ones, with its Wilson interval."""
    found = wilson(int(right.sum()), len(right))
    return Estimate(float(right.mean()), found.low, found.high, len(right))


def _confidence(calibration: Mapping[str, FloatArray]) -> tuple[FloatArray, FloatArray]:
    """How sure the model was of the side it preferred, and whether the answer went there; both [answer].

    The artefact holds either the probability of the first side with the answer, or the confidence with whether it was
    right; both come to the same here.
    """
    predicted, outcome = calibration.get("predicted"), calibration.get("correct")
    if predicted is None or outcome is None or predicted.shape != outcome.shape:
        return np.zeros(0), np.zeros(0)
    known = np.isfinite(predicted) & np.isfinite(outcome) & (outcome != 0.5)  # a tie goes to neither side
    predicted, outcome = predicted[known], outcome[known]
    return np.maximum(predicted, 1 - predicted), ((predicted > 0.5) == (outcome > 0.5)).astype(np.float64)


def reliability(sure: FloatArray, right: FloatArray) -> tuple[ReliabilityBin, ...]:
    """Groups of about equal size, from the least to the most confident answers."""
    count = min(MOST_BINS, len(sure) // PER_BIN)
    if count == 0:
        return ()
    groups = np.array_split(np.argsort(sure, kind="stable"), count)
    return tuple(ReliabilityBin(float(sure[group].mean()), share(right[group])) for group in groups)


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


def _ceiling(
    store: Store, rows: Sequence[StageRow], answers: Answers, teacher: Mapping[str, Any] | None
) -> float | None:
    """What the teacher's noise allows, from the true returns of the clips that it compared."""
    logged = last_metric(rows, "reward/noise_ceiling")
    if logged is not None or teacher is None:
        return logged
    queries = {query.id: query for query in answers.queries}
    decided = [
        one for one in answers.feedback if isinstance(one, Comparison) and one.choice in (Choice.FIRST, Choice.SECOND)
    ]
    differences: list[float] = []
    returns: dict[str, float | None] = {}
    segments = store.segments([segment for one in decided for segment in queries[one.query].segments])
    for one in decided:
        pair = queries[one.query].segments
        for name in pair:
            if name not in returns:
                true = store.segment_data(segments[name]).true_rewards
                returns[name] = None if true is None else float(true.sum())
        first, second = (returns[name] for name in pair)
        if first is not None and second is not None:
            differences.append(first - second)
    if not differences:
        return None
    return noise_ceiling(
        np.array(differences), float(teacher.get("temperature", 1.0)), float(teacher.get("lapse", 0.0))
    )
