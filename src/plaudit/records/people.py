"""Who answers."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from plaudit.errors import RecordError


class AnnotatorKind(enum.Enum):
    """What stands behind an annotator id; to the store they are all the same."""

    PERSON = "person"
    SIMULATED = "simulated"
    JUDGE = "judge"
    """a language model that was asked for its judgement"""


@dataclass(frozen=True, slots=True)
class AnnotatorProfile:
    """One annotator, under a pseudonym. What is None is not part of the record, so profiles without traits are what they always were."""

    id: str
    kind: AnnotatorKind
    description: str = ""
    traits: dict[str, str] | None = None
    """what the annotator chose to say of themselves, trait -> value, for example region -> north"""
    cluster: str | None = None
    """whom they came with, for example an agency or a household: answers of one cluster may resemble each other"""
    weight: float | None = None
    """of the design that drew them, for example 1 / probability of being drawn; None counts as 1"""

    def __post_init__(self) -> None:
        for name, value in (self.traits or {}).items():
            if not (isinstance(name, str) and isinstance(value, str) and name and value):  # pyright: ignore[reportUnnecessaryIsInstance]  # read from files
                raise RecordError("A trait has a name and a value", got=f"{name!r}: {value!r}", expected="two texts")
        if self.weight is not None and not (math.isfinite(self.weight) and self.weight > 0):
            raise RecordError("The weight of an annotator is out of range", got=self.weight, expected="above 0")
