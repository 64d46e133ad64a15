"""Simulated teachers: they judge segments by the environment's own reward, as noisily as asked for.

A teacher is rational up to logistic noise of scale `temperature` on whatever it judges, in units of true reward: the
difference of two returns (Boltzmann or Bradley-Terry teacher, Christiano et al. 2017, eq. 1), one return on a scale of
grades (ordinal logit), or the reward of one step. Temperature 0 is the error-free teacher.

The settings combine to the irrational teachers of B-Pref (Lee et al. 2021, section 3): Stoc (`temperature` = 1 / beta),
Mistake (`mistake`), Skip (`skip_below`), Equal (`equal`) and Myopic (`discount`). As there, noiseless, undiscounted returns
decide about skips and ties, and a tie is never mistaken. There, thresholds are shares of the mean return of recent behaviour,
so an answer depends on when it was given, and the code multiplies by the share twice. Here they are shares of `high - low`
times the steps, once, the same for the whole run.

An answer is a function of (seed, query id, annotator id): asking again, in any order, gives the same record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.ask.annotator import feedback_id
from plaudit.errors import ConfigError, RecordError
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Feedback,
    Query,
    QueryKind,
    Rating,
    SegmentData,
    StepFeedback,
)
from plaudit.run.seeds import generator

SECONDS_PER_ANSWER: dict[QueryKind, float] = {QueryKind.COMPARISON: 4.0, QueryKind.RATING: 3.0, QueryKind.STEPS: 30.0}
"""Human time that an answer would take. People compare two clips of 1-2 s in 3-5 s (Christiano et al. 2017, section 3;
5,000 labels in 5 h are 3.6 s). The others are assumed: one clip to watch instead of two, but a grade to settle on; half
a second and more for each step that gets a score."""
OTHER = {Choice.FIRST: Choice.SECOND, Choice.SECOND: Choice.FIRST}


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

    def __post_init__(self) -> None:
        shares = (self.lapse, self.skip, self.mistake, self.equal, self.skip_below)
        if (
            not np.isfinite(self.temperature)
            or self.temperature < 0
            or not all(0 <= share <= 1 for share in shares)
            or not 0 < self.discount <= 1
        ):
            raise ConfigError(
                "The settings of the simulated teacher are out of range",
                got=self,
                expected="temperature >= 0, shares in [0, 1], discount in (0, 1]",
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


class Teacher:
    """An annotator that answers by the segments' true rewards.

    Args:
        config: how well it judges.
        seed: the run's seed.
        name: its annotator id; teachers with other names err on other questions.
    """

    def __init__(self, config: TeacherConfig, seed: int, *, name: str = "teacher") -> None:
        noise = "error-free" if config.temperature == 0 else f"Boltzmann, temperature {config.temperature:g}"
        names = ("lapse", "skip", "mistake", "equal", "skip_below")
        extras = [f"{name.replace('_', ' ')} {getattr(config, name):g}" for name in names if getattr(config, name)]
        extras += [f"discount {config.discount:g}"] if config.discount < 1 else []
        self.config = config
        self.profile = AnnotatorProfile(
            id=name, kind=AnnotatorKind.SIMULATED, description=", ".join([f"simulated: {noise}", *extras])
        )
        self._seed = seed

    def answer(self, query: Query, segments: Sequence[SegmentData]) -> Feedback:
        """The answer to a query about `segments`, in the query's own order.

        Raises:
            RecordError: a segment has no true rewards, or their number does not fit the query.
            ConfigError: the query asks for a grade or score, and the teacher has no scale.
        """
        rewards = [_rewards_of(segment) for segment in segments]
        if len(rewards) != query.kind.segments:
            raise RecordError(
                f"A {query.kind.value} query came with the wrong segments",
                got=len(rewards),
                expected=query.kind.segments,
            )
        rng = generator(self._seed, "teacher", query.id, self.profile.id)
        skips, lapses = (rng.random(2) < (self.config.skip, self.config.lapse)).tolist()
        skips = skips or self._sees_nothing_good(rewards)
        match query.kind:
            case QueryKind.COMPARISON:
                return self._compare(query, rewards, rng, skips=skips, lapses=lapses)
            case QueryKind.RATING:
                return self._rate(query, rewards[0], rng, skips=skips, lapses=lapses)
            case QueryKind.STEPS:
                return self._score(query, rewards[0], rng, skips=skips, lapses=lapses)
            case _:
                raise RecordError(
                    "A simulated teacher does not answer this kind of query",
                    got=query.kind.value,
                    expected="comparison, rating or steps",
                )

    def _compare(
        self, query: Query, rewards: list[NDArray[np.float64]], rng: np.random.Generator, *, skips: bool, lapses: bool
    ) -> Comparison:
        difference = self._worth(rewards[0]) - self._worth(rewards[1]) + self._noise(rng, 1).item()
        if skips:
            choice = Choice.SKIP
        elif self._finds_equal(*rewards):
            choice = Choice.TIE
        elif lapses:
            choice = (Choice.FIRST, Choice.SECOND)[int(rng.integers(2))]
        elif difference == 0:
            choice = Choice.TIE
        else:
            choice = Choice.FIRST if difference > 0 else Choice.SECOND
        if choice in OTHER and self._errs(query):
            choice = OTHER[choice]
        return Comparison(
            id=feedback_id(query.id, self.profile.id),
            query=query.id,
            annotator=self.profile.id,
            response_seconds=SECONDS_PER_ANSWER[query.kind],
            choice=choice,
        )

    def _rate(
        self, query: Query, rewards: NDArray[np.float64], rng: np.random.Generator, *, skips: bool, lapses: bool
    ) -> Rating:
        if query.levels is None:
            raise RecordError("A rating query declares no scale", got=query.id, expected="levels")
        low, high = self._scale()
        weights = self._weights(len(rewards))
        judged = rewards if weights is None else rewards * (weights * len(rewards) / weights.sum())
        value = (judged.sum() + self._noise(rng, 1).item()) / len(rewards)
        cuts = low + (high - low) * np.arange(1, query.levels) / query.levels
        grade = int(rng.integers(query.levels)) if lapses else int(np.searchsorted(cuts, value, side="right"))
        grade = query.levels - 1 - grade if self._errs(query) else grade
        return Rating(
            id=feedback_id(query.id, self.profile.id),
            query=query.id,
            annotator=self.profile.id,
            response_seconds=SECONDS_PER_ANSWER[query.kind],
            value=None if skips else grade,
            levels=query.levels,
        )

    def _score(
        self, query: Query, rewards: NDArray[np.float64], rng: np.random.Generator, *, skips: bool, lapses: bool
    ) -> StepFeedback:
        low, high = self._scale()
        noisy = rewards + self._noise(rng, len(rewards))
        scores = rng.random(len(rewards)) if lapses else np.clip((noisy - low) / (high - low), 0.0, 1.0)
        scores = 1.0 - scores if self._errs(query) else scores
        return StepFeedback(
            id=feedback_id(query.id, self.profile.id),
            query=query.id,
            annotator=self.profile.id,
            response_seconds=SECONDS_PER_ANSWER[query.kind],
            steps=() if skips else tuple(range(len(rewards))),
            scores=() if skips else tuple(scores.tolist()),
        )

    def _weights(self, steps: int) -> NDArray[np.float64] | None:
        """[step] discount^(steps - 1), ..., discount, 1; None where all steps count alike."""
        return None if self.config.discount == 1 else self.config.discount ** np.arange(steps - 1.0, -1.0, -1.0)

    def _worth(self, rewards: NDArray[np.float64]) -> float:
        weights = self._weights(len(rewards))
        return float(rewards.sum() if weights is None else rewards @ weights)

    def _sees_nothing_good(self, rewards: Sequence[NDArray[np.float64]]) -> bool:
        if self.config.skip_below == 0:
            return False
        low, high = self._scale()
        return max(float(one.mean()) for one in rewards) <= low + self.config.skip_below * (high - low)

    def _finds_equal(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
        if self.config.equal == 0:
            return False
        low, high = self._scale()
        steps = (len(first) + len(second)) / 2
        return abs(float(first.sum() - second.sum())) < self.config.equal * (high - low) * steps

    def _errs(self, query: Query) -> bool:
        # a stream of its own, so that the same answers are noisy, lapses and skips with mistakes or without
        return generator(self._seed, "mistake", query.id, self.profile.id).random() < self.config.mistake

    def _noise(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        # difference + logistic noise > 0 has probability sigmoid(difference / temperature)
        return self.config.temperature * rng.logistic(size=size)

    def _scale(self) -> tuple[float, float]:
        if self.config.low is None or self.config.high is None:
            raise ConfigError(
                "The simulated teacher has no scale to grade on",
                got="no low and high",
                expected="true reward per step at the bottom and the top of the scale",
                next_step="set ask.teacher.low and ask.teacher.high",
            )
        return self.config.low, self.config.high


def _rewards_of(segment: SegmentData) -> NDArray[np.float64]:
    if segment.true_rewards is None or not np.isfinite(segment.true_rewards).all():
        raise RecordError(
            "A simulated teacher cannot judge a segment",
            got="no true rewards" if segment.true_rewards is None else "true rewards that are not finite",
            expected="the environment's reward of every step",
            next_step="use a world that has a reward, or let people answer",
        )
    return segment.true_rewards
