"""Which questions to ask, from what the members of a reward model think of candidate segments.

Candidates come in as a member array [member, item]: the return that every member of the ensemble gives every candidate.
Which stretches of behaviour become candidates is decided before, when they are cut: aligning questions with the current
policy helps more than any score (QPA, Hu et al. 2024).

How likely a question was to be asked is known where questions are drawn at random. The other strategies take the best of
the candidates that were drawn: given these, a question is in the batch for certain or not at all, and how often each
would be over all draws of candidates is not known. They say None.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from itertools import combinations
from typing import assert_never

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, expit

from plaudit.ask.cover import farthest_first
from plaudit.errors import ConfigError
from plaudit.records import QueryKind
from plaudit.stats.choice import log_interval

SHARE = 0.5
"""combinations spread their questions over this most informative share of the groups (B-Pref, Lee et al. 2021)"""


class Strategy(enum.Enum):
    """How questions are chosen among candidates."""

    UNIFORM = "uniform"
    DISAGREEMENT = "disagreement"
    """members differ most"""
    ENTROPY = "entropy"
    """the answer is hardest to foresee"""
    K_CENTRE = "k-centre"
    """most unlike all questions before: greedy k-centre (Sener & Savarese 2018, algorithm 1)"""
    DISAGREEMENT_K_CENTRE = "disagreement+k-centre"
    """k-centre among the half that members differ on most"""
    ENTROPY_K_CENTRE = "entropy+k-centre"
    """k-centre among the half that is hardest to foresee"""


@dataclass(frozen=True, slots=True)
class Background:
    """What is known beside the members' opinions."""

    cuts: tuple[float, ...] = (0.0,)
    """increasing cut-points that the answer lies between, as the reward model has fitted them: of the difference of two
    returns for comparisons (those around a tie), of a return for ratings and step scores"""
    places: NDArray[np.floating] | None = None
    """[item, feature] where candidates lie, for k-centre; None takes the members' returns, the space of rewards"""
    covered: NDArray[np.floating] | None = None
    """[question, 1 or 2, feature] questions asked before, in the same space"""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A question about candidate segments."""

    indices: tuple[int, ...]
    """items that it shows: two for a comparison, more for a ranking, one for a rating or step scores"""
    strategy: str
    """how it was chosen"""
    score: float | None
    """what the strategy expects of it: disagreement, entropy in nats, or the distance to the nearest question before;
    combinations give the first; None for uniform"""
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
    background: Background | None = None,
    size: int | None = None,
) -> list[Proposal]:
    """Choose `count` questions; no segment comes twice in the batch.

    The candidates are grouped at random, two by two for comparisons, so `items` sets how many questions are looked at
    for each one that is asked; ten are usual (B-Pref, Lee et al. 2021). Disagreement then takes those with the largest
    standard deviation over members: of P(first is better) for comparisons (Christiano et al. 2017, section 2.2.4),
    of the return for ratings and step scores. Entropy takes those whose answer, ties and grades included, is least sure
    when the members' probabilities are averaged (B-Pref, section 4.2, averages the members' entropies of two outcomes).
    K-centre takes, one by one, the question farthest from all that were asked or taken before.

    Args:
        strategy: how to choose; without members always uniform.
        items: number of candidate segments.
        members: [member, item] returns of the candidates, in log-odds units; None where there is no reward model yet.
        kind: comparisons show two items, ratings and step scores one.
        count: questions wanted.
        rng: stream of this round.
        background: cut-points for entropy, places and earlier questions for k-centre.
        size: items that one question shows, where its kind takes more than its fewest; rankings are judged by their pairs.

    Raises:
        ConfigError: there are too few candidates, or disagreement is asked of fewer than two members.
    """
    size = kind.segments if size is None else size
    _require(items, count, size)
    groups = rng.permutation(items)[: items - items % size].reshape(-1, size)
    scores = None
    if members is not None and strategy is not Strategy.UNIFORM:
        groups, scores = _ranked(strategy, members, groups, count=count, background=background or Background())
    if scores is not None:
        return [Proposal(tuple(groups[row].tolist()), strategy.value, float(scores[row]), None) for row in range(count)]
    chance = count / math.comb(items, size)
    return [Proposal(tuple(group.tolist()), Strategy.UNIFORM.value, None, chance) for group in groups[:count]]


def opening(
    places: NDArray[np.floating],
    *,
    kind: QueryKind,
    count: int,
    spread: float,
    rng: np.random.Generator,
    size: int | None = None,
) -> list[Proposal]:
    """The first `count` questions, when no reward model can tell what is worth asking; no segment comes twice.

    Segments drawn at random may all show the same, a robot that lies on the floor, and the answers are ties. Segments
    that lie far apart are the odd ones, and say little about the rest. So some are drawn, and the others lie as far as
    possible from these and from each other; then all are grouped at random.

    Args:
        places: [item, feature] where candidates lie.
        kind: comparisons show two items, ratings and step scores one.
        count: questions wanted.
        spread: share of the segments that lie far apart.
        rng: stream of this round.
        size: see `propose`.

    Raises:
        ConfigError: there are too few candidates.
    """
    size = kind.segments if size is None else size
    wanted = count * size
    _require(len(places), count, size)
    drawn = rng.permutation(len(places))
    at_random = max(1, round(wanted * (1 - spread)))
    rest = drawn[at_random:]
    far, _ = farthest_first(places, rest[:, None], wanted - at_random, places[drawn[:at_random], None])
    groups = rng.permutation(np.concatenate([drawn[:at_random], rest[far]])).reshape(count, size)
    return [Proposal(tuple(group.tolist()), "uniform+k-centre", None, None) for group in groups]


def _ranked(
    strategy: Strategy,
    members: NDArray[np.float64],
    groups: NDArray[np.intp],
    *,
    count: int,
    background: Background,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Groups in the order in which the strategy would ask them, and their scores; at least the first `count`."""
    match strategy:
        case Strategy.UNIFORM | Strategy.K_CENTRE:
            informative = None
        case Strategy.DISAGREEMENT | Strategy.DISAGREEMENT_K_CENTRE:
            informative = disagreement(members, groups)
        case Strategy.ENTROPY | Strategy.ENTROPY_K_CENTRE:
            informative = entropy(members, groups, background.cuts)
        case _:
            assert_never(strategy)
    kept = len(groups)
    if informative is not None:
        order = np.argsort(-informative, kind="stable")
        groups, informative = groups[order], informative[order]
        if strategy in {Strategy.DISAGREEMENT, Strategy.ENTROPY}:
            return groups, informative
        kept = max(count, int(SHARE * len(groups)))
    places = members.T if background.places is None else background.places
    chosen, distances = farthest_first(places, groups[:kept], count, background.covered)
    return groups[chosen], distances if informative is None else informative[chosen]


