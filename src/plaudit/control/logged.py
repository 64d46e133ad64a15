"""Logged episodes: of a finished run, of a behaviour file, or from arrays, to clone or to learn from offline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from plaudit.control.files import ABOUT, WEIGHTS, Arrays
from plaudit.errors import LearningError, WorldError
from plaudit.run.directory import RunDirectory
from plaudit.worlds.behaviour import Behaviour, Layout
from plaudit.worlds.chunks import BEHAVIOUR, pieces_of

ENDS = ("end", "end.observation", "end.over")


@dataclass(frozen=True, slots=True)
class Episode:
    """One logged episode."""

    observations: NDArray[np.float32]
    """[step, entry] seen before each action; with one more row, what the last action led to"""
    actions: NDArray[np.generic]
    """[step, *action], as the environment received them"""
    terminated: bool = False
    """whether it was over for good, so that nothing follows the last step; else it was cut off"""
    rewards: NDArray[np.float64] | None = None
    """[step], the environment's own, where they were kept"""


@dataclass(frozen=True, slots=True)
class Logged:
    """Behaviour that is there already."""

    behaviour: Behaviour
    ends: Arrays = field(default_factory=dict[str, NDArray[np.generic]])
    """what the last steps of episodes led to, as `control.replay.Replay` saves it; without it these steps are left out"""

    @classmethod
    def read(cls, path: Path | str, layout: Layout) -> Logged:
        """The newest behaviour of a run's directory, or a behaviour file, with what its learner saved beside it.

        Raises WorldError when there is none, or when it is of another world.
        """
        file = _behaviour_file(Path(path))
        try:
            with safe_open(file, "np") as found:
                envs = int(found.get_slice("rewards").get_shape()[1])
        except (OSError, SafetensorError, IndexError) as error:
            raise WorldError("Logged behaviour cannot be read", got=f"{file}: {error}") from error
        behaviour = Behaviour(envs, layout)
        behaviour.load(file, RunDirectory(file.resolve().parent.parent.parent).pieces)
        return cls(behaviour, _ends_beside(file, len(behaviour) * envs))

    @classmethod
    def of(cls, layout: Layout, episodes: Sequence[Episode]) -> Logged:
        """From arrays, one episode after the other. Raises LearningError when they do not fit the world."""
        behaviour = Behaviour(1, layout)
        ends, finals, over = list[NDArray[np.int32]](), list[NDArray[np.float32]](), list[float]()
        for episode in episodes:
            _require_fit(layout, episode)
            steps = len(episode.actions)
            end = np.full(steps, -1, np.int32)
            if len(episode.observations) > steps or episode.terminated:
                end[-1] = len(over)
                finals.append(np.asarray(episode.observations[-1], np.float32))
                over.append(float(episode.terminated))
            ends.append(end)
            _append(behaviour, episode)
        if not ends:
            raise LearningError("There are no logged episodes", got=0, expected="at least one episode")
        width = (0, layout.observation)
        found: Arrays = {
            "end": np.concatenate(ends),
            "end.observation": np.stack(finals) if finals else np.empty(width, np.float32),
            "end.over": np.array(over, np.float32),
        }
        return cls(behaviour, found)

    def steps(self) -> tuple[NDArray[np.float32], NDArray[np.generic]]:
        """Observations [step, entry] and actions [step, *action], each environment's steps in order of time."""
        seen, done = self.behaviour.observations.swapaxes(0, 1), self.behaviour.actions.swapaxes(0, 1)
        return seen.reshape(-1, seen.shape[-1]), done.reshape(-1, *done.shape[2:])


def _behaviour_file(path: Path) -> Path:
    """A run's newest behaviour has the most pieces, then the largest rest: behaviour only grows."""
    if path.is_file():
        return path
    found = [*path.glob(BEHAVIOUR), *path.glob(f"checkpoints/*/{BEHAVIOUR}")]
    if not found:
        raise WorldError(
            "There is no logged behaviour",
            got=str(path),
            expected=f"the directory of a run that has acted, or a file like {BEHAVIOUR}",
        )
    return max(found, key=lambda file: (len(pieces_of(file)), file.stat().st_size, file.parent.name))


def _ends_beside(file: Path, steps: int) -> Arrays:
    """Last steps of episodes from the learner's file in the same folder, when it kept them."""
    if not (file.parent / ABOUT).exists():
        return {}
    try:
        json.loads((file.parent / ABOUT).read_bytes())
        saved = load_file(file.parent / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise WorldError(
            "What a learner saved beside logged behaviour cannot be read", got=f"{file}: {error}"
        ) from error
    return {name: saved[name] for name in ENDS} if "end" in saved and len(saved["end"]) == steps else {}


def _append(behaviour: Behaviour, episode: Episode) -> None:
    steps, none = len(episode.actions), np.zeros(1, np.int32)
    rewards = np.zeros(steps) if episode.rewards is None else np.asarray(episode.rewards, np.float64)
    simulator = None if behaviour.layout.simulator is None else np.zeros((1, behaviour.layout.simulator))
    for step in range(steps):
        behaviour.append(
            episode.observations[step][None], episode.actions[step][None],
            rewards=rewards[step : step + 1], starts=np.array([step == 0]), seeds=none, simulator=simulator,
        )  # fmt: skip


def _require_fit(layout: Layout, episode: Episode) -> None:
    seen, done = episode.observations.shape, episode.actions.shape
    steps = len(episode.actions)
    if steps < 1 or seen[1:] != (layout.observation,) or done[1:] != layout.action or seen[0] not in (steps, steps + 1):
        raise LearningError(
            "A logged episode does not fit the world",
            got=f"observations {seen}, actions {done}",
            expected=f"at least one step; observations [step or step + 1, {layout.observation}], actions [step, *{layout.action}]",
        )
