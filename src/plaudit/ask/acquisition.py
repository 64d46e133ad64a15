"""Which questions to ask, from what the members of a reward model think of candidate segments.

Candidates come in as a member array [member, item]: the return that every member of the ensemble gives every candidate.
Which stretches of behaviour become candidates is decided before, when they are cut: aligning questions with the current
policy helps more than any score (QPA, Hu et al. 2024).
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import assert_never

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from plaudit.errors import ConfigError
from plaudit.records import QueryKind

NEAR = 0.05
"""segments closer than this share of the median distance between candidates count as the same behaviour"""


class Strategy(enum.Enum):
    """How questions are chosen among candidates."""

    UNIFORM = "uniform"
    DISAGREEMENT = "disagreement"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A question about candidate segments."""

    indices: tuple[int, ...]
    """items that it shows: two for a comparison, one for a rating or step scores"""
    strategy: str
    """how it was chosen"""
    score: float | None
    """what the strategy expects of it; None for uniform"""
    propensity: float | None
    """probability that this question is in the batch, where it is known"""


def propose(
    strategy: Strategy,
    items: int,
    members: NDArray[np.float64] | None,
    *,
    kind: QueryKind,
    count: int,
    rng: np.random.Generator,
    features: NDArray[np.floating] | None = None,
) -> list[Proposal]:
    """Choose `count` questions; no segment comes twice in the batch.

    The candidates are grouped at random, two by two for comparisons, so `items` sets how many questions are looked at
    for each one that is asked; ten are usual (B-Pref, Lee et al. 2021). Disagreement then takes those with the largest
    standard deviation over members: of P(first is better) for comparisons (Christiano et al. 2017, section 2.2.4),
    of the return for ratings and step scores.

    Args:
        strategy: how to choose; without members always uniform.
        items: number of candidate segments.
        members: [member, item] returns of the candidates, in log-odds units; None where there is no reward model yet.
        kind: comparisons show two items, ratings and step scores one.
        count: questions wanted.
        rng: stream of this round.
        features: [item, feature] of the candidates; given, nearly identical segments are not compared, since the
            honest answer is a tie, and nothing is asked nearly twice, as far as the candidates allow.

    Raises:
        ConfigError: there are too few candidates, or disagreement is asked of fewer than two members.
    """
    if count * kind.segments > items:
        raise ConfigError(
            "There are too few candidate segments for the questions",
            got=f"{items} segments for {count} questions of {kind.segments}",
            expected=f"at least {count * kind.segments}",
            next_step="cut more candidates, or ask fewer questions per round",
        )
    groups = rng.permutation(items)[: items - items % kind.segments].reshape(-1, kind.segments)
    scores = None
    match Strategy.UNIFORM if members is None else strategy:
        case Strategy.UNIFORM:
            pass
        case Strategy.DISAGREEMENT:
            assert members is not None
            scores = disagreement(members, groups)
            order = np.argsort(-scores, kind="stable")
            groups, scores = groups[order], scores[order]
        case _:
            assert_never(strategy)
    rows = range(count) if features is None else _unlike(groups, count, _near(features))
    if scores is not None:
        return [Proposal(tuple(groups[row].tolist()), strategy.value, float(scores[row]), None) for row in rows]
    chance = count / math.comb(items, kind.segments) if features is None else None
    return [Proposal(tuple(groups[row].tolist()), Strategy.UNIFORM.value, None, chance) for row in rows]


def disagreement(members: NDArray[np.float64], groups: NDArray[np.intp]) -> NDArray[np.float64]:
    """[group] standard deviation over members: of P(first is better) for pairs, of the return for single segments.

    Args:
        members: [member, item] returns.
        groups: [group, 1 or 2] items.

    Raises:
        ConfigError: there is only one member, which cannot disagree.
    """
    if len(members) < 2:
        raise ConfigError(
            "Disagreement needs at least two members", got=len(members), next_step="use more members, or ask uniformly"
        )
    returns = members[:, groups]
    opinions = returns[..., 0] if groups.shape[1] == 1 else expit(returns[..., 0] - returns[..., 1])
    return opinions.std(axis=0)


def _near(features: NDArray[np.floating]) -> NDArray[np.bool_]:
    """[item, item] whether two candidates are nearly the same behaviour; every feature counts alike."""
    scale = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    square = (scaled**2).sum(axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square - 2.0 * scaled @ scaled.T, 0.0))
    return distance <= NEAR * np.median(distance[~np.eye(len(distance), dtype=bool)])


def _unlike(groups: NDArray[np.intp], count: int, near: NDArray[np.bool_]) -> list[int]:
    """Rows of `count` groups, from the front, that ask nothing nearly twice; then the others, if those are too few."""
    chosen: list[int] = []
    for row, group in enumerate(groups):
        if len(chosen) < count and not _alike(near, group, groups[chosen]):
            chosen.append(row)
    others = [row for row in range(len(groups)) if row not in set(chosen)]
    return chosen + others[: count - len(chosen)]


def _alike(near: NDArray[np.bool_], group: NDArray[np.intp], others: NDArray[np.intp]) -> bool:
    """Whether a group compares like with like, or repeats one of the others, in either order."""
    if len(group) == 1:
        return bool(near[group[0], others[:, 0]].any())
    first, second = group
    same = near[first, others[:, 0]] & near[second, others[:, 1]]
    crossed = near[first, others[:, 1]] & near[second, others[:, 0]]
    return bool(near[first, second] or (same | crossed).any())
