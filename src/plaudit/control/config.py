"""Settings of the policies. Names are Stable-Baselines3's where it has one. Needs no torch, so run files are read anywhere."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from plaudit.control.config_checks import check_net as _check
from plaudit.control.config_checks import require as _require
from plaudit.control.config_offline import CloneConfig, IQLConfig
from plaudit.control.config_onpolicy import A2CConfig, REINFORCEConfig, TRPOConfig
from plaudit.errors import ConfigError

ALGORITHMS = ("sac", "ppo", "dqn", "td3", "a2c", "trpo", "reinforce", "iql")
"""names of the tables of [policy], of which one is set"""


class Backend(enum.Enum):
    """What computes the updates of SAC.

    CPU milliseconds per update on one thread of a busy machine (networks and batch of 64, 128, 256; `python -m
    benchmarks.details`): numpy 0.4, 1.4, 7.7; torch 6, 7, 16; jax 0.2, 0.8, 4.5, after it has compiled, which the others need
    not. numpy is not far from jax, and its results do not depend on an optional package: hence the default.
    """

    NUMPY = "numpy"
    TORCH = "torch"
    JAX = "jax"


@dataclass(frozen=True, slots=True)
class SACConfig:
    """Soft actor-critic (Haarnoja et al. 2018), for continuous actions; learns from all that was done before, too."""

    net: tuple[int, ...] = (64, 64)
    """hidden layers of the actor and of each of the two critics (ReLU); 64 x 64 learns Pendulum and Reacher"""
    batch_size: int = 64
    """transitions per update"""
    learning_rate: float = 1e-3
    """step size of Adam for actor, critics and entropy coefficient"""
    gamma: float = 0.98
    """discount factor"""
    tau: float = 0.01
    """share of the critics that the target critics take over with each update"""
    utd: float = 1.0
    """updates per environment step"""
    ent_coef: str = "auto"
    """entropy coefficient: "auto" learns it from 1 on, "auto_0.1" from 0.1 on, a number like "0.2" fixes it"""
    target_entropy: float | None = None
    """entropy that a learned coefficient aims at; none: minus the number of action entries"""
    backend: Backend = Backend.NUMPY
    """what computes the updates: numpy (hand-derived), torch (Stable-Baselines3's own), jax (SBX, needs the extra `fast`)"""

    def __post_init__(self) -> None:
        _check("sac", self.net, self.learning_rate, self.gamma)
        _require(
            self.batch_size >= 1 and self.utd > 0 and 0 < self.tau <= 1, "sac", "batch_size >= 1, utd > 0, 0 < tau <= 1"
        )
        start = self.ent_coef.removeprefix("auto").removeprefix("_") or "1"
        try:
            valid = float(start) > 0
        except ValueError:
            valid = False
        _require(valid, "sac", f'ent_coef "auto", "auto_0.1" or a number > 0, not "{self.ent_coef}"')


@dataclass(frozen=True, slots=True)
class PPOConfig:
    """Proximal policy optimisation (Schulman et al. 2017), for continuous and discrete actions; takes the least time per step."""

    net: tuple[int, ...] = (64, 64)
    """hidden layers of the policy and of the value function (tanh)"""
    n_steps: int = 256
    """steps of every environment between updates; spread evenly over the steps of a round"""
    batch_size: int = 128
    """steps per gradient step"""
    n_epochs: int = 10
    """passes over the steps of an update"""
    learning_rate: float = 5e-4
    """step size of Adam"""
    gamma: float = 0.99
    """discount factor"""
    gae_lambda: float = 0.95
    """bias-variance trade-off of the advantages (Schulman et al. 2016)"""
    clip_range: float = 0.2
    """largest change of an action's probability that is rewarded, as a ratio minus 1"""
    ent_coef: float = 0.0
    """weight of the policy's entropy"""
    vf_coef: float = 0.5
    """weight of the value loss"""
    max_grad_norm: float = 0.5
    """length that a gradient is cut down to"""
    target_kl: float | None = None
    """an update ends early when the policy has moved 1.5 times this far; none: never"""

    def __post_init__(self) -> None:
        _check("ppo", self.net, self.learning_rate, self.gamma)
        _require(
            self.n_steps >= 1 and self.batch_size >= 2 and self.n_epochs >= 1 and self.clip_range > 0,
            "ppo", "n_steps >= 1, batch_size >= 2, n_epochs >= 1, clip_range > 0",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class DQNConfig:
    """Deep Q-network (Mnih et al. 2015), for discrete actions."""

    net: tuple[int, ...] = (128, 128)
    """hidden layers (ReLU)"""
    batch_size: int = 64
    """transitions per update"""
    learning_rate: float = 1e-3
    """step size of Adam"""
    gamma: float = 0.99
    """discount factor"""
    train_freq: int = 256
    """environment steps between two bursts of updates; the target network is copied before each burst"""
    utd: float = 0.5
    """updates per environment step"""
    exploration_steps: int = 5000
    """environment steps over which the share of random actions falls from 1 to `exploration_final_eps`"""
    exploration_final_eps: float = 0.05
    """share of random actions that remains"""
    max_grad_norm: float = 10.0
    """length that a gradient is cut down to"""

    def __post_init__(self) -> None:
        _check("dqn", self.net, self.learning_rate, self.gamma)
        _require(
            self.batch_size >= 1 and self.utd > 0 and self.train_freq >= 1 and 0 <= self.exploration_final_eps <= 1,
            "dqn", "batch_size >= 1, utd > 0, train_freq >= 1, 0 <= exploration_final_eps <= 1",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class TD3Config:
    """Twin delayed deterministic policy gradient (Fujimoto et al. 2018), for continuous actions; noise explores."""

    net: tuple[int, ...] = (64, 64)
    """hidden layers of the actor and of each of the two critics (ReLU)"""
    batch_size: int = 64
    """transitions per update"""
    learning_rate: float = 1e-3
    """step size of Adam for actor and critics"""
    gamma: float = 0.98
    """discount factor"""
    tau: float = 0.01
    """share of actor and critics that their targets take over whenever the actor is updated"""
    utd: float = 1.0
    """updates per environment step"""
    policy_delay: int = 2
    """updates of the critics for each update of the actor and of the targets"""
    target_policy_noise: float = 0.2
    """standard deviation of the noise on the target actor's actions, in half ranges of an action"""
    target_noise_clip: float = 0.5
    """largest such noise"""
    action_noise: float = 0.1
    """standard deviation of the Gaussian noise on actions while training, in half ranges of an action"""
    random_eps: float = 0.0
    """share of uniformly random actions while training"""

    def __post_init__(self) -> None:
        _check("td3", self.net, self.learning_rate, self.gamma)
        _require(
            self.batch_size >= 1 and self.utd > 0 and 0 < self.tau <= 1 and self.policy_delay >= 1,
            "td3", "batch_size >= 1, utd > 0, 0 < tau <= 1, policy_delay >= 1",
        )  # fmt: skip
        _require(
            min(self.target_policy_noise, self.target_noise_clip, self.action_noise) >= 0 and 0 <= self.random_eps <= 1,
            "td3", "target_policy_noise, target_noise_clip, action_noise >= 0, 0 <= random_eps <= 1",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """Which algorithm trains the policy. Exactly one is set; none at all means SAC."""

    sac: SACConfig | None = None
    """soft actor-critic"""
    ppo: PPOConfig | None = None
    """proximal policy optimisation"""
    dqn: DQNConfig | None = None
    """deep Q-network"""
    td3: TD3Config | None = None
    """twin delayed deterministic policy gradient"""
    a2c: A2CConfig | None = None
    """advantage actor-critic"""
    trpo: TRPOConfig | None = None
    """trust region policy optimisation"""
    reinforce: REINFORCEConfig | None = None
    """policy gradient on full returns"""
    iql: IQLConfig | None = None
    """implicit Q-learning from logged episodes; acts only to be measured"""
    clone: CloneConfig | None = None
    """start as a copy of whoever acted in logged episodes"""

    def __post_init__(self) -> None:
        given = [name for name in ALGORITHMS if getattr(self, name) is not None]
        if not given:
            object.__setattr__(self, "sac", SACConfig())
        elif len(given) > 1:
            raise ConfigError(
                "More than one algorithm is set",
                got=given,
                expected=f"one of {', '.join(f'policy.{name}' for name in ALGORITHMS)}",
            )
