"""Episodes of one fixed length, so that their length gives no reward away.

Where episodes end when something goes wrong, their length alone tells good from bad, and a reward model can look right
while it has learned nothing (https://imitation.readthedocs.io/en/latest/main-concepts/variable_horizon.html).
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from plaudit.worlds.flat import Flat, FloatVector, Info


class FixedHorizon(gymnasium.Wrapper[FloatVector, Any, FloatVector, Any]):
    """Every episode lasts exactly `horizon` steps and is then truncated; it never terminates.

    The step that ends the inner episode pays the environment's reward and shows its observation. From then on that
    observation repeats, the reward is 0 and actions change nothing. One more entry at the end of the observation,
    `absorbed`, is 1 from the ending step on, and 0 before. An inner truncation absorbs like a termination.

    Args:
        env: an environment with flat observations.
        horizon: steps per episode.
    """

    def __init__(self, env: Flat, horizon: int) -> None:
        super().__init__(env)
        inner = env.observation_space
        assert isinstance(inner, spaces.Box)  # by Flat
        low, high = np.append(inner.low, np.float32(0)), np.append(inner.high, np.float32(1))
        self.observation_space = spaces.Box(low, high, dtype=np.float32)
        self.horizon = horizon
        self._elapsed = 0
        self._absorbed = False
        self._last = np.zeros(inner.shape[0] + 1, dtype=np.float32)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[FloatVector, Info]:
        """Start an episode that is not absorbed."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._elapsed, self._absorbed = 0, False
        self._keep(observation)
        return self._last.copy(), info

    def step(self, action: Any) -> tuple[FloatVector, Any, bool, bool, Info]:
        """Act while the inner episode lasts; afterwards only let time pass."""
        self._elapsed += 1
        over = self._elapsed >= self.horizon
        if self._absorbed:
            return self._last.copy(), 0.0, False, over, {}
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._absorbed = bool(terminated or truncated)
        self._keep(observation)
        return self._last.copy(), reward, False, over, info

    def resume(self, observation: FloatVector) -> None:
        """Go on from a restored simulator state in which `observation` [entry] was seen; the step count starts anew."""
        self._elapsed = 0
        self._absorbed = bool(observation[-1] > 0.5)
        self._last[:] = observation

    def _keep(self, observation: FloatVector) -> None:
        self._last[:-1] = observation
        self._last[-1] = self._absorbed
