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
from plaudit.worlds.config import WorldConfig
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
        visited = self._restored(data) if data.simulator is not None else self._replayed(data)
        return np.stack([self._frame() for step in visited if step % every == 0])

    def close(self) -> None:
        """Close the environment and its picture."""
        self._lockstep.close()

    def __enter__(self) -> Renderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _restored(self, data: SegmentData) -> Iterator[int]:
        simulator, states = self._lockstep.simulator(self._lane), data.simulator
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

    def _replayed(self, data: SegmentData) -> Iterator[int]:
        if data.reset_seed is None or data.prefix_actions is None:
            raise WorldError("The segment cannot be drawn", got="neither simulator states nor a reset seed")
        observation = self._lockstep.reset(self._lane, data.reset_seed, "replayed")
        for action in data.prefix_actions:
            observation = self._step(action)
        for step, (expected, action) in enumerate(zip(data.observations, data.actions, strict=True)):
            if not np.allclose(observation, expected, rtol=AGREEMENT, atol=AGREEMENT):
                difference = float(np.abs(observation - expected).max())
                raise WorldError(
                    "The world is not reproducible: replaying the episode leads elsewhere",
                    got=f"{self._config.id}, step {step} of the segment, observations differ by {difference:.3g}",
                    expected="equal observations from an equal reset seed and equal actions",
                    next_step="let reset(seed) fix everything random, or give the environment get_state and set_state",
                )
            yield step
            if step + 1 < len(data):
                observation = self._step(action)

    def _step(self, action: NDArray[np.generic]) -> NDArray[np.float32]:
        every = np.stack([np.asarray(action)] * len(self._lockstep.envs))
        return self._lockstep.step(every, [self._lane])[0][self._lane]

    def _frame(self) -> Frames:
        try:
            return _smaller(drawn(self._lockstep.envs[self._lane], self._config.id))
        except WorldError:
            raise
        except Exception as error:
            found = f"{self._config.id}: {type(error).__name__}: {error}"
            raise WorldError("The world could not be drawn", got=found) from error


def render(config: WorldConfig, data: SegmentData) -> Frames:
    """Frames [step, height, width, 3] of one segment; see `Renderer`, which is faster for many."""
    with Renderer(config) as renderer:
        return renderer.render(data)


def task_seen(config: WorldConfig, observation: NDArray[np.float32]) -> int:
    """Number of the task that an observation [entry] was made in, as its one-hot entries say."""
    if config.tasks is None:
        return 0
    end = len(observation) - (config.horizon is not None)  # `absorbed` is the last
    return int(np.argmax(observation[end - len(config.tasks) : end]))


def _smaller(frame: Frames) -> Frames:
    height, width = frame.shape[:2]
    if height <= TALLEST:
        return frame
    size = (max(1, round(width * TALLEST / height)), TALLEST)
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
