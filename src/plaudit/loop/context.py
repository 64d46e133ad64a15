"""What the stages of a round share, and what each of them finds out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

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


class LoopSettings(Protocol):
    """How every run is cut."""

    @property
    def rounds(self) -> int:
        """Turns of the loop."""
        ...

    @property
    def threads(self) -> int:
        """Of numeric libraries."""
        ...


class AskSettings(Protocol):
    """How every run asks."""

    @property
    def people(self) -> bool:
        """Whether people answer."""
        ...

    @property
    def overlap(self) -> int:
        """Answers to each question."""
        ...

    @property
    def patience_seconds(self) -> float:
        """How long people are waited for."""
        ...


class Settings(Protocol):
    """What the settings of every run hold, whatever is taught."""

    @property
    def name(self) -> str:
        """Shown in the report."""
        ...

    @property
    def seed(self) -> int:
        """Of everything random."""
        ...

    @property
    def loop(self) -> LoopSettings:
        """Rounds and threads."""
        ...

    @property
    def ask(self) -> AskSettings:
        """Questions and annotators."""
        ...


S = TypeVar("S", bound=Settings)


@dataclass(slots=True, kw_only=True)
class Shared(Generic[S]):
    """All that the stages share, whatever is taught."""

    config: S
    directory: RunDirectory
    journal: Journal
    progress: Progress
    annotators: tuple[Annotator, ...] = ()
    """simulated ones; empty when people answer"""
    learned_until: int = 0
    """log position that the last learn stage read answers up to"""
    asked_until: int = 0
    """log position that the last ask stage ended at"""
    recorded: dict[str, int] = field(default_factory=dict[str, int])
    """positions at which stages ended before; a stage that is repeated reads up to the same place"""

    def seed(self, round_: int, stage: str) -> int:
        """Seed of everything random in a stage."""
        return derive(self.config.seed, round_, stage)


@dataclass(slots=True, kw_only=True)
class Context(Shared[RunConfig]):
    """What the stages share that teach a control agent."""

    world: VectorWorld
    learner: Learner
    reward: RewardModel | None = None

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

    def __init__(self, progress: Progress, total: int, unit: str = "environment steps") -> None:
        self._progress = progress
        self._total = total
        self._unit = unit

    def report(self, step: int, metrics: Mapping[str, float]) -> Signal:
        """Show the step and say go."""
        del metrics
        self._progress.advance(step, self._total, self._unit)
        return Signal.GO
