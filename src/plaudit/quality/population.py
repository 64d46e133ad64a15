"""Whom the answers are to speak for: a target population, weights that make the annotators resemble it, and what groups answer.

A population is a TOML file of margins, and of traits that annotators gave elsewhere than in their profile:

    [margins.region]
    north = 0.4
    south = 0.6

    [annotators.ann]
    region = "north"
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from plaudit.errors import ConfigError
from plaudit.ops.aggregate import Combine
from plaudit.quality.table import ComparisonTable, Material
from plaudit.records import AnnotatorProfile, Feedback
from plaudit.stats.clustered import ClusteredMean, FloatArray, IntArray, clustered_mean
from plaudit.stats.sampling import proportional_allocation
from plaudit.stats.undefined import Undefined
from plaudit.stats.weighting import UNKNOWN, effective_size, rake, weighting_effect

POPULATION = 1_000_000
"""people that the shares of a population are taken to be of"""
LEAST = 5
"""people in a group that is reported by itself"""


@dataclass(frozen=True, slots=True)
class Population:
    """A target population, and how its groups are treated."""

    margins: dict[str, dict[str, float]]
    """share of the population by trait and value; the shares of a trait sum to 1"""
    smallest: float = 0.2
    """least weight of an annotator, in a run of an answer, where 1 is the mean"""
    largest: float = 5.0
    """largest weight of an annotator, in a run of an answer; margins fit less well where it binds, and a few people count less"""
    least: int = LEAST
    """people in a group that is reported by itself; smaller groups could tell who somebody is"""
    combine: Combine = Combine.MEAN
    """how the rewards of groups are combined: mean (by share), worst (of the group that likes it least) or nash (product of gains)"""
    annotators: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    """traits by annotator, over those in their profiles; here they stand outside the log, where they can be erased"""

    def __post_init__(self) -> None:
        for trait, shares in self.margins.items():
            if any(share < 0 for share in shares.values()) or not math.isclose(sum(shares.values()), 1, abs_tol=1e-6):
                raise ConfigError(
                    "The margins of a trait are not shares of a population",
                    got=f"margins.{trait} = {shares}",
                    expected="numbers of 0 or more that sum to 1",
                )
        if not self.margins or not 0 <= self.smallest <= 1 <= self.largest:
            raise ConfigError(
                "A population does not fit together",
                got=f"{len(self.margins)} margins, weights {self.smallest} to {self.largest}",
                expected="at least one margin, smallest <= 1 <= largest",
            )

    def traits(self, material: Material) -> dict[str, dict[str, str]]:
        """By annotator, what is known of them."""
        profiles = material.profiles
        own = {name: (profiles[name].traits if name in profiles else None) or {} for name in material.annotators}
        return {name: {**found, **self.annotators.get(name, {})} for name, found in own.items()}

    def told(self, profiles: Mapping[str, AnnotatorProfile]) -> dict[str, AnnotatorProfile]:
        """Profiles with what is known of annotators elsewhere."""
        return {
            name: replace(one, traits={**(one.traits or {}), **self.annotators.get(name, {})} or None)
            for name, one in profiles.items()
        }

    def groups(self, material: Material, trait: str) -> dict[str, str]:
        """Annotator -> value of a trait, for values of the population whose groups are large enough to be reported."""
        own = {name: found.get(trait, "") for name, found in self.traits(material).items()}
        members = {value: [name for name, one in own.items() if one == value] for value in self.margins[trait]}
        return {name: v for v, names in members.items() if not hidden(material, names, self) for name in names}


@dataclass(frozen=True, slots=True)
class Margin:
    """A value of a trait: how many have it, and how many are meant to."""

    trait: str
    value: str
    annotators: int
    meant: int
    """of as many annotators with this trait, how many the population would have"""
    target: float
    plain: float
    """share of the annotators whose trait is known"""
    weighted: float
    agreement: ClusteredMean | Undefined
    """share of this group's answers that the weighted majority of others gives too"""


@dataclass(frozen=True, slots=True)
class Weighting:
    """What weighting to a population did."""

    names: tuple[str, ...]
    """[annotator]"""
    weights: FloatArray
    """[annotator], mean 1"""
    effect: float
    """Kish's design effect of the weights"""
    effective: float
    """annotators of equal weight that are as informative"""
    effective_answers: float
    """the same of answers, where each annotator counts by weight, however many answers they gave"""
    gap: float
    """largest difference of a weighted share from its target"""
    margins: tuple[Margin, ...]
    unreached: tuple[str, ...]
    """groups of the population that nobody is of; the others stand in for them"""
    agreement: ClusteredMean | Undefined
    """share of answers that the weighted majority of others gives too, weighted, by clusters of annotators"""
    plain_agreement: ClusteredMean | Undefined
    """the same, unweighted"""


def weigh(material: Material, table: ComparisonTable, population: Population) -> Weighting | Undefined:
    """Weights of the annotators by raking, and agreement with others by group. Undefined where no trait is known of anybody."""
    names = material.annotators
    categories, targets, unreached = _categories(material, population)
    if not categories:
        return Undefined("no annotator has a trait that the population names")
    raked = rake(categories, targets, start=_start(material), limits=(population.smallest, population.largest))
    weights = raked.weights
    counts = np.bincount(table.labels.annotator, minlength=len(names)).astype(np.float64)
    each = np.divide(weights, counts, out=np.zeros_like(weights), where=counts > 0)[table.labels.annotator]
    same, clusters = agrees(table, weights), _clusters(material)
    return Weighting(
        names=names,
        weights=weights,
        effect=weighting_effect(weights),
        effective=effective_size(weights),
        effective_answers=effective_size(each) if len(each) else 0.0,
        gap=raked.gap,
        margins=tuple(_margins(material, table, population, weights, same)),
        unreached=tuple(unreached),
        agreement=_mean(table, same, clusters, each),
        plain_agreement=_mean(table, same, clusters, np.ones(len(each))),
    )


