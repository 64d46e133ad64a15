"""What a run teaches, as `Run` sees it: an agent in a world (`loop.agent`), or a language model and its prompts (`loop.texts`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from plaudit.loop.context import Outcome, Shared
from plaudit.run.directory import RunDirectory
from plaudit.run.progress import Progress
from plaudit.store.store import Store


class Subject(Protocol):
    """Whoever is taught, with the stages that teach it."""

    @property
    def shared(self) -> Shared[Any]:
        """What the stages share."""
        ...

    @property
    def policy(self) -> Any:
        """What acts."""
        ...

    @property
    def reward(self) -> Any:
        """The reward model; None before the first fit."""
        ...

    @property
    def world(self) -> Any:
        """What it acts in."""
        ...

    @property
    def plain(self) -> Mapping[str, str]:
        """What each stage does, in plain words."""
        ...

    def execute(self, stage: str, round_: int) -> Outcome:
        """Do a stage. It may be killed anywhere and repeated."""
        ...

    def versions(self) -> dict[str, str | None]:
        """Names of the policy and of the reward model as they are now."""
        ...

    def restore(self, policy: Path | None, reward: Path | None) -> None:
        """Take up the newest checkpoints that `act` or `improve`, and `learn`, have left; None where there is none yet."""
        ...

    def publish(self) -> None:
        """Write the policy and the reward for other tools."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run lives."""

    directory: RunDirectory
    store: Store
    replay: Store | None
    """another run's store, whose answers are replayed"""
    progress: Progress


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of run. The tables of the run file decide which one it is."""

    settings: type[Any]
    """class of its settings"""
    tables: Collection[str]
    """tables that only its run files have; none: those that are of no other kind"""
    prepared: Callable[[dict[str, Any]], dict[str, Any]]
    """a run file's tables with what some settings decide about others written out"""
    require: Callable[[Any, Mapping[str, Any] | None], dict[str, Any]]
    """tries what can go wrong before anything is written; returns what the log's first event is to say beside the settings. The
    first event of a log that is replayed is given, if there is one"""
    begin: Callable[[Any, Place, Mapping[str, Any]], Subject]
    """the subject as it is at the start of a run, given the settings, the place and the log's first event"""
    is_whole: Callable[[RunDirectory, str], bool]
    """whether a checkpoint and all that it names are there and match their hashes"""
    estimate: Callable[[Any], str]
    """what a run will cost, in plain words"""
    title: Callable[[Any], str]
    """what is taught, in a few words"""
    columns: Sequence[tuple[str, str, str]]
    """title, metric and format of what progress shows of each round"""
    policy: str
    """name of the policy that a finished run leaves in its directory"""
