"""Many simulated annotators at once: skills, biases and tastes drawn, with spammers, people in a hurry and people who copy.

Everybody is drawn from a stream of its own name, so adding annotators does not change those before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from plaudit.ask.teacher_config import Careless, TeacherConfig
from plaudit.ask.teachers import Setting, Source, Teacher
from plaudit.errors import ConfigError
from plaudit.run.seeds import generator


@dataclass(frozen=True, slots=True)
class Group:
    """Annotators of one taste."""

    name: str
    """name of the group"""
    share: float = 1.0
    """its share of the honest annotators, in proportion to the other groups' shares"""
    taste: dict[str, float] = field(default_factory=dict[str, float])
    """what its members like and dislike, over the shared taste; see `TeacherConfig.taste`"""


@dataclass(frozen=True, slots=True)
class CrowdConfig:
    """Simulated annotators who differ."""

    honest: int = 10
    """annotators who look at what they judge"""
    temperature_spread: float = 0.0
    """standard deviation of the log of their temperatures, around the shared one"""
    mistake_most: float = 0.0
    """share of mistakes of the worst; everybody's is drawn evenly between the shared one and this"""
    side_spread: float = 0.0
    """standard deviation of their side biases, around the shared one"""
    length_spread: float = 0.0
    """standard deviation of their length biases, around the shared one"""
    fatigue_most: float = 0.0
    """fatigue of whoever tires fastest; everybody's is drawn evenly between the shared one and this"""
    groups: tuple[Group, ...] = ()
    """groups of different taste; empty: all share one"""
    hurried: int = 0
    """further annotators who answer some stretches without looking"""
    hurried_share: float = 0.15
    """share of such stretches"""
    spammers: int = 0
    """further annotators who never look"""
    spam_as: Careless = Careless.RANDOM
    """what spammers answer"""
    colluders: int = 0
    """further annotators who copy the first of them"""
    copy_share: float = 0.9
    """share of their answers that is copied"""

    def __post_init__(self) -> None:
        counts = (self.honest, self.hurried, self.spammers, self.colluders)
        spreads = (self.temperature_spread, self.side_spread, self.length_spread)
        shares = (self.mistake_most, self.fatigue_most, self.hurried_share, self.copy_share)
        bad_groups = any(not (np.isfinite(group.share) and group.share > 0) for group in self.groups)
        if (
            min(counts) < 0
            or not all(np.isfinite(spread) and spread >= 0 for spread in spreads)
            or not all(0 <= share <= 1 for share in shares)
            or bad_groups
        ):
            raise ConfigError(
                "The settings of the simulated crowd are out of range",
                got=self,
                expected="counts and spreads >= 0, shares from 0 to 1, shares of groups above 0",
            )
        if self.colluders == 1:
            raise ConfigError("Nobody colludes alone", got="colluders = 1", expected="0, or 2 and more")

    @property
    def size(self) -> int:
        """How many annotators there are."""
        return self.honest + self.hurried + self.spammers + self.colluders


@dataclass(frozen=True, slots=True)
class Member:
    """One annotator, and the truth about it."""

    teacher: Teacher
    role: str
    """honest, hurried, spammer or colluder"""
    group: str = ""
    """name of its group; empty where there are none"""


def draw_crowd(
    config: CrowdConfig, shared: TeacherConfig, seed: int, *, setting: Setting | None = None
) -> tuple[Member, ...]:
    """Annotators by a seed, in the order honest, hurried, spammers, colluders; ids are `honest-0` and so on.

    Members of groups have the trait `group`.

    Args:
        config: how they differ.
        shared: what they have in common.
        seed: the run's seed.
        setting: what surrounds them all.
    """
    numbers = {"honest": config.honest, "hurried": config.hurried, "spammer": config.spammers}
    found: list[Member] = []
    groups = _groups(config)
    for role, count in (numbers | {"colluder": config.colluders}).items():
        first: Teacher | None = None
        for number in range(count):
            name = f"{role}-{number}"
            group = groups[number] if role == "honest" and groups else None
            drawn = _drawn(config, shared, generator(seed, "population", name))
            drawn = _with_role(config, drawn, role)
            if group is not None:
                drawn = replace(drawn, taste=drawn.taste | group.taste)
            source = None if role != "colluder" or first is None else Source(first, config.copy_share)
            teacher = Teacher(drawn, seed, name=name, setting=setting, source=source)
            if group is not None:
                teacher.profile = replace(teacher.profile, traits={"group": group.name})
            first = teacher if first is None else first
            found.append(Member(teacher, role, "" if group is None else group.name))
    return tuple(found)


def _drawn(config: CrowdConfig, shared: TeacherConfig, rng: np.random.Generator) -> TeacherConfig:
    normal, even = rng.normal(size=3), rng.random(2)
    return replace(
        shared,
        temperature=shared.temperature * float(np.exp(config.temperature_spread * normal[0])),
        mistake=_between(shared.mistake, config.mistake_most, float(even[0])),
        side=shared.side + config.side_spread * float(normal[1]),
        length=shared.length + config.length_spread * float(normal[2]),
        fatigue=_between(shared.fatigue, config.fatigue_most, float(even[1])),
    )


def _between(least: float, most: float, share: float) -> float:
    return least + max(most - least, 0.0) * share


def _with_role(config: CrowdConfig, drawn: TeacherConfig, role: str) -> TeacherConfig:
    match role:
        case "hurried":
            return replace(drawn, careless=config.hurried_share)
        case "spammer":
            return replace(drawn, careless=1.0, careless_as=config.spam_as)
        case _:
            return drawn


def _groups(config: CrowdConfig) -> list[Group]:
    """The group of each honest annotator: the one that is furthest behind its share (D'Hondt's method would favour the large)."""
    given = dict.fromkeys(range(len(config.groups)), 0)
    total = sum(group.share for group in config.groups)
    found: list[Group] = []
    for number in range(config.honest if config.groups else 0):
        behind = {k: config.groups[k].share / total * (number + 1) - count for k, count in given.items()}
        chosen = max(behind, key=lambda k: behind[k])
        given[chosen] += 1
        found.append(config.groups[chosen])
    return found
