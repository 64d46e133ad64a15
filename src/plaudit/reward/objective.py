"""What is minimised: negative log likelihood of answers, whatever their kinds, plus a penalty on returns."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plaudit.errors import LearningError
from plaudit.ops import preference
from plaudit.reward.choices import Choices
from plaudit.reward.config import RewardConfig
from plaudit.reward.heldout import Values, values_of
from plaudit.reward.implied import Implied
from plaudit.reward.likelihood import AnswerModel, Comparisons, Evidence, Look, Ratings
from plaudit.reward.trunks import Network, Shown, evaluate, look

IndexArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is fitted to."""

    evidence: tuple[Evidence, ...]
    trains: tuple[NDArray[np.bool_], ...]
    """[member, answer] for each kind"""
    held_out: bool
    """whether there are answers that some member leaves out"""
    features: Tensor
    """[segment, step, feature]; first all segments as they are, then all of them in each mirror"""
    pixels: Tensor | None = None
    """uint8 [segment, step, height, width, channel], for networks that see"""
    views: int = 1
    """1 + mirrors"""
    unlabelled: IndexArray | None = None
    """[segment] steps of the segments that pairs without answers are made of; these are the first, as they are"""
    implied: Implied | None = None
    """what follows from answers; learned from, measured nowhere"""
    shifts: tuple[Tensor, ...] | None = None
    """[member, answer, judgement] for each kind: what the taste of who answered adds to values"""
    weights: tuple[Tensor, ...] | None = None
    """[answer] for each kind: how much an answer counts, of mean 1; None: all alike"""

    @property
    def answers(self) -> int:
        """Number of answers."""
        return sum(len(part.segments) for part in self.evidence)

    @property
    def shown(self) -> Shown:
        """What networks are shown of the segments."""
        return Shown(self.features, self.pixels)

    def values(self, network: Network) -> list[Values]:
        """Values of all answers by everybody's reward, from all steps. Raises LearningError when they are not finite."""
        judged = 1 + max(int(part.segments.max()) for part in self.evidence)
        shown = Shown(self.features[:judged], None if self.pixels is None else self.pixels[:judged])
        rewards = torch.from_numpy(evaluate(network, shown))
        if not rewards.isfinite().all():
            raise LearningError("The reward model diverged", next_step="lower reward.learning_rate")
        found: list[Values] = []
        for part, trains in zip(self.evidence, self.trains, strict=True):
            rows = np.arange(len(part.segments))
            seen = part.look(rows, crop=0, rng=None)
            steps = rewards[:, torch.from_numpy(part.segments[..., None]), torch.from_numpy(seen.positions)]
            values = part.values(steps, torch.from_numpy(seen.weights), rows)
            found.append(values_of(part, values.numpy().astype(np.float64), trains))
        return found


