"""Learning from logged episodes alone.

logged = Logged.read("runs/old", world.layout)
learner = learn_offline(IQLAgent(IQLConfig(), world, seed=0), world, logged, reward_model, updates=20_000, seed=0)
learner.export("policy.zip")
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from plaudit.control.files import Arrays
from plaudit.control.iql import IQLAgent
from plaudit.control.logged import Logged
from plaudit.control.offpolicy import OffPolicyLearner
from plaudit.control.rewards import RewardFn, paying
from plaudit.control.rollout import GoodWeights, require_finite
from plaudit.errors import ConfigError, LearningError, WorldError
from plaudit.reward.model import RewardModel
from plaudit.run.monitor import Monitor, Unwatched
from plaudit.run.seeds import generator
from plaudit.worlds.behaviour import Behaviour
from plaudit.worlds.vector import VectorWorld

BURST = 250
"""updates whose transitions are gathered at once; a report comes after every fourth"""


class OfflineLearner(OffPolicyLearner):
    """A `Learner` that never acts: `explore` takes up logged episodes, `improve` only updates.

    Args:
        agent: the algorithm.
        world: gives the spaces; its behaviour becomes the logged one.
        logged: where the episodes lie; empty when `take_up` is called instead of `explore`.
    """

    def __init__(self, agent: IQLAgent, world: VectorWorld, logged: Path | str) -> None:
        super().__init__(agent, world)
        self._logged = logged

    def explore(self, steps: int, seed: int, *, by_policy: bool = False) -> None:
        """Take up the logged episodes, in place of acting. Raises WorldError when they do not fit the world."""
        del steps, seed, by_policy
        if not self._logged:
            raise ConfigError(
                "There is nothing to learn from", next_step="set policy.iql.logged to the directory of a finished run"
            )
        self.take_up(Logged.read(self._logged, self.world.layout))

    def take_up(self, logged: Logged) -> None:
        """Make logged episodes the world's behaviour. Raises WorldError when it has other environments."""
        ours, theirs = self.world.behaviour, logged.behaviour
        if ours.envs != theirs.envs:
            raise WorldError(
                "Logged behaviour is of another number of environments",
                got=theirs.envs, expected=ours.envs, next_step=f"set world.envs = {theirs.envs}",
            )  # fmt: skip
        ours.take(theirs)
        self._replay.load(logged.ends or _no_ends(ours))
        if not len(self._replay):
            raise LearningError("No logged step is followed by another", next_step="log episodes of two steps or more")

    def _improve(self, rows: int, seed: int, monitor: Monitor, good: GoodWeights) -> dict[str, float]:
        agent, rng = self.agent, generator(seed, "improve")
        updates, losses = max(1, round(rows * self.world.n_envs * agent.utd)), dict[str, float]()
        for burst, first in enumerate(range(0, updates, BURST), 1):
            count = min(BURST, updates - first)
            losses = agent.train(self._replay.sample(rng, count, agent.batch_size), rng)
            require_finite(losses)
            if burst % 4 and first + count < updates:
                continue
            if not good.follow(monitor.report(round((first + count) / agent.utd), losses)):
                break
        return losses


def learn_offline(
    agent: IQLAgent, world: VectorWorld, logged: Logged, reward: RewardModel | RewardFn, *, updates: int, seed: int
) -> OfflineLearner:  # fmt: skip
    """Train on logged episodes with a learned reward.

    Args:
        agent: `IQLAgent(IQLConfig(), world, seed)`, perhaps cloned before.
        world: the world that the episodes are of, with as many environments; its behaviour becomes the logged one.
        logged: the episodes.
        reward: pays for them; of a reward model, the mean of its members.
        updates: how many.
        seed: of everything random.

    Raises:
        LearningError: the reward is not finite, or training diverged.
        WorldError: the episodes do not fit the world.
    """
    learner = OfflineLearner(agent, world, "")
    learner.take_up(logged)
    learner.set_reward(paying(reward) if isinstance(reward, RewardModel) else reward)
    learner.improve(round(updates / agent.utd), seed, Unwatched())
    return learner


def _no_ends(behaviour: Behaviour) -> Arrays:
    """The last steps of episodes are left out: what they led to is not known."""
    return {
        "end": np.full(len(behaviour) * behaviour.envs, -1, np.int32),
        "end.observation": np.empty((0, behaviour.layout.observation), np.float32),
        "end.over": np.empty(0, np.float32),
    }
