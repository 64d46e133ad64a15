"""A run that teaches an agent in a world."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plaudit.control.learner import Learner, make_learner
from plaudit.loop.attempts import attempts_of
from plaudit.loop.config import RunConfig
from plaudit.loop.context import Context, Outcome
from plaudit.loop.estimate import estimate
from plaudit.loop.journal import Journal
from plaudit.loop.panel import annotators_of
from plaudit.loop.stages import EXECUTE, restore_policy
from plaudit.loop.subject import Kind, Place
from plaudit.reward.model import RewardModel
from plaudit.run.directory import writing
from plaudit.run.seeds import derive
from plaudit.worlds.chunks import is_whole
from plaudit.worlds.ends import require_ends
from plaudit.worlds.vector import VectorWorld

PLAIN = {
    "act": "the policy acts",
    "ask": "choosing questions and collecting answers",
    "learn": "fitting the reward model to all answers",
    "improve": "training the policy on the learned reward",
    "check": "measuring the policy",
}
"""what each stage does, in plain words"""

COLUMNS = (
    ("labels", "ask/labels_total", ".0f"),
    ("reward accuracy", "reward/accuracy_heldout", ".2f"),
    ("env steps", "act/env_steps", ".0f"),
    ("return", "check/return_mean", ".1f"),
    ("learned return", "check/learned_return_mean", ".1f"),
)
"""what progress shows of each round"""


class Agent:
    """See the module; a `Subject`.

    Args:
        config: settings.
        place: where the run lives.
    """

    plain = PLAIN

    def __init__(self, config: RunConfig, place: Place) -> None:
        annotators = annotators_of(config, lambda query: attempts_of(self.shared, query))
        own = frozenset(one.profile.id for one in annotators)
        world, learner = _world_and_learner(config)
        self.shared = Context(
            config=config,
            directory=place.directory,
            journal=Journal(place.store, source=place.replay, own_annotators=own),
            progress=place.progress,
            world=world,
            learner=learner,
            annotators=annotators,
        )

    @property
    def policy(self) -> Learner:
        """The policy as it is now; `act(observations)`, `export(path)`."""
        return self.shared.learner

    @property
    def reward(self) -> RewardModel | None:
        """The reward model as it is now."""
        return self.shared.reward

    @property
    def world(self) -> VectorWorld:
        """The vector of environments, with all behaviour so far."""
        return self.shared.world

    def execute(self, stage: str, round_: int) -> Outcome:
        """Do a stage."""
        return EXECUTE[stage](self.shared, round_)

    def versions(self) -> dict[str, str | None]:
        """Names of policy and reward."""
        return {"policy": self.policy.version, "reward": self.reward and self.reward.version}

    def restore(self, policy: Path | None, reward: Path | None) -> None:
        """Take up checkpoints."""
        if policy is not None:
            restore_policy(self.shared, policy)
        if reward is not None:
            self.shared.reward = RewardModel.load(reward / "reward.safetensors")

    def publish(self) -> None:
        """Write a zip that Stable-Baselines3 opens, and the reward's weights."""
        directory = self.shared.directory
        with writing(directory.policy):
            self.policy.export(directory.policy)
        if self.reward is not None:
            with writing(directory.reward):
                self.reward.save(directory.reward)

    def close(self) -> None:
        """Close the environments."""
        self.world.close()


def _require(config: RunConfig, replayed: Mapping[str, Any] | None) -> dict[str, Any]:
    """World and policy are tried before anything is written, so a bad run file leaves no half-made run."""
    del replayed
    require_ends(config.world)
    _world_and_learner(config)[0].close()
    return {}


def _begin(config: RunConfig, place: Place, created: Mapping[str, Any]) -> Agent:
    del created
    return Agent(config, place)


def _world_and_learner(config: RunConfig) -> tuple[VectorWorld, Learner]:
    world = VectorWorld(config.world, derive(config.seed, "world"))
    try:
        return world, make_learner(config.policy, world, derive(config.seed, "policy"))
    except BaseException:
        world.close()
        raise


AGENT = Kind(
    settings=RunConfig,
    tables=(),
    prepared=lambda table: table,
    require=_require,
    begin=_begin,
    is_whole=is_whole,
    estimate=lambda config: estimate(config).text(),
    title=lambda config: config.world.id,
    columns=COLUMNS,
    policy="policy.zip",
)
