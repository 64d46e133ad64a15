"""The same question answered twice by the same annotator: consistency, and side bias where the sides were swapped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plaudit.quality.table import TIE, ComparisonTable
from plaudit.stats.intervals import Interval, wilson
from plaudit.stats.side import swapped_bias
from plaudit.stats.undefined import Undefined


@dataclass(frozen=True, slots=True)
class Repeats:
    """Pairs of answers to the same two segments, each answer beside the one before."""

    same: Interval
    """share of pairs with the same answer"""
    pairs: int
    swapped_bias: Interval | Undefined
    """side bias in log-odds from pairs whose sides were swapped"""
    counts: tuple[int, int]
    """decided pairs with the same answer, and with opposite answers"""


def repeats(table: ComparisonTable, annotator: int | None = None) -> Repeats | Undefined:
    """Consistency of one annotator, or of each with themselves taken together."""
    labels = table.labels
    mine = np.arange(len(labels.item)) if annotator is None else np.flatnonzero(labels.annotator == annotator)
    key = labels.item[mine] * labels.annotators + labels.annotator[mine]
    order = np.argsort(key, kind="stable")
    again = np.flatnonzero(key[order][1:] == key[order][:-1])
    before, after = mine[order[again]], mine[order[again + 1]]
    if len(before) == 0:
        return Undefined(
            "no annotator answered the same question twice" if annotator is None else "no question came twice"
        )
    equal = labels.label[before] == labels.label[after]
    decided = (labels.label[before] != TIE) & (labels.label[after] != TIE)
    swapped = decided & (table.data.first[before] != table.data.first[after])
    one_side = swapped & (table.data.side[before] == table.data.side[after])
    lefts = one_side & (table.data.side[before] == 1)
    return Repeats(
        same=wilson(int(equal.sum()), len(equal)),
        pairs=len(equal),
        swapped_bias=swapped_bias(int(lefts.sum()), int((one_side & ~lefts).sum())),
        counts=(int((equal & decided).sum()), int((~equal & decided).sum())),
    )
