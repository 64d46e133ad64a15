"""Policy and value function of the on-policy algorithms, without autograd, in the weights of a Stable-Baselines3 model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from plaudit.control.config import A2CConfig, PPOConfig, TRPOConfig
from plaudit.control.files import Arrays
from plaudit.control.ppo_heads import Categorical, Gaussian, Head
from plaudit.control.sb3 import adopt, linears
from plaudit.models.kernels import Activation, FloatArray, Shape, Tapes
from plaudit.worlds.vector import VectorWorld


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps that the policy took, all [step, ...]."""

    inputs: FloatArray
    """[step, observation + 1], with the column of ones"""
    actions: NDArray[np.generic]
    """as drawn, not clipped"""
    log_probs: FloatArray
    advantages: FloatArray
    returns: FloatArray

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> Steps:
        return Steps(
            self.inputs[rows], self.actions[rows], self.log_probs[rows], self.advantages[rows], self.returns[rows]
        )

    def __len__(self) -> int:
        return len(self.log_probs)


class ActorCritic(ABC):
    """Policy and value function in one vector, shared with a Stable-Baselines3 model. A subclass knows how they learn.

    Args:
        config: the settings.
        world: gives the spaces.
        seed: of the initial weights.
    """

    algorithm: str
    """name in saved files"""

    def __init__(self, config: PPOConfig | A2CConfig | TRPOConfig, world: VectorWorld, seed: int) -> None:
        self.n_steps, self.gamma, self.gae_lambda = config.n_steps, config.gamma, config.gae_lambda
        self.learning_rate = config.learning_rate
        self.space = world.action_space
        self.updates = 0
        width = world.layout.observation
        outputs = int(self.space.n) if isinstance(self.space, spaces.Discrete) else int(np.prod(self.space.shape))
        spread = 0 if isinstance(self.space, spaces.Discrete) else outputs
        self._policy = Shape((width, *config.net, outputs), activation=Activation.TANH)
        self._value = Shape((width, *config.net, 1), activation=Activation.TANH)
        first, second = self._policy.parameters, self._policy.parameters + self._value.parameters
        self.weights: FloatArray = np.zeros(second + spread, np.float32)
        self._gradient: FloatArray = np.zeros(second + spread, np.float32)
        self._policy_blocks, self._value_blocks = (
            self._policy.blocks(self.weights[:first]),
            self._value.blocks(self.weights[first:second]),
        )
        self._policy_gradients = self._policy.blocks(self._gradient[:first])
        self._value_gradients = self._value.blocks(self._gradient[first:second])
        self._log_std = self.weights[second:]
        self.head: Head = Gaussian(self._log_std, self._gradient[second:]) if spread else Categorical()
        self._policy_tapes, self._value_tapes = Tapes(self._policy), Tapes(self._value)
        self.model = self._build(world, seed)
        self._adopt()

    @abstractmethod
    def train(self, steps: Steps, rng: np.random.Generator) -> dict[str, float]:
        """Learn from a rollout, and count it in `updates`. Returns losses, which are not finite when training diverged."""

    @abstractmethod
    def optimizer(self) -> Arrays:
        """State of the optimiser, as views or copies."""

    @abstractmethod
    def load_optimizer(self, arrays: Arrays) -> None:
        """Inverse of `optimizer`."""

    @abstractmethod
    def hand_over(self) -> None:
        """Give the model's optimiser its state, before the model is exported."""

    @abstractmethod
    def _build(self, world: VectorWorld, seed: int) -> OnPolicyAlgorithm: ...

    def forward(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Policy outputs [row, output] and values [row] of inputs [row, observation + 1]; valid until the next call."""
        policy, value = self._policy_tapes.of(len(inputs)), self._value_tapes.of(len(inputs))
        values = value.forward(self._value_blocks, inputs[None])[0, :, 0]
        return policy.forward(self._policy_blocks, inputs[None])[0], values

    def backward(self, d_log_probs: FloatArray, d_entropy: float, d_values: FloatArray) -> None:
        """Write a loss's gradient by the weights, given its slopes by what the newest `forward` and `head.evaluate` found.

        Args:
            d_log_probs: [row].
            d_entropy: the same for every row.
            d_values: [row].
        """
        rows = len(d_log_probs)
        d_output = np.empty((rows, self._policy.sizes[-1]), np.float32)
        self.head.backward(d_log_probs, d_entropy, d_output)
        self._policy_tapes.of(rows).backward(self._policy_blocks, d_output[None], self._policy_gradients)
        self._value_tapes.of(rows).backward(self._value_blocks, d_values.reshape(1, -1, 1), self._value_gradients)

    def draw(self, observations: FloatArray, rng: np.random.Generator | None) -> NDArray[np.generic]:
        """Actions [row, ...] as the policy means them; the most likely ones without a generator."""
        return self.head.draw(self._policy_tapes.forward(self._policy_blocks, observations)[0], rng)

    def values(self, observations: FloatArray) -> NDArray[np.float64]:
        """Values [row] of observations [row, entry]."""
        return self._value_tapes.forward(self._value_blocks, observations)[0, :, 0].astype(np.float64)

    def clip(self, actions: NDArray[np.generic]) -> NDArray[np.generic]:
        """Drawn actions as the environment takes them, [row, *action]."""
        if isinstance(self.space, spaces.Discrete):
            return actions
        return np.clip(actions.reshape(-1, *self.space.shape), self.space.low, self.space.high)

    def reset_value(self, seed: int, world: VectorWorld) -> None:
        """Fresh weights for the value function, and a fresh optimiser."""
        fresh = self._build(world, seed).policy
        for layer, block in zip(
            [*linears(fresh.mlp_extractor.value_net), fresh.value_net], self._value_blocks, strict=True
        ):
            adopt(layer, block[0])
        self.load_optimizer({name: np.zeros_like(array) for name, array in self.optimizer().items()})

    @property
    def policy(self) -> tuple[Shape, FloatArray]:
        """Shape and weights of the policy's network."""
        return self._policy, self.weights[: self._policy.parameters]

    @property
    def log_std(self) -> FloatArray:
        """[action], log standard deviations of a Gaussian policy, to be changed in place; empty for discrete actions."""
        return self._log_std

    @property
    def std(self) -> float | None:
        """Mean standard deviation of a Gaussian policy."""
        return float(np.exp(self._log_std).mean()) if len(self._log_std) else None

    def _adopt(self) -> None:
        """Put the model's weights into the vector."""
        policy = self.model.policy
        for network, head, blocks in (
            (policy.mlp_extractor.policy_net, policy.action_net, self._policy_blocks),
            (policy.mlp_extractor.value_net, policy.value_net, self._value_blocks),
        ):
            for layer, block in zip([*linears(network), head], blocks, strict=True):
                adopt(layer, block[0])
        if len(self._log_std):
            self._log_std[:] = policy.log_std.detach().numpy()
            policy.log_std.data = torch.from_numpy(self._log_std)


def normalised(advantages: FloatArray) -> FloatArray:
    """Advantages with mean 0 and standard deviation 1, as Stable-Baselines3 has them; a single one stays as it is."""
    if len(advantages) < 2:
        return advantages
    return (advantages - advantages.mean()) / (advantages.std(ddof=1) + np.float32(1e-8))
