"""The shapes of what `plaudit.report.insight` says of questions and behaviour.

Rounds count from 1, as on the screen. Whatever is not kept is None.
"""

from __future__ import annotations

from dataclasses import dataclass

from plaudit.report.summary import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What one version of the reward model thinks of a piece of behaviour: its return in log-odds units."""

    round: int
    """whose answers this version was the first to learn from; its number is the version's"""
    reward: str
    mean: float
    members: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourRow:
    """One piece of behaviour in the list."""

    segment: str
    text: bool
    world: str
    policy: str
    """version of the policy, or who wrote the text"""
    episode: str
    start: int
    steps: int
    label: str | None
    """before, during, after: what the check kept; None for what was cut to be asked about"""
    questions: int
    answers: int
    opinion: Opinion | None
    """of the newest version that scored it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviours:
    """A page of the list, newest first."""

    total: int
    cursor: str | None
    """of the next page; None at the end"""
    rows: tuple[BehaviourRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A version of the reward model, by the numbers of its fit."""

    round: int
    reward: str | None
    labels: float | None
    accuracy_heldout: float | None
    calibration_error: float | None
    correlation_true: float | None
    spread: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """What a version thinks of the two sides of a question."""

    reward: str
    first: tuple[float, ...]
    """probability by each member that a careful annotator prefers the first"""
    mean: float
    spread: float
    """standard deviation over members: what the strategy `disagreement` goes by"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What the fit changed that was the first to learn from an answer, together with the others of its round."""

    round: int
    together: int
    """answers that were new in this fit"""
    before: Model | None
    after: Model
    odds_before: Odds | None
    odds_after: Odds | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One answer."""

    id: str
    position: int
    """in the log"""
    retracted: bool
    brought: tuple[str, ...]
    """segments that came with it"""
    reply: Reply
    learned: Learned | None
    """None while nothing has learned from it, and for skips"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question: why it was asked, and what came of it."""

    query: str
    kind: str
    round: int
    index: int
    segments: tuple[str, ...]
    """in the query's own order"""
    shown: tuple[int, ...]
    """their order on the screen"""
    strategy: str
    score: float | None
    propensity: float | None
    reward: str | None
    """version that the strategy went by; None before the first fit"""
    odds: Odds | None
    """what that version thought, where it was kept"""
    given: tuple[Given, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """A piece of behaviour with all that is known about it."""

    row: BehaviourRow
    opinions: tuple[Opinion, ...]
    """by version, oldest first"""
    asked: tuple[Asked, ...]
