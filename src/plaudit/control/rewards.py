"""The reward of every recorded step, computed once per reward model and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plaudit.control.growing import Growing
from plaudit.errors import LearningError
from plaudit.ops.aggregate import Combine, combine, mean
from plaudit.records import StepBatch
from plaudit.reward.history import Remembering
from plaudit.reward.model import RewardModel
from plaudit.worlds.behaviour import Behaviour

RewardFn = Callable[[StepBatch], NDArray[np.float64]]
"""learned reward [item, step] of a batch; here an item is an environment and a step a row of its behaviour"""


def paying(model: RewardModel, how: RewardFn | None = None) -> RewardFn:
    """The mean of a reward model's members, or `how` it pays otherwise, shown episodes whole where it remembers."""

    def learned(batch: StepBatch) -> NDArray[np.float64]:
        return mean(model.per_step(batch))

    reward = how or learned
    return Remembering(reward) if model.config.trunk.remembers else reward


def paid_rows(reward: RewardFn, behaviour: Behaviour, rows: slice) -> NDArray[np.float64]:
    """What a reward pays for some rows of behaviour, [time, env]; one that remembers is shown their episodes from the start.

    Args:
        reward: what pays.
        behaviour: all so far.
        rows: `start` and `stop` of the rows.
    """
    if not isinstance(reward, Remembering):
        return reward(behaviour.batch(rows)).T
    shown = slice(_begun(behaviour.episodes, rows.start), rows.stop)
    return reward.by_episode(behaviour.batch(shown), behaviour.episodes[shown].T)[:, rows.start - shown.start :].T


def agreed(model: RewardModel, trait: str, shares: Mapping[str, float], how: Combine, reference: StepBatch) -> RewardFn:
    """What the groups of a trait want, as one reward of a step.

    Each group's rewards are those of the members' mean on everybody's scale. Groups that nobody is of who answered are left out.

    Args:
        model: depends on the trait.
        trait: name of it.
        shares: of the population by value of the trait.
        how: the groups' rewards are combined, step by step.
        reference: steps among which each group's worst is what it has without agreement, for NASH.
    """
    groups = [group for group in model.traits.get(trait, ()) if shares.get(group, 0.0) > 0]
    if not groups:
        return paying(model)
    weights = np.array([shares[group] for group in groups])

    def each(batch: StepBatch) -> NDArray[np.float64]:
        return np.stack([mean(model.per_step(batch, traits={trait: group}))[batch.mask] for group in groups])

    floor = each(reference).min(axis=1)

    def learned(batch: StepBatch) -> NDArray[np.float64]:
        found = np.zeros(batch.mask.shape)
        found[batch.mask] = combine(each(batch), weights, how, floor=floor)
        return found

    return learned


CHUNK = 2048
"""rows that a reward model is asked about at once; bounds memory"""
PICTURES = 2048
"""pictures that it is asked about at once, where there are any"""


@dataclass(frozen=True, slots=True)
class _Terms:
    """What pays: (reward - shift) / scale + weight x the environment's."""

    reward: RewardFn
    weight: float
    shift: float = 0.0
    scale: float = 1.0


class Labels:
    """What a learner is paid for each step of a behaviour: standardised learned reward + weight x the environment's own.

    The learned reward of comparisons has no natural zero and no natural scale, and both move from fit to fit. It is
    therefore shifted and scaled to mean 0 and standard deviation 1 over all behaviour at the time of `set`; steps that
    come later keep that shift and scale. The environment's reward is left as it is.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._terms: _Terms | None = None
        self._labels = Growing(np.float32, (behaviour.envs,))

    @property
    def values(self) -> NDArray[np.float32]:
        """[time, env], for the rows up to the newest `set` or `catch_up`."""
        return self._labels.values

    @property
    def ready(self) -> bool:
        """Whether there is a reward."""
        return self._terms is not None

    def set(self, reward: RewardFn, environment_weight: float) -> None:
        """Label everything anew. Raises LearningError, and changes nothing, when the reward is not finite."""
        terms = _Terms(reward, environment_weight)
        learned = self._learned(terms, 0)
        if learned.size:
            with np.errstate(all="ignore"):  # asked in `_paid`
                shift, spread = float(learned.mean()), float(learned.std())
            # a reward that is constant but for rounding would be blown up to noise
            terms = replace(terms, shift=shift, scale=1.0 if spread <= 1e-8 * (1 + abs(shift)) else spread)
        self._labels.replace(self._paid(terms, 0, learned))
        self._terms = terms

    def catch_up(self) -> None:
        """Label the rows that came since. Raises LearningError when the reward is not finite."""
        done, terms = len(self._labels), self._terms
        assert terms is not None  # the learner has asked `ready`
        if done < len(self._behaviour):
            self._labels.extend(self._paid(terms, done, self._learned(terms, done)))

    def _learned(self, terms: _Terms, first: int) -> NDArray[np.float64]:
        """Learned reward [time, env] of the rows from `first` on."""
        behaviour = self._behaviour
        found = np.empty((len(behaviour) - first, behaviour.envs))
        most = CHUNK if behaviour.layout.pixels is None else max(1, PICTURES // behaviour.envs)
        for start in range(first, len(behaviour), most):
            stop = min(start + most, len(behaviour))
            found[start - first : stop - first] = paid_rows(terms.reward, behaviour, slice(start, stop))
        return found

    def _paid(self, terms: _Terms, first: int, learned: NDArray[np.float64]) -> NDArray[np.float32]:
        """What the rows from `first` on pay, given their learned reward."""
        with np.errstate(all="ignore"):
            mixed = (learned - terms.shift) / terms.scale
            mixed += terms.weight * self._behaviour.rewards[first : first + len(learned)]
            paid = mixed.astype(np.float32)
        if not np.isfinite(paid).all():
            raise LearningError(
                "The learned reward is not finite",
                got=f"{np.count_nonzero(~np.isfinite(paid))} of {paid.size} steps",
                next_step="look at the reward fit with `plaudit doctor`",
            )
        return paid


def _begun(episodes: NDArray[np.int32], row: int) -> int:
    """First row of the oldest episode that is under way in a row."""
    return min(int(np.searchsorted(column[: row + 1], column[row])) for column in episodes.T)
