"""Small worlds whose best possible return is known exactly. For tests, and for trying things out in seconds.

[world]
id = "plaudit.worlds.toy:GridWorld"
options = { size = 4 }
"""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Info = dict[str, Any]
Picture = NDArray[np.uint8]
SIDE = 240
"""pixels of a picture's side"""
PAPER, INK, GOOD, BAD = (250, 250, 248), (40, 44, 52), (64, 160, 96), (200, 72, 64)
"""colours"""
MOVES = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
"""row and column change of each action of GridWorld: right, down, left, up"""
METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}
"""frames per second are steps per second"""


class GridWorld(gymnasium.Env[np.int64, np.int64]):
    """Walk to the corner around the pits. Episodes last exactly `steps` steps; who is there stays there.

    Each step pays -1 until the goal (bottom right) is reached, then 0; a step that ends in a pit pays -5 more. The
    start is drawn from all cells but the goal. The observation is the cell, row by row.
    """

    metadata: dict[str, Any] = METADATA

    def __init__(self, size: int = 5, steps: int = 20, render_mode: str | None = None) -> None:
        self.size, self.steps, self.render_mode = size, steps, render_mode
        self.observation_space = spaces.Discrete(size * size)
        self.action_space = spaces.Discrete(len(MOVES))
        self.goal = size * size - 1
        self.pits = frozenset(row * size + row + 1 for row in range(size - 1))
        self._cell, self._elapsed = 0, 0

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[np.int64, Info]:
        """Start anywhere but at the goal."""
        super().reset(seed=seed)
        self._cell, self._elapsed = int(self.np_random.integers(self.goal)), 0
        return np.int64(self._cell), {}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, Info]:
        """Move one cell; walls stop."""
        after = self._neighbour(self._cell, int(action))
        reward = self._reward(self._cell, after)
        self._cell, self._elapsed = after, self._elapsed + 1
        return np.int64(self._cell), reward, False, self._elapsed >= self.steps, {}

    def values(self) -> NDArray[np.float64]:
        """[steps to go, cell], best possible return, by backward induction over the finite horizon."""
        cells = range(self.size * self.size)
        values = np.zeros((self.steps + 1, len(cells)))
        for left in range(1, self.steps + 1):
            for cell in cells:
                ends = [self._neighbour(cell, direction) for direction in range(len(MOVES))]
                values[left, cell] = max(self._reward(cell, end) + values[left - 1, end] for end in ends)
        return values

    def optimal_return(self) -> float:
        """Best expected return of an episode, over the starts."""
        return float(self.values()[self.steps, : self.goal].mean())

    def get_state(self) -> NDArray[np.float64]:
        """Cell and time."""
        return np.array([self._cell, self._elapsed], dtype=np.float64)

    def set_state(self, state: NDArray[np.float64]) -> None:
        """Go to a cell at a time."""
        self._cell, self._elapsed = int(state[0]), int(state[1])

    def render(self) -> Picture:
        """The grid: the walker dark, the goal green, pits red."""
        width = SIDE // self.size
        picture = np.full((self.size * width, self.size * width, 3), PAPER, dtype=np.uint8)
        marks = [(self.goal, GOOD, 2), *((pit, BAD, 2) for pit in self.pits), (self._cell, INK, width // 4)]
        for cell, colour, margin in marks:
            row, column = divmod(cell, self.size)
            top, left = row * width, column * width
            picture[top + margin : top + width - margin, left + margin : left + width - margin] = colour
        return picture

    def _neighbour(self, cell: int, direction: int) -> int:
        if cell == self.goal:
            return cell
        row, column = np.clip(np.array(divmod(cell, self.size)) + MOVES[direction], 0, self.size - 1)
        return int(row * self.size + column)

    def _reward(self, cell: int, after: int) -> float:
        return 0.0 if cell == self.goal else -1.0 - 5.0 * (after in self.pits)


class PointMass(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Push a mass on a line to the middle and hold it there: a linear-quadratic regulator with a known optimum.

    The state is (position, speed); a step of `STEP` seconds pays -(position^2 + 0.1 speed^2 + 0.1 force^2). Starts are
    uniform in [-1, 1] x [-0.5, 0.5]; from there the best force stays within the bounds, so that they do not matter.
    """

    metadata: dict[str, Any] = METADATA
    STEP: ClassVar[float] = 0.1
    STATE_COST: ClassVar[NDArray[np.float64]] = np.diag([1.0, 0.1])
    FORCE_COST: ClassVar[float] = 0.1
    START: ClassVar[NDArray[np.float64]] = np.array([1.0, 0.5])
    DYNAMICS: ClassVar[NDArray[np.float64]] = np.array([[1.0, STEP], [0.0, 1.0]])
    PUSH: ClassVar[NDArray[np.float64]] = np.array([0.5 * STEP**2, STEP])

    def __init__(self, steps: int = 50, render_mode: str | None = None) -> None:
        self.steps, self.render_mode = steps, render_mode
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), dtype=np.float32)
        self.action_space = spaces.Box(-5.0, 5.0, (1,), dtype=np.float32)
        self._state, self._elapsed = np.zeros(2), 0

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[NDArray[np.float32], Info]:
        """Start somewhere near the middle."""
        super().reset(seed=seed)
        self._state, self._elapsed = self.np_random.uniform(-self.START, self.START), 0
        return self._state.astype(np.float32), {}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, Info]:
        """Push for one time step."""
        force = float(np.clip(action[0], -5.0, 5.0))
        reward = -float(self._state @ self.STATE_COST @ self._state) - self.FORCE_COST * force**2
        self._state, self._elapsed = self.DYNAMICS @ self._state + self.PUSH * force, self._elapsed + 1
        return self._state.astype(np.float32), reward, False, self._elapsed >= self.steps, {}

    def regulator(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Gains [step, 2], best force = -gain @ state, and an episode's cost matrix [2, 2]: Riccati's recursion."""
        a, b = self.DYNAMICS, self.PUSH
        cost: NDArray[np.float64] = np.zeros((2, 2))
        gains = np.zeros((self.steps, 2))
        for step in reversed(range(self.steps)):
            gains[step] = (b @ cost @ a) / (self.FORCE_COST + b @ cost @ b)
            cost = np.asarray(self.STATE_COST + a.T @ cost @ (a - np.outer(b, gains[step])), dtype=np.float64)
        return gains, cost

    def optimal_return(self) -> float:
        """Best expected return of an episode, over the starts: -trace(cost x covariance of the start)."""
        return -float(np.trace(self.regulator()[1] @ np.diag(self.START**2 / 3)))

    def get_state(self) -> NDArray[np.float64]:
        """Position, speed and time."""
        return np.append(self._state, self._elapsed)

    def set_state(self, state: NDArray[np.float64]) -> None:
        """Go to a position and speed at a time."""
        self._state, self._elapsed = state[:2].copy(), int(state[2])

    def render(self) -> Picture:
        """The line from -1.5 to 1.5: the middle green, the mass dark."""
        picture = np.full((SIDE // 4, SIDE, 3), PAPER, dtype=np.uint8)
        height = len(picture)
        for place, colour, half in ((0.0, GOOD, 3), (float(self._state[0]), INK, height // 6)):
            centre = int(np.clip((place / 3 + 0.5) * SIDE, half, SIDE - half))
            picture[height // 2 - height // 6 : height // 2 + height // 6, centre - half : centre + half] = colour
        return picture


class OneStep(gymnasium.Env[np.int64, np.int64]):
    """A bandit: see one of `contexts`, choose one of `arms`, get that pair's reward, done."""

    metadata: dict[str, Any] = METADATA

    def __init__(self, contexts: int = 4, arms: int = 3, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = spaces.Discrete(contexts)
        self.action_space = spaces.Discrete(arms)
        self.rewards: NDArray[np.float64] = np.random.default_rng(0).normal(size=(contexts, arms))
        """[context, arm]"""
        self._context = 0

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[np.int64, Info]:
        """Draw a context."""
        super().reset(seed=seed)
        self._context = int(self.np_random.integers(len(self.rewards)))
        return np.int64(self._context), {}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, Info]:
        """Choose an arm; ends the episode."""
        return np.int64(self._context), float(self.rewards[self._context, action]), True, False, {}

    def optimal_return(self) -> float:
        """Best expected return: of each context its best arm."""
        return float(self.rewards.max(axis=1).mean())

    def get_state(self) -> NDArray[np.float64]:
        """The context."""
        return np.array([self._context], dtype=np.float64)

    def set_state(self, state: NDArray[np.float64]) -> None:
        """Go to a context."""
        self._context = int(state[0])

    def render(self) -> Picture:
        """One bar per context; the present one dark."""
        width = SIDE // len(self.rewards)
        picture = np.full((SIDE // 4, width * len(self.rewards), 3), PAPER, dtype=np.uint8)
        picture[:, self._context * width + 2 : (self._context + 1) * width - 2] = INK
        return picture
