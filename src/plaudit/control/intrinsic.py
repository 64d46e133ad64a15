"""Reward for finding new states: state entropy by nearest neighbours, and the disagreement of reward members.

    entropy:      log(c + distance of s to its k-th nearest neighbour in what was seen)     Liu & Abbeel 2021, equation 5
    uncertainty:  mean of the members + beta_t x their standard deviation                   Liang et al. 2022, equations 4 and 5

(https://arxiv.org/abs/2103.04551, https://arxiv.org/abs/2205.12401.) Both are functions of steps like a learned reward, so
learners label, and label anew, as they always do. Before the first question, `pretrain` maximises the first alone, as
PEBBLE does (Lee et al. 2021, https://arxiv.org/abs/2106.05091, section 4.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from plaudit.control.config_offline import ExploreConfig
from plaudit.control.learner import Learner
from plaudit.control.rewards import RewardFn, paying
from plaudit.records import StepBatch
from plaudit.reward.model import RewardModel
from plaudit.run.monitor import Monitor, Signal
from plaudit.run.seeds import derive
from plaudit.worlds.behaviour import Behaviour

Floats = NDArray[np.float64]
OFFSET = 0.01
"""added to distances, in standard deviations of the states, so that states seen twice have a logarithm"""
CONSTANT = 1e-6
"""an entry that spreads less than this, relative to its size, is constant up to rounding"""


@dataclass(frozen=True, slots=True, eq=False)
class StateEntropy:
    """How new states are, compared with those of a reference: mean 0 and standard deviation 1 over the reference itself.

    States are observations as the policy reads them, each entry in standard deviations, never recorded pictures: where a
    world observes images, their grey 16 x 16 thumbnail (`plaudit.worlds.flat`). What only a picture shows is not new.
    """

    tree: KDTree | None
    """the reference's states, scaled; None when there are fewer than two"""
    scale: Floats
    """[entry], standard deviation of the reference's states"""
    neighbours: int
    shift: float
    spread: float

    @classmethod
    def of(cls, reference: StepBatch, *, neighbours: int) -> StateEntropy:
        """Compare with the steps of `reference`; with fewer than two of them nothing is new."""
        states = reference.observations[reference.mask].astype(np.float64)
        if len(states) < 2:
            return cls(None, np.ones(states.shape[1]), neighbours, 0.0, 1.0)
        deviation = states.std(axis=0)
        scale = np.where(deviation > CONSTANT * np.maximum(np.abs(states.mean(axis=0)), 1), deviation, 1.0)
        found = cls(KDTree(states / scale), scale, min(neighbours, len(states) - 1), 0.0, 1.0)
        values = found._log_distance(states)
        spread = float(values.std())
        return cls(found.tree, scale, found.neighbours, float(values.mean()), spread if spread > CONSTANT else 1.0)

    def __call__(self, batch: StepBatch) -> Floats:
        """[item, step], 0 on padding; a step of the reference is not its own neighbour."""
        found = np.zeros(batch.mask.shape)
        states = batch.observations[batch.mask].astype(np.float64)
        found[batch.mask] = (self._log_distance(states) - self.shift) / self.spread
        return found

    def _log_distance(self, states: Floats) -> Floats:
        if self.tree is None:
            return np.zeros(len(states))
        k = self.neighbours
        distances = np.asarray(self.tree.query(states / self.scale, k=k + 1)[0])
        itself = distances[:, 0] == 0
        return np.log(OFFSET + np.where(itself, distances[:, k], distances[:, k - 1]))


def optimistic(members: Floats, weight: float) -> Floats:
    """Mean of the members' rewards [member, item, step] plus `weight` x their standard deviation: [item, step]."""
    mean = members.mean(axis=0)
    return mean + weight * members.std(axis=0) if weight else mean


def explored(model: RewardModel, config: ExploreConfig, behaviour: Behaviour, steps: int) -> RewardFn:
    """A learned reward with what exploring pays on top.

    A reward that remembers is shown episodes whole; the bonus for new states looks at each step alone.

    Args:
        model: the learned reward.
        config: weights at the first step of the run, and how fast they halve.
        behaviour: all so far; new is what lies far from it.
        steps: environment steps of the run so far.
    """
    left = 0.5 ** (steps / config.half_life)
    bonus = StateEntropy.of(behaviour.reference(), neighbours=config.neighbours) if config.entropy else None

    def reward(batch: StepBatch) -> Floats:
        paid = optimistic(model.per_step(batch), config.uncertainty * left)
        return paid if bonus is None else paid + config.entropy * left * bonus(batch)

    return paying(model, reward)


def pretrain(learner: Learner, steps: int, seed: int, *, neighbours: int, monitor: Monitor) -> dict[str, float]:
    """Let the policy seek new states, then forget what it valued: the critic is reset, the policy and behaviour stay.

    What counts as new is looked up afresh at every report of the learner, and all behaviour is labelled anew then.

    Args:
        learner: has acted before, see `Learner.explore`.
        steps: environment steps.
        seed: of everything random.
        neighbours: which nearest neighbour tells how new a state is.
        monitor: hears of the training.

    Returns:
        Metrics of the training.
    """
    watch = _Renewing(learner, neighbours, monitor)
    watch.renew()
    metrics = learner.improve(steps, derive(seed, "pretrain"), watch)
    learner.reset_critic(derive(seed, "critic"))
    return metrics


class _Renewing:
    """A monitor that compares with all behaviour so far from each report on."""

    def __init__(self, learner: Learner, neighbours: int, inner: Monitor) -> None:
        self._learner, self._neighbours, self._inner = learner, neighbours, inner

    def renew(self) -> None:
        """Pay for what is new now."""
        reference = self._learner.world.behaviour.reference()
        self._learner.set_reward(StateEntropy.of(reference, neighbours=self._neighbours))

    def report(self, step: int, metrics: Mapping[str, float]) -> Signal:
        """Pass on, and renew."""
        self.renew()
        return self._inner.report(step, metrics)
