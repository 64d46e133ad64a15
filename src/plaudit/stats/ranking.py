"""Values of items from comparisons: Bradley-Terry with ties and an effect of the order on the screen.

The densities are those of `plaudit.stats.choice`: P(first wins) = sigmoid(d - t) and P(tie) = sigmoid(t - d) -
sigmoid(-t - d), with d = value(first) - value(second) + order and t >= 0 (Rao & Kupper 1967; t = 0 is Bradley & Terry
1952). The log likelihood is concave in all parameters together (Burridge 1981), so Newton's method finds its one maximum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu
from scipy.special import expit, ndtri

from plaudit.stats.choice import comparison
from plaudit.stats.intervals import Interval
from plaudit.stats.undefined import Undefined

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
NEWTON_STEPS = 200
"""at most; ten are enough where the data say something"""
ROUNDING = 1e-13
"""a step may lower the objective by this share: near the maximum rounding does"""


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Comparisons of numbered items, one entry per answer, in the order in which they were shown."""

    first: IntArray
    """[answer] item that was shown first (on the left, at home)"""
    second: IntArray
    """[answer] the other item"""
    side: IntArray
    """[answer] 1 the first is better, -1 the second, 0 a tie"""
    items: int
    weight: FloatArray | None = None
    """[answer] how often it was given; None: once"""

    @property
    def times(self) -> FloatArray:
        """How often each was given."""
        return np.ones(len(self.first)) if self.weight is None else self.weight


@dataclass(frozen=True, slots=True)
class BradleyTerry:
    """The fit."""

    value: FloatArray
    """[item] log-odds units, mean 0"""
    tie: float
    """t: half the width of the zone of ties, in log-odds units"""
    order: Interval | None
    """advantage of what is shown first, with its 95 % Wald interval; None when it was not fitted"""
    error: FloatArray | None
    """[item] standard error of value minus the mean, from the curvature; None when it was not asked for"""
    log_likelihood: float


def connected(data: Comparisons) -> bool:
    """Whether every item can be reached from every other over wins and ties: only then has the likelihood a finite maximum
    without a prior (Ford 1957).
    """
    wins, losses = data.side >= 0, data.side <= 0
    winners = np.concatenate([data.first[wins], data.second[losses]])
    losers = np.concatenate([data.second[wins], data.first[losses]])
    graph = sparse.coo_array((np.ones(len(winners)), (winners, losers)), shape=(data.items, data.items))
    return int(connected_components(graph, directed=True, connection="strong")[0]) == 1


def bradley_terry(
    data: Comparisons, *, ties: bool = False, order: bool = False, scale: float = np.inf, errors: bool = False
) -> BradleyTerry | Undefined:
    """Most likely values of the items.

    Args:
        data: the comparisons. Without `ties`, a tie counts as half a win for each.
        ties: fit the width of the zone of ties; needs at least one tie and one decided answer.
        order: fit the advantage of what is shown first.
        scale: standard deviation of a normal prior on the values; infinite for plain maximum likelihood, which needs a
            strongly connected graph of wins.
        errors: work out standard errors of the values, which takes memory for a matrix [item, item].
    """
    if len(data.first) == 0:
        return Undefined("there are no comparisons")
    if not np.isfinite(scale) and not connected(data):
        return Undefined("some items only ever won or lost against the others, so their values have no finite estimate")
    if ties and (np.all(data.side == 0) or np.all(data.side != 0)):
        return Undefined("the width of ties needs ties and decided answers")
    if order and len(set(data.side.tolist()) - {0}) < 2:
        return Undefined("the effect of the order needs wins on both sides")
    problem = _Problem(data, ties=ties, order=order, precision=0.0 if np.isinf(scale) else scale**-2)
    theta = problem.start()
    value = problem.objective(theta)
    for _ in range(NEWTON_STEPS):
        gradient, curvature = problem.derivatives(theta)
        step = splu(curvature).solve(gradient)
        size = 1.0
        while not (trial := problem.objective(theta + size * step)) >= value - ROUNDING * abs(value) and size > 1e-9:
            size /= 2
        theta, value = theta + size * step, trial
        if np.max(np.abs(size * step)) < 1e-9:
            break
    return problem.report(theta, errors=errors)


