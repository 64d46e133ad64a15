"""PPO's networks and update without autograd, equal to Stable-Baselines3's to rounding (tests/test_control_ppo.py).

    loss = -mean min(ratio A, clip(ratio) A) - ent_coef mean entropy + vf_coef mean (V(s) - R)^2

Schulman et al. 2017, https://arxiv.org/abs/1707.06347, equations 7 and 9, with Stable-Baselines3's details: advantages are
normalised within a batch, the gradient's length is bounded.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import PPO

from plaudit.control.config import PPOConfig
from plaudit.control.ppo_heads import Categorical, Gaussian, Head
from plaudit.control.sb3 import WorldVecEnv, adopt, light_optimizers, linears, own_streams
from plaudit.models.kernels import Activation, Adam, FloatArray, Shape, Tapes, clip_norm
from plaudit.worlds.vector import VectorWorld

ADAM_EPSILON = 1e-5
"""Stable-Baselines3's choice for PPO"""


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


class PPONets:
    """Policy and value function in one vector, shared with a Stable-Baselines3 model.

    Args:
        config: the settings.
        world: gives the spaces.
        seed: of the initial weights.
    """

    def __init__(self, config: PPOConfig, world: VectorWorld, seed: int) -> None:
        self.config = config
        self.space = world.action_space
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
        self.adam = Adam(len(self.weights), config.learning_rate, epsilon=ADAM_EPSILON)
        self._policy_tapes, self._value_tapes = Tapes(self._policy), Tapes(self._value)
        self.model = self._build(world, seed)

    def forward(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Policy outputs [row, output] and values [row] of inputs [row, observation + 1]; valid until the next call."""
        policy, value = self._policy_tapes.of(len(inputs)), self._value_tapes.of(len(inputs))
        values = value.forward(self._value_blocks, inputs[None])[0, :, 0]
        return policy.forward(self._policy_blocks, inputs[None])[0], values

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

    def update(self, steps: Steps) -> dict[str, float]:
        """One gradient step on a batch, unless the policy has moved beyond `target_kl`. Returns the losses."""
        config, rows = self.config, len(steps)
        advantages = steps.advantages
        if rows > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std(ddof=1) + np.float32(1e-8))
        output, values = self.forward(steps.inputs)
        log_probs, entropies = self.head.evaluate(output, steps.actions)
        log_ratio = log_probs - steps.log_probs
        ratio = np.exp(log_ratio)
        clipped = np.clip(ratio, 1 - config.clip_range, 1 + config.clip_range)
        paid, capped = advantages * ratio, advantages * clipped
        error = values - steps.returns
        losses = {
            "train/policy_gradient_loss": -float(np.minimum(paid, capped).mean()),
            "train/value_loss": float(np.vdot(error, error)) / rows,
            "train/entropy_loss": -float(entropies.mean()),
            "train/approx_kl": float((ratio - 1 - log_ratio).mean()),
            "train/clip_fraction": float((np.abs(ratio - 1) > config.clip_range).mean()),
        }
        if self.moved_too_far(losses):
            return losses
        # beyond the clip range nothing is gained
        d_log_probs = np.where(paid <= capped, paid, 0) * np.float32(-1 / rows)
        d_output = np.empty_like(output)
        self.head.backward(d_log_probs, -config.ent_coef / rows, d_output)
        self._policy_tapes.of(rows).backward(self._policy_blocks, d_output[None], self._policy_gradients)
        d_value = (error * np.float32(2 * config.vf_coef / rows)).reshape(1, -1, 1)
        self._value_tapes.of(rows).backward(self._value_blocks, d_value, self._value_gradients)
        clip_norm(self._gradient, config.max_grad_norm)
        self.adam.step(self.weights, self._gradient)
        return losses

    def moved_too_far(self, losses: dict[str, float]) -> bool:
        """Whether the policy is so far from the one that acted that an update ends."""
        return self.config.target_kl is not None and losses["train/approx_kl"] > 1.5 * self.config.target_kl

    def reset_value(self, seed: int, world: VectorWorld) -> None:
        """Fresh weights for the value function, and a fresh optimiser."""
        start = self._policy.parameters
        part = slice(start, start + self._value.parameters)
        self.weights[part] = PPONets(self.config, world, seed).weights[part]
        self.adam.first[:], self.adam.second[:], self.adam.steps = 0, 0, 0

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

    def _build(self, world: VectorWorld, seed: int) -> PPO:
        config = self.config
        with own_streams(seed), light_optimizers(), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="You have specified a mini-batch size"
            )  # rollouts here vary in length
            model = PPO(
                "MlpPolicy",
                WorldVecEnv(world),
                learning_rate=config.learning_rate,
                n_steps=config.n_steps,
                batch_size=config.batch_size,
                n_epochs=config.n_epochs,
                gamma=config.gamma,
                gae_lambda=config.gae_lambda,
                clip_range=config.clip_range,
                ent_coef=config.ent_coef,
                vf_coef=config.vf_coef,
                max_grad_norm=config.max_grad_norm,
                target_kl=config.target_kl,
                policy_kwargs={"net_arch": list(config.net)},
                device="cpu",
            )
        policy = model.policy
        for network, head, blocks in (
            (policy.mlp_extractor.policy_net, policy.action_net, self._policy_blocks),
            (policy.mlp_extractor.value_net, policy.value_net, self._value_blocks),
        ):
            for layer, block in zip([*linears(network), head], blocks, strict=True):
                adopt(layer, block[0])
        if len(self._log_std):
            self._log_std[:] = policy.log_std.detach().numpy()
            policy.log_std.data = torch.from_numpy(self._log_std)
        return model
