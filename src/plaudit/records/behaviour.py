"""Behaviour that people can judge: segments, and the arrays that stand behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import RecordError
from plaudit.records.codec import content_id

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of behaviour that can be judged; its id is a hash of everything else.

    Two equal stretches in two places get two ids (episode and start differ); the arrays, in `blob`, are shared.
    """

    world: str
    """name of the world that the behaviour took place in"""
    policy: str
    """version of the policy that acted"""
    episode: str
    """which episode of the run, for example `r2/e5/k17`"""
    start: int
    """first step of the segment within the episode"""
    length: int
    """number of steps"""
    blob: str
    """digest of the arrays (`SegmentData`) in the blob store"""
    id: str = field(default="")

    def __post_init__(self) -> None:
        if self.length < 1 or self.start < 0:
            raise RecordError(
                "A segment must span at least one step",
                got=f"start {self.start}, length {self.length}",
                expected="start >= 0 and length >= 1",
            )
        if not self.id:
            object.__setattr__(self, "id", content_id("seg", self))


@dataclass(frozen=True, slots=True)
class SegmentData:
    """Arrays of one segment, step first."""

    observations: FloatArray
    """[step, *observation], what the policy saw before it acted"""
    actions: NDArray[np.generic]
    """[step, *action], as the environment received them"""
    true_rewards: NDArray[np.float64] | None = None
    """[step], the environment's own reward, for simulated teachers and reports only; reward models never see it"""
    simulator: NDArray[np.float64] | None = None
    """[step, k], full simulator state before each action, where the world can save it"""
    reset_seed: int | None = None
    """seed of the episode's reset, for worlds that are rendered by replaying"""
    prefix_actions: NDArray[np.generic] | None = None
    """[start, *action], actions of the episode before the segment, for the same purpose"""
    pixels: NDArray[np.uint8] | None = None
    """[step, height, width, channel], what the world looked like before each action, where it records that"""

    def __len__(self) -> int:
        return len(self.observations)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The arrays by name, without those that are absent; `reset_seed` becomes a [1] array."""
        found: dict[str, NDArray[np.generic]] = {"observations": self.observations, "actions": self.actions}
        for name in ("true_rewards", "simulator", "prefix_actions", "pixels"):
            value = getattr(self, name)
            if value is not None:
                found[name] = value
        if self.reset_seed is not None:
            found["reset_seed"] = np.array([self.reset_seed], dtype=np.int64)
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> SegmentData:
        """Inverse of `arrays`. Raises RecordError when a required array is missing."""
        missing = {"observations", "actions"} - set(arrays)
        if missing:
            raise RecordError("A segment's arrays are incomplete", got=sorted(arrays), expected=sorted(missing))
        seed = arrays.get("reset_seed")
        return cls(
            observations=np.asarray(arrays["observations"], dtype=np.float32),
            actions=np.asarray(arrays["actions"]),
            true_rewards=_optional(arrays.get("true_rewards")),
            simulator=_optional(arrays.get("simulator")),
            reset_seed=None if seed is None else int(np.asarray(seed).reshape(-1)[0]),
            prefix_actions=None if "prefix_actions" not in arrays else np.asarray(arrays["prefix_actions"]),
            pixels=None if "pixels" not in arrays else np.asarray(arrays["pixels"], dtype=np.uint8),
        )


def _optional(array: NDArray[np.generic] | None) -> NDArray[np.float64] | None:
    return None if array is None else np.asarray(array, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class StepBatch:
    """What a reward model sees of behaviour: features of many items, padded to equal length.

    Discrete actions come one-hot, so `actions` is always [item, step, action].
    """

    observations: FloatArray
    """[item, step, observation]"""
    actions: FloatArray
    """[item, step, action]"""
    mask: NDArray[np.bool_]
    """[item, step], False where an item has ended"""
    pixels: NDArray[np.uint8] | None = None
    """[item, step, height, width, channel], where the world records pictures"""

    def __post_init__(self) -> None:
        shape = self.mask.shape
        if self.observations.shape[:2] != shape or self.actions.shape[:2] != shape:
            raise RecordError(
                "A batch of steps does not fit together",
                got=f"observations {self.observations.shape}, actions {self.actions.shape}, mask {shape}",
                expected="equal [item, step] in all three",
            )


@dataclass(frozen=True, slots=True)
class Scores:
    """What a reward model says of items: the mean, and every member's opinion."""

    mean: NDArray[np.float64]
    """[item]"""
    members: NDArray[np.float64]
    """[member, item]; the spread over members is the model's uncertainty"""
