"""Settings of learning from demonstrations. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from plaudit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DemonstrationConfig:
    """Before the first question: find a reward that explains demonstrations, and train on it (guided cost learning)."""

    logged: str = ""
    """directory of a finished run, or a behaviour.safetensors file, whose episodes show what is wanted"""
    episodes: int = 0
    """only so many of its newest episodes; 0: all"""
    steps: int = 6000
    """environment steps in all, between the warm-up and the first question"""
    rounds: int = 10
    """how often the reward is fitted; the policy trains on each"""
    samples: int = 10
    """episodes at random before the first fit, and as the policy does after each, to estimate the log-partition; they count as steps"""

    def __post_init__(self) -> None:
        if self.episodes < 0 or self.rounds < 1 or self.samples < 1 or self.steps < self.rounds:
            raise ConfigError(
                "The settings of [loop.demonstrations] are out of range",
                got=self,
                expected="episodes >= 0, rounds >= 1, samples >= 1, steps >= rounds",
            )
