"""Settings of simulated teachers: how well they judge, and each fault that they can have."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np

from plaudit.errors import ConfigError
from plaudit.records import QueryKind

SECONDS_PER_ANSWER: dict[QueryKind, float] = {
    QueryKind.COMPARISON: 4.0,
    QueryKind.RATING: 3.0,
    QueryKind.STEPS: 30.0,
    QueryKind.RANKING: 12.0,
    QueryKind.CRITIQUE: 30.0,
    QueryKind.DEMONSTRATION: 60.0,
    QueryKind.CORRECTION: 60.0,
    QueryKind.FLAG: 4.0,
}
"""Human time that an answer would take. People compare two clips of 1-2 s in 3-5 s (Christiano et al. 2017, section 3;
5,000 labels in 5 h are 3.6 s). The others are assumed: one clip to watch instead of two, but a grade to settle on; half
a second and more for each step that gets a score; three comparisons for a short ranking; a written sentence or two; a minute to do it oneself."""


class Careless(enum.Enum):
    """What is answered without looking."""

    RANDOM = "random"
    """anything"""
    FIRST = "first"
    """what is shown first: the first clip, the lowest grade, no violation, bad"""
    LAST = "last"
    """what is shown last: the other clip, the highest grade, a violation, good"""
    ALTERNATE = "alternate"
    """first and last in turn"""


@dataclass(frozen=True, slots=True)
class TeacherConfig:
    """A simulated teacher that knows the true reward."""

    temperature: float = 1.0
    """scale of the teacher's noise, in units of true reward; 0 never errs, and answers exact ties with a tie"""
    lapse: float = 0.0
    """share of the answers that are given at random"""
    skip: float = 0.0
    """share of the questions that are skipped"""
    mistake: float = 0.0
    """share of the answers that are turned round: the other segment, the mirrored grade, one minus each step score"""
    equal: float = 0.0
    """comparisons are a tie when the returns differ by less than this share of the scale from low to high, times the steps"""
    skip_below: float = 0.0
    """questions are skipped when no segment's mean reward is above this share of the scale from low to high"""
    discount: float = 1.0
    """of a comparison or a rating, a step counts this factor less than the next one: below 1, the end of a segment counts most"""
    low: float | None = None
    """true reward per step at the bottom of the scale; needed for ratings and step scores"""
    high: float | None = None
    """true reward per step at the top of the scale; needed for ratings and step scores"""
    taste: dict[str, float] = field(default_factory=dict[str, float])
    """what else is liked, in units of true reward: observation/NUMBER, action/NUMBER, whim/NAME (drawn from NAME); `reward` weighs the true one, else 1"""
    incomparable: float = 0.0
    """comparisons are incomparable when tastes disagree so far that less than this share of what they say is left; needs a taste"""
    side: float = 0.0
    """of a comparison or a ranking, added to the return of the segment that is shown first, in units of true reward"""
    length: float = 0.0
    """of a comparison or a ranking, added to a segment's return for each of its steps, in units of true reward"""
    fatigue: float = 0.0
    """share of the attention that each answer of a session costs; what is left of it after n answers is (1 - fatigue)^n, and the rest are lapses"""
    careless: float = 0.0
    """share of the stretches of answers in which the teacher does not look at all, and is fast; 1 is a spammer"""
    careless_as: Careless = Careless.RANDOM
    """what it answers then: random, first (as shown on the screen), last, or alternate"""
    stretch: int = 12
    """answers in such a stretch"""
    decision_seconds: float = 0.0
    """mean time to decide between equals; clear cases are faster (drift and diffusion; choices stay as they are); 0: all take the same time"""
    motor_seconds: float = 2.0
    """where decision_seconds is above 0: what watching and pressing a key take besides"""

    def __post_init__(self) -> None:
        shares = (self.lapse, self.skip, self.mistake, self.equal, self.skip_below)
        shares += (self.incomparable, self.fatigue, self.careless)
        plain = (self.temperature, self.decision_seconds, self.motor_seconds, self.side, self.length)
        if (
            not all(_is_finite(one) for one in (*plain, *self.taste.values()))
            or min(self.temperature, self.decision_seconds, self.motor_seconds) < 0
            or not all(0 <= share <= 1 for share in shares)
            or not 0 < self.discount <= 1
            or self.stretch < 1
        ):
            raise ConfigError(
                "The settings of the simulated teacher are out of range",
                got=self,
                expected="temperature and seconds >= 0, shares in [0, 1], discount in (0, 1], stretch >= 1, finite numbers",
            )
        if self.incomparable and not set(self.taste) - {"reward"}:
            raise ConfigError(
                "The simulated teacher has nothing that could disagree",
                got=f"incomparable {self.incomparable}, but no taste beside the true reward",
                next_step="set ask.teacher.taste, or incomparable = 0",
            )
        if (self.equal or self.skip_below) and self.low is None:
            raise ConfigError(
                "The simulated teacher has no scale to be indifferent on",
                got=f"equal {self.equal}, skip_below {self.skip_below}, but no low and high",
                next_step="set ask.teacher.low and ask.teacher.high",
            )
        if (self.low is None) != (self.high is None) or (
            self.low is not None and self.high is not None and not self.low < self.high
        ):
            raise ConfigError(
                "The scale of the simulated teacher does not fit together",
                got=f"low {self.low}, high {self.high}",
                expected="both, with low < high, or neither",
            )

    @property
    def scale(self) -> tuple[float, float]:
        """Low and high. Raises ConfigError where they are not set."""
        if self.low is None or self.high is None:
            raise ConfigError(
                "The simulated teacher has no scale to grade on",
                got="no low and high",
                expected="true reward per step at the bottom and the top of the scale",
                next_step="set ask.teacher.low and ask.teacher.high",
            )
        return self.low, self.high

    def description(self) -> str:
        """The settings that matter, in words."""
        noise = "error-free" if self.temperature == 0 else f"Boltzmann, temperature {self.temperature:g}"
        names = ("lapse", "skip", "mistake", "equal", "skip_below", "incomparable", "side", "length", "fatigue")
        extras = [f"{name.replace('_', ' ')} {getattr(self, name):g}" for name in names if getattr(self, name)]
        extras += [f"careless {self.careless:g} ({self.careless_as.value})"] if self.careless else []
        extras += [f"taste {name} {weight:g}" for name, weight in sorted(self.taste.items())]
        extras += [f"discount {self.discount:g}"] if self.discount < 1 else []
        return ", ".join([f"simulated: {noise}", *extras])


def _is_finite(value: object) -> bool:
    """Whether a value is a finite number; the table of tastes in a run file may hold anything."""
    return isinstance(value, int | float) and bool(np.isfinite(value))
