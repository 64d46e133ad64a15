"""Do preferences go round in circles, more than noise makes them? Kendall's zeta and HodgeRank.

Kendall, M. G. & Babington Smith, B. (1940), Biometrika 31; Jiang, Lim, Yao & Ye (2011), Mathematical Programming 127.
Circles are expected from noise alone, so both are set against answers drawn from a fitted Bradley-Terry model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import lsqr, splu
from scipy.special import expit

from plaudit.stats.ranking import Comparisons, bradley_terry
from plaudit.stats.undefined import Undefined

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
NULL_SCALE = 3.0
"""prior standard deviation of the values that noise is drawn around; keeps items that never lost finite"""


@dataclass(frozen=True, slots=True)
class Triads:
    """Triangles of items that were compared with each other."""

    closed: int
    """all three pairs have a majority"""
    circular: int
    """of these, how many go round"""
    zeta: float | None
    """1 - circular / most possible; None unless all pairs of items have a majority"""


@dataclass(frozen=True, slots=True)
class Flow:
    """Pairs of items with the mean answer of each."""

    first: IntArray
    """[pair] the smaller number"""
    second: IntArray
    """[pair]"""
    mean: FloatArray
    """[pair] mean answer in -1 .. 1, above 0 where the first is better"""
    times: FloatArray
    """[pair] number of answers"""
    items: int


@dataclass(frozen=True, slots=True)
class Hodge:
    """Parts of the flow, as shares of its weighted squared length; they add up to 1."""

    potential: FloatArray
    """[item] values whose differences explain most, mean 0"""
    gradient: float
    """explained by one value per item"""
    curl: float
    """circles around triangles"""
    harmonic: float
    """longer circles"""
    length: float
    """weighted squared length of the curl and harmonic parts together, not as a share"""

    @property
    def cyclic(self) -> float:
        """What no value per item explains."""
        return self.curl + self.harmonic


@dataclass(frozen=True, slots=True)
class Intransitivity:
    """Circles, beside those that noise alone makes."""

    triads: Triads
    hodge: Hodge
    cyclic_null: FloatArray
    """[draw] `Hodge.length` of answers that noise alone makes"""
    circular_null: FloatArray
    """[draw] circular triads of the same"""
    p_cyclic: float
    """share of draws (and the data) whose cyclic length is at least as large; a length, for pure noise is all circles"""
    p_circular: float
    """the same for circular triads"""


def most_circular(items: int) -> float:
    """The largest number of circular triads among so many items (Kendall & Babington Smith 1940, section 5)."""
    return (items**3 - items) / 24 if items % 2 else (items**3 - 4 * items) / 24


def flow_of(data: Comparisons) -> Flow:
    """Mean answer of each pair."""
    low, high = np.minimum(data.first, data.second), np.maximum(data.first, data.second)
    sign = np.where(data.first <= data.second, 1, -1) * data.side
    pairs, which = np.unique(low * data.items + high, return_inverse=True)
    times = np.bincount(which, data.times, minlength=len(pairs)).astype(np.float64)
    mean = np.bincount(which, data.times * sign, minlength=len(pairs)) / times
    return Flow(pairs // data.items, pairs % data.items, mean, times, data.items)


def triads(flow: Flow) -> Triads:
    """Circular triads of the majorities; pairs with as many answers on both sides are left out."""
    decided = flow.mean != 0
    winner = np.where(flow.mean > 0, flow.first, flow.second)[decided]
    loser = np.where(flow.mean > 0, flow.second, flow.first)[decided]
    shape = (flow.items, flow.items)
    beats: Any = sparse.coo_array((np.ones(len(winner)), (winner, loser)), shape=shape).tocsr()
    linked: Any = sparse.csr_array(beats + beats.T)
    circular = round(float((beats @ beats).multiply(beats.T).sum()) / 3)
    closed = round(float((linked @ linked).multiply(linked).sum()) / 6)
    complete = flow.items >= 3 and len(winner) == flow.items * (flow.items - 1) // 2
    return Triads(closed, circular, 1 - circular / most_circular(flow.items) if complete else None)


def potential_of(flow: Flow) -> tuple[FloatArray, FloatArray]:
    """Values [item] by weighted least squares, and what is left over [pair] (Jiang et al. 2011, eq. 10)."""
    return _Potential(flow).of(flow.mean)


class _Potential:
    """Weighted least squares on one set of pairs, factored once for many means."""

    def __init__(self, flow: Flow) -> None:
        pairs, ones = np.arange(len(flow.first)), np.ones(len(flow.first))
        places = (np.tile(pairs, 2), np.concatenate([flow.first, flow.second]))
        signs = np.concatenate([ones, -ones])
        self.gradient: Any = sparse.csr_array(sparse.coo_array((signs, places), shape=(len(pairs), flow.items)))
        self.weighted: Any = sparse.csr_array(self.gradient.T @ sparse.diags_array(flow.times))
        _, group = connected_components(self.weighted @ self.gradient, directed=False)
        held = np.zeros(flow.items)
        held[np.unique(group, return_index=True)[1]] = (
            1.0  # one item of each group is held at 0, which changes no difference
        )
        self.solver: Any = splu(sparse.csc_array(self.weighted @ self.gradient + sparse.diags_array(held)))

    def of(self, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values [item], and what is left over [pair]."""
        value = np.asarray(self.solver.solve(self.weighted @ mean), dtype=np.float64)
        return value - value.mean(), np.asarray(mean - self.gradient @ value, dtype=np.float64)


