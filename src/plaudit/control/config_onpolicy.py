"""Settings of A2C, TRPO and REINFORCE, see `config`."""

from __future__ import annotations

from dataclasses import dataclass

from plaudit.control.config_checks import check_net, require


@dataclass(frozen=True, slots=True)
class A2CConfig:
    """Advantage actor-critic (Mnih et al. 2016), for continuous and discrete actions; one gradient step per short rollout."""

    net: tuple[int, ...] = (64, 64)
    """hidden layers of the policy and of the value function (tanh)"""
    n_steps: int = 16
    """steps of every environment between updates; 8 learned CartPole in fewer seeds, 32 more slowly"""
    learning_rate: float = 7e-4
    """step size of the optimiser"""
    gamma: float = 0.99
    """discount factor"""
    gae_lambda: float = 1.0
    """bias-variance trade-off of the advantages (Schulman et al. 2016)"""
    ent_coef: float = 0.0
    """weight of the policy's entropy"""
    vf_coef: float = 0.5
    """weight of the value loss"""
    max_grad_norm: float = 0.5
    """length that a gradient is cut down to"""
    normalize_advantage: bool = False
    """shift and scale the advantages of an update to mean 0 and standard deviation 1"""
    use_rms_prop: bool = True
    """RMSprop, as in the paper, instead of Adam"""

    def __post_init__(self) -> None:
        check_net("a2c", self.net, self.learning_rate, self.gamma)
        require(
            self.n_steps >= 1 and 0 <= self.gae_lambda <= 1 and self.max_grad_norm > 0,
            "a2c", "n_steps >= 1, 0 <= gae_lambda <= 1, max_grad_norm > 0",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class TRPOConfig:
    """Trust region policy optimisation (Schulman et al. 2015), for continuous and discrete actions; needs the extra `contrib`."""

    net: tuple[int, ...] = (64, 64)
    """hidden layers of the policy and of the value function (tanh)"""
    n_steps: int = 128
    """steps of every environment between updates; spread evenly over the steps of a round"""
    batch_size: int = 128
    """steps per gradient step of the value function"""
    n_critic_updates: int = 10
    """passes of the value function over the steps of an update"""
    learning_rate: float = 1e-3
    """step size of Adam for the value function"""
    gamma: float = 0.99
    """discount factor"""
    gae_lambda: float = 0.95
    """bias-variance trade-off of the advantages (Schulman et al. 2016)"""
    target_kl: float = 0.01
    """how far an update may move the policy, as a mean KL divergence"""
    cg_max_steps: int = 15
    """steps of conjugate gradients to the natural gradient"""
    cg_damping: float = 0.1
    """added to the Fisher matrix's diagonal"""

    def __post_init__(self) -> None:
        check_net("trpo", self.net, self.learning_rate, self.gamma)
        require(
            self.n_steps >= 1 and self.batch_size >= 1 and self.n_critic_updates >= 1 and self.cg_max_steps >= 1,
            "trpo", "n_steps, batch_size, n_critic_updates, cg_max_steps >= 1",
        )  # fmt: skip
        require(
            0 <= self.gae_lambda <= 1 and self.target_kl > 0 and self.cg_damping > 0,
            "trpo", "0 <= gae_lambda <= 1, target_kl > 0, cg_damping > 0",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class REINFORCEConfig:
    """REINFORCE (Williams 1992), for continuous and discrete actions; the simplest policy gradient."""

    net: tuple[int, ...] = (64, 64)
    """hidden layers of the policy and of the baseline (tanh)"""
    n_steps: int = 128
    """steps of every environment between updates; spread evenly over the steps of a round"""
    learning_rate: float = 1e-2
    """step size of Adam"""
    gamma: float = 0.99
    """discount factor"""
    baseline: bool = True
    """subtract a learned value from the returns, and let it stand for what comes after a rollout or a time limit"""
    ent_coef: float = 0.0
    """weight of the policy's entropy"""
    max_grad_norm: float = 0.5
    """length that a gradient is cut down to"""

    def __post_init__(self) -> None:
        check_net("reinforce", self.net, self.learning_rate, self.gamma)
        require(self.n_steps >= 1 and self.max_grad_norm > 0, "reinforce", "n_steps >= 1, max_grad_norm > 0")
