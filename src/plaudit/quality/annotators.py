"""The audit of one annotator."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.quality.detect import Burst, DetectConfig, Pattern, Spam, bursts, pattern, spam
from plaudit.quality.fatigue import Decline, decline, sessions_of
from plaudit.quality.gold import GoldTest, SequentialConfig, Verdict, tests_of
from plaudit.quality.repeats import Repeats, repeats
from plaudit.quality.table import ComparisonTable, Material, seconds_of
from plaudit.records import Feedback, is_skip
from plaudit.stats.agreement import FloatArray
from plaudit.stats.crowd import OneCoin
from plaudit.stats.intervals import Interval
from plaudit.stats.reliability import CrowdFit
from plaudit.stats.side import SideBias, side_bias
from plaudit.stats.undefined import Undefined


@dataclass(frozen=True, slots=True)
class Shared:
    """What every annotator is set against."""

    table: ComparisonTable
    model: OneCoin | Undefined
    fit: CrowdFit | Undefined
    advantage: FloatArray | None
    """[answer] fitted value of the segment shown first minus the other's"""
    gold: SequentialConfig
    detect: DetectConfig


class Suspicion(enum.Enum):
    """What an annotator is suspected of."""

    GOLD = "gold"
    """stopped by the test on gold questions"""
    AGREEMENT = "agreement"
    """agrees with others far less than these among themselves"""
    SIDE = "side"
    ORDER = "order"
    RUSHED = "rushed"
    TIRED = "tired"
    """answers get worse within sessions"""


@dataclass(frozen=True, slots=True)
class AnnotatorAudit:
    """What is known of one annotator."""

    name: str
    kind: str
    """person, simulated, judge or unknown"""
    answered: int
    skipped: int
    ties: int
    seconds: float | None
    """median response time"""
    gold: GoldTest | Undefined
    repeats: Repeats | Undefined
    accuracy: Interval | Undefined
    """against what annotators together say (one-coin model)"""
    reliability: Interval | Undefined
    """eta of crowd Bradley-Terry: 1 is as rational as the model, 1/2 is chance, 0 the opposite"""
    side: SideBias | Undefined
    spam: Spam | Undefined
    pattern: Pattern | Undefined
    bursts: tuple[Burst, ...] | Undefined
    decline: Decline | Undefined
    """whether answers get worse within the sessions"""
    suspicions: tuple[str, ...]
    """one sentence each"""
    suspected: tuple[Suspicion, ...]
    """what each sentence is about"""


def one_annotator(name: str, material: Material, shared: Shared) -> AnnotatorAudit:
    """Audit one annotator."""
    given = material.of(name)
    judged = [one for one in given if not is_skip(one)]
    number = shared.table.names.index(name)
    rows = np.flatnonzero(shared.table.labels.annotator == number)
    sides = shared.table.data.side[rows]
    decided = rows[sides != 0]
    advantage = None if shared.advantage is None else shared.advantage[decided]
    gold, mass, order = _gold(name, judged, material, shared.gold), _spam(number, shared), pattern(sides)
    side = side_bias((shared.table.data.side[decided] == 1).astype(np.float64), advantage)
    rushed, tired = _bursts(given, material, shared.detect), _decline(number, decided, material, shared)
    suspicions = _suspicions(shared, gold=gold, mass=mass, order=order, side=side, rushed=rushed, tired=tired)
    return AnnotatorAudit(
        name=name,
        kind=material.kind(name),
        answered=len(judged),
        skipped=len(given) - len(judged),
        ties=int(np.sum(sides == 0)),
        seconds=_median(given),
        gold=gold,
        repeats=repeats(shared.table, number),
        accuracy=_accuracy(number, shared),
        reliability=_reliability(number, shared),
        side=side,
        spam=mass,
        pattern=Undefined("the decided answers are not on both sides") if order is None else order,
        bursts=rushed,
        decline=tired,
        suspicions=tuple(sentence for _, sentence in suspicions),
        suspected=tuple(about for about, _ in suspicions),
    )


def _gold(name: str, judged: Sequence[Feedback], material: Material, config: SequentialConfig) -> GoldTest | Undefined:
    """The sequential test over gold in the order of the answers."""
    return tests_of(judged, material.gold, config).get(name, Undefined("no gold question was answered"))


