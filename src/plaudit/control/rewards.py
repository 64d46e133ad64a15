"""The reward of every recorded step, computed once per reward model and kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from plaudit.control.growing import Growing
from plaudit.errors import LearningError
from plaudit.records import StepBatch
from plaudit.worlds.behaviour import Behaviour

RewardFn = Callable[[StepBatch], NDArray[np.float64]]
"""learned reward [item, step] of a batch; here an item is an environment and a step a row of its behaviour"""

CHUNK = 2048
"""rows that a reward model is asked about at once; bounds memory"""


class Labels:
    """What a learner is paid for each step of a behaviour: standardised learned reward + weight x the environment's own.

    The learned reward of comparisons has no natural zero and no natural scale, and both move from fit to fit. It is
    therefore shifted and scaled to mean 0 and standard deviation 1 over all behaviour at the time of `set`; steps that
    come later keep that shift and scale. The environment's reward is left as it is.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._reward: RewardFn | None = None
        self._weight = 0.0
        self._shift, self._scale = 0.0, 1.0
        self._labels = Growing(np.float32, (behaviour.envs,))

    @property
    def values(self) -> NDArray[np.float32]:
        """[time, env], for the rows up to the newest `set` or `catch_up`."""
        return self._labels.values

    @property
    def ready(self) -> bool:
        """Whether there is a reward."""
        return self._reward is not None

    def set(self, reward: RewardFn, environment_weight: float) -> None:
        """Label everything anew. Raises LearningError when the reward is not finite."""
        self._reward, self._weight = reward, environment_weight
        learned = self._learned(0)
        self._shift, self._scale = 0.0, 1.0
        if learned.size:
            spread = float(learned.std())
            self._shift = float(learned.mean())
            # a reward that is constant but for rounding would be blown up to noise
            self._scale = spread if spread > 1e-8 * (1 + abs(self._shift)) else 1.0
        self._labels.replace(self._paid(0, learned))

    def catch_up(self) -> None:
        """Label the rows that came since. Raises LearningError when the reward is not finite."""
        done = len(self._labels)
        if done < len(self._behaviour):
            self._labels.extend(self._paid(done, self._learned(done)))

    def _learned(self, first: int) -> NDArray[np.float64]:
        """Learned reward [time, env] of the rows from `first` on."""
        assert self._reward is not None  # the learner has asked `ready`
        behaviour = self._behaviour
        found = np.empty((len(behaviour) - first, behaviour.envs))
        for start in range(first, len(behaviour), CHUNK):
            rows = slice(start, min(start + CHUNK, len(behaviour)))
            found[rows.start - first : rows.stop - first] = self._reward(behaviour.batch(rows)).T
        if not np.isfinite(found).all():
            raise LearningError(
                "The learned reward is not finite",
                got=f"{np.count_nonzero(~np.isfinite(found))} of {found.size} steps",
                next_step="look at the reward fit with `plaudit doctor`",
            )
        return found

    def _paid(self, first: int, learned: NDArray[np.float64]) -> NDArray[np.float64]:
        paid = (learned - self._shift) / self._scale
        paid += self._weight * self._behaviour.rewards[first : first + len(learned)]
        return paid
