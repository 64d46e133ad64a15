"""What answers that a member never saw say about it, and about those who answered.

Member k leaves out every question whose number is k modulo the number of members. So each answer is unseen by one
member, whose values stand for it here (cross-fitting), while all members together see all answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plaudit.reward.annotators import differing, swayed, timed
from plaudit.reward.config import Nuisance, Trait
from plaudit.reward.evidence import AnswerModel, Evidence, Prediction
from plaudit.stats import choice
from plaudit.stats.calibration import Calibration, calibration

FloatArray = NDArray[np.float64]
LAPSES = np.linspace(0.0, 0.5, 11)
TEMPERATURES = (1.0, 2.0, 4.0)
SURE_OF_NO_LAPSE = 10.0
"""prior weight of no lapse, in answers: a few surprising answers are no proof"""


@dataclass(frozen=True, slots=True)
class Values:
    """What members think of the values behind the answers of one kind."""

    evidence: Evidence
    members: FloatArray
    """[member, answer, judgement]"""
    unseen: FloatArray
    """[answer, judgement] by the member that left the answer out; the mean of all where none did"""
    trains: NDArray[np.bool_]
    """[member, answer] False where the member left the answer out"""

    @property
    def rows(self) -> NDArray[np.intp]:
        """All answers."""
        return np.arange(len(self.unseen))

    def fits(self, annotators: AnswerModel) -> FloatArray:
        """[answer] log likelihood, by the member that left the answer out."""
        return _log_prob(self, self.unseen, annotators)


def leave_out(evidence: Evidence, members: int, held_out: bool) -> NDArray[np.bool_]:
    """[member, answer] True where the member learns from the answer."""
    return (evidence.question % members != np.arange(members)[:, None]) | (not held_out)


def values_of(evidence: Evidence, members: FloatArray, trains: NDArray[np.bool_]) -> Values:
    """Put a kind's values together with their cross-fitted choice."""
    out = ~trains
    unseen = members[out.argmax(axis=0), np.arange(out.shape[1])] if out.any() else members.mean(axis=0)
    return Values(evidence, members, unseen, trains)


def losses(found: Sequence[Values], annotators: AnswerModel) -> tuple[float, float]:
    """Mean negative log likelihood of an answer, for members that learned from it and for those that did not."""
    seen = np.concatenate([_log_prob(v, v.members, annotators)[v.trains] for v in found])
    return -float(seen.mean()), -float(_unseen_log_prob(found, annotators).mean())


def understood(found: Sequence[Values], annotators: AnswerModel) -> float:
    """Share of answers, of those that they learn from, to which members give more than even odds per judgement."""
    annotators = _untimed(annotators)
    likely = [
        (_log_prob(v, v.members, annotators) / v.evidence.judgements(v.rows) > np.log(0.5))[v.trains] for v in found
    ]
    return float(np.concatenate(likely).mean())


def estimate(
    found: Sequence[Values],
    annotators: AnswerModel,
    *,
    lapse: bool,
    nuisance: Sequence[Nuisance] = (),
    traits: Sequence[Trait] = (),
    timing: bool = False,
) -> AnswerModel:
    """Cut-points, and the share of random answers if `lapse`, that fit answers which members did not see.

    With `nuisance`, `traits` and `timing` also what sways answers, in what annotators differ, and how long deciding takes
    (`plaudit.reward.annotators`).

    Members that are too sure of themselves look like annotators who lapse, so their values may be cooled while the lapse
    is estimated.
    """
    if lapse:
        best, annotators = -np.inf, replace(annotators, lapses=None)
        for temperature in TEMPERATURES:
            cooled = [replace(v, unseen=v.unseen / temperature) for v in found]
            trial = _cut_points(cooled, annotators)
            for share in LAPSES.tolist():
                fits = float(_unseen_log_prob(cooled, replace(trial, lapse=share)).sum())
                fits += SURE_OF_NO_LAPSE * float(np.log1p(-share))
                if fits > best:
                    best, annotators = fits, replace(annotators, lapse=share)
    annotators = _cut_points(found, annotators)
    if nuisance:
        annotators = _cut_points(found, swayed(found, annotators, nuisance))
    annotators = differing(found, annotators, traits) if traits else annotators
    return timed(found, annotators) if timing else annotators


def measures(found: Sequence[Values], annotators: AnswerModel) -> dict[str, float]:
    """Metrics of a fit: agreement with answers that were learned from, and with those that were not."""
    annotators = _untimed(annotators)
    metrics = {"reward/labels": float(sum(len(v.unseen) for v in found)), "reward/lapse": annotators.lapse}
    if right := [prediction.right for prediction in _predict(found, annotators, unseen=False)]:
        metrics["reward/accuracy_train"] = float(np.concatenate(right).mean())
    if all(v.trains.all() for v in found):
        return metrics
    metrics["reward/log_likelihood"] = float(_unseen_log_prob(found, annotators).mean())
    if groups := reliability(found, annotators):
        metrics["reward/accuracy_heldout"] = float(np.average(groups.right, weights=groups.count))
        metrics["reward/ece"] = groups.error
    return metrics


def reliability(found: Sequence[Values], annotators: AnswerModel) -> Calibration | None:
    """Confidence and correctness on unseen answers; None without any."""
    predictions = [] if all(v.trains.all() for v in found) else _predict(found, annotators, unseen=True)
    if not predictions:
        return None
    return calibration(
        np.concatenate([p.confidence for p in predictions]), np.concatenate([p.right for p in predictions])
    )


def _untimed(annotators: AnswerModel) -> AnswerModel:
    """What was answered counts, and not when: densities of times are no probabilities."""
    return annotators if annotators.timing is None else replace(annotators, timing=None)


def _predict(found: Sequence[Values], annotators: AnswerModel, *, unseen: bool) -> list[Prediction]:
    predictions = [v.evidence.predict(annotators, v.unseen if unseen else v.members.mean(axis=0)) for v in found]
    return [prediction for prediction in predictions if len(prediction.right)]


def _cut_points(found: Sequence[Values], annotators: AnswerModel) -> AnswerModel:
    for v in found:
        annotators = v.evidence.calibrate(annotators, v.unseen)
    return annotators


def _unseen_log_prob(found: Sequence[Values], annotators: AnswerModel) -> FloatArray:
    return np.concatenate([v.fits(annotators) for v in found])


def _log_prob(v: Values, values: FloatArray, annotators: AnswerModel) -> FloatArray:
    return np.asarray(v.evidence.log_prob(values, v.rows, annotators, choice))
