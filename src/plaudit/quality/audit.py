"""The audit of a store: for every annotator and overall, what the answers say about themselves.

What the data cannot answer is `Undefined` with the reason. The same store and settings give the same audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from plaudit.quality import table as tables
from plaudit.quality.annotators import AnnotatorAudit, Shared, one_annotator
from plaudit.quality.detect import Copy, DetectConfig, copies
from plaudit.quality.gold import SequentialConfig
from plaudit.quality.population import Population, Weighting, weigh
from plaudit.quality.repeats import Repeats, repeats
from plaudit.quality.table import ComparisonTable, Material
from plaudit.records import Comparison, Flag, QueryKind, Rating, StepFeedback
from plaudit.run.seeds import generator
from plaudit.stats.agreement import FloatArray, Metric, alpha_interval, gwet_ac1
from plaudit.stats.ceiling import NoiseCeiling, noise_ceiling
from plaudit.stats.crowd import OneCoin, dawid_skene, majority_vote, one_coin
from plaudit.stats.intervals import Interval
from plaudit.stats.ranking import bradley_terry
from plaudit.stats.reliability import CrowdFit, crowd_bradley_terry
from plaudit.stats.side import SideBias, side_bias
from plaudit.stats.transitivity import Intransitivity, intransitivity
from plaudit.stats.undefined import Undefined
from plaudit.store.store import Store

KNOWN = frozenset({Comparison, Rating, StepFeedback, Flag})
"""kinds of feedback that the statistics here read"""
MEETINGS = 3.0
"""comparisons per segment, on average, from which values of segments are fitted"""


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """Settings of the audit."""

    gold: SequentialConfig = field(default_factory=SequentialConfig)
    """the sequential test on gold questions"""
    detect: DetectConfig = field(default_factory=DetectConfig)
    """when an annotator is suspected"""
    resamples: int = 1000
    """of every bootstrap"""
    draws: int = 200
    """sets of answers that the noise null of intransitivity rests on"""
    seed: int = 0
    """of the bootstrap and the null"""
    population: Population | None = None
    """whom the answers are to speak for"""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement on one kind of question."""

    form: QueryKind
    levels: int | None
    """grades on the scale of ratings"""
    kind: str
    """what was asked, and how answers are compared"""
    alpha: Interval | Undefined
    """Krippendorff's alpha; bootstrap over questions"""
    ac1: float | Undefined
    """Gwet's AC1, where answers are classes"""
    questions: int
    """answered by two annotators or more"""


@dataclass(frozen=True, slots=True)
class Consensus:
    """What annotators together say about pairs of segments."""

    pairs: int
    """answered by two annotators or more"""
    changed: int
    """where Dawid and Skene's model comes to another answer than the majority"""
    sure: float
    """mean probability of the model's answers"""


@dataclass(frozen=True, slots=True)
class Audit:
    """What `plaudit audit quality` says."""

    answers: int
    skipped: int
    questions: int
    other: int
    """answers of kinds that enter no statistic here"""
    agreement: tuple[Agreement, ...]
    consensus: Consensus | Undefined
    side: SideBias | Undefined
    """all annotators together"""
    repeats: Repeats | Undefined
    """every annotator with themselves"""
    overlap_ceiling: NoiseCeiling | Undefined
    """best accuracy against an answer by anybody"""
    repeat_ceiling: NoiseCeiling | Undefined
    """best accuracy against an answer by an annotator whom the model knows"""
    intransitivity: Intransitivity | Undefined
    copies: tuple[tuple[str, str, Copy], ...]
    """names and evidence"""
    annotators: tuple[AnnotatorAudit, ...]
    weighting: Weighting | Undefined | None = None
    """of the annotators to a population; None where none was given"""

    @property
    def suspicions(self) -> tuple[str, ...]:
        """One sentence for each suspected annotator and pair."""
        single = [f"{one.name}: {reason}" for one in self.annotators for reason in one.suspicions]
        pairs = [
            f"{first} and {second}: equal answers to {copy.agreed} of {copy.shared} shared questions, {copy.expected:.1f} expected"
            for first, second, copy in self.copies
        ]
        return (*single, *pairs)


def audit(store: Store, config: AuditConfig | None = None) -> Audit:
    """Audit a store. Reads only."""
    config = AuditConfig() if config is None else config
    material = tables.read(store)
    table = tables.comparisons(material)
    shared = _shared(table, config)
    people = [one_annotator(name, material, shared) for name in material.annotators]
    found = [] if isinstance(shared.model, Undefined) else copies(table.labels, config.detect)
    decided = table.data.side != 0
    took = (table.data.side[decided] == 1).astype(np.float64)
    return Audit(
        answers=sum(one.answered for one in people),
        skipped=sum(one.skipped for one in people),
        questions=len(material.queries),
        other=sum(type(one) not in KNOWN for one in material.feedback),
        agreement=agreement(material, table, config),
        consensus=_consensus(table),
        side=side_bias(took, None if shared.advantage is None else shared.advantage[decided]),
        repeats=repeats(table),
        overlap_ceiling=_overlap_ceiling(table, config),
        repeat_ceiling=_repeat_ceiling(table, config),
        intransitivity=_circles(table, shared.advantage, people, config),
        copies=tuple((table.names[one.first], table.names[one.second], one) for one in found),
        annotators=tuple(people),
        weighting=None if config.population is None else weigh(material, table, config.population),
    )


