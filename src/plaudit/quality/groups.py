"""Counts and agreement by what annotators said of themselves, with nothing of groups of too few people: it could tell who somebody is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from plaudit.quality.population import Margin, Population, Weighting, weigh
from plaudit.quality.table import ComparisonTable, Material
from plaudit.records import is_skip
from plaudit.stats.clustered import ClusteredMean
from plaudit.stats.undefined import Undefined


@dataclass(frozen=True, slots=True)
class Group:
    """Annotators with one value of a trait."""

    value: str
    annotators: int
    answers: int
    agreement: ClusteredMean | Undefined
    """share of their comparisons that most others answered the same"""


@dataclass(frozen=True, slots=True)
class Trait:
    """What annotators were asked about themselves."""

    name: str
    groups: tuple[Group, ...]
    hidden: bool
    """whether some groups have too few people to be shown"""


def groups(material: Material, table: ComparisonTable) -> list[Trait]:
    """By trait. Annotators who did not answer, or did not say, are in no group; simulated ones need no care."""
    profiles = [material.profiles[name] for name in material.annotators if name in material.profiles]
    counts = Counter(one.annotator for one in material.feedback if not is_skip(one))
    found: list[Trait] = []
    for trait in sorted({name for one in profiles for name in one.traits or {}}):
        values = Counter(one.traits[trait] for one in profiles if one.traits and trait in one.traits)
        # shares as they are, so that everybody weighs the same
        population = Population({trait: {value: n / values.total() for value, n in sorted(values.items())}})
        weighting = weigh(material, table, population)
        members = population.groups(material, trait)
        margins = weighting.margins if isinstance(weighting, Weighting) else ()
        shown = [_group(one, members, counts) for one in margins if one.value in members.values()]
        found.append(Trait(trait, tuple(shown), len(shown) < len(values)))
    return found


def _group(one: Margin, members: dict[str, str], counts: Counter[str]) -> Group:
    answers = sum(counts[name] for name, value in members.items() if value == one.value)
    return Group(one.value, one.annotators, answers, one.agreement)
