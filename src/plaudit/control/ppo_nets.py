"""PPO's networks and update without autograd, equal to Stable-Baselines3's to rounding (tests/test_control_ppo.py).

    loss = -mean min(ratio A, clip(ratio) A) - ent_coef mean entropy + vf_coef mean (V(s) - R)^2

Schulman et al. 2017, https://arxiv.org/abs/1707.06347, equations 7 and 9, with Stable-Baselines3's details: advantages are
normalised within a batch, the gradient's length is bounded.
"""

from __future__ import annotations

import warnings

import numpy as np
from stable_baselines3 import PPO

from plaudit.control.actor_critic import ActorCritic, Steps, normalised
from plaudit.control.config import PPOConfig
from plaudit.control.files import Arrays, adam_arrays, load_adam
from plaudit.control.sb3 import WorldVecEnv, light_optimizers, own_streams, write_moments
from plaudit.models.kernels import Adam, clip_norm
from plaudit.worlds.vector import VectorWorld

ADAM_EPSILON = 1e-5
"""Stable-Baselines3's choice for PPO"""


class PPONets(ActorCritic):
    """PPO's networks and how they learn.

    Args:
        config: the settings.
        world: gives the spaces.
        seed: of the initial weights.
    """

    algorithm = "ppo"

    def __init__(self, config: PPOConfig, world: VectorWorld, seed: int) -> None:
        self.config = config
        super().__init__(config, world, seed)
        self.adam = Adam(len(self.weights), config.learning_rate, epsilon=ADAM_EPSILON)

    def train(self, steps: Steps, rng: np.random.Generator) -> dict[str, float]:
        """Several passes over a rollout in random batches. Returns mean losses."""
        config, found = self.config, list[dict[str, float]]()
        for _ in range(config.n_epochs):
            shuffled = steps[rng.permutation(len(steps))]
            for start in range(0, len(steps), config.batch_size):
                found.append(self.update(shuffled[start : start + config.batch_size]))
                if self.moved_too_far(found[-1]):
                    break
            self.updates += 1
            if self.moved_too_far(found[-1]):
                break
        losses = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
        return losses | {
            "train/loss": losses["train/policy_gradient_loss"]
            + config.ent_coef * losses["train/entropy_loss"]
            + config.vf_coef * losses["train/value_loss"],
            "train/clip_range": config.clip_range,
        }

    def update(self, steps: Steps) -> dict[str, float]:
        """One gradient step on a batch, unless the policy has moved beyond `target_kl`. Returns the losses."""
        config, rows = self.config, len(steps)
        advantages = normalised(steps.advantages)
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
        self.backward(d_log_probs, -config.ent_coef / rows, error * np.float32(2 * config.vf_coef / rows))
        clip_norm(self._gradient, config.max_grad_norm)
        self.adam.step(self.weights, self._gradient)
        return losses

    def moved_too_far(self, losses: dict[str, float]) -> bool:
        """Whether the policy is so far from the one that acted that an update ends."""
        return self.config.target_kl is not None and losses["train/approx_kl"] > 1.5 * self.config.target_kl

    def optimizer(self) -> Arrays:
        """State of Adam."""
        return adam_arrays("adam", self.adam)

    def load_optimizer(self, arrays: Arrays) -> None:
        """Inverse of `optimizer`."""
        load_adam("adam", self.adam, arrays)

    def hand_over(self) -> None:
        """Give the model's Adam its state."""
        write_moments(self.model.policy.optimizer, self.weights, self.adam.moments(), self.adam.steps)

    def _build(self, world: VectorWorld, seed: int) -> PPO:
        config = self.config
        with own_streams(seed), light_optimizers(), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="You have specified a mini-batch size"
            )  # rollouts here vary in length
            return PPO(
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
