"""Environments that remember earlier episodes, made to forget them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium

from plaudit.worlds.flat import Env, Info

CARRY_OVER = ("gymnasium.envs.box2d.bipedal_walker:", "gymnasium.envs.box2d.car_racing:")
"""modules of environments that keep their Box2D world over episodes: the order of its contacts, and with it the last
bits of the next episode, then depend on the episodes before, although reset(seed) was given the same seed"""


class Anew(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Builds the environment anew for every episode, so that an episode depends on nothing but its reset seed.

    Args:
        build: makes the environment.
    """

    def __init__(self, build: Callable[[], Env]) -> None:
        super().__init__(build())
        self._build = build
        self._fresh = True

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Any, Info]:
        """Start an episode in a fresh environment."""
        if not self._fresh:
            self.env.close()
            self.env = self._build()
        self._fresh = False
        return self.env.reset(seed=seed, options=options)
