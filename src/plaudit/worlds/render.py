"""Draw segments: from saved simulator states where there are any, else by replaying the episode up to there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plaudit.errors import WorldError
from plaudit.records import SegmentData
from plaudit.worlds.config import WorldConfig, task_seen
from plaudit.worlds.lockstep import Lockstep
from plaudit.worlds.pixels import drawn

Frames = NDArray[np.uint8]
TALLEST = 300
"""pixels; enough to judge by, and small to send"""
MUJOCO_SIZE = (320, 240)
"""width and height that MuJoCo draws at: it draws in software where there is no screen, and time grows with the area"""
AGREEMENT = 1e-4
"""difference, relative and absolute, up to which a replayed observation counts as the recorded one: processors round
differently"""


class Renderer:
    """Draws segments of one world; close it, or use it in a `with` block, since windows and contexts stay open.

    Raises:
        WorldError: the world cannot be made, or has no `rgb_array` picture.
    """

    def __init__(self, config: WorldConfig) -> None:
        self._config = replace(config, pixels=None)  # recorded pictures are small, these are for people
        self._lockstep = Lockstep(self._config, len(config.tasks or ()) or 1, render_mode="rgb_array")
        self._lane = 0
        for env in self._lockstep.envs:
            drawing: Any = getattr(env.unwrapped, "mujoco_renderer", None)
            if drawing is not None:  # it makes its buffers at the first picture
                drawing.width, drawing.height = MUJOCO_SIZE

    @property
    def fps(self) -> float:
        """Frames per second at which the world looks natural: one frame per step."""
        return float(self._lockstep.envs[0].metadata.get("render_fps") or 30)

    def render(self, data: SegmentData, *, every: int = 1) -> Frames:
        """Frames [step, height, width, 3] of what was seen before each action.

        Args:
            data: the segment.
            every: draw only each `every`-th step.

        Raises:
            WorldError: the segment has neither states nor a seed to replay from; the replay leads elsewhere; or the
                world draws nothing.
        """
        self._lane = task_seen(self._config, data.observations[0])
        return np.stack([self._frame() for step in visits(self._lockstep, self._lane, data) if step % every == 0])

    def close(self) -> None:
        """Close the environment and its picture."""
        self._lockstep.close()

    def __enter__(self) -> Renderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _frame(self) -> Frames:
        try:
            return smaller(drawn(self._lockstep.envs[self._lane], self._config.id))
        except WorldError:
            raise
        except Exception as error:
            found = f"{self._config.id}: {type(error).__name__}: {error}"
            raise WorldError("The world could not be drawn", got=found) from error


def render(config: WorldConfig, data: SegmentData) -> Frames:
    """Frames [step, height, width, 3] of one segment; see `Renderer`, which is faster for many."""
    with Renderer(config) as renderer:
        return renderer.render(data)


def visits(lockstep: Lockstep, lane: int, data: SegmentData) -> Iterator[int]:
    """Bring a lane to where each step of a segment was seen, one after the other. Raises as `Renderer.render`."""
    return _restored(lockstep, lane, data) if data.simulator is not None else _replayed(lockstep, lane, data)


def _restored(lockstep: Lockstep, lane: int, data: SegmentData) -> Iterator[int]:
    simulator, states = lockstep.simulator(lane), data.simulator
    if simulator is None or states is None or states.shape[1] != simulator.size:
        raise WorldError(
            "The segment's simulator states do not fit the world",
            got=None if states is None else states.shape,
            expected="none" if simulator is None else f"[step, {simulator.size}]",
            next_step="draw it with the settings of [world] that it was recorded with",
        )
    for step, state in enumerate(states):
        simulator.restore(state)
        yield step


def _replayed(lockstep: Lockstep, lane: int, data: SegmentData) -> Iterator[int]:
    if data.reset_seed is None or data.prefix_actions is None:
        raise WorldError("The segment cannot be drawn", got="neither simulator states nor a reset seed")
    observation = lockstep.reset(lane, data.reset_seed, "replayed")
    for action in data.prefix_actions:
        observation = step_lane(lockstep, lane, action)[0]
    for step, (expected, action) in enumerate(zip(data.observations, data.actions, strict=True)):
        require_same(lockstep, step, observation, expected)
        yield step
        if step + 1 < len(data):
            observation = step_lane(lockstep, lane, action)[0]


def require_same(
    lockstep: Lockstep, step: int, observation: NDArray[np.float32], expected: NDArray[np.float32]
) -> None:
    """Raise WorldError when a replayed observation is not the recorded one; `step` is for the message."""
    if not np.allclose(observation, expected, rtol=AGREEMENT, atol=AGREEMENT):
        difference = float(np.abs(observation - expected).max())
        raise WorldError(
            "The world is not reproducible: replaying the episode leads elsewhere",
            got=f"{lockstep.config.id}, step {step} of the segment, observations differ by {difference:.3g}",
            expected="equal observations from an equal reset seed and equal actions",
            next_step="let reset(seed) fix everything random, or give the environment get_state and set_state",
        )


def step_lane(lockstep: Lockstep, lane: int, action: NDArray[np.generic]) -> tuple[NDArray[np.float32], float, bool]:
    """Act once in one lane. Returns its observation [entry], its reward, and whether the episode is over."""
    every = np.stack([np.asarray(action)] * len(lockstep.envs))
    observations, rewards, terminated, truncated = lockstep.step(every, [lane])
    return observations[lane], float(rewards[lane]), bool(terminated[lane] or truncated[lane])


def smaller(frame: Frames) -> Frames:
    """A frame [height, width, 3] at most `TALLEST` pixels high."""
    height, width = frame.shape[:2]
    if height <= TALLEST:
        return frame
    size = (max(1, round(width * TALLEST / height)), TALLEST)
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
