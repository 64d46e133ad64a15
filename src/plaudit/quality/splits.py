"""Which answers a reward is fitted to, and which it is held against: nobody's answers, and no question, on both sides.

A reward that has seen others' answers to a question knows much of its answer already. So a split leaves out people and questions at
once: fitted without some annotators and without a part of the questions, a reward is held against those annotators' answers to that
part, and, for comparison, against the other annotators' answers to the same part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ConfigError
from plaudit.records import Feedback, Query
from plaudit.run.seeds import generator

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Numbers of answers."""

    group: str
    """who is left out"""
    fitted: IntArray
    """answers of others to other questions"""
    left_out: IntArray
    """answers of the group to the questions of this part"""
    others: IntArray
    """answers of others to the questions of this part"""


def parts(answers: Sequence[Feedback], queries: Mapping[str, Query], *, folds: int, seed: int) -> IntArray:
    """[answer] part of its question, of `folds` of nearly equal size; questions about the same segments are in one part.

    Raises ConfigError when there are fewer questions than parts.
    """
    keys = [tuple(sorted(queries[one.query].segments)) for one in answers]
    names = list(dict.fromkeys(keys))
    if folds < 2 or len(names) < folds:
        raise ConfigError(
            "There are too few questions to leave some out", got=f"{len(names)} questions", expected=f"{folds} or more"
        )
    order = generator(seed, "splits", len(names)).permutation(len(names)) % folds
    part = dict(zip(names, order.tolist(), strict=True))
    return np.array([part[key] for key in keys], dtype=np.int64)


def leave_out(answers: Sequence[Feedback], part: IntArray, groups: Mapping[str, str]) -> list[Split]:
    """For each group and each part a split; those with nothing to fit or to be held against are left away.

    Args:
        answers: in the order of the log.
        part: [answer] see `parts`.
        groups: annotator -> group: a value of a trait to leave out strata, the annotator to leave out annotators. Answers of
            annotators without a group are fitted to, and held against as others'.
    """
    of = np.array([groups.get(one.annotator, "") for one in answers])
    found: list[Split] = []
    for group in sorted(set(groups.values())):
        for fold in range(int(part.max()) + 1):
            mine, here = of == group, part == fold
            split = Split(group, *(np.flatnonzero(rows) for rows in (~mine & ~here, mine & here, ~mine & here)))
            if len(split.fitted) and len(split.left_out):
                found.append(split)
    return found


def within(answers: Sequence[Feedback], part: IntArray, groups: Mapping[str, str], group: str, fold: int) -> IntArray:
    """Answers of a group to the questions of all parts but one; group "" is everybody."""
    mine = np.array([not group or groups.get(one.annotator) == group for one in answers])
    return np.flatnonzero(mine & (part != fold))
