"""A learner that learns from demonstrations: a reward that explains them and a policy that earns it, in turns.

    shown = Demonstrations.of(episodes, make_learner(config, world, 1), seed=1)
    found = learn_from(learner, shown, DemonstrationConfig(steps=6000), reward=RewardConfig(), seed=0)
    found.model.save(Path("reward.safetensors"))

Guided cost learning (Finn, Levine & Abbeel 2016, https://arxiv.org/abs/1603.00448, algorithm 1): each round fits the reward to
the demonstrations and to what all policies so far did, weighed by importance; the policy then trains on the reward.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from plaudit.control.cloning import clone
from plaudit.control.config_demonstrations import DemonstrationConfig
from plaudit.control.config_offline import CloneConfig
from plaudit.control.density import Density, density, uniform
from plaudit.control.learner import Learner
from plaudit.control.logged import Episode
from plaudit.control.rewards import paying
from plaudit.errors import ConfigError, LearningError
from plaudit.records import StepBatch
from plaudit.reward.config import RewardConfig
from plaudit.reward.demonstrations import DemonstrationFit, Trajectories, fit_demonstrations
from plaudit.reward.model import RewardModel
from plaudit.run.monitor import Monitor, Unwatched
from plaudit.run.seeds import derive
from plaudit.worlds.behaviour import Behaviour, Layout, step_batch
from plaudit.worlds.vector import VectorWorld


@dataclass(frozen=True, slots=True)
class Demonstrations:
    """Episodes that show what is wanted, and roughly how likely their actions were."""

    episodes: tuple[Episode, ...]
    density: Density
    """of a copy of who acted: without it, what policies never do would count as infinitely rare"""

    @classmethod
    def of(cls, episodes: Sequence[Episode], copy: Learner, *, seed: int) -> Demonstrations:
        """Clone a learner for its density. Raises LearningError without episodes, and as `clone` and `density` do.

        Args:
            episodes: whole ones.
            copy: becomes the clone; give it to nothing else.
            seed: of everything random.
        """
        if not episodes:
            raise LearningError("There are no demonstrations", got=0, expected="at least one whole episode")
        seen = np.concatenate([one.observations[: len(one.actions)] for one in episodes])
        done = np.concatenate([one.actions for one in episodes])
        clone(copy, seen, done, CloneConfig(batch_size=32, patience=20, epochs=300), seed=seed)
        return cls(tuple(episodes), density(copy))


@dataclass(frozen=True, slots=True)
class Demonstrated:
    """What was learned."""

    model: RewardModel
    """the reward that explains the demonstrations"""
    metrics: dict[str, float]


def learn_from(
    learner: Learner,
    shown: Demonstrations,
    config: DemonstrationConfig,
    *,
    reward: RewardConfig,
    seed: int,
    monitor: Monitor | None = None,
) -> Demonstrated:
    """Fit a reward and train the learner on it, in turns.

    Exact where the world is deterministic; where chance decides, the learned reward also likes luck (Levine 2018,
    https://arxiv.org/abs/1805.00909). Demonstrations should be as long as episodes of the world.

    Args:
        learner: its world gathers the samples.
        shown: the demonstrations.
        config: budget; the path in it is not read.
        reward: form of the reward, see `fit_demonstrations`.
        seed: of everything random.
        monitor: hears of the training.

    Raises:
        ConfigError: the learner's actions have no density, or the budget is too small for whole episodes.
        LearningError: the fit or training diverged.
    """
    world, mixture = learner.world, [shown.density, uniform(learner.world)]
    longest = max(len(one.actions) for one in shown.episodes)
    acting = math.ceil(config.samples / world.n_envs) * longest * world.n_envs
    edges = _edges(config, acting, world.n_envs)
    learner.explore(acting, derive(seed, "random"))
    groups = [
        list(shown.episodes),
        whole_episodes(world.behaviour, len(world.behaviour) - acting // world.n_envs, longest),
    ]
    fitted: DemonstrationFit | None = None
    metrics: dict[str, float] = {}
    for round_, (first, last) in enumerate(pairwise(edges)):
        fitted = _fit(world, mixture, groups, reward=reward, seed=derive(seed, round_), go_on=fitted)
        learner.set_reward(paying(fitted.model))
        metrics = learner.improve(last - first, derive(seed, round_, "improve"), monitor or Unwatched())
        begun = len(world.behaviour)
        learner.explore(acting, derive(seed, round_, "act"), by_policy=True)
        groups.append(whole_episodes(world.behaviour, begun, longest))
        mixture.append(density(learner))
    assert fitted is not None  # there is at least one round
    return Demonstrated(fitted.model, metrics | fitted.metrics)


def whole_episodes(behaviour: Behaviour, first: int = 0, enough: int | None = None) -> list[Episode]:
    """Episodes that began in row `first` or later, in order of their ends.

    Args:
        behaviour: what was done.
        first: row.
        enough: also those that have not ended, but are as long as this; None: as the longest.
    """
    found = list[tuple[int, bool, Episode]]()
    for env in range(behaviour.envs):
        starts = np.flatnonzero(behaviour.starts[:, env])
        for start, end in pairwise([*starts[starts >= first], len(behaviour)]):
            episode = Episode(behaviour.observations[start:end, env].copy(), behaviour.actions[start:end, env].copy())
            found.append((int(end), end < len(behaviour), episode))
    enough = max((len(one.actions) for *_, one in found), default=0) if enough is None else enough
    found.sort(key=lambda one: one[0])
    return [one for _, ended, one in found if ended or len(one.actions) >= enough]


def _edges(config: DemonstrationConfig, acting: int, envs: int) -> list[int]:
    """How many steps of training end with each round, from 0 on."""
    left = config.steps - acting * (config.rounds + 1)
    if left < config.rounds * envs:
        raise ConfigError(
            "The policy has no time to learn from demonstrations",
            got=f"{config.steps} steps, {config.rounds} rounds, of {acting} steps each to estimate the log-partition",
            expected=f"more than {acting * (config.rounds + 1)} steps",
            next_step="raise steps, or lower rounds or samples in [loop.demonstrations]",
        )
    return [round(k * left / config.rounds / envs) * envs for k in range(config.rounds + 1)]


def _fit(
    world: VectorWorld,
    mixture: list[Density],
    groups: list[list[Episode]],
    *,
    reward: RewardConfig,
    seed: int,
    go_on: DemonstrationFit | None,
) -> DemonstrationFit:
    """Each group of episodes came about by the density in the same place of the mixture."""
    present = [(one, group) for one, group in zip(mixture, groups, strict=True) if group]
    shares = np.log([len(group) for _, group in present]) - np.log(sum(len(group) for _, group in present))

    def trajectories(episodes: list[Episode]) -> Trajectories:
        each = np.stack([_log_densities(one, episodes) for one, _ in present]) + shares[:, None]
        return Trajectories(_packed(world.layout, episodes), np.logaddexp.reduce(each, axis=0))

    shown, others = groups[0], [episode for group in groups[1:] for episode in group]
    return fit_demonstrations(trajectories(shown), trajectories(others), config=reward, seed=seed, go_on=go_on)


def _log_densities(by: Density, episodes: list[Episode]) -> NDArray[np.float64]:
    """[episode]"""
    return np.array([by(one.observations[: len(one.actions)], one.actions).sum() for one in episodes])


def _packed(layout: Layout, episodes: list[Episode]) -> StepBatch:
    steps = np.array([len(one.actions) for one in episodes])
    mask = np.arange(steps.max()) < steps[:, None]
    observations = np.zeros((*mask.shape, layout.observation), np.float32)
    actions = np.zeros((*mask.shape, *layout.action), episodes[0].actions.dtype)
    for row, episode in enumerate(episodes):
        observations[row, : steps[row]] = episode.observations[: steps[row]]
        actions[row, : steps[row]] = episode.actions
    return step_batch(layout, observations, actions, mask)
