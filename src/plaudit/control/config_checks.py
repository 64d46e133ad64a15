"""What the settings of every algorithm are held against."""

from __future__ import annotations

import math

from plaudit.errors import ConfigError


def check_net(name: str, net: tuple[int, ...], learning_rate: float, gamma: float) -> None:
    """Raise ConfigError, naming [policy.`name`], unless the settings that all algorithms have are in range."""
    require(all(size >= 1 for size in net), name, "net with layers of at least one unit")
    require(
        math.isfinite(learning_rate) and learning_rate > 0 and 0 <= gamma <= 1,
        name,
        "learning_rate > 0, 0 <= gamma <= 1",
    )


def require(valid: bool, name: str, expected: str) -> None:
    """Raise ConfigError, naming [policy.`name`], unless its settings are valid."""
    if not valid:
        raise ConfigError(f"The settings of [policy.{name}] are out of range", expected=expected)
