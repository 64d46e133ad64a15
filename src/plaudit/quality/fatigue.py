"""Who tires: answers that get worse within a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Decline:
    """Does an annotator's reliability fall within sessions?"""

    answers: int
    """decided comparisons"""
    sessions: int
    """of two such answers or more"""
    start: float
    """reliability that the first half of the sessions' answers shows by itself: 1 as rational as the model, 1/2 chance"""
    end: float
    """the same of the second half"""
    p_value: float
    """one-sided, of a trend so far down where there is none"""


def decline(advantage: FloatArray, side: IntArray, session: IntArray, eta: float) -> Decline | None:
    """Score tests of a trend in the reliability eta of crowd Bradley-Terry, P = eta s(v) + (1 - eta) s(-v), within sessions.

    One trend is linear in the number of answers since the session began, one in its logarithm, for attention that is gone early
    (Bonferroni). Both are centred in each session, so that a better or worse day is no evidence.

    Args:
        advantage: [answer] fitted value of what was shown first minus the other's, in the order of the answers.
        side: [answer] 1 where the first was taken, -1 where the other was.
        session: [answer] number of the session.
        eta: reliability over all answers.

    Returns:
        None where no session has two answers.
    """
    right = expit(side * advantage)
    score = (2 * right - 1) / (eta * right + (1 - eta) * (1 - right))  # d log P / d eta
    _, who, counts = np.unique(session, return_inverse=True, return_counts=True)
    if not np.any(counts >= 2):
        return None
    place = _places(who, counts)
    trends = [_centred(one, who, counts) for one in (place, np.log1p(place))]
    spread = [float(np.sqrt(np.sum((one * score) ** 2))) for one in trends]
    tails = [float(ndtr(np.sum(one * score) / s)) if s > 0 else 1.0 for one, s in zip(trends, spread, strict=True)]
    late = place >= (counts[who] / 2)
    return Decline(
        answers=len(side),
        sessions=int(np.sum(counts >= 2)),
        start=_reliability(right[~late]),
        end=_reliability(right[late]),
        p_value=min(2 * min(tails), 1.0),
    )


def sessions_of(rounds: Sequence[int]) -> IntArray:
    """[answer] number of the session, in the order of the answers: those in a row to the questions of one round are one."""
    changes = np.concatenate([[0], np.diff(np.asarray(rounds, dtype=np.int64)) != 0]) if rounds else np.zeros(0)
    return np.cumsum(changes).astype(np.int64)


def _places(who: NDArray[np.intp], counts: NDArray[np.intp]) -> FloatArray:
    """[answer] how many came before it in its session."""
    place = np.zeros(len(who))
    for number in range(len(counts)):
        mine = np.flatnonzero(who == number)
        place[mine] = np.arange(len(mine))
    return place


def _centred(values: FloatArray, who: NDArray[np.intp], counts: NDArray[np.intp]) -> FloatArray:
    return values - (np.bincount(who, values) / counts)[who]


def _reliability(right: FloatArray) -> float:
    """Method of moments: sum of (2 P - 1) over answers is (2 eta - 1) times the sum of (2 P - 1)^2 where eta is the same for all."""
    gap = 2 * right - 1
    mass = float(np.sum(gap**2))
    return float(np.clip(0.5 + 0.5 * float(np.sum(gap)) / mass, 0.0, 1.0)) if mass > 0 else float("nan")
