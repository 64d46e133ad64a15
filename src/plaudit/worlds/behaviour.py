"""All that happened in a vector of environments, as arrays [time, environment]; segments are cut from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from plaudit.errors import WorldError
from plaudit.records import SegmentData, StepBatch
from plaudit.worlds import chunks

REFERENCE_STEPS = 5000
"""enough steps to know the spread of a learned reward; more only cost time"""


@dataclass(frozen=True, slots=True)
class Layout:
    """Shapes of what one environment does in one step."""

    observation: int
    """entries of an observation"""
    action: tuple[int, ...]
    """shape of an action; () for Discrete"""
    choices: int | None
    """number of discrete actions; None for Box"""
    simulator: int | None
    """entries of a simulator state; None when the world cannot save it"""
    pixels: tuple[int, int, int] | None = None
    """[height, width, channel] of a picture; None when the world records none"""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a segment begins."""

    env: int
    time: int


class Behaviour:
    """Growing record of steps. Row t holds, for every environment, what it saw, what it did then, and what that paid.

    All arrays are views [time, environment, ...] of what is there so far; they stay valid but do not grow.

    Args:
        envs: number of environments.
        layout: shapes of one step.
    """

    def __init__(self, envs: int, layout: Layout) -> None:
        self.envs = envs
        self.layout = layout
        self._length = 0
        self._pieces: list[chunks.Piece] = []
        self._rows = chunks.ROWS if layout.pixels is None else chunks.PICTURE_ROWS
        action_type = np.float32 if layout.choices is None else np.int64
        columns: dict[str, NDArray[Any]] = {
            "observations": np.empty((0, envs, layout.observation), dtype=np.float32),
            "actions": np.empty((0, envs, *layout.action), dtype=action_type),
            "rewards": np.empty((0, envs), dtype=np.float64),
            "episodes": np.empty((0, envs), dtype=np.int32),
            "seeds": np.empty((0, envs), dtype=np.int32),
        }
        if layout.simulator is not None:
            columns["simulator"] = np.empty((0, envs, layout.simulator), dtype=np.float64)
        if layout.pixels is not None:
            columns["pixels"] = np.empty((0, envs, *layout.pixels), dtype=np.uint8)
        self._columns = columns

    def __len__(self) -> int:
        """Number of rows; each holds one step of every environment."""
        return self._length

    @property
    def observations(self) -> NDArray[np.float32]:
        """[time, env, entry], seen before acting."""
        return self._column("observations")

    @property
    def actions(self) -> NDArray[np.generic]:
        """[time, env, *action], as the environment received them; int64 when discrete."""
        return self._column("actions")

    @property
    def rewards(self) -> NDArray[np.float64]:
        """[time, env], the environment's own."""
        return self._column("rewards")

    @property
    def episodes(self) -> NDArray[np.int32]:
        """[time, env], number of the episode within its environment, from 0 on."""
        return self._column("episodes")

    @property
    def seeds(self) -> NDArray[np.int32]:
        """[time, env], seed of the episode's reset."""
        return self._column("seeds")

    @property
    def simulator(self) -> NDArray[np.float64] | None:
        """[time, env, k], simulator states before acting; None when the world cannot save them."""
        return self._column("simulator") if self.layout.simulator is not None else None

    @property
    def pixels(self) -> NDArray[np.uint8] | None:
        """[time, env, height, width, channel], pictures of what was seen before acting; None when none are recorded."""
        return self._column("pixels") if self.layout.pixels is not None else None

    @property
    def starts(self) -> NDArray[np.bool_]:
        """[time, env], True at the first step of an episode."""
        starts = np.ones(self.episodes.shape, dtype=np.bool_)
        starts[1:] = self.episodes[1:] != self.episodes[:-1]
        return starts

    def append(
        self,
        observations: NDArray[np.float32],
        actions: NDArray[np.generic],
        *,
        rewards: NDArray[np.float64],
        starts: NDArray[np.bool_],
        seeds: NDArray[np.int32],
        simulator: NDArray[np.float64] | None,
        pixels: NDArray[np.uint8] | None = None,
    ) -> None:
        """Add one row, every array [env, ...]; `starts` where this step is an episode's first."""
        row, columns = self._length, self._columns
        if row == len(columns["rewards"]):
            self._grow()
        columns["observations"][row] = observations
        columns["actions"][row] = actions
        columns["rewards"][row] = rewards
        columns["episodes"][row] = starts + columns["episodes"][row - 1] if row else 0
        columns["seeds"][row] = seeds
        if simulator is not None:
            columns["simulator"][row] = simulator
        if pixels is not None:
            columns["pixels"][row] = pixels
        self._length = row + 1

    def cut(self, length: int, count: int, rng: np.random.Generator, newest: float | None = None) -> list[Cut]:
        """Up to `count` different stretches of `length` steps, each within one episode, in random order.

        Args:
            length: steps of a stretch.
            count: how many.
            rng: where the draw comes from.
            newest: draw from those that end in this newest share of time, and from older ones only as far as these do
                not suffice; None draws from all alike.

        Raises:
            WorldError: no episode has lasted that long.
        """
        times, envs = np.nonzero(self._whole(length))
        if not len(times):
            raise WorldError(
                "No stretch of behaviour is long enough to cut a segment from",
                got=f"{self._length} steps in each of {self.envs} environments, no episode of {length} steps",
                next_step="shorten ask.segment_length, or set world.horizon so that episodes do not end early",
            )
        first = 0
        if newest is not None:
            recent = int(np.searchsorted(times, (1 - newest) * self._length - length, side="right"))
            first = max(0, min(recent, len(times) - count))
        chosen = first + rng.permutation(len(times) - first)[:count]
        return [Cut(env=int(envs[index]), time=int(times[index])) for index in chosen]

    def data(self, cut: Cut, length: int) -> SegmentData:
        """The arrays of one segment, with what it takes to draw it. Raises WorldError when it leaves its episode."""
        time, env = cut.time, cut.env
        steps = slice(time, time + length)
        if time < 0 or time + length > self._length or np.ptp(self.episodes[steps, env]):
            raise WorldError("A segment leaves its episode", got=f"{cut}, length {length}")
        start = time - self.step_in_episode(cut)
        replayed = self.simulator is None
        return SegmentData(
            observations=self.observations[steps, env].copy(),
            actions=self.actions[steps, env].copy(),
            true_rewards=self.rewards[steps, env].copy(),
            simulator=None if self.simulator is None else self.simulator[steps, env].copy(),
            reset_seed=int(self.seeds[time, env]) if replayed else None,
            prefix_actions=self.actions[start:time, env].copy() if replayed else None,
            pixels=None if self.pixels is None else self.pixels[steps, env].copy(),
        )

    def batch(self, what: slice | Sequence[Cut], length: int | None = None) -> StepBatch:
        """What a reward model sees of behaviour.

        Args:
            what: a slice of time, giving [env, time, ...], or cuts, giving [cut, step, ...].
            length: steps of each cut; not needed for a slice.
        """
        if isinstance(what, slice):
            observations, actions = self.observations[what].swapaxes(0, 1), self.actions[what].swapaxes(0, 1)
            pixels = None if self.pixels is None else self.pixels[what].swapaxes(0, 1)
        else:
            times = np.array([[cut.time] for cut in what], dtype=np.intp).reshape(-1, 1) + np.arange(length or 1)
            envs = np.array([[cut.env] for cut in what], dtype=np.intp).reshape(-1, 1)
            observations, actions = self.observations[times, envs], self.actions[times, envs]
            pixels = None if self.pixels is None else self.pixels[times, envs]
        return step_batch(self.layout, observations, actions, pixels=pixels)

    def newest_steps(
        self, share: float, most: int | None = None, rng: np.random.Generator | None = None
    ) -> tuple[StepBatch, NDArray[np.float64]]:
        """Single steps [item, 1, ...] of the newest share of time, oldest first, and their true rewards [item].

        Args:
            share: of time.
            most: how many at most, drawn by `rng`; None gives all.
            rng: where the draw comes from.
        """
        first = min(int((1 - share) * self._length), max(0, self._length - 1))
        steps = np.arange(first * self.envs, self._length * self.envs)
        if most is not None and rng is not None:
            steps = steps[np.sort(rng.permutation(len(steps))[:most])]
        return self._single(steps)

    def reference(self) -> StepBatch:
        """Single steps [item, 1, ...], up to 5,000, evenly over all behaviour."""
        total = self._length * self.envs
        return self._single(np.linspace(0, total - 1, min(total, REFERENCE_STEPS)).astype(np.intp))[0]

    def step_in_episode(self, cut: Cut) -> int:
        """How many steps of its episode come before a cut."""
        column = self.episodes[: cut.time + 1, cut.env]
        return cut.time - int(np.searchsorted(column, column[-1]))

    def episode_name(self, cut: Cut) -> str:
        """A name for the episode that a cut lies in, unique in this behaviour."""
        return f"e{cut.env}/k{int(self.episodes[cut.time, cut.env])}"

    def save(self, path: Path, pieces: Path | None = None) -> None:
        """Write everything into one safetensors file; equal behaviour gives equal bytes.

        Args:
            path: the file.
            pieces: folder for rows that are finished, in files that later saves share; `path` then
                holds only the rest and their names. From then on their rows are mapped, and take no memory.
        """
        names = [] if pieces is None else self._settle(pieces)
        rest = {name: np.ascontiguousarray(self._column(name)[len(names) * self._rows :]) for name in self._columns}
        save_file(rest, path, metadata={chunks.PIECES: json.dumps(names)} if names else None)

    def load(self, path: Path, pieces: Path | None = None) -> None:
        """Replace everything by what a file holds, and the pieces in the folder that it was saved with.

        Raises:
            WorldError: it does not fit this world.
            IntegrityError: a piece is missing or damaged.
        """
        names = chunks.pieces_of(path)
        if names and pieces is None:
            raise WorldError("Saved behaviour cannot be read", got=f"{path}, without the folder of its pieces")
        opened = [chunks.open_piece(pieces, name) for name in names] if pieces is not None else []
        try:
            found = load_file(path)
        except (OSError, SafetensorError) as error:
            raise WorldError("Saved behaviour cannot be read", got=f"{path}: {error}") from error
        here = {name: (column.shape[1:], str(column.dtype)) for name, column in self._columns.items()}
        there = {name: (column.shape[1:], str(column.dtype)) for name, column in found.items()}
        whole = {name: ((self._rows, *shape), kind) for name, (shape, kind) in here.items()}
        wrong = [columns for _, columns in opened if columns != whole]
        if here != there or len({len(column) for column in found.values()}) != 1 or wrong:
            raise WorldError(
                "Saved behaviour does not fit this world",
                got=wrong[0] if wrong else there,
                expected=whole if wrong else here,
                next_step="use the settings of [world] that it was saved with",
            )
        self._pieces = [piece for piece, _ in opened]
        self._length = len(names) * self._rows + len(found["rewards"])
        self._columns = found
        if names:
            self._columns = {
                name: chunks.column(name, self._pieces, rest, self._length) for name, rest in found.items()
            }

    def _settle(self, folder: Path) -> list[str]:
        """Keep all finished rows in pieces, and map them in place of memory. Returns the names of the pieces."""
        kept = [piece for piece in self._pieces if piece.path.parent == folder]
        for first in range(len(kept) * self._rows, self._length - self._rows + 1, self._rows):
            rows = {name: column[first : first + self._rows] for name, column in self._columns.items()}
            kept.append(chunks.write(folder, rows))
        if kept != self._pieces:
            self._pieces = kept
            self._move(len(self._columns["rewards"]))
        return [piece.path.name for piece in kept]

    def _move(self, room: int) -> None:
        """Lay the columns anew, with room for so many rows."""
        first = len(self._pieces) * self._rows
        for name, column in self._columns.items():
            self._columns[name] = chunks.column(name, self._pieces, column[first : self._length], room)

    def take(self, other: Behaviour) -> None:
        """Replace everything by a copy of what another behaviour of the same world holds."""
        self._columns = {name: other._column(name).copy() for name in other._columns}
        self._length, self._pieces = len(other), []

    def _column(self, name: str) -> NDArray[Any]:
        return self._columns[name][: self._length]

    def _grow(self) -> None:
        room = self._length + max(1024, self._length // 2)
        if self._pieces:
            self._move(room)
            return
        for name, column in self._columns.items():
            larger = np.empty((room, *column.shape[1:]), dtype=column.dtype)  # pages that nobody touches cost nothing
            larger[: self._length] = column
            self._columns[name] = larger

    def _whole(self, length: int) -> NDArray[np.bool_]:
        """[time, env], where `length` steps from here on lie in one episode."""
        last = self._length - length + 1
        if length < 1 or last < 1:
            return np.zeros((0, self.envs), dtype=np.bool_)
        return self.episodes[:last] == self.episodes[length - 1 :]

    def _single(self, index: NDArray[np.intp]) -> tuple[StepBatch, NDArray[np.float64]]:
        times, envs = index // self.envs, index % self.envs
        observations, actions = self.observations[times, envs][:, None], self.actions[times, envs][:, None]
        pixels = None if self.pixels is None else self.pixels[times, envs][:, None]
        return step_batch(self.layout, observations, actions, pixels=pixels), self.rewards[times, envs]


def step_batch(
    layout: Layout,
    observations: NDArray[np.float32],
    actions: NDArray[np.generic],
    mask: NDArray[np.bool_] | None = None,
    *,
    pixels: NDArray[np.uint8] | None = None,
) -> StepBatch:
    """Observations [item, step, entry] and actions [item, step, *action] for a reward model: discrete ones one-hot."""
    if layout.choices is None:
        features = actions.reshape(*actions.shape[:2], -1).astype(np.float32, copy=False)
    else:
        features = np.eye(layout.choices, dtype=np.float32)[actions.astype(np.intp)]
    whole = np.ones(actions.shape[:2], dtype=np.bool_)
    return StepBatch(observations=observations, actions=features, mask=whole if mask is None else mask, pixels=pixels)
