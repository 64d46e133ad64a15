"""Advantage actor-critic and REINFORCE without autograd, equal to Stable-Baselines3's A2C to rounding (tests/test_control_a2c.py).

    loss = -mean A log p(a | s) - ent_coef mean entropy + vf_coef mean (V(s) - R)^2

Mnih et al. 2016, https://arxiv.org/abs/1602.01783: one gradient step on each short rollout. REINFORCE (Williams 1992,
https://doi.org/10.1007/BF00992696) is the same step on a long rollout, whose advantages are the full returns less a baseline.
"""

from __future__ import annotations

import numpy as np
from stable_baselines3 import A2C

from plaudit.control.actor_critic import ActorCritic, Steps, normalised
from plaudit.control.config import A2CConfig, REINFORCEConfig
from plaudit.control.files import Arrays, adam_arrays, load_adam
from plaudit.control.ppo_nets import ADAM_EPSILON
from plaudit.control.sb3 import WorldVecEnv, light_optimizers, own_streams, write_moments, write_squares
from plaudit.models.kernels import Adam, FloatArray, clip_norm
from plaudit.worlds.vector import VectorWorld


class RMSprop:
    """RMSprop in place on one vector, equal to torch.optim.RMSprop to rounding.

    v <- .99 v + .01 g^2,   w <- w - learning_rate g / (sqrt(v) + 1e-5)   (Mnih et al. 2016, equation S2)
    """

    KEPT, EPSILON = 0.99, 1e-5

    def __init__(self, size: int, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.steps = 0
        self.squares: FloatArray = np.zeros(size, np.float32)

    def step(self, parameters: FloatArray, gradient: FloatArray) -> None:
        """One step downhill; changes `parameters`."""
        self.steps += 1
        self.squares *= self.KEPT
        self.squares += (1 - self.KEPT) * gradient * gradient
        parameters -= self.learning_rate * gradient / (np.sqrt(self.squares) + self.EPSILON)


class A2CNets(ActorCritic):
    """A2C's networks and how they learn.

    Args:
        config: the settings.
        world: gives the spaces.
        seed: of the initial weights.
    """

    algorithm = "a2c"

    def __init__(self, config: A2CConfig, world: VectorWorld, seed: int) -> None:
        self.config = config
        super().__init__(config, world, seed)
        size, rate = len(self.weights), config.learning_rate
        self._descent = RMSprop(size, rate) if config.use_rms_prop else Adam(size, rate, epsilon=ADAM_EPSILON)

    def train(self, steps: Steps, rng: np.random.Generator) -> dict[str, float]:
        """One gradient step on the whole rollout. Returns the losses."""
        del rng
        config, rows = self.config, len(steps)
        advantages = normalised(steps.advantages) if config.normalize_advantage else steps.advantages
        output, values = self.forward(steps.inputs)
        log_probs, entropies = self.head.evaluate(output, steps.actions)
        error = values - steps.returns
        losses = {
            "train/policy_gradient_loss": -float(np.vdot(advantages, log_probs)) / rows,
            "train/value_loss": float(np.vdot(error, error)) / rows,
            "train/entropy_loss": -float(entropies.mean()),
        }
        self.backward(
            advantages * np.float32(-1 / rows), -config.ent_coef / rows, error * np.float32(2 * config.vf_coef / rows)
        )
        clip_norm(self._gradient, config.max_grad_norm)
        self._descent.step(self.weights, self._gradient)
        self.updates += 1
        return losses

    def optimizer(self) -> Arrays:
        """State of the optimiser."""
        if isinstance(self._descent, Adam):
            return adam_arrays("adam", self._descent)
        return {"rmsprop.squares": self._descent.squares, "rmsprop.steps": np.array([self._descent.steps])}

    def load_optimizer(self, arrays: Arrays) -> None:
        """Inverse of `optimizer`."""
        if isinstance(self._descent, Adam):
            load_adam("adam", self._descent, arrays)
        else:
            self._descent.squares[:] = arrays["rmsprop.squares"]
            self._descent.steps = int(arrays["rmsprop.steps"][0])

    def hand_over(self) -> None:
        """Give the model's optimiser its state."""
        theirs, own = self.model.policy.optimizer, self._descent
        if isinstance(own, Adam):
            write_moments(theirs, self.weights, own.moments(), own.steps)
        else:
            write_squares(theirs, self.weights, own.squares, own.steps)

    def _build(self, world: VectorWorld, seed: int) -> A2C:
        config = self.config
        with own_streams(seed), light_optimizers():
            return A2C(
                "MlpPolicy",
                WorldVecEnv(world),
                learning_rate=config.learning_rate,
                n_steps=config.n_steps,
                gamma=config.gamma,
                gae_lambda=config.gae_lambda,
                ent_coef=config.ent_coef,
                vf_coef=config.vf_coef,
                max_grad_norm=config.max_grad_norm,
                rms_prop_eps=RMSprop.EPSILON,
                use_rms_prop=config.use_rms_prop,
                normalize_advantage=config.normalize_advantage,
                policy_kwargs={"net_arch": list(config.net)},
                device="cpu",
            )


class REINFORCENets(A2CNets):
    """REINFORCE as the A2C that it is: full returns, normalised, and Adam.

    Without a baseline the value function is zero and stays so: returns end where a rollout or a time limit ends.
    """

    algorithm = "reinforce"

    def __init__(self, config: REINFORCEConfig, world: VectorWorld, seed: int) -> None:
        settings = A2CConfig(
            net=config.net,
            n_steps=config.n_steps,
            learning_rate=config.learning_rate,
            gamma=config.gamma,
            gae_lambda=1.0,
            ent_coef=config.ent_coef,
            vf_coef=0.5 if config.baseline else 0.0,
            max_grad_norm=config.max_grad_norm,
            normalize_advantage=True,
            use_rms_prop=False,
        )
        super().__init__(settings, world, seed)
        self._baseline = config.baseline
        self._without_baseline()

    def reset_value(self, seed: int, world: VectorWorld) -> None:
        """A fresh baseline, if there is one, and a fresh optimiser."""
        super().reset_value(seed, world)
        self._without_baseline()

    def _without_baseline(self) -> None:
        if not self._baseline:
            self._value_blocks[-1][...] = 0.0
