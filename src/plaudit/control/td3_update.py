"""TD3's update without autograd, equal to Stable-Baselines3's to rounding (tests/test_control_td3.py).

One update, with n normal noise that is clipped:

    critics: Q_i  <-  Adam on  sum_i mean (Q_i(s, a) - y)^2,   y = r + gamma min_i Q'_i(s', clip(mu'(s') + n))

and, every `policy_delay` of them,

    actor:   mu   <-  Adam on  -mean Q_1(s, mu(s))
    targets: Q'   <-  Q' + tau (Q - Q'),   mu'  <-  mu' + tau (mu - mu')

(Fujimoto et al. 2018, https://arxiv.org/abs/1802.09477, algorithm 1.)
"""

from __future__ import annotations

import numpy as np

from plaudit.control.box_nets import Given, follow
from plaudit.control.files import Arrays, adam_arrays, load_adam
from plaudit.control.replay import Batch
from plaudit.control.td3_nets import TD3Nets
from plaudit.models.kernels import Adam, FloatArray, Shape, Tape


class TD3Update:
    """Updates TD3's networks in place."""

    def __init__(self, nets: TD3Nets) -> None:
        rows, rate = nets.rows, nets.config.learning_rate
        self._nets = nets
        self.updates = 0
        self.adams = {"actor": Adam(len(nets.actor), rate), "critic": Adam(len(nets.critic), rate)}
        self._actor_gradient, self._critic_gradient = np.empty_like(nets.actor), np.empty_like(nets.critic)
        self._actor_gradients = nets.actor_shape.blocks(self._actor_gradient)
        self._critic_gradients = nets.critic_shape.blocks(self._critic_gradient)
        self._actor_tape, self._critic_tape = Tape(nets.actor_shape, rows), Tape(nets.critic_shape, rows)
        self._first_blocks = [block[:1] for block in nets.critic_blocks]
        self._first_tape = Tape(Shape(nets.critic_shape.sizes), rows)
        self._d_critic: FloatArray = np.empty((2, rows, 1), np.float32)
        self._d_first: FloatArray = np.full((1, rows, 1), -1 / rows, np.float32)
        self._scratch = {"actor": np.empty_like(nets.actor), "critic": np.empty_like(nets.critic)}
        self._given = Given(nets, 0)

    def train(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        """One update for each entry of the batch's first axis. Returns the newest losses of critics and, if any, actor."""
        noise = rng.standard_normal((*batch.rewards.shape, self._nets.action_size), dtype=np.float32)
        return self.train_with(batch, noise)

    def train_with(self, batch: Batch, noise: FloatArray) -> dict[str, float]:
        """`train` with given standard normal noise [update, row, action] for the target actor's actions."""
        nets, config, updates = self._nets, self._nets.config, len(batch.rewards)
        losses: dict[str, float] = {}
        if updates > self._given.room:
            self._given = Given(nets, updates)
        with np.errstate(all="ignore"):  # what is not finite shows in the losses
            self._given.take(nets, batch)
            noise = np.clip(config.target_policy_noise * noise, -config.target_noise_clip, config.target_noise_clip)
            for index in range(updates):
                losses["train/critic_loss"] = self._update_critics(index, noise[index])
                self.updates += 1
                if self.updates % config.policy_delay == 0:
                    losses["train/actor_loss"] = self._update_actor(index)
                    follow(nets.target, nets.critic, config.tau, self._scratch["critic"])
                    follow(nets.actor_target, nets.actor, config.tau, self._scratch["actor"])
        return losses

    def arrays(self) -> Arrays:
        """State of the optimisers, and the number of updates, which the delay goes by."""
        found: Arrays = {"updates": np.array([self.updates])}
        for name, adam in self.adams.items():
            found |= adam_arrays(name, adam)
        return found

    def load(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        self.updates = int(arrays["updates"][0])
        for name, adam in self.adams.items():
            load_adam(name, adam, arrays)

    def _update_critics(self, index: int, noise: FloatArray) -> float:
        """Returns the loss."""
        nets, given, rows = self._nets, self._given, self._nets.rows
        following = given.actor[index][:, rows:]
        actions = np.tanh(self._actor_tape.forward(nets.actor_target_blocks, following)[0])
        actions += noise
        future = given.future[index]
        np.clip(actions, -1, 1, out=future[0, :, nets.observation_size : -1])
        q = self._critic_tape.forward(nets.target_blocks, future)[..., 0]
        value = np.minimum(q[0], q[1])
        value *= given.discounts[index]
        value += given.rewards[index]
        q = self._critic_tape.forward(nets.critic_blocks, given.past[index])
        np.subtract(q, value[:, None], out=self._d_critic)
        loss = float(np.vdot(self._d_critic, self._d_critic)) / rows
        self._d_critic *= 2 / rows
        self._critic_tape.backward(nets.critic_blocks, self._d_critic, self._critic_gradients)
        self.adams["critic"].step(nets.critic, self._critic_gradient)
        return loss

    def _update_actor(self, index: int) -> float:
        """Returns the loss."""
        nets, given = self._nets, self._given
        columns = slice(nets.observation_size, nets.observation_size + nets.action_size)
        actions = np.tanh(self._actor_tape.forward(nets.actor_blocks, given.actor[index][:, : nets.rows])[0])
        present = given.present[index]
        present[0, :, columns] = actions
        loss = -float(self._first_tape.forward(self._first_blocks, present).mean())
        d_actions = self._first_tape.backward(self._first_blocks, self._d_first, None, columns=columns)
        assert d_actions is not None
        d_actions[0] *= 1 - actions * actions
        self._actor_tape.backward(nets.actor_blocks, d_actions, self._actor_gradients)
        self.adams["actor"].step(nets.actor, self._actor_gradient)
        return loss
