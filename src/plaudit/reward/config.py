"""Settings of the reward model."""

from __future__ import annotations

from dataclasses import dataclass

from plaudit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class RewardConfig:
    """An ensemble of small networks and how it is fitted to answers."""

    members: int = 8
    """networks; each holds out one answer in `members` to tell how good the model is"""
    hidden: tuple[int, ...] = (32, 32)
    """units of each hidden layer; empty for a linear reward"""
    squares: bool = True
    """also show the networks the square of each input, so that distances and energies are easy to learn"""
    steps: int = 60
    """most gradient steps per fit; a fit that starts from nothing takes twice as many"""
    stop_accuracy: float = 0.97
    """stop once the members agree with this share of the answers that they learn from; 1 takes all steps"""
    learning_rate: float = 1e-3
    """of AdamW"""
    batch: int = 16
    """answers per gradient step"""
    crop: int = 25
    """steps of each segment that a gradient step looks at, spread evenly; longer segments are sampled afresh each time"""
    weight_decay: float = 0.01
    """of AdamW, relative to the learning rate"""
    return_penalty: float = 1e-3
    """weight of the squared return per step, which keeps rewards from growing without need"""
    lapse: float = 0.0
    """share of the answers taken to be random"""
    fit_lapse: bool = False
    """estimate the share of random answers from held-out answers, starting with `lapse`"""

    def __post_init__(self) -> None:
        counts = (self.members, self.steps, self.batch, self.crop, *self.hidden)
        rates = (self.weight_decay, self.return_penalty)
        if min(counts) < 1 or self.learning_rate <= 0 or min(rates) < 0:
            raise ConfigError(
                "The settings of the reward model are out of range",
                got=self,
                expected="at least 1 member, step, answer and unit; learning_rate > 0; penalties >= 0",
            )
        if not 0 <= self.lapse < 1 or not 0 < self.stop_accuracy <= 1:
            raise ConfigError(
                "The settings of the reward model are out of range",
                got=f"lapse {self.lapse}, stop_accuracy {self.stop_accuracy}",
                expected="0 <= lapse < 1, 0 < stop_accuracy <= 1",
            )