def loss(
    network: Network,
    problem: Problem,
    chosen: NDArray[np.intp],
    annotators: AnswerModel,
    *,
    config: RewardConfig,
    rng: np.random.Generator,
) -> Tensor:
    """Sum over members of the mean negative log likelihood of chosen answers, plus the penalty on returns.

    With mirrors, the mean is over answers as seen in all of them.
    """
    likelihood, count = torch.zeros(network.members), torch.zeros(network.members)
    penalty = torch.zeros(())
    first = 0
    for number, (part, trains) in enumerate(zip(problem.evidence, problem.trains, strict=True)):
        rows = chosen[(chosen >= first) & (chosen < first + len(part.segments))] - first
        first += len(part.segments)
        if len(rows) == 0:
            continue
        seen = sample(part, rows, config, rng)
        learns = torch.from_numpy(trains[:, rows].astype(np.float32))
        weights = torch.from_numpy(seen.weights)
        for view in range(problem.views):
            segments = part.segments[rows] + view * (len(problem.features) // problem.views)
            rewards = look(network, problem.shown, segments, seen.positions)
            values = part.values(rewards, weights, rows)
            if problem.shifts is not None:
                values = values + problem.shifts[number][:, rows]
            log_prob = smoothed(part, values, rows, annotators, config.label_smoothing)
            counted = learns if problem.weights is None else learns * problem.weights[number][rows]
            likelihood = likelihood + (log_prob * counted).sum(-1)
            count = count + learns.sum(-1)
            per_answer = ((rewards * weights).sum(-1) ** 2 / weights.sum(-1)).mean((1, 2)).sum()
            penalty = penalty + per_answer * (len(rows) / (problem.views * len(chosen)))
    total = config.return_penalty * penalty - (likelihood / count.clamp(min=1)).sum()
    return (
        total
        if problem.implied is None
        else total + _following(network, problem, problem.implied, annotators, config, rng)
    )


def _following(
    network: Network,
    problem: Problem,
    follows: Implied,
    annotators: AnswerModel,
    config: RewardConfig,
    rng: np.random.Generator,
) -> Tensor:
    """What pairs that follow from answers add to the loss."""
    rows = rng.integers(len(follows.pairs.side), size=config.batch)
    values = _values(network, problem, follows.pairs, rows, config=config, rng=rng)
    log_prob = follows.pairs.log_prob(values, rows, annotators, preference)
    learns = torch.from_numpy(follows.trains[:, rows].astype(np.float32))
    return -follows.weight * ((log_prob * learns).sum(-1) / learns.sum(-1).clamp(min=1)).sum()


def smoothed(part: Evidence, values: Tensor, rows: IndexArray, annotators: AnswerModel, share: float) -> Tensor:
    """[member, answer] log likelihood, of which a comparison gives `share` to the opposite answer (Szegedy et al. 2016).

    (1 - share) log P(answer) + share log P(answer with its sides swapped). A graded answer keeps its grade, and a tie is its
    own opposite, so it stays what it was. Without ties and grades the best difference of two returns is bounded, at
    log((1 - share) / share). Other kinds have no opposite and are left alone.
    """
    log_prob = part.log_prob(values, rows, annotators, preference)
    if share == 0 or not isinstance(part, Comparisons):
        return log_prob
    # the answer changes sides and not the values: what sways answers stays where it was
    opposite = replace(part, side=-part.side).log_prob(values, rows, annotators, preference)
    return (1 - share) * log_prob + share * opposite


def unanswered(
    network: Network, problem: Problem, annotators: AnswerModel, *, config: RewardConfig, rng: np.random.Generator
) -> Tensor:
    """What pairs without an answer add to the loss: confident pseudo-labels (Park et al. 2022, SURF, equations 4 and 5).

    Each member answers for itself, from one look at the pair, and learns from another: were the members to answer
    together, answers that one leaves out would reach it through the others. What counts is how sure the member is of the
    better side, so annotators who lapse do not lower it.
    """
    lengths = problem.unlabelled
    if lengths is None or len(lengths) < 2:
        return torch.zeros(())
    pairs = config.pseudo_pairs * min(config.batch, problem.answers)
    first, further = rng.integers(len(lengths), size=pairs), rng.integers(1, len(lengths), size=pairs)
    segments = np.stack([first, (first + further) % len(lengths)], axis=1)
    rows = np.arange(pairs)
    part = Comparisons(segments, rows, lengths[segments], np.ones(pairs, np.int64), np.zeros(pairs, np.int64))
    firm = replace(annotators, lapse=0.0)
    with torch.no_grad():
        judged = _values(network, problem, part, rows, config=config, rng=rng)
        sure = part.log_prob(judged.abs(), rows, firm, preference) >= math.log(config.pseudo_confidence)
    learned = _values(network, problem, part, rows, config=config, rng=rng) * judged.sign()
    log_prob = part.log_prob(learned, rows, firm, preference)
    return -config.pseudo_weight * (log_prob * sure).sum() / pairs


def _values(
    network: Network,
    problem: Problem,
    part: Comparisons,
    rows: IndexArray,
    *,
    config: RewardConfig,
    rng: np.random.Generator,
) -> Tensor:
    """[member, pair, 1] differences of returns, from one look at some pairs."""
    seen = sample(part, rows, config, rng)
    rewards = look(network, problem.shown, part.segments[rows], seen.positions)
    return part.values(rewards, torch.from_numpy(seen.weights), rows)


def sample(part: Evidence, rows: IndexArray, config: RewardConfig, rng: np.random.Generator) -> Look:
    """The steps that a gradient step looks at. Networks with memory go through all of them in any case."""
    if config.window > 0 and isinstance(part, Comparisons | Ratings | Choices):
        return windows(part.lengths[rows], config.window, rng)
    return part.look(rows, 0, None) if config.trunk.remembers else part.look(rows, config.crop, rng)


def windows(lengths: IndexArray, least: float, rng: np.random.Generator) -> Look:
    """One stretch of every segment: the same share of at least `least` for the segments of an answer, places their own.

    The temporal crop of SURF (Park et al. 2022, section 4.2). A step counts as often as it takes for the sum to have the
    unit of a return, which cut-points and ties rest on.
    """
    share = least + (1 - least) * rng.random((len(lengths), 1))
    kept = np.maximum(np.ceil(share * lengths), 1).astype(np.intp)
    first = (rng.random(lengths.shape) * (lengths - kept + 1)).astype(np.intp)
    steps = np.arange(int(kept.max()))
    mask = steps < kept[..., None]
    positions = np.where(mask, first[..., None] + steps, 0)
    return Look(positions, (mask * (lengths / kept)[..., None]).astype(np.float32))


def batches_of(answers: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Endless batches that go through all answers in ever new orders."""
    waiting = np.arange(0)
    while True:
        while len(waiting) < min(size, answers):
            waiting = np.concatenate([waiting, rng.permutation(answers)])
        yield waiting[:size]
        waiting = waiting[size:]
