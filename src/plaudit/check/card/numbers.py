"""The numbers of a reward card; what could not be measured is None or empty."""

from __future__ import annotations

from dataclasses import dataclass

from plaudit.check.card.accuracy import Calibrated, Estimate, Leaning, Rival, Suspicion
from plaudit.check.card.edits import Effect
from plaudit.check.card.explain import Attribution, Prefix
from plaudit.check.card.panels import RewardBench2, RMBench
from plaudit.check.diagnose import Finding


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The best accuracy that disagreement of the judges allows."""

    low: float
    high: float
    highest: float
    """`high` at the upper end of the interval of agreement"""
    questions: int


@dataclass(frozen=True, slots=True)
class Distance:
    """How far the reward is from one that is taken for the truth."""

    gold: str
    distance: float
    """0 for the same preferences, 1 for the opposite: DARD's and STARC's where an answer ends the episode"""
    agreement: Estimate
    """share of the pairs that both order alike"""


@dataclass(frozen=True, slots=True)
class Near:
    """An item that the reward takes to be like another."""

    item: str
    likeness: float
    """cosine of what scores are read from, 1 at most"""
    better: int
    """pairs in which it was judged better"""
    worse: int


@dataclass(frozen=True, slots=True)
class Example:
    """A pair that the reward gets wrong."""

    prompt: str
    better: str
    worse: str
    margin: float
    """score of the better one minus score of the other"""
    of_better: Attribution
    of_worse: Attribution
    near: tuple[Near, ...] = ()
    """what the reward takes to be most like the one that it prefers; of rewards that show their states"""


@dataclass(frozen=True, slots=True)
class RewardCard:
    """All numbers of the card; what could not be measured is None or empty."""

    signal: str
    data: str
    verdict: str
    members: int
    items: int
    pairs: int
    prompts: int
    left_out: int
    accuracy: Estimate
    spread: float
    """root mean square of the difference of two answers' scores"""
    ceiling: Ceiling | None
    rivals: tuple[Rival, ...]
    reward_bench: RewardBench2 | None
    rm_bench: RMBench | None
    slices: tuple[Suspicion, ...]
    leanings: tuple[Leaning, ...]
    edits: tuple[Effect, ...]
    calibrated: Calibrated | None
    prefixes: tuple[Prefix, ...]
    distance: Distance | None
    examples: tuple[Example, ...]
    findings: tuple[Finding, ...]