def _shared(table: ComparisonTable, config: AuditConfig) -> Shared:
    """What annotators are set against."""
    fit = _crowd(table)
    advantage = None if isinstance(fit, Undefined) else fit.value[table.data.first] - fit.value[table.data.second]
    return Shared(table, _model(table), fit, advantage, config.gold, config.detect)


def _circles(
    table: ComparisonTable, advantage: FloatArray | None, people: Sequence[AnnotatorAudit], config: AuditConfig
) -> Intransitivity | Undefined:
    """Circles beyond what the annotators' own noise and side bias make."""
    chance = None
    if advantage is not None:
        chance = np.full(len(advantage), 0.5)
        for number, one in enumerate(people):
            if isinstance(one.side, SideBias):
                mine = table.labels.annotator == number
                chance[mine] = one.side.chance(advantage[mine])
    rng = generator(config.seed, "audit", "circles")
    return intransitivity(table.data, rng=rng, draws=config.draws, chance=chance)


def _overlapping(table: ComparisonTable) -> int:
    """Pairs of segments that two annotators or more judged."""
    return int(np.sum(np.sum(~np.isnan(tables.classes(table)), axis=1) >= 2))


def _model(table: ComparisonTable) -> OneCoin | Undefined:
    if len(set(table.labels.annotator.tolist())) < 3:
        return Undefined("who is right needs at least three annotators")
    if _overlapping(table) == 0:
        return Undefined("no question was answered by two annotators")
    return one_coin(table.labels)


def _crowd(table: ComparisonTable) -> CrowdFit | Undefined:
    data = table.data
    if len(set(table.labels.annotator.tolist())) < 2:
        return Undefined("reliabilities need at least two annotators")
    met = 2 * len(data.first) / data.items
    if met < MEETINGS:
        return Undefined(f"a segment was compared {met:.1f} times on average; values need {MEETINGS:g}")
    ties = bradley_terry(data, ties=True, scale=2.0)
    return crowd_bradley_terry(
        data, table.labels.annotator, table.labels.annotators, tie=0.0 if isinstance(ties, Undefined) else ties.tie
    )


def agreement(material: Material, table: ComparisonTable, config: AuditConfig) -> tuple[Agreement, ...]:
    """Agreement on each form of question; `table` has the comparisons of the material."""
    compared = tables.classes(table)
    answers = len(np.unique(table.labels.label))  # ties are a class only where the form has them
    found = [(QueryKind.COMPARISON, "comparisons, equal or not", compared, Metric.NOMINAL, answers)]
    for levels in tables.scales(material):
        graded = tables.ratings(material, levels)
        found.append((QueryKind.RATING, f"ratings 1 to {levels}, by rank", graded, Metric.ORDINAL, levels))
    found.append((QueryKind.STEPS, "scores of steps, by difference", tables.steps(material), Metric.INTERVAL, 0))
    found.append((QueryKind.FLAG, "severity of flags, by difference", tables.flags(material), Metric.INTERVAL, 0))
    return tuple(_agree(config, *one) for one in found if one[2].size)


def _agree(
    config: AuditConfig, form: QueryKind, kind: str, answers: FloatArray, metric: Metric, categories: int
) -> Agreement:
    rng = generator(config.seed, "audit", "alpha", kind)
    return Agreement(
        form=form,
        levels=categories if form is QueryKind.RATING else None,
        kind=kind,
        alpha=alpha_interval(answers, metric, rng=rng, resamples=config.resamples),
        ac1=gwet_ac1(answers, categories=categories)
        if categories
        else Undefined("scores and severities are no classes"),
        questions=int(np.sum(np.sum(~np.isnan(answers), axis=1) >= 2)),
    )


def _consensus(table: ComparisonTable) -> Consensus | Undefined:
    model = _model(table)
    if isinstance(model, Undefined):
        return model
    several = np.sum(~np.isnan(tables.classes(table)), axis=1) >= 2
    posterior = dawid_skene(table.labels, right=4.0, wrong=1.0).posterior[several]
    votes = majority_vote(table.labels)[several]
    # an even vote has no majority to differ from
    changed = votes[np.arange(len(votes)), posterior.argmax(axis=1)] < votes.max(axis=1)
    return Consensus(len(votes), int(changed.sum()), float(posterior.max(axis=1).mean()))


def _overlap_ceiling(table: ComparisonTable, config: AuditConfig) -> NoiseCeiling | Undefined:
    answers = tables.classes(table)
    sides = [np.sum(answers == side, axis=1).astype(np.float64) for side in (tables.FIRST, tables.SECOND)]
    return noise_ceiling(*sides, rng=generator(config.seed, "audit", "overlap"), resamples=config.resamples)


def _repeat_ceiling(table: ComparisonTable, config: AuditConfig) -> NoiseCeiling | Undefined:
    labels = table.labels
    _, place = np.unique(labels.item * labels.annotators + labels.annotator, return_inverse=True)
    sides: Sequence[FloatArray] = [
        np.bincount(place, labels.label == side, minlength=1).astype(np.float64)
        for side in (tables.FIRST, tables.SECOND)
    ]
    return noise_ceiling(*sides, rng=generator(config.seed, "audit", "repeats"), resamples=config.resamples)