def _least_squares(matrix: Any, target: FloatArray) -> FloatArray:
    """The shortest solution (Paige & Saunders 1982); the matrix may lack rank."""
    found: Any = lsqr(matrix, target, atol=1e-12, btol=1e-12, iter_lim=20_000)
    return np.asarray(found[0], dtype=np.float64)


def hodge_rank(flow: Flow) -> Hodge | Undefined:
    """Split the flow into gradient, curl and harmonic parts, orthogonal in the weighted inner product."""
    total = float(flow.times @ flow.mean**2)
    if total == 0:
        return Undefined("all pairs are even, so there is no preference to split")
    value, left = potential_of(flow)
    length = float(flow.times @ left**2)
    cyclic = length / total
    around = _around_triangles(flow)
    curl = 0.0
    if around.shape[0]:  # the curl part is the projection on flows around triangles
        root = np.sqrt(flow.times)
        turned: Any = sparse.csr_array(around @ sparse.diags_array(1 / root))
        circle = _least_squares(sparse.csr_array(turned.T), root * left)
        curl = float(np.sum((turned.T @ circle) ** 2)) / total
    return Hodge(value, 1 - cyclic, min(curl, cyclic), max(cyclic - curl, 0.0), length)


def _around_triangles(flow: Flow) -> Any:
    """Signs [triangle, pair] of the pairs along each triangle i < j < k: i to j, j to k, and back from k to i."""
    number = {(int(i), int(j)): at for at, (i, j) in enumerate(zip(flow.first, flow.second, strict=True))}
    later: dict[int, set[int]] = {}
    for i, j in number:
        later.setdefault(i, set()).add(j)
    columns = [
        (number[i, j], number[j, k], number[i, k])
        for i, j in number
        for k in sorted(later.get(i, set()) & later.get(j, set()))
    ]
    rows = np.repeat(np.arange(len(columns)), 3)
    signs = np.tile([1.0, 1.0, -1.0], len(columns))
    shape = (len(columns), len(flow.first))
    flat = np.array(columns, dtype=np.int64).reshape(-1)
    return sparse.csr_array(sparse.coo_array((signs, (rows, flat)), shape=shape))


def _components(flow: Flow) -> int:
    """Number of separate groups of items."""
    graph = sparse.coo_array((np.ones(len(flow.first)), (flow.first, flow.second)), shape=(flow.items, flow.items))
    return int(connected_components(graph, directed=False)[0])


def intransitivity(
    data: Comparisons, *, rng: np.random.Generator, draws: int = 200, chance: FloatArray | None = None
) -> Intransitivity | Undefined:
    """Circles in the answers, set against `draws` sets of answers that noise around one value per item makes.

    The draws keep who met whom, how often, and which answers were ties.

    Args:
        data: the comparisons.
        rng: for the draws.
        draws: number of sets; their count limits the smallest p value.
        chance: [answer] probability that the first wins, from a model with one value per item (and any annotators); by default
            from Bradley-Terry. Differences between annotators that it leaves out look like circles.
    """
    if len(data.first) == 0:
        return Undefined("there are no comparisons")
    flow = flow_of(data)
    if len(flow.first) <= data.items - _components(flow):
        return Undefined("the compared pairs form no circle, so nothing can contradict")
    found = hodge_rank(flow)
    fit = bradley_terry(data, scale=NULL_SCALE)
    if isinstance(found, Undefined) or isinstance(fit, Undefined):
        return Undefined("all pairs are even, so there is no preference to contradict")
    wins = expit(fit.value[data.first] - fit.value[data.second]) if chance is None else chance
    cyclic, circular = np.zeros(draws), np.zeros(draws)
    potential = _Potential(flow)  # the draws have the same pairs
    for draw in range(draws):
        side = np.where(data.side == 0, 0, np.where(rng.random(len(wins)) < wins, 1, -1))
        drawn = flow_of(Comparisons(data.first, data.second, side, data.items, data.weight))
        cyclic[draw] = float(flow.times @ potential.of(drawn.mean)[1] ** 2)
        circular[draw] = triads(drawn).circular
    own = triads(flow)
    return Intransitivity(
        triads=own,
        hodge=found,
        cyclic_null=cyclic,
        circular_null=circular,
        p_cyclic=float(1 + np.sum(cyclic >= found.length)) / (draws + 1),
        p_circular=float(1 + np.sum(circular >= own.circular)) / (draws + 1),
    )
