"""Questions about segments."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from plaudit.errors import RecordError
from plaudit.records.codec import content_id
from plaudit.records.feedback import QueryKind


class Level(enum.Enum):
    """How much of behaviour a question is about."""

    STEP = "step"
    SEGMENT = "segment"
    EPISODE = "episode"
    TOKENS = "tokens"
    SENTENCE = "sentence"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Query:
    """A question about segments; its id is a hash of everything else."""

    kind: QueryKind
    segments: tuple[str, ...]
    """segment ids; answers refer to this order"""
    shown: tuple[int, ...]
    """order on the screen, as indices into `segments`"""
    round: int
    """round of the loop that asked"""
    index: int
    """number of the query within the round"""
    strategy: str
    """how it was chosen: uniform, disagreement, ..."""
    score: float | None = None
    """acquisition score"""
    propensity: float | None = None
    """probability with which the strategy chose this query, where it is known"""
    reward: str | None = None
    """version of the reward model that asked; None before there is one"""
    levels: int | None = None
    """grades on the scale, for ratings"""
    aspect: str | None = None
    """what alone is judged, for example coherence; None: overall"""
    constraint: str | None = None
    """which constraint is asked about, for flags"""
    level: Level | None = None
    """how much of the behaviour is judged; None: the segments as they are"""
    id: str = field(default="")

    def __post_init__(self) -> None:
        if (self.kind is QueryKind.FLAG) != bool(self.constraint):
            raise RecordError(
                f"A {self.kind.value} query does not fit its constraint",
                got=self.constraint,
                expected="the name of a constraint for flags, and none for other kinds",
            )
        if not 0 <= self.round < 2**31:
            raise RecordError("The round of a query is out of range", got=self.round, expected="0 .. 2^31 - 1")
        count, fewest = len(self.segments), self.kind.segments
        fits = count >= fewest if self.kind.open_ended else count == fewest
        if not fits or sorted(self.shown) != list(range(count)):
            raise RecordError(
                f"A {self.kind.value} query does not fit its segments",
                got=f"segments {self.segments}, shown {self.shown}",
                expected=f"{fewest} segments{' or more' if self.kind.open_ended else ''} and an order of them",
            )
        if not self.id:
            object.__setattr__(self, "id", content_id("qry", self))
