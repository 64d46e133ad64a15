"""What is minimised: negative log likelihood of answers, whatever their kinds, plus a penalty on returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plaudit.errors import LearningError
from plaudit.models.ensemble import Ensemble
from plaudit.ops import preference
from plaudit.reward.config import RewardConfig
from plaudit.reward.heldout import Values, values_of
from plaudit.reward.implied import Implied
from plaudit.reward.likelihood import AnswerModel, Evidence


@dataclass(frozen=True, slots=True)
class Problem:
    """What is fitted to."""

    evidence: tuple[Evidence, ...]
    trains: tuple[NDArray[np.bool_], ...]
    """[member, answer] for each kind"""
    held_out: bool
    """whether there are answers that some member leaves out"""
    features: Tensor
    """[segment, step, feature]"""
    implied: Implied | None = None
    """what follows from answers; learned from, measured nowhere"""

    @property
    def answers(self) -> int:
        """Number of answers."""
        return sum(len(part.segments) for part in self.evidence)

    def values(self, ensemble: Ensemble) -> list[Values]:
        """Values of all answers, from all steps of their segments. Raises LearningError when they are not finite."""
        segments, steps, width = self.features.shape
        rewards = torch.from_numpy(ensemble.evaluate(self.features.view(-1, width).numpy())).view(-1, segments, steps)
        if not rewards.isfinite().all():
            raise LearningError("The reward model diverged", next_step="lower reward.learning_rate")
        found: list[Values] = []
        for part, trains in zip(self.evidence, self.trains, strict=True):
            rows = np.arange(len(part.segments))
            look = part.look(rows, crop=0, rng=None)
            seen = rewards[:, torch.from_numpy(part.segments[..., None]), torch.from_numpy(look.positions)]
            values = part.values(seen, torch.from_numpy(look.weights), rows)
            found.append(values_of(part, values.numpy().astype(np.float64), trains))
        return found


def loss(
    ensemble: Ensemble,
    problem: Problem,
    chosen: NDArray[np.intp],
    annotators: AnswerModel,
    *,
    config: RewardConfig,
    rng: np.random.Generator,
) -> Tensor:
    """Sum over members of the mean negative log likelihood of chosen answers, plus the penalty on returns."""
    likelihood, count = torch.zeros(ensemble.members), torch.zeros(ensemble.members)
    penalty = torch.zeros(())
    first = 0
    for part, trains in zip(problem.evidence, problem.trains, strict=True):
        rows = chosen[(chosen >= first) & (chosen < first + len(part.segments))] - first
        first += len(part.segments)
        if len(rows) == 0:
            continue
        log_prob, squares = _judge(
            ensemble, problem.features, part, rows, annotators=annotators, config=config, rng=rng
        )
        learns = torch.from_numpy(trains[:, rows].astype(np.float32))
        likelihood = likelihood + (log_prob * learns).sum(-1)
        count = count + learns.sum(-1)
        penalty = penalty + squares * (len(rows) / len(chosen))
    total = config.return_penalty * penalty - (likelihood / count.clamp(min=1)).sum()
    follows = problem.implied
    if follows is None:
        return total
    rows = rng.integers(len(follows.pairs.side), size=config.batch)
    log_prob, _ = _judge(ensemble, problem.features, follows.pairs, rows, annotators=annotators, config=config, rng=rng)
    learns = torch.from_numpy(follows.trains[:, rows].astype(np.float32))
    return total - follows.weight * ((log_prob * learns).sum(-1) / learns.sum(-1).clamp(min=1)).sum()


def _judge(
    ensemble: Ensemble,
    features: Tensor,
    part: Evidence,
    rows: NDArray[np.intp],
    *,
    annotators: AnswerModel,
    config: RewardConfig,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """[member, answer] log likelihood of some answers, and the mean squared return per step, summed over members."""
    look = part.look(rows, config.crop, rng)
    seen = features[torch.from_numpy(part.segments[rows][..., None]), torch.from_numpy(look.positions)]
    rewards = ensemble.forward(seen.view(-1, features.shape[-1])).view(-1, *look.positions.shape)
    weights = torch.from_numpy(look.weights)
    log_prob = part.log_prob(part.values(rewards, weights, rows), rows, annotators, preference)
    return log_prob, ((rewards * weights).sum(-1) ** 2 / weights.sum(-1)).mean((1, 2)).sum()


def batches_of(answers: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Endless batches that go through all answers in ever new orders."""
    waiting = np.arange(0)
    while True:
        while len(waiting) < min(size, answers):
            waiting = np.concatenate([waiting, rng.permutation(answers)])
        yield waiting[:size]
        waiting = waiting[size:]
