"""Settings of a world. Needs no Gymnasium, so that run files can be read anywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from plaudit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """The environment that the policy acts in."""

    id: str = "Pendulum-v1"
    """Gymnasium id (`Pendulum-v1`, or `module:Id-v0` when a module registers it), or a factory as `module:function`"""
    envs: int = 8
    """copies that are stepped together in this process"""
    horizon: int | None = None
    """exact length of every episode: after a termination the last observation repeats, with an extra entry `absorbed`;
    when not given, episodes end as the environment ends them"""
    options: dict[str, Any] = field(default_factory=dict)
    """keyword arguments of the environment, for example { is_slippery = false }"""
    step_seconds: float = 60.0
    """longest that one step of all copies, or one reset, may take before the run stops with a message"""

    def __post_init__(self) -> None:
        if self.envs < 1 or (self.horizon is not None and self.horizon < 1):
            raise ConfigError(
                "The settings of [world] are out of range",
                got=f"envs {self.envs}, horizon {self.horizon}",
                expected="envs >= 1 and horizon >= 1",
            )
        if not (math.isfinite(self.step_seconds) and self.step_seconds > 0):
            raise ConfigError("world.step_seconds is out of range", got=self.step_seconds, expected="a number > 0")
