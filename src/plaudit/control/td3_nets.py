"""The networks of TD3: a Stable-Baselines3 model whose weights lie in plaudit's vectors."""

from __future__ import annotations

import numpy as np
from stable_baselines3 import TD3
from stable_baselines3.common.noise import NormalActionNoise

from plaudit.control.box_nets import BoxNets, adopt_network
from plaudit.control.config import TD3Config
from plaudit.control.files import Arrays
from plaudit.control.sb3 import WorldVecEnv, light_optimizers, own_streams
from plaudit.models.kernels import FloatArray, Shape, Tapes
from plaudit.worlds.vector import VectorWorld


class TD3Nets(BoxNets):
    """Actor, two critics, and their targets.

    Args:
        config: the settings.
        world: gives the spaces.
        seed: of the initial weights.

    Raises:
        ConfigError: the actions are not continuous and bounded.
    """

    def __init__(self, config: TD3Config, world: VectorWorld, seed: int) -> None:
        super().__init__(config, world, "TD3")
        self.config = config
        self.actor_shape = Shape((self.observation_size, *config.net, self.action_size))
        self.actor: FloatArray = np.zeros(self.actor_shape.parameters, np.float32)
        self.actor_target: FloatArray = np.zeros(self.actor_shape.parameters, np.float32)
        self.actor_blocks = self.actor_shape.blocks(self.actor)
        self.actor_target_blocks = self.actor_shape.blocks(self.actor_target)
        self.model = self._build(world, seed)
        adopt_network(self.model.actor.mu, self.actor_blocks)
        adopt_network(self.model.actor_target.mu, self.actor_target_blocks)
        self.adopt_critics(self.model.critic, self.model.critic_target)
        self._tapes = Tapes(self.actor_shape)

    def act(self, observations: FloatArray, rng: np.random.Generator | None) -> FloatArray:
        """Actions [n, *action] as the environment takes them; with a generator noisy, and some of them random."""
        actions = np.tanh(self._tapes.forward(self.actor_blocks, observations)[0])
        if rng is not None:
            config = self.config
            noise = np.float32(config.action_noise) * rng.standard_normal(actions.shape, dtype=np.float32)
            actions = np.clip(actions + noise, -1, 1)
            if config.random_eps:
                random = rng.random(len(actions)) < config.random_eps
                anything = rng.uniform(-1, 1, actions.shape).astype(np.float32)
                actions = np.where(random[:, None] & np.isfinite(actions), anything, actions)
        return self.unsquashed(actions)

    def arrays(self) -> Arrays:
        """All weights."""
        return {
            "actor": self.actor,
            "actor_target": self.actor_target,
            "critic": self.critic,
            "target": self.target,
        }

    def load(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        for name, here in self.arrays().items():
            here[:] = arrays[name]

    def _build(self, world: VectorWorld, seed: int) -> TD3:
        config, size = self.config, self.action_size
        with own_streams(seed), light_optimizers():
            model = TD3(
                "MlpPolicy",
                WorldVecEnv(world),
                learning_rate=config.learning_rate,
                buffer_size=1,
                batch_size=config.batch_size,
                tau=config.tau,
                gamma=config.gamma,
                gradient_steps=-1 if config.utd == 1 else max(1, round(config.utd * world.n_envs)),
                action_noise=NormalActionNoise(np.zeros(size), np.full(size, config.action_noise)),
                policy_delay=config.policy_delay,
                target_policy_noise=config.target_policy_noise,
                target_noise_clip=config.target_noise_clip,
                policy_kwargs={"net_arch": list(config.net)},
                device="cpu",
            )
        model.buffer_size = 1_000_000  # Stable-Baselines3's default, for whoever loads the exported model
        return model