def _require(items: int, count: int, size: int) -> None:
    if count * size > items:
        raise ConfigError(
            "There are too few candidate segments for the questions",
            got=f"{items} segments for {count} questions of {size}",
            expected=f"at least {count * size}",
            next_step="cut more candidates, or ask fewer questions per round",
        )


def entropy(
    members: NDArray[np.float64], groups: NDArray[np.intp], cuts: tuple[float, ...] = (0.0,)
) -> NDArray[np.float64]:
    """[group] entropy, in nats, of the answer that the members foresee together.

    The answer says between which cut-points a value falls, once logistic noise is added (`plaudit.stats.choice`): the
    difference of two returns, with cuts (-t, t) around a tie, or one return, with the cuts between grades. The members'
    probabilities are averaged first: a question that they disagree about and one that they all find open count alike.

    Args:
        members: [member, item] returns.
        groups: [group, item]; one or two items each, of more the mean over their pairs.
        cuts: increasing cut-points.
    """
    if groups.shape[1] > 2:
        return entropy(members, _pairs(groups), cuts).reshape(len(groups), -1).mean(axis=1)
    returns = members[:, groups]
    values = returns[..., 0] if groups.shape[1] == 1 else returns[..., 0] - returns[..., 1]
    limits = np.array([-np.inf, *cuts, np.inf])
    chances = np.exp(log_interval(values[..., None], limits[:-1], limits[1:])).mean(axis=0)
    return np.asarray(entr(chances).sum(axis=-1), dtype=np.float64)


def disagreement(members: NDArray[np.float64], groups: NDArray[np.intp]) -> NDArray[np.float64]:
    """[group] standard deviation over members: of P(first is better) for pairs, of the return for single segments.

    Args:
        members: [member, item] returns.
        groups: [group, item]; one or two items each, of more the mean over their pairs.

    Raises:
        ConfigError: there is only one member, which cannot disagree.
    """
    if groups.shape[1] > 2:
        return disagreement(members, _pairs(groups)).reshape(len(groups), -1).mean(axis=1)
    if len(members) < 2:
        raise ConfigError(
            "Disagreement needs at least two members", got=len(members), next_step="use more members, or ask uniformly"
        )
    returns = members[:, groups]
    opinions = returns[..., 0] if groups.shape[1] == 1 else expit(returns[..., 0] - returns[..., 1])
    return opinions.std(axis=0)


def _pairs(groups: NDArray[np.intp]) -> NDArray[np.intp]:
    """[group * pair, 2] all pairs of each group's items, group by group."""
    return groups[:, list(combinations(range(groups.shape[1]), 2))].reshape(-1, 2)
