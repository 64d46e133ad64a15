"""Simulated teachers: they judge segments by the environment's own reward, as noisily as asked for.

A teacher is rational up to logistic noise of scale `temperature` on whatever it judges, in units of true reward: the
difference of two returns (Boltzmann or Bradley-Terry teacher, Christiano et al. 2017, eq. 1), one return on a scale of
grades (ordinal logit), or the reward of one step. Temperature 0 is the error-free teacher.

The settings combine to the irrational teachers of B-Pref (Lee et al. 2021, section 3): Stoc (`temperature` = 1 / beta),
Mistake (`mistake`), Skip (`skip_below`), Equal (`equal`) and Myopic (`discount`). As there, noiseless, undiscounted returns
decide about skips and ties, and a tie is never mistaken. There, thresholds are shares of the mean return of recent behaviour,
so an answer depends on when it was given, and the code multiplies by the share twice. Here they are shares of `high - low`
times the steps, once, the same for the whole run.

Further faults: taste, side and length bias, fatigue, stretches without care, copying (`teacher_config`, `faults`).

An answer is a function of (seed, query, annotator id): asking again, in any order, gives the same record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np

from plaudit.ask.annotator import feedback_id
from plaudit.ask.faults import is_careless, lapse_after, turned, without_looking
from plaudit.ask.mix import SHOWING
from plaudit.ask.perception import Measure, Seen, clarity, look
from plaudit.ask.teacher_answers import Mind, compare, rank, rate, score, sees_nothing_good
from plaudit.ask.teacher_config import SECONDS_PER_ANSWER, Careless, TeacherConfig
from plaudit.ask.teacher_remarks import Attempt, Attempts, Wrong, correct, criticise, demonstrate, flag
from plaudit.ask.timing import seconds
from plaudit.errors import RecordError
from plaudit.records import AnnotatorKind, AnnotatorProfile, Feedback, Query, QueryKind, SegmentData
from plaudit.run.seeds import generator

__all__ = ["SECONDS_PER_ANSWER", "Careless", "Place", "Setting", "Source", "Teacher", "TeacherConfig"]

Place = Callable[[Query], tuple[int, int]]
"""(session, number of answers that the annotator gave before in it) of a query: a function of the query, not of who was asked when"""


def place_in_round(query: Query) -> tuple[int, int]:
    """Every round is a session, and its questions are answered in their order."""
    return query.round, query.index


@dataclass(frozen=True, slots=True)
class Setting:
    """What surrounds an annotator: what its world can measure and replay, and where in its work a question comes."""

    measure: Measure | None = None
    """parts of the true reward and costs, for tastes and flags"""
    attempts: Attempts | None = None
    """what could be shown, for demonstrations and corrections"""
    place: Place = place_in_round


@dataclass(frozen=True, slots=True)
class Source:
    """Somebody to copy from."""

    teacher: Teacher
    share: float = 1.0
    """of the answers that are copied"""


class Teacher:
    """An annotator that answers by the segments' true rewards.

    Args:
        config: how well it judges.
        seed: the run's seed.
        name: its annotator id; teachers with other names err on other questions.
        setting: what surrounds it; the default has no parts, costs or replays, and each round is a session.
        source: whom it copies, and how often; None: it judges for itself.
    """

    def __init__(
        self,
        config: TeacherConfig,
        seed: int,
        *,
        name: str = "teacher",
        setting: Setting | None = None,
        source: Source | None = None,
    ) -> None:
        copying = "" if source is None else f", copies {source.share:g} from {source.teacher.profile.id}"
        self.config = config
        self.profile = AnnotatorProfile(
            id=name, kind=AnnotatorKind.SIMULATED, description=config.description() + copying
        )
        self._seed = seed
        self._setting = Setting() if setting is None else setting
        self._source = source

    def answer(self, query: Query, segments: Sequence[SegmentData]) -> Feedback:
        """The answer to a query about `segments`, in the query's own order.

        Raises:
            RecordError: a segment has no true rewards, their number does not fit the query, or the query asks for what
                nothing here can measure or show.
            ConfigError: the query asks for a grade, score or critique, and the teacher has no scale.
        """
        return self.judge(query, [look(segment, self._setting.measure) for segment in segments], segments)

    def judge(self, query: Query, seen: Sequence[Seen], segments: Sequence[SegmentData] = ()) -> Feedback:
        """The answer by what there is to see of each segment, for behaviour that has no arrays, such as text.

        A correction needs the `segments` as well. Raises like `answer`.
        """
        if len(seen) != len(query.segments):
            raise RecordError(
                f"A {query.kind.value} query came with the wrong segments",
                got=len(seen),
                expected=len(query.segments),
            )
        if self._source is not None and self._draws("copy", query) < self._source.share:
            given = self._source.teacher.judge(query, seen, segments)
            return self._signed(given, given.response_seconds or 0.0)
        rng = generator(self._seed, "teacher", query.id, self.profile.id)
        place = self._setting.place(query)
        careless = is_careless(self.config, self._seed, self.profile.id, place)
        if careless:
            brought = [one.segment for one in self._attempts(query)] if query.kind in SHOWING else []
            given = without_looking(
                self.config.careless_as, query, place[1], rng, steps=len(seen[0].rewards), brought=brought
            )
            gap = None
        else:
            given, gap = self._look(query, seen, segments, self._mind(seen, rng, place[1]))
        clear = None if gap is None else clarity(self.config, gap)
        clock = generator(self._seed, "clock", query.id, self.profile.id)
        return self._signed(given, seconds(self.config, query.kind, clear, clock, careless=careless))

    def _mind(self, seen: Sequence[Seen], rng: np.random.Generator, before: int) -> Mind:
        limits = (self.config.skip, lapse_after(self.config, before))
        skips, lapses = (rng.random(2) < limits).tolist()
        return Mind(self.config, rng, skips=skips or sees_nothing_good(self.config, seen), lapses=lapses)

    def _look(
        self, query: Query, seen: Sequence[Seen], segments: Sequence[SegmentData], mind: Mind
    ) -> tuple[Feedback, float | None]:
        """The unsigned answer, and the gap that it rests on where it is a choice between two sides."""
        # a stream of its own, so that the same answers are noisy, lapses and skips with mistakes or without
        errs = self._draws("mistake", query) < self.config.mistake
        gap: float | None = None
        match query.kind:
            case QueryKind.COMPARISON:
                given, gap = compare(mind, query, seen)
            case QueryKind.RATING:
                given, gap = rate(mind, query, seen[0])
            case QueryKind.STEPS:
                given = score(mind, query, seen[0])
            case QueryKind.RANKING:
                given = rank(mind, query, seen)
            case QueryKind.CRITIQUE:
                given = criticise(mind, query, seen)
            case QueryKind.FLAG:
                given = flag(mind, query, seen[0])
            case QueryKind.DEMONSTRATION:
                given = demonstrate(mind, query, self._attempts(query), self._setting.measure, errs=errs)
            case QueryKind.CORRECTION:
                wrong = Wrong(segments[0], seen[0])
                given = correct(mind, query, wrong, self._attempts(query), self._setting.measure, errs=errs)
            case _:
                assert_never(query.kind)
        return turned(given) if errs else given, gap

    def _attempts(self, query: Query) -> Sequence[Attempt]:
        if self._setting.attempts is None:
            raise RecordError(
                "A simulated teacher has nothing to show",
                got=query.kind.value,
                expected="attempts: behaviour that it can choose from",
                next_step="give Teacher a Setting with attempts, for example replays by a good policy",
            )
        return self._setting.attempts(query)

    def _draws(self, what: str, query: Query) -> float:
        return generator(self._seed, what, query.id, self.profile.id).random()

    def _signed(self, answer: Feedback, response_seconds: float) -> Feedback:
        name = self.profile.id
        return replace(answer, id=feedback_id(answer.query, name), annotator=name, response_seconds=response_seconds)
