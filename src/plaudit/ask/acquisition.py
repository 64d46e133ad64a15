"""Which questions to ask, from what the members of a reward model think of candidate segments.

Candidates come in as member arrays [member, item]: the return that every member of the ensemble gives every candidate
segment. Proposals go out as indices of items. Which stretches of behaviour become candidates is decided before, by
`candidate_split`: aligning questions with the current policy helps more than any score (QPA, Hu et al. 2024).
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
    score: float | None
    """what the strategy expects of it; None for uniform"""
    propensity: float | None
    """probability that this question is in the batch, where it is known"""


@dataclass(frozen=True, slots=True)
class CandidateSplit:
    """How many candidate segments to cut from where."""

    newest: int
    anywhere: int


def candidate_split(count: int, *, near_share: float = 0.7) -> CandidateSplit:
    """Cut `near_share` of the candidates from the newest behaviour, the rest from all of it.

    A few old segments stay in: without them nothing keeps the reward model right where the policy used to be.
    """
    newest = round(near_share * count)
    return CandidateSplit(newest=newest, anywhere=count - newest)


def propose(
    kind: QueryKind,
    strategy: Strategy,
    members: NDArray[np.float64],
    *,
    count: int,
    rng: np.random.Generator,
    pool: int = 10,
    features: NDArray[np.floating] | None = None,
) -> list[Proposal]:
    """Choose `count` questions; no segment comes twice in the batch.

    Args:
        kind: comparisons need two items per question, ratings and step scores one.
        strategy: uniform, or largest disagreement: the standard deviation over members of P(first is better) for
            comparisons (Christiano et al. 2017, section 2.2.4; PEBBLE, Lee et al. 2021), of the return for the others.
        members: [member, item] returns of the candidates, in log-odds units; [0, item] where there is no model yet.
        count: questions wanted.
        rng: stream of this round.
        pool: candidates looked at per question.
        features: [item, feature] of the candidates; given, no pair of nearly identical segments is asked, since its
            honest answer is a tie, and no two questions about nearly the same segments.

    Raises:
        ConfigError: there are too few candidates, or disagreement is asked of fewer than two members.
    """
    items = members.shape[1]
    size = kind.segments
    if count * size > items:
        raise ConfigError(
            "There are too few candidate segments for the questions",
            got=f"{items} segments for {count} questions of {size}",
            expected=f"at least {count * size}",
            next_step="cut more candidates, or ask fewer questions per round",
        )
    if strategy is Strategy.DISAGREEMENT and len(members) < 2:
        raise ConfigError("Disagreement needs at least two members", got=len(members), next_step="ask uniformly")
    if count == 0:
        return []
    candidates = _groups(np.arange(items), size, count * pool, rng)
    match strategy:
        case Strategy.UNIFORM:
            pass  # the first groups of a random permutation
        case Strategy.DISAGREEMENT:
            candidates = candidates[np.argsort(-disagreement(members, candidates), kind="stable")]
        case _:
            assert_never(strategy)
    chosen = _apart(candidates, count, None if features is None else _near(features))
    if len(chosen) < count:  # what is left is too much alike, or was never grouped together: take it as it comes
        unused = np.setdiff1d(np.arange(items), chosen)
        chosen = np.concatenate([chosen, _groups(unused, size, count - len(chosen), rng)[: count - len(chosen)]])
    if strategy is Strategy.UNIFORM:
        chance = count / math.comb(items, size) if features is None else None
        return [Proposal(tuple(group), None, chance) for group in chosen.tolist()]
    scores = disagreement(members, chosen).tolist()
    return [Proposal(tuple(group), score, None) for group, score in zip(chosen.tolist(), scores, strict=True)]


def disagreement(members: NDArray[np.float64], groups: NDArray[np.intp]) -> NDArray[np.float64]:
    """[group] standard deviation over members: of P(first is better) for pairs, of the return for single segments.

    Args:
        members: [member, item] returns.
        groups: [group, 1 or 2] items.
    """
    returns = members[:, groups]
    opinions = returns[..., 0] if groups.shape[1] == 1 else expit(returns[..., 0] - returns[..., 1])
    return opinions.std(axis=0)


def _groups(items: NDArray[np.intp], size: int, wanted: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """[group, size] distinct candidates: random permutations cut into groups, so that early ones share no item."""
    per_turn = len(items) // size
    turns = math.ceil(min(wanted, math.comb(len(items), size)) / per_turn)
    cut = [rng.permutation(items)[: per_turn * size].reshape(per_turn, size) for _ in range(turns)]
    groups = np.concatenate(cut)
    _, first = np.unique(np.sort(groups, axis=1), axis=0, return_index=True)
    return groups[np.sort(first)]


def _apart(groups: NDArray[np.intp], count: int, near: NDArray[np.bool_] | None) -> NDArray[np.intp]:
    """Up to `count` groups from the front that share no item and ask nothing nearly twice."""
    chosen: list[int] = []
    used: set[int] = set()
    for row, group in enumerate(groups):
        if len(chosen) == count:
            break
        if used.isdisjoint(group.tolist()) and (near is None or not _alike(near, group, groups[chosen])):
            chosen.append(row)
            used.update(group.tolist())
    return groups[chosen]


def _near(features: NDArray[np.floating]) -> NDArray[np.bool_]:
    """[item, item] whether two candidates are nearly the same behaviour; every feature counts alike."""
    scale = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    square = (scaled**2).sum(axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square - 2.0 * scaled @ scaled.T, 0.0))
    return distance <= NEAR * np.median(distance[~np.eye(len(distance), dtype=bool)])


def _alike(near: NDArray[np.bool_], group: NDArray[np.intp], others: NDArray[np.intp]) -> bool:
    """Whether a group compares like with like, or repeats one of the others, in either order."""
    if len(group) == 1:
        return bool(near[group[0], others[:, 0]].any())
    first, second = group
    same = near[first, others[:, 0]] & near[second, others[:, 1]]
    crossed = near[first, others[:, 1]] & near[second, others[:, 0]]
    return bool(near[first, second] or (same | crossed).any())
