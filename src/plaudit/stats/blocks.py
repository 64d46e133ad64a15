"""Balanced incomplete blocks: every annotator answers equally many questions, and every two of them share equally many.

A design of t treatments (annotators) in b blocks (questions) of size k is balanced when each treatment stands in r = b k / t blocks
and each two in lambda = r (k - 1) / (t - 1) (Bose 1939; Cochran & Cox 1957, chapter 11). Where one is found, it is returned; else
one that is nearly balanced, and its `concurrence` says how nearly.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
NODES = 20_000
"""steps of a search before it gives up"""
MOST_BLOCKS = 100
"""of a design that `smallest_blocks` looks for"""


@dataclass(frozen=True, slots=True)
class Blocks:
    """A design."""

    rows: IntArray
    """[block, size] treatments, ascending"""
    treatments: int

    @property
    def replication(self) -> IntArray:
        """[treatment] blocks that it stands in."""
        return np.bincount(self.rows.ravel(), minlength=self.treatments)

    @property
    def concurrence(self) -> IntArray:
        """[treatment, treatment] blocks that two share; the diagonal is 0."""
        shared = np.zeros((self.treatments, self.treatments), dtype=np.int64)
        for row in self.rows:
            shared[np.ix_(row, row)] += 1
        np.fill_diagonal(shared, 0)
        return shared

    @property
    def balanced(self) -> bool:
        """Whether all treatments are alike, and all pairs."""
        pairs = self.concurrence[np.triu_indices(self.treatments, 1)]
        return len(set(self.replication.tolist())) == 1 and len(set(pairs.tolist())) <= 1


def balanced_blocks(treatments: int, size: int, blocks: int, *, rng: np.random.Generator) -> Blocks:
    """A design of so many blocks: balanced where one was found, else nearly so.

    `rng` breaks ties of designs that are nearly balanced. Raises ValueError unless 1 <= size <= treatments and blocks >= 1.
    """
    _check(treatments, size, blocks)
    rows = _balanced(treatments, size, blocks)
    return Blocks(_near(treatments, size, blocks, rng) if rows is None else rows, treatments)


def smallest_blocks(treatments: int, size: int, *, rng: np.random.Generator) -> Blocks:
    """The smallest balanced design that was found, of MOST_BLOCKS blocks at most; else one of 8 blocks per treatment, nearly balanced.

    Its blocks stand in such an order that the first so many are nearly balanced too, however many are used.
    """
    _check(treatments, size, 1)
    found = (_balanced(treatments, size, blocks) for blocks in range(1, MOST_BLOCKS + 1))
    rows = next((one for one in found if one is not None), None)
    return Blocks(
        _in_order(_near(treatments, size, 8 * treatments, rng) if rows is None else rows, treatments), treatments
    )


def _check(treatments: int, size: int, blocks: int) -> None:
    if not 1 <= size <= treatments or blocks < 1:
        raise ValueError(f"{blocks} blocks of {size} among {treatments} treatments cannot be made")


def _balanced(treatments: int, size: int, blocks: int) -> IntArray | None:
    """Rows of a balanced design, or None where its numbers do not fit or the search did not find it."""
    if size == treatments:
        return np.tile(np.arange(treatments), (blocks, 1))
    times, odd = divmod(blocks * size, treatments)
    shared, uneven = divmod(times * (size - 1), treatments - 1)
    if odd or uneven or blocks < treatments:  # the last is Fisher's inequality
        return None
    if size > 1 and 2 * size > treatments:
        rest = _balanced(treatments, treatments - size, blocks)
        return None if rest is None else np.array([np.setdiff1d(np.arange(treatments), row) for row in rest])
    every = math.comb(treatments, size)
    if blocks % every == 0:
        return np.tile(np.array(list(itertools.combinations(range(treatments), size))), (blocks // every, 1))
    for copies in (c for c in range(math.gcd(times, shared), 0, -1) if blocks % c == times % c == shared % c == 0):
        if blocks // copies >= treatments:
            rows = _cyclic(treatments, size, blocks // copies) or _search(treatments, size, blocks // copies)
            if rows is not None:
                return np.tile(np.array(rows), (copies, 1))
    return None


def _cyclic(treatments: int, size: int, blocks: int) -> list[list[int]] | None:
    """Base blocks turned round modulo `treatments`: a difference family, where every difference comes up equally often (Bose 1939)."""
    bases, odd = divmod(blocks, treatments)
    shared, uneven = divmod(bases * size * (size - 1), treatments - 1)
    if odd or uneven:
        return None
    left = [0] + [shared] * (treatments - 1)
    nodes = itertools.count()

    def extend(chosen: list[list[int]]) -> list[list[int]] | None:
        block = chosen[-1]
        if len(block) == size:
            if len(chosen) == bases:
                return chosen
            return extend([*chosen, [0]])
        for one in range(block[-1] + 1, treatments):
            if next(nodes) > NODES:
                return None
            steps = [step for other in block for step in ((one - other) % treatments, (other - one) % treatments)]
            for step in steps:
                left[step] -= 1
            found = extend([*chosen[:-1], [*block, one]]) if min(left[step] for step in steps) >= 0 else None
            if found is not None:
                return found
            for step in steps:
                left[step] += 1
        return None

    found = extend([[0]])
    if found is None:
        return None
    return [sorted((one + turn) % treatments for one in block) for block in found for turn in range(treatments)]


def _search(treatments: int, size: int, blocks: int) -> list[list[int]] | None:
    """Blocks in lexicographic order, each beginning with the first treatment that is still needed; steps back where pairs run out."""
    times = blocks * size // treatments
    pairs = np.full((treatments, treatments), times * (size - 1) // (treatments - 1)).tolist()
    left = [times] * treatments
    nodes = itertools.count()

    def extend(rows: list[list[int]]) -> list[list[int]] | None:
        block = rows[-1]
        if len(block) == size:
            if len(rows) == blocks:
                return rows
            first = next(one for one in range(treatments) if left[one])
            return attempt([*rows, []], [first])
        return attempt(rows, range(block[-1] + 1, treatments))

    def attempt(rows: list[list[int]], ones: Sequence[int]) -> list[list[int]] | None:
        block = rows[-1]
        for one in ones:
            if next(nodes) > NODES:
                return None
            if not left[one] or any(not pairs[other][one] for other in block):
                continue
            longer = [*block, one]
            if len(rows) > 1 and longer < rows[-2][: len(longer)]:
                continue
            _count(left, pairs, block, one, -1)
            found = extend([*rows[:-1], longer])
            if found is not None:
                return found
            _count(left, pairs, block, one, 1)
        return None

    return attempt([[]], [0])


def _count(left: list[int], pairs: list[list[int]], block: list[int], one: int, change: int) -> None:
    left[one] += change
    for other in block:
        pairs[other][one] += change


def _near(treatments: int, size: int, blocks: int, rng: np.random.Generator) -> IntArray:
    """Blocks one by one from those who stand in fewest and have met least, then swaps between blocks while pairs become more even."""
    times = np.zeros(treatments, dtype=np.int64)
    shared = np.zeros((treatments, treatments), dtype=np.int64)
    rows: list[list[int]] = []
    for _ in range(blocks):
        block: list[int] = []
        luck = rng.permutation(treatments)
        while len(block) < size:
            met = shared[block].sum(axis=0)
            order = np.lexsort((luck, met, times))
            block.append(next(int(one) for one in order if one not in block))
            times[block[-1]] += 1
        shared[np.ix_(block, block)] += 1
        rows.append(block)
    np.fill_diagonal(shared, 0)
    swaps = itertools.combinations(range(blocks), 2)
    for first, second in itertools.islice(swaps, 2000):
        _even_out(rows[first], rows[second], shared)
    return np.sort(np.array(rows), axis=1)


def _in_order(rows: IntArray, treatments: int) -> IntArray:
    """The same blocks, each time the one next whose treatments stood in fewest and have met least; ties go to the first."""
    times, shared = np.zeros(treatments, np.int64), np.zeros((treatments, treatments), np.int64)
    left, order = list(range(len(rows))), list[int]()
    while left:
        block = rows[left]
        asked = (2 * times[block] + 1).sum(axis=1)  # what the sum of squares would gain
        met = shared[block[:, :, None], block[:, None, :]].sum(axis=(1, 2))
        best = left.pop(int(np.lexsort((met, asked))[0]))
        times[rows[best]] += 1
        shared[np.ix_(rows[best], rows[best])] += 1
        np.fill_diagonal(shared, 0)
        order.append(best)
    return rows[order]


def _even_out(first: list[int], second: list[int], shared: IntArray) -> None:
    """Swap one treatment of each block where that makes the squares of the concurrences smaller."""
    for i, j in itertools.product(range(len(first)), range(len(second))):
        one, other = first[i], second[j]
        if one in second or other in first:
            continue
        stay, go = [x for x in first if x != one], [x for x in second if x != other]
        # moving a meeting from pair p to pair q changes the sum of squares by 2 (q - p + 1)
        lost = np.concatenate([shared[one, stay], shared[other, go]])
        won = np.concatenate([shared[other, stay], shared[one, go]])
        if (won.sum() - lost.sum() + len(lost)) < 0:
            for a, b, change in ((one, stay, -1), (other, go, -1), (other, stay, 1), (one, go, 1)):
                shared[a, b] += change
                shared[b, a] += change
            first[i], second[j] = other, one
