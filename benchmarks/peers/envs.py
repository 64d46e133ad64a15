"""Environments both sides of the benchmark build alike; needs only numpy and gymnasium (0.29 or 1.x)."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from peers import protocol


class CartPoleFixedHorizon(gym.Env):
    """CartPole whose episodes all last exactly `horizon` steps, so that their length tells nothing.

    Once the pole has fallen (or the cart left the track) the last observation repeats until the horizon. One more
    entry of the observation, `absorbed`, is 1 from then on. The reward is 1 for each step that ends upright and 0
    after the fall: the return is the upright time. An episode is never terminated, only truncated at the horizon.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["human", "rgb_array"], "render_fps": 50}

    def __init__(self, horizon: int = 500, render_mode: str | None = None) -> None:
        # The bare environment: without the usual time limit and without the wrapper that checks the order of calls.
        self.cart_pole = gym.make("CartPole-v1", render_mode=render_mode, disable_env_checker=True).unwrapped
        inner = self.cart_pole.observation_space
        assert isinstance(inner, gym.spaces.Box)
        self.observation_space = gym.spaces.Box(
            low=np.append(inner.low, 0.0).astype(np.float32),
            high=np.append(inner.high, 1.0).astype(np.float32),
            dtype=np.float32,
        )
        self.action_space = self.cart_pole.action_space
        self.render_mode = render_mode
        self.horizon = horizon
        self._steps = 0
        self._absorbed = False
        self._last = np.zeros(5, dtype=np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Start an upright episode."""
        super().reset(seed=seed)
        observation, info = self.cart_pole.reset(seed=seed, options=options)
        self._steps = 0
        self._absorbed = False
        self._last = np.append(observation, 0.0).astype(np.float32)
        return self._last.copy(), info

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Move the cart while the pole is up; afterwards only let the time pass."""
        info: dict[str, Any] = {}
        if not self._absorbed:
            observation, _, self._absorbed, _, info = self.cart_pole.step(action)
            self._last = np.append(observation, float(self._absorbed)).astype(np.float32)
        self._steps += 1
        return self._last.copy(), float(not self._absorbed), False, self._steps >= self.horizon, info

    def render(self) -> Any:
        """Draw the cart as it stood last."""
        return self.cart_pole.render()

    def close(self) -> None:
        """Close the window, if there is one."""
        self.cart_pole.close()


def make_env(name: str) -> gym.Env:
    """Build the environment that the protocol calls `name`; every one has a fixed horizon."""
    if name == "cartpole":
        return CartPoleFixedHorizon()
    return gym.make(protocol.GYM_IDS[name], **protocol.OPTIONS.get(name, {}))