class _Problem:
    """Objective and derivatives; parameters are values of all items (the first is held at 0 without a prior), t, order."""

    def __init__(self, data: Comparisons, *, ties: bool, order: bool, precision: float) -> None:
        self.data, self.ties, self.order, self.precision = data, ties, order, precision
        self.free = data.items if precision > 0 else data.items - 1
        first, second, side, times = data.first, data.second, data.side, data.times
        if not ties:  # half a win for each side
            half = side == 0
            first, second = np.concatenate([first, first[half]]), np.concatenate([second, second[half]])
            times = np.concatenate([np.where(half, times / 2, times), times[half] / 2])
            side = np.concatenate([np.where(half, 1, side), np.full(int(half.sum()), -1)])
        self.side, self.times = side, times
        answers = np.arange(len(first))
        columns: Any = sparse.coo_array(
            (
                np.concatenate([np.ones(len(first)), -np.ones(len(first))]),
                (np.tile(answers, 2), np.concatenate([first, second])),
            ),
            shape=(len(first), data.items),
        ).tocsc()
        parts: list[Any] = [columns if precision > 0 else columns[:, 1:]]
        if order:
            parts.append(sparse.csc_array(np.ones((len(first), 1))))
        self.design: Any = sparse.csc_array(sparse.hstack(parts))  # scipy's sparse arrays are partly typed

    def start(self) -> FloatArray:
        theta = np.zeros(self.design.shape[1] + self.ties)
        if self.ties:
            theta[-1] = 2 * np.arctanh(np.clip(np.average(self.side == 0, weights=self.times), 1e-6, 1 - 1e-6))
        return theta

    def split(self, theta: FloatArray) -> tuple[FloatArray, float]:
        """Difference of each answer, and t."""
        return self.design @ theta[: self.design.shape[1]], float(theta[-1]) if self.ties else 0.0

    def log_likelihood(self, theta: FloatArray) -> float:
        difference, tie = self.split(theta)
        if tie < 0:
            return -np.inf
        grade = np.zeros(len(self.side), dtype=np.int64)
        return float(self.times @ comparison(difference, self.side, grade, [tie]))

    def objective(self, theta: FloatArray) -> float:
        return self.log_likelihood(theta) - 0.5 * self.precision * float(theta[: self.free] @ theta[: self.free])

    def derivatives(self, theta: FloatArray) -> tuple[FloatArray, Any]:
        """Gradient, and minus the matrix of second derivatives.

        For P = F(high) - F(low) with logistic F: d log P / d difference = F(high) + F(low) - 1.
        """
        difference, tie = self.split(theta)
        tied, side = self.side == 0, np.where(self.side == 0, 1, self.side)
        up, low = expit(tie - side * difference), expit(-tie - side * difference)
        slope = np.where(tied, up + low - 1, side * up)
        dense_up, dense_low = up * (1 - up), low * (1 - low)
        bend = np.where(tied, dense_up + dense_low, dense_up)
        gradient = self.design.T @ (self.times * slope)
        curvature: Any = sparse.csc_array(self.design.T @ (self.design * (self.times * bend)[:, None]))
        if self.ties:
            mass = np.where(tied, up - low, 1.0)
            ratio = (dense_up + dense_low) / mass
            by_tie = np.where(tied, ratio, -up)
            cross = np.where(tied, dense_low - dense_up, -side * dense_up)
            own = np.where(tied, ratio**2 - (dense_up * (1 - 2 * up) - dense_low * (1 - 2 * low)) / mass, dense_up)
            gradient = np.append(gradient, self.times @ by_tie)
            column: Any = sparse.csc_array((self.design.T @ (self.times * cross))[:, None])
            corner = sparse.csc_array([[float(self.times @ own)]])
            curvature = sparse.csc_array(sparse.block_array([[curvature, column], [column.T, corner]]))
        gradient[: self.free] -= self.precision * theta[: self.free]
        prior = np.zeros(len(gradient))
        prior[: self.free] = self.precision
        return gradient, sparse.csc_array(curvature + sparse.diags_array(prior))

    def report(self, theta: FloatArray, *, errors: bool) -> BradleyTerry:
        """The fit at the maximum."""
        solver = splu(self.derivatives(theta)[1])
        held = self.data.items - self.free
        value = np.concatenate([np.zeros(held), theta[: self.free]])
        return BradleyTerry(
            value=value - value.mean(),
            tie=float(theta[-1]) if self.ties else 0.0,
            order=self._interval(theta, solver) if self.order else None,
            error=self._errors(len(theta), solver, held) if errors else None,
            log_likelihood=self.log_likelihood(theta),
        )

    def _interval(self, theta: FloatArray, solver: Any) -> Interval:
        unit = np.zeros(len(theta))
        unit[self.free] = 1.0
        half = float(ndtri(0.975)) * float(np.sqrt(solver.solve(unit)[self.free]))
        at = float(theta[self.free])
        return Interval(at, at - half, at + half)

    def _errors(self, size: int, solver: Any, held: int) -> FloatArray:
        spread = np.zeros((self.data.items, self.data.items))
        spread[held:, held:] = solver.solve(np.eye(size))[: self.free, : self.free]
        centred = spread - spread.mean(axis=0) - spread.mean(axis=1, keepdims=True) + spread.mean()
        return np.sqrt(np.maximum(np.diag(centred), 0.0))
