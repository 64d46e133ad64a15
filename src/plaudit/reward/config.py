"""Settings of the reward model."""

from __future__ import annotations

from dataclasses import dataclass

from plaudit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class RewardConfig:
    """An ensemble of small networks and how it is fitted to answers."""

    members: int = 5
    """networks; each holds out one question in `members` to tell how good the model is"""
    hidden: tuple[int, ...] = (32, 32)
    """units of each hidden layer"""
    squares: bool = True
    """also show the networks the square of each input, so that distances and energies are easy to learn"""
    steps: int = 120
    """most gradient steps per fit"""
    stop_accuracy: float = 0.97
    """stop once members find this share of the answers that they learn from likelier than not; 1 goes on until all are"""
    patience: int = 3
    """stop after so many looks, one every 10 steps or every time through the answers, at which held-out answers do no better"""
    learning_rate: float = 5e-3
    """of AdamW (Loshchilov & Hutter 2019)"""
    weight_decay: float = 0.4
    """of AdamW: each step shrinks every weight by this share of the learning rate"""
    batch: int = 16
    """answers per gradient step"""
    crop: int = 25
    """steps of each segment that a gradient step looks at, spread evenly; longer segments are sampled afresh each time"""
    return_penalty: float = 1e-3
    """weight of the squared return per step, which keeps rewards from growing without need"""
    lapse: float = 0.0
    """share of the answers taken to be random, where it is not estimated"""
    fit_lapse: bool = False
    """estimate the share of random answers from held-out answers"""
    warm_start: bool = False
    """go on from the weights of the previous round instead of starting anew: about half the time, and a little less right"""

    def __post_init__(self) -> None:
        counts = (self.members, self.steps, self.patience, self.batch, self.crop, *self.hidden)
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