def answer_weights(
    answers: Sequence[Feedback], profiles: Mapping[str, AnnotatorProfile], population: Population
) -> dict[str, float]:
    """By annotator, how much each of their answers counts, so that as much is said by each group as it has of the population.

    Answers are raked, and not annotators: whoever answered much goes on counting much within their group. Their mean is 1, and
    limits hold for them. Nothing where no trait of the population is known of anybody: answers then count alike.
    """
    material = Material({}, tuple(answers), dict(profiles), {})
    categories, targets, _ = _categories(material, population)
    if not categories:
        return {}
    place = {name: number for number, name in enumerate(material.annotators)}
    who = np.array([place[one.annotator] for one in answers], dtype=np.int64)
    limits = population.smallest, population.largest
    raked = rake([one[who] for one in categories], targets, start=_start(material)[who], limits=limits)
    return {one.annotator: weight for one, weight in zip(answers, raked.weights.tolist(), strict=True)}


def _categories(material: Material, population: Population) -> tuple[list[IntArray], list[FloatArray], list[str]]:
    """For each trait that is known of somebody, [annotator] category and [category] target; and groups that nobody is of."""
    names, traits = material.annotators, population.traits(material)
    categories: list[IntArray] = []
    targets: list[FloatArray] = []
    unreached: list[str] = []
    for trait, shares in population.margins.items():
        known = [traits[name].get(trait) for name in names]
        there = [value for value, target in shares.items() if target > 0 and value in known]
        unreached += [f"{trait} {value}" for value, target in shares.items() if target > 0 and value not in known]
        if there:
            mass = sum(shares[value] for value in there)
            targets.append(np.array([shares[value] / mass for value in there]))
            categories.append(np.array([there.index(v) if v in there else UNKNOWN for v in known], dtype=np.int64))
    return categories, targets, unreached


def _start(material: Material) -> FloatArray:
    profiles = [material.profiles.get(name) for name in material.annotators]
    return np.array([1.0 if one is None or one.weight is None else one.weight for one in profiles])


def _clusters(material: Material) -> IntArray:
    """[annotator] number of their cluster; who came alone is one."""
    profiles = [material.profiles.get(name) for name in material.annotators]
    names = [
        ("alone", name) if one is None or one.cluster is None else ("cluster", one.cluster)
        for name, one in zip(material.annotators, profiles, strict=True)
    ]
    number: Mapping[tuple[str, str], int] = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names], dtype=np.int64)


def agrees(table: ComparisonTable, weights: FloatArray) -> FloatArray:
    """[answer] 1 where the weighted majority of others says the same of these two segments, 0 where not, NaN where there is none."""
    labels = table.labels
    key, place = np.unique(labels.item * labels.annotators + labels.annotator, return_inverse=True)
    own = np.zeros((len(key), labels.classes))
    np.add.at(own, (place, labels.label), 1.0)
    own *= (weights[key % labels.annotators] / own.sum(axis=1))[:, None]  # who answered twice has half a vote each time
    total = np.zeros((labels.items, labels.classes))
    np.add.at(total, key // labels.annotators, own)
    others = total[labels.item] - own[place]
    top = np.sort(others, axis=1)
    decided = top[:, -1] > top[:, -2] + 1e-12
    return np.where(decided, (others.argmax(axis=1) == labels.label).astype(np.float64), np.nan)


def _mean(
    table: ComparisonTable, agrees: FloatArray, clusters: IntArray, each: FloatArray
) -> ClusteredMean | Undefined:
    known = ~np.isnan(agrees)
    if not known.any():
        return Undefined("no question was answered by others too")
    return clustered_mean(agrees[known], clusters[table.labels.annotator[known]], weights=each[known])


def _margins(
    material: Material, table: ComparisonTable, population: Population, weights: FloatArray, agrees: FloatArray
) -> list[Margin]:
    names, traits, clusters = material.annotators, population.traits(material), _clusters(material)
    found: list[Margin] = []
    for trait, shares in population.margins.items():
        has = np.array([traits[name].get(trait, "") for name in names])
        known = np.isin(has, list(shares))
        sizes = np.round(np.array(list(shares.values())) * POPULATION).astype(np.int64)
        meant = dict(zip(shares, proportional_allocation(sizes, int(known.sum())).tolist(), strict=True))
        for value, target in shares.items():
            mine = has == value
            answers = mine[table.labels.annotator]
            agreement = (
                Undefined(f"fewer than {population.least} people")
                if hidden(material, [name for name, one in zip(names, mine, strict=True) if one], population)
                else _mean(table, np.where(answers, agrees, np.nan), clusters, np.ones(len(agrees)))
            )
            plain = float(mine.sum() / max(known.sum(), 1))
            weighted = float(weights[mine].sum() / max(weights[known].sum(), 1e-300))
            found.append(Margin(trait, value, int(mine.sum()), meant[value], target, plain, weighted, agreement))
    return found


def hidden(material: Material, names: list[str], population: Population) -> bool:
    """Whether a group is too small to be reported by itself: it has people in it, but fewer than `least`."""
    people = sum(material.is_person(name) for name in names)
    return 0 < people < population.least
