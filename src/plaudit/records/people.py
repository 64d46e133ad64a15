"""Who answers."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class AnnotatorKind(enum.Enum):
    """What stands behind an annotator id; to the store they are all the same."""

    PERSON = "person"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class AnnotatorProfile:
    """One annotator, under a pseudonym."""

    id: str
    kind: AnnotatorKind
    description: str = ""
