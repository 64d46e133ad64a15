"""One environment that a person acts in, recorded as the run records its own: what is shown is the same to every fit.

A play begins at a fresh reset, or at a step of a segment that is stored: from the simulator's state where it was saved,
else by replaying the episode, checked against what was observed. What counts in the end has as many steps as what it is
put beside, since rewards of steps add up: a longer one would be better or worse for its length alone.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium.envs.classic_control import PendulumEnv
from numpy.typing import NDArray

from plaudit.errors import WorldError
from plaudit.records import SegmentData
from plaudit.worlds.behaviour import Behaviour, Cut
from plaudit.worlds.config import WorldConfig, task_seen
from plaudit.worlds.lockstep import Lockstep
from plaudit.worlds.pixels import Pixels, draw_plain, drawn, images_kept, shrink
from plaudit.worlds.render import MUJOCO_SIZE, require_same, smaller, step_lane, visits
from plaudit.worlds.simulator import restore
from plaudit.worlds.vector import layout_of
from plaudit.worlds.wire import Start

LONGEST = 10_000
"""steps that a person may act; what nobody ends is ended"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person did, as it is stored."""

    data: SegmentData
    start: int
    """first step within the episode"""


class Play:
    """See the module. Close it at the end.

    Args:
        config: the world of the run.
        start: where to begin.
        data: the segment to begin in; None: a fresh reset.

    Raises:
        WorldError: the world cannot be made or drawn, or does not come to where the segment was.
    """

    def __init__(self, config: WorldConfig, start: Start, data: SegmentData | None = None) -> None:
        if data is not None and not 0 <= start.step < len(data):
            raise WorldError("There is no such step", got=start.step, expected=f"0 .. {len(data) - 1}")
        self._config, self._start, self._data = config, start, data
        self.lane = start.task if data is None else task_seen(config, data.observations[0])
        # pictures that the run records are small: what a person sees is not, and they are taken at the end
        self._lockstep = Lockstep(replace(config, pixels=None), len(config.tasks or ()) or 1, render_mode="rgb_array")
        self._fitted: object = None
        seen, side = self._lockstep.pixels_shape, config.pixels
        self._image_shape = seen if seen is None or side is None else (side, side, seen[2])
        self.env = self._lockstep.envs[self.lane]
        self.space = self._lockstep.action_space
        self.reset()

    @property
    def fps(self) -> float:
        """Steps per second at which the world looks natural."""
        return float(self.env.metadata.get("render_fps") or 30)

    @property
    def steps(self) -> int:
        """How many the person has acted."""
        return len(self._behaviour) - self._mine

    @property
    def enough(self) -> bool:
        """Whether what was done can be handed in."""
        return self.steps > 0 and (self._over or len(self._behaviour) - self._counts >= self._start.length)

    @property
    def done(self) -> bool:
        """Whether nothing more can be done: the episode is over, or what is corrected is at its end."""
        return self._over or self.steps >= LONGEST or (self._start.keep and self.enough)

    def reset(self) -> None:
        """Begin again at the very same start."""
        self._behaviour = Behaviour(1, replace(layout_of(self._lockstep), pixels=self._image_shape))
        self._over, self._paid, self._seed, self._origin = False, True, self._start.seed, 0
        self._observation = self._fresh() if self._data is None else self._branched(self._data)
        self._mine = len(self._behaviour)
        self._counts = self._mine - self._start.step if self._start.keep else self._mine

    def step(self, action: NDArray[np.generic]) -> None:
        """Act once; `action` as `plaudit.worlds.controls.checked` gives it. Where all stands still, let time pass."""
        if self.done:
            raise WorldError("The episode is over", next_step="begin again")
        self._step(action)
        while self._absorbed and not self.enough:
            self._step(action)
        self._over |= self._absorbed

    def frame(self) -> Pixels:
        """[height, width, 3] of what the person is to see. Raises WorldError when it cannot be drawn."""
        inner: Any = self.env.unwrapped
        drawing: Any = getattr(inner, "mujoco_renderer", None)
        if inner is not self._fitted and drawing is not None:  # it may have been made anew for this episode
            drawing.width, drawing.height = MUJOCO_SIZE
            self.env.render()  # it makes its scene at the first picture
            draw_plain(drawing.viewer)
        self._fitted = inner
        with images_kept() if isinstance(inner, PendulumEnv) else nullcontext():
            return smaller(drawn(self.env, self._config.id))

    def shown(self, first: int | None = None) -> Shown:
        """What counts, as the run's own behaviour would be stored.

        Args:
            first: the person's step at which it begins, where they may choose; None: the last steps count.

        Raises:
            WorldError: too little was done, or there is no such stretch.
        """
        if not self.enough:
            raise WorldError("Too little was done", got=self.steps, expected=f"{self._start.length} steps")
        length = min(self._start.length, len(self._behaviour) - self._counts)
        latest = len(self._behaviour) - length
        row = self._counts if self._start.keep else latest if first is None else self._counts + first
        if not self._counts <= row <= latest:
            raise WorldError("There is no such stretch", got=first, expected=f"0 .. {latest - self._counts}")
        data = self._behaviour.data(Cut(0, row), length)
        if not self._paid:
            data = replace(data, true_rewards=None)
        return Shown(self._pictured(data), self._origin + row)

    def close(self) -> None:
        """Close the environment."""
        self._lockstep.close()

    @property
    def _absorbed(self) -> bool:
        return self._config.horizon is not None and bool(self._observation[-1] > 0.5)

    def _fresh(self) -> NDArray[np.float32]:
        return self._lockstep.reset(self.lane, self._seed, "by hand")

    def _branched(self, data: SegmentData) -> NDArray[np.float32]:
        """Come to the step of the segment; its steps before are recorded again. Returns what is seen there."""
        return self._replayed(data) if data.simulator is None else self._restored(data, data.simulator)

    def _replayed(self, data: SegmentData) -> NDArray[np.float32]:
        before = data.prefix_actions
        if data.reset_seed is None or before is None:
            raise WorldError("Nobody can go on from this segment", got="neither simulator states nor a reset seed")
        self._seed = data.reset_seed
        self._observation = self._fresh()
        for action in before:
            self._step(action)
        for at in range(self._start.step):
            require_same(self._lockstep, at, self._observation, data.observations[at])
            self._step(data.actions[at])
        require_same(self._lockstep, self._start.step, self._observation, data.observations[self._start.step])
        return self._observation

    def _restored(self, data: SegmentData, states: NDArray[np.float64]) -> NDArray[np.float32]:
        step, simulator = self._start.step, self._lockstep.simulator(self.lane)
        if simulator is None or states.shape[1] != simulator.size:
            raise WorldError(
                "The segment's simulator states do not fit the world",
                got=states.shape,
                expected="none" if simulator is None else f"[step, {simulator.size}]",
                next_step="use the settings of [world] that it was recorded with",
            )
        self._paid, self._origin = data.true_rewards is not None, self._start.origin
        self._lockstep.reset(self.lane, 0, "by hand")
        rewards = np.zeros(len(data)) if data.true_rewards is None else data.true_rewards
        for at in range(step):
            image = None if self._image_shape is None or data.pixels is None else data.pixels[at]
            self._record(data.observations[at], data.actions[at], float(rewards[at]), states[at], image)
        restore(self.env, simulator, states[step], data.observations[step])
        return data.observations[step].copy()

    def _step(self, action: NDArray[np.generic]) -> None:
        before, states = self._observation, self._lockstep.states()
        image = self._image()
        after, reward, over = step_lane(self._lockstep, self.lane, action)
        self._record(before, action, reward, None if states is None else states[self.lane], image)
        self._observation, self._over = after, over

    def _image(self) -> Pixels | None:
        """What a world that observes images sees, as the run keeps it."""
        if self._image_shape is None:
            return None
        frames, side = self._lockstep.frames([self.lane]), self._config.pixels
        assert frames is not None  # it observes images
        return frames[self.lane] if side is None else shrink(frames[self.lane], side)

    def _pictured(self, data: SegmentData) -> SegmentData:
        """With the small pictures that the run draws of every step, where it does."""
        if self._config.pixels is None or self._image_shape is not None:
            return data
        lockstep = Lockstep(self._config, len(self._config.tasks or ()) or 1)
        try:
            pictures = [lockstep.frames([self.lane]) for _ in visits(lockstep, self.lane, data)]
        finally:
            lockstep.close()
        return replace(data, pixels=np.stack([one[self.lane] for one in pictures if one is not None]))

    def _record(
        self,
        observation: NDArray[np.float32],
        action: NDArray[np.generic],
        reward: float,
        state: NDArray[np.float64] | None,
        image: Pixels | None = None,
    ) -> None:
        self._behaviour.append(
            observation[None],
            np.asarray(action)[None],
            rewards=np.array([reward]),
            starts=np.array([len(self._behaviour) == 0]),
            seeds=np.array([max(self._seed, 0)], dtype=np.int32),
            simulator=None if state is None else state[None],
            pixels=None if image is None else image[None],
        )
