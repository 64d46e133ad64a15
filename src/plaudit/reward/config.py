"""Settings of the reward model."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field

from plaudit.errors import ConfigError
from plaudit.reward.symmetry import Symmetry
from plaudit.stats.choice import Noise

HEAD = 16
"""units of an attention head"""


class Trunk(enum.Enum):
    """What a reward can depend on, and how."""

    MLP = "mlp"
    """a network of the present step, beside a linear model"""
    LINEAR = "linear"
    """a linear model of the present step"""
    GRU = "gru"
    """a memory of the steps of an item: a gated recurrent unit"""
    TRANSFORMER = "transformer"
    """the steps of an item up to now: causal self-attention"""
    CNN = "cnn"
    """the present picture and action"""

    @property
    def remembers(self) -> bool:
        """Whether a step's reward depends on the steps before it, so that items must begin where episodes do."""
        return self in (Trunk.GRU, Trunk.TRANSFORMER)

    @property
    def sees(self) -> bool:
        """Whether rewards need pictures."""
        return self is Trunk.CNN


class Nuisance(enum.Enum):
    """What sways answers and is no merit."""

    POSITION = "position"
    """first on the screen against last, in comparisons and rankings: side bias"""
    LENGTH = "length"
    """more steps"""


class Trait(enum.Enum):
    """In what annotators differ."""

    RATIONALITY = "rationality"
    """how much a difference in reward counts against noise"""
    LAPSE = "lapse"
    """the share of answers at random"""
    CUTS = "cuts"
    """where grades begin, and how far apart they are"""


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
    """go on from the weights of the previous round instead of starting anew, in about half the time (`python -m benchmarks.details`)"""
    trunk: Trunk = Trunk.MLP
    """what a reward reads: mlp and linear the present step, gru and transformer also the steps before, cnn a picture; with
    gru the last of `hidden` is the memory, with transformer each is a block and all are equal multiples of 16"""
    symmetries: tuple[Symmetry, ...] = ()
    """mirrors in which the reward is the same: each answer is also learned from as seen in each of them"""
    label_smoothing: float = 0.0
    """share of a comparison's weight that goes to the opposite answer, so that returns do not drift apart; ties stay ties"""
    window: float = 0.0
    """where it is not 0, a gradient step looks at one stretch of each compared or rated segment, of this share of its steps
    or more, instead of at steps spread over it (`crop`)"""
    pseudo_weight: float = 0.0
    """weight of pairs without an answer that a member is sure about, beside the answers; 0 leaves them out"""
    pseudo_confidence: float = 0.99
    """probability from which on a member is sure"""
    pseudo_pairs: int = 4
    """pairs without an answer per answer in a gradient step"""
    represent_steps: int = 0
    """gradient steps in which the hidden layers first learn, from behaviour that nobody judged, to tell what comes next; 0 leaves
    them out. Not with linear"""
    noise: Noise = Noise.LOGISTIC
    """what blurs comparisons: logistic is Bradley-Terry, normal is Thurstone"""
    nuisance: tuple[Nuisance, ...] = ()
    """what is fitted beside the reward, so that the reward need not explain it, and is dropped when the reward is used:
    position, length"""
    keep_length: bool = False
    """do not drop what a step of length is worth: scores then count it, where nuisance has length. Not for texts, whose length is
    no number of steps; probabilities of flags never count it"""
    traits: tuple[Trait, ...] = ()
    """what is fitted for each annotator, shrunk to what holds for all: rationality, lapse, cuts (of ratings)"""
    condition_on: tuple[str, ...] = ()
    """traits of annotators' profiles, for example job, by whose values the reward may differ from everybody's"""
    condition_rank: int = 2
    """directions of taste in which all values of these traits differ"""
    condition_shrinkage: float = 1.0
    """how strongly tastes are held to everybody's; at 1 a taste moves a typical answer by about one unit of log-odds"""
    as_traits: dict[str, str] = field(default_factory=dict[str, str])
    """whose judgement the model gives where nothing else is said, and so what policies learn: trait = value; empty: everybody's"""
    response_time: bool = False
    """learn also from how long people took for a comparison: the longer, the closer the two"""

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
        self._check_tricks()
        self._check_annotators()

    def _check_annotators(self) -> None:
        if self.keep_length and Nuisance.LENGTH not in self.nuisance:
            raise ConfigError(
                "There is no worth of length to keep",
                got="reward.keep_length = true",
                next_step='set reward.nuisance = ["length"] too',
            )
        if Trait.LAPSE in self.traits and not (self.fit_lapse or self.lapse):
            raise ConfigError(
                "The lapses of single annotators need one for all to be shrunk to",
                got='"lapse" in reward.traits',
                next_step="set reward.fit_lapse = true, or reward.lapse above 0",
            )
        if self.condition_rank < 1 or not 0 < self.condition_shrinkage < math.inf:
            raise ConfigError(
                "The settings of the reward model are out of range",
                got=f"condition_rank {self.condition_rank}, condition_shrinkage {self.condition_shrinkage}",
                expected="condition_rank >= 1, condition_shrinkage above 0 and finite",
            )
        if unknown := sorted(set(self.as_traits) - set(self.condition_on)):
            raise ConfigError(
                "The reward does not depend on these traits",
                got=f"{unknown} in reward.as_traits",
                expected="names in reward.condition_on",
            )

    def _check_tricks(self) -> None:
        shares = (self.label_smoothing < 0.5, self.window <= 1, 0.5 <= self.pseudo_confidence < 1)
        least = (self.label_smoothing, self.window, self.pseudo_weight, self.pseudo_pairs - 1)
        if not all(shares) or min(least) < 0:
            raise ConfigError(
                "The settings of the reward model are out of range",
                got=f"label_smoothing {self.label_smoothing}, window {self.window}, pseudo_weight {self.pseudo_weight}, "
                f"pseudo_confidence {self.pseudo_confidence}, pseudo_pairs {self.pseudo_pairs}",
                expected="0 <= label_smoothing < 0.5, 0 <= window <= 1, pseudo_weight >= 0, "
                "0.5 <= pseudo_confidence < 1, pseudo_pairs >= 1",
            )
        if self.represent_steps < 0 or (self.represent_steps and (self.trunk is Trunk.LINEAR or not self.hidden)):
            raise ConfigError(
                "Nothing here can learn a representation",
                got=f"represent_steps {self.represent_steps}, trunk {self.trunk.value}, hidden {self.hidden}",
                expected="represent_steps >= 0; above 0 a trunk with hidden layers, and not linear",
            )
        if self.trunk not in (Trunk.MLP, Trunk.LINEAR) and not self.hidden:
            raise ConfigError("A network needs units", got="reward.hidden is empty", expected="at least one number")
        if self.trunk is Trunk.TRANSFORMER and (len(set(self.hidden)) != 1 or self.hidden[0] % HEAD):
            raise ConfigError(
                "The blocks of a transformer do not fit together",
                got=f"reward.hidden {self.hidden}",
                expected=f"equal multiples of {HEAD}",
            )