def _spam(number: int, shared: Shared) -> Spam | Undefined:
    found = spam(shared.table.labels, number)
    return Undefined("fewer than two questions were also answered by two others") if found is None else found


def _accuracy(number: int, shared: Shared) -> Interval | Undefined:
    if isinstance(shared.model, Undefined):
        return shared.model
    labels = shared.table.labels
    own = np.unique(labels.item[labels.annotator == number])
    others = np.unique(labels.item[labels.annotator != number])
    if not len(np.intersect1d(own, others)):
        return Undefined("no question was also answered by others")
    return shared.model.interval(number)


def _reliability(number: int, shared: Shared) -> Interval | Undefined:
    if isinstance(shared.fit, Undefined):
        return shared.fit
    if not np.any((shared.table.labels.annotator == number) & (shared.table.data.side != 0)):
        return Undefined("no comparison was decided")
    return shared.fit.interval(number)


def _decline(number: int, decided: NDArray[np.intp], material: Material, shared: Shared) -> Decline | Undefined:
    """Within sessions; what an annotator answers to one round's questions is one."""
    if isinstance(shared.fit, Undefined) or shared.advantage is None:
        return shared.fit if isinstance(shared.fit, Undefined) else Undefined("segments have no values")
    rounds = [material.queries[shared.table.query[row]].round for row in decided]
    side, session = shared.table.data.side[decided], sessions_of(rounds)
    found = decline(shared.advantage[decided], side, session, float(shared.fit.eta[number]))
    return Undefined("no session has two decided comparisons") if found is None else found


def _median(given: Sequence[Feedback]) -> float | None:
    timed = [one.response_seconds for one in given if one.response_seconds is not None]
    return float(np.median(timed)) if timed else None


def _bursts(given: Sequence[Feedback], material: Material, config: DetectConfig) -> tuple[Burst, ...] | Undefined:
    """Rushed stretches, against the median time of everybody's answers to questions of the same kind."""
    if not any(one.response_seconds is not None for one in given):
        return Undefined("no response times were taken")
    typical: dict[type, float] = {}
    for kind in {type(one) for one in given}:
        times = [
            one.response_seconds for one in material.feedback if type(one) is kind and one.response_seconds is not None
        ]
        typical[kind] = float(np.median(times)) if times else np.nan
    relative = seconds_of(given) / np.array([typical[type(one)] for one in given])
    return tuple(bursts(relative, 1.0, config))


def _suspicions(
    shared: Shared,
    *,
    gold: GoldTest | Undefined,
    mass: Spam | Undefined,
    order: Pattern | None,
    side: SideBias | Undefined,
    rushed: Sequence[Burst] | Undefined,
    tired: Decline | Undefined,
) -> list[tuple[Suspicion, str]]:
    """Sentences for what goes beyond the stated error rates."""
    config = shared.detect
    limit = config.error_rate / max(len(shared.table.names), 1)
    found: list[tuple[Suspicion, str]] = []
    if isinstance(gold, GoldTest) and gold.verdict is Verdict.STOPPED:
        said = f"the test on gold questions says stop: {gold.right} of {gold.answered} right"
        found.append((Suspicion.GOLD, said))
    if isinstance(mass, Spam) and mass.questions >= config.least and mass.p_value < limit:
        said = (
            f"agrees with others on {mass.agreement:.0%} of {mass.questions} questions, where others agree on {mass.others:.0%} "
            f"and chance gives {mass.chance:.0%}"
        )
        found.append((Suspicion.AGREEMENT, said))
    if isinstance(side, SideBias) and side.answers >= config.least and side.p_value < limit:
        said = f"took what was shown first in {side.share.value:.0%} of {side.answers} decided comparisons"
        found.append((Suspicion.SIDE, said))
    if order is not None and order.answers >= config.least and order.p_value < limit:
        said = f"the sides of {order.answers} answers form {order.runs} runs, {order.expected:.0f} expected"
        found.append((Suspicion.ORDER, said))
    if isinstance(rushed, tuple) and rushed:
        longest = max(one.length for one in rushed)
        found.append((Suspicion.RUSHED, f"up to {longest} rushed answers in a row, {len(rushed)} time(s)"))
    if isinstance(tired, Decline) and tired.answers >= config.least and tired.p_value < limit:
        said = f"answers get worse within sessions: reliability {tired.start:.2f} in their first halves, {tired.end:.2f} in their second"
        found.append((Suspicion.TIRED, said))
    return found
