"""What the stages of a round share, and what each of them finds out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plaudit.ask.annotator import Annotator
from plaudit.control.learner import Learner
from plaudit.loop.config import RunConfig
from plaudit.loop.journal import Journal
from plaudit.reward.model import RewardModel
from plaudit.run.directory import RunDirectory
from plaudit.run.monitor import Signal
from plaudit.run.progress import Progress
from plaudit.run.seeds import derive
from plaudit.worlds.vector import VectorWorld


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage found out; becomes the row that ends it."""

    metrics: dict[str, float]
    checkpoint: str | None = None
    artefacts: dict[str, str] = field(default_factory=dict)
    clips: dict[str, str] = field(default_factory=dict)
    """segments worth watching, by name"""


@dataclass(slots=True)
class Context:
    """All that the stages share."""

    config: RunConfig
    directory: RunDirectory
    journal: Journal
    progress: Progress
    world: VectorWorld
    learner: Learner
    annotators: tuple[Annotator, ...]
    """simulated ones; empty when people answer"""
    reward: RewardModel | None = None
    learned_until: int = 0
    """log position that the last learn stage read answers up to"""
    asked_until: int = 0
    """log position that the last ask stage ended at"""
    recorded: dict[str, int] = field(default_factory=dict)
    """positions at which stages ended before; a stage that is repeated reads up to the same place"""

    def seed(self, round_: int, stage: str) -> int:
        """Seed of everything random in a stage."""
        return derive(self.config.seed, round_, stage)

    @property
    def env_steps(self) -> int:
        """Environment steps of the run so far."""
        return len(self.world.behaviour) * self.world.n_envs


def steps_of_round(config: RunConfig, round_: int) -> int:
    """Environment steps that improving takes in a round; all rounds and the warm-up add up to `loop.steps`."""
    loop, envs = config.loop, config.world.envs
    edges = [round(k * (loop.steps - loop.before) / loop.rounds / envs) * envs for k in range(loop.rounds + 1)]
    return edges[round_ + 1] - edges[round_]


def stage_key(round_: int, stage: str) -> str:
    """Key of the row that ends a stage."""
    return f"stage/{round_}/{stage}"


class ProgressMonitor:
    """Passes a learner's reports on to the person who watches."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total

    def report(self, step: int, metrics: Mapping[str, float]) -> Signal:
        """Show the step and say go."""
        del metrics
        self._progress.advance(step, self._total, "environment steps")
        return Signal.GO
