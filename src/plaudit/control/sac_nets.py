"""The networks of SAC: a Stable-Baselines3 model whose weights lie in plaudit's vectors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from stable_baselines3 import SAC

from plaudit.control.box_nets import BoxNets
from plaudit.control.config import SACConfig
from plaudit.control.files import Arrays
from plaudit.control.sb3 import Moments, WorldVecEnv, adopt, light_optimizers, linears, own_streams, write_moments
from plaudit.models.kernels import FloatArray, Shape, Tapes
from plaudit.worlds.vector import VectorWorld

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0
"""bounds of the policy's log standard deviation, as in Stable-Baselines3"""


class SACNets(BoxNets):
    """Actor, two critics, two target critics and the entropy coefficient.

    Args:
        config: the settings.
        world: gives the spaces.
        seed: of the initial weights.

    Raises:
        ConfigError: the actions are not continuous and bounded.
    """

    def __init__(self, config: SACConfig, world: VectorWorld, seed: int) -> None:
        super().__init__(config, world, "SAC")
        self.config = config
        self.actor_shape = Shape((self.observation_size, *config.net, 2 * self.action_size))
        self.actor: FloatArray = np.zeros(self.actor_shape.parameters, np.float32)
        self.log_alpha: FloatArray = np.zeros(1, np.float32)
        self.learns_alpha = config.ent_coef.startswith("auto")
        self.target_entropy = -float(self.action_size) if config.target_entropy is None else config.target_entropy
        self.actor_blocks = self.actor_shape.blocks(self.actor)
        self.model = self._build(world, seed)
        self._adopt()
        self._tapes = Tapes(self.actor_shape)

    def act(self, observations: FloatArray, rng: np.random.Generator | None) -> FloatArray:
        """Actions [n, *action] as the environment takes them; the mode of the policy when there is no generator."""
        mean, log_std = np.split(self._tapes.forward(self.actor_blocks, observations)[0], 2, axis=1)
        if rng is not None:
            noise = rng.standard_normal(mean.shape, dtype=np.float32)
            mean = mean + noise * np.exp(np.clip(log_std, LOG_STD_MIN, LOG_STD_MAX))
        return self.unsquashed(np.tanh(mean))

    def arrays(self) -> Arrays:
        """All weights."""
        return {"actor": self.actor, "critic": self.critic, "target": self.target, "log_alpha": self.log_alpha}

    def load(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        for name, here in self.arrays().items():
            here[:] = arrays[name]

    def hand_over(self, moments: Mapping[str, tuple[Moments, int]]) -> None:
        """Give the model's optimisers of "actor", "critic" and "alpha" these moments and steps, before it is exported."""
        model = self.model
        write_moments(model.actor.optimizer, self.actor, *moments["actor"])
        write_moments(model.critic.optimizer, self.critic, *moments["critic"])
        if model.ent_coef_optimizer is not None:
            write_moments(model.ent_coef_optimizer, self.log_alpha, *moments["alpha"])

    def _build(self, world: VectorWorld, seed: int) -> SAC:
        config = self.config
        with own_streams(seed), light_optimizers():
            model = SAC(
                "MlpPolicy",
                WorldVecEnv(world),
                learning_rate=config.learning_rate,
                buffer_size=1,
                batch_size=config.batch_size,
                tau=config.tau,
                gamma=config.gamma,
                gradient_steps=-1 if config.utd == 1 else max(1, round(config.utd * world.n_envs)),
                ent_coef=config.ent_coef if self.learns_alpha else float(config.ent_coef),
                target_entropy=self.target_entropy,  # pyright: ignore[reportArgumentType] - the stub says str, the code takes numbers
                policy_kwargs={"net_arch": list(config.net)},
                device="cpu",
            )
        model.buffer_size = 1_000_000  # Stable-Baselines3's default, for whoever loads the exported model
        return model

    def _adopt(self) -> None:
        """Put all weights into the vectors."""
        size, actor = self.action_size, self.model.actor
        for layer, block in zip(linears(actor.latent_pi), self.actor_blocks, strict=False):
            adopt(layer, block[0])
        adopt(actor.mu, self.actor_blocks[-1][0, :, :size])
        adopt(actor.log_std, self.actor_blocks[-1][0, :, size:])
        self.adopt_critics(self.model.critic, self.model.critic_target)
        if self.learns_alpha:
            assert self.model.log_ent_coef is not None
            self.log_alpha[:] = self.model.log_ent_coef.detach().numpy()
            self.model.log_ent_coef.data = torch.from_numpy(self.log_alpha)
        else:
            self.log_alpha[:] = np.log(float(self.config.ent_coef))
