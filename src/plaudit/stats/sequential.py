"""A test that may be looked at after every answer: is what is judged now worse than what it is compared with?

The null is that, given all before, each answer says "the new one won" with probability `null` or more. A gambler who starts
with 1 and bets on losses at these odds has, under the null, a nonnegative supermartingale, so that the wealth ever reaches
1 / level with probability `level` at most (Ville 1939; Ramdas et al. 2023, https://arxiv.org/abs/2210.01948): at any stopping time,
whatever decided when and how often to ask.

The gambler foresees the next answer by a mixture of shares of wins, of which one may give way to another after any answer (fixed
share: Herbster and Warmuth 1998, Machine Learning 32), and bets only where wins are foreseen less often than under the null.
Hence a long improvement costs nothing, and a decline after it is found nearly as soon as if the test had begun there. How well the
gambler foresees changes power, never validity.

Annotators are right with probability `accuracy` whatever is asked, and sides are drawn, so that a true share of wins w is
observed as q = 1/2 + (2 accuracy - 1) (w - 1/2). At 1/2 nothing is moved: the test needs no accuracy there. Elsewhere the
correction is Rogan and Gladen's (1978, American Journal of Epidemiology 107).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincinv

from plaudit.stats.intervals import Interval, wilson

FloatArray = NDArray[np.float64]
SHARES = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
"""true shares of wins that the gambler thinks possible"""
CHANGE = 0.01
"""probability with which one gives way to another, from answer to answer"""
FOR_GOLD = 0.1
"""of the level, what may be lost because the accuracy is only known from gold questions"""


def known(accuracy: float) -> Interval:
    """An accuracy that is known. Raises ValueError unless it is above 1/2 and at most 1."""
    if not 0.5 < accuracy <= 1:
        raise ValueError(f"answers that are right with probability {accuracy} tell nothing; more than 1/2 is needed")
    return Interval(accuracy, accuracy, accuracy)


def from_gold(right: int, asked: int, *, level: float) -> Interval:
    """An accuracy from gold questions, with its exact interval of that level (Clopper and Pearson 1934); within (1/2, 1].

    Raises ValueError when fewer than more than half of the gold answers were right.
    """
    if not 0 <= right <= asked or not right > asked / 2:
        raise ValueError(f"{right} of {asked} gold answers were right; more than half is needed")
    tail = (1 - level) / 2
    low = float(betaincinv(right, asked - right + 1, tail))
    high = 1.0 if right == asked else float(betaincinv(right + 1, asked - right, 1 - tail))
    return Interval(right / asked, max(low, 0.5 + 1e-6), high)


@dataclass(frozen=True, slots=True)
class LossTest:
    """Settings of the test.

    Attributes:
        level: largest probability of a false alarm in a whole run.
        accuracy: of answers, with its interval; a point where it is known.
        tolerance: true shares of wins down to 1/2 - tolerance are still no alarm.
    """

    level: float
    accuracy: Interval
    tolerance: float = 0.0

    @property
    def null(self) -> float:
        """Least observed share of wins that is no alarm, for any accuracy that is possible."""
        return observed(0.5 - self.tolerance, self.accuracy.high)

    @property
    def threshold(self) -> float:
        """Log wealth from which on it is an alarm."""
        exact = self.accuracy.low == self.accuracy.high
        return -math.log(self.level * (1.0 if exact else 1 - FOR_GOLD))

    def evidence(self, won: ArrayLike) -> FloatArray:
        """[..., answer] log wealth after each answer, from answers [..., answer] that say whether the new one won; no ties."""
        answers = np.asarray(won, dtype=bool)
        gambler = Gambler(self, answers.shape[:-1])
        found = [gambler.after(answers[..., number]) for number in range(answers.shape[-1])]
        return np.stack(found, axis=-1) if found else np.zeros(answers.shape)

    def alarm(self, won: ArrayLike) -> int | None:
        """Number of the answer, from 1, at which the alarm is raised; None if it is not."""
        over = np.flatnonzero(self.evidence(won) >= self.threshold)
        return int(over[0]) + 1 if len(over) else None


class Gambler:
    """One who bets against the null, answer by answer.

    Args:
        test: settings.
        shape: of answers that come at once, each of a run of its own; () for one run.

    Attributes:
        wealth: log wealth, [*shape].
    """

    def __init__(self, test: LossTest, shape: tuple[int, ...] = ()) -> None:
        self._null = test.null
        self._shares = np.array([observed(share, test.accuracy.value) for share in SHARES])
        self._belief = np.full((*shape, len(SHARES)), 1 / len(SHARES))
        self.wealth: FloatArray = np.zeros(shape)

    def after(self, won: ArrayLike) -> FloatArray:
        """Log wealth after one more answer."""
        answer, null, shares = np.asarray(won, dtype=bool), self._null, self._shares
        foreseen = np.minimum(self._belief @ shares, null)
        self.wealth = self.wealth + np.where(answer, np.log(foreseen / null), np.log((1 - foreseen) / (1 - null)))
        belief = self._belief * np.where(answer[..., None], shares, 1 - shares)
        self._belief = (1 - CHANGE) * belief / belief.sum(axis=-1, keepdims=True) + CHANGE / len(shares)
        return self.wealth


def observed(share: float, accuracy: float) -> float:
    """Share of wins that annotators report where the true one is `share`."""
    return 0.5 + (2 * accuracy - 1) * (share - 0.5)


def corrected(wins: int, losses: int, accuracy: Interval, level: float = 0.95) -> Interval:
    """True share of wins behind reported ones, within [0, 1], with an interval (Wilson's, corrected as the share is).

    Where the accuracy is an interval as well, the ends take the accuracy that widens most. No pairs: 0 to 1 around one half.
    """
    said = wilson(wins, wins + losses, level)

    def true(share: float, right: float) -> float:
        return min(max(0.5 + (share - 0.5) / (2 * right - 1), 0.0), 1.0)

    both = (accuracy.low, accuracy.high)
    low, high = min(true(said.low, one) for one in both), max(true(said.high, one) for one in both)
    return Interval(true(said.value, accuracy.value), low, high)


def surely_better(wins: int, losses: int) -> float:
    """Probability that the share of wins lies above 1/2, from a uniform prior. Errors that hit both sides alike do not move it."""
    return float(betainc(losses + 1, wins + 1, 0.5))
