"""Trust region policy optimisation as a model of sb3-contrib, which updates it; acting and labelling are done here.

    learner.export("policy.zip")
    model = sb3_contrib.TRPO.load("policy.zip")

A step of the policy goes along the natural gradient, F^-1 g by conjugate gradients, as far as the mean KL divergence allows;
the value function then takes steps of Adam (Schulman et al. 2015, https://arxiv.org/abs/1502.05477, equations 14 and 15).
"""

from __future__ import annotations

import warnings

import numpy as np
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from plaudit.control.actor_critic import ActorCritic, Steps
from plaudit.control.config import TRPOConfig
from plaudit.control.files import Arrays
from plaudit.control.rollout import require_finite
from plaudit.control.sb3 import WorldVecEnv, light_optimizers, own_streams, read_moments, write_moments
from plaudit.run.optional import require
from plaudit.worlds.vector import VectorWorld

LOGGED = {
    "train/value_loss": "train/value_loss",
    "train/kl_divergence_loss": "train/approx_kl",
    "train/is_line_search_success": "train/line_search",
}
"""sb3-contrib's names of what is logged, and the ones used here"""


class TRPONets(ActorCritic):
    """TRPO's networks; `sb3_contrib.TRPO.train` changes them.

    Args:
        config: the settings.
        world: gives the spaces.
        seed: of the initial weights.

    Raises:
        MissingExtra: sb3-contrib is not installed.
    """

    algorithm = "trpo"

    def __init__(self, config: TRPOConfig, world: VectorWorld, seed: int) -> None:
        self.config = config
        super().__init__(config, world, seed)

    def train(self, steps: Steps, rng: np.random.Generator) -> dict[str, float]:
        """One step of the policy and several of the value function. Returns the losses.

        Raises LearningError when the advantages are not finite, which torch's distributions would stumble over.
        """
        require_finite({"advantages": float(np.abs(steps.advantages).max())})
        model = self.model
        model.rollout_buffer = self._filled(steps)
        with own_streams(int(rng.integers(2**63))):
            model.train()
        self._adopt()  # it replaces the tensors that it changes
        self.updates += 1
        found = model.logger.name_to_value
        losses = {name: float(found[theirs]) for theirs, name in LOGGED.items()}
        return losses | {"train/policy_gradient_loss": -float(found["train/policy_objective"])}

    def optimizer(self) -> Arrays:
        """State of the value function's Adam."""
        first, second, steps = read_moments(self.model.policy.optimizer, self.weights)
        return {"adam.first": first, "adam.second": second, "adam.steps": np.array([steps])}

    def load_optimizer(self, arrays: Arrays) -> None:
        """Inverse of `optimizer`."""
        policy = self.model.policy
        moments = np.asarray(arrays["adam.first"], np.float32), np.asarray(arrays["adam.second"], np.float32)
        write_moments(policy.optimizer, self.weights, moments, int(arrays["adam.steps"][0]))
        for name, weights in policy.named_parameters():
            if "value" not in name:  # these Adam has never touched
                policy.optimizer.state.pop(weights, None)

    def hand_over(self) -> None:
        """The model's own optimiser did the work already."""

    def _filled(self, steps: Steps) -> RolloutBuffer:
        """A rollout as Stable-Baselines3 keeps it, of one environment, since its order does not matter any more."""
        model = self.model
        buffer = RolloutBuffer(len(steps), model.observation_space, model.action_space, device="cpu")
        buffer.observations[:, 0] = steps.inputs[:, :-1]
        buffer.actions[:] = steps.actions.reshape(buffer.actions.shape)
        buffer.log_probs[:, 0], buffer.advantages[:, 0] = steps.log_probs, steps.advantages
        buffer.returns[:, 0] = steps.returns
        buffer.full = True
        return buffer

    def _build(self, world: VectorWorld, seed: int) -> OnPolicyAlgorithm:
        config, contrib = self.config, require("sb3_contrib", "contrib")
        with own_streams(seed), light_optimizers(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="You have specified a mini-batch size")  # rollouts vary in length
            model: OnPolicyAlgorithm = contrib.TRPO(
                "MlpPolicy",
                WorldVecEnv(world),
                learning_rate=config.learning_rate,
                n_steps=config.n_steps,
                batch_size=config.batch_size,
                gamma=config.gamma,
                gae_lambda=config.gae_lambda,
                target_kl=config.target_kl,
                cg_max_steps=config.cg_max_steps,
                cg_damping=config.cg_damping,
                n_critic_updates=config.n_critic_updates,
                policy_kwargs={"net_arch": list(config.net)},
                device="cpu",
            )
        # `set_logger` would mark it as the user's own, and a loaded model would miss it
        model._logger = Logger(None, [])  # pyright: ignore[reportPrivateUsage]
        return model
