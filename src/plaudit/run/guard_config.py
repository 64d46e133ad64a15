"""Settings of the guard: when a policy is judged, by how many pairs, and what follows."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from plaudit.errors import ConfigError
from plaudit.stats.intervals import Interval
from plaudit.stats.sequential import FOR_GOLD, LossTest, from_gold, known


class OnAlarm(enum.Enum):
    """What an alarm does."""

    ROLL_BACK = "roll-back"
    """put the best checkpoint back and end"""
    STOP = "stop"
    """end with the policy as it is"""


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """When the policy is judged, by how many pairs, and what follows."""

    every: int = 5
    """updates between checks"""
    again: int = 1
    """updates until the next check after one that the policy lost: what looks bad is looked at again at once"""
    pairs: int = 20
    """most pairs that are judged at a check"""
    batch: int = 5
    """pairs that are asked about at once; a check ends as soon as most of its answers are for the policy, or with the alarm"""
    budget: int = 400
    """pairs of a run; a run that needs more ends where they end, since nobody would watch the rest"""
    level: float = 0.05
    """largest probability that a run is stopped whose policy never was worse than the best checkpoint"""
    tolerance: float = 0.0
    """true share of wins down to 1/2 less this is no alarm"""
    accuracy: float = 0.75
    """probability that an answer is right, where there are no gold questions to tell"""
    gold_right: int = 0
    """gold questions that annotators answered rightly"""
    gold_asked: int = 0
    """gold questions that they were asked; above 0, accuracy is estimated from these"""
    sure: float = 0.95
    """a policy becomes the best checkpoint when policies since the one before are better than that with this probability"""
    on_alarm: OnAlarm = OnAlarm.ROLL_BACK
    """what an alarm does"""

    def __post_init__(self) -> None:
        fit = (
            self.every >= 1
            and 1 <= self.batch <= self.pairs <= self.budget
            and 0 < self.level < 1
            and 0.5 <= self.sure < 1
        )
        if not fit or not 0 <= self.tolerance < 0.5 or not 0 <= self.gold_right <= self.gold_asked:
            raise ConfigError(
                "The settings of the guard are out of range", got=self,
                expected="1 <= again <= every, 1 <= batch <= pairs <= budget, 0 < level < 1, 0.5 <= sure < 1, 0 <= tolerance < 0.5",
            )  # fmt: skip
        right = self.gold_right / self.gold_asked if self.gold_asked else self.accuracy
        if not 0.5 < right <= 1:
            raise ConfigError(
                "Answers that are not right more often than wrong cannot guard anything", got=f"accuracy {right:.3g}",
                expected="above 0.5", next_step="ask other annotators, or explain the question to these",
            )  # fmt: skip

    @property
    def answers(self) -> Interval:
        """How often answers are right."""
        if self.gold_asked:
            return from_gold(self.gold_right, self.gold_asked, level=1 - FOR_GOLD * self.level)
        return known(self.accuracy)

    @property
    def test(self) -> LossTest:
        """The test."""
        return LossTest(self.level, self.answers, self.tolerance)
