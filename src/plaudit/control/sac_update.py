"""SAC's update without autograd, equal to Stable-Baselines3's to rounding (tests/test_control_sac.py).

One update, with a ~ policy(s) squashed by tanh, p its log-probability and alpha the entropy coefficient:

    alpha:   log alpha  <-  Adam on  -log alpha (mean p(s) + target entropy)
    critics: Q_i        <-  Adam on  1/2 mean (Q_i(s, a) - y)^2,   y = r + gamma (min_i Q'_i(s', a') - alpha p(s'))
    actor:   policy     <-  Adam on  mean (alpha p(s) - min_i Q_i(s, a~))
    targets: Q'         <-  Q' + tau (Q - Q')

(Haarnoja et al. 2018, https://arxiv.org/abs/1812.05905, equations 5 to 9 and 18.) Several updates come in one call, so
that gathering, noise and all else that does not depend on the weights is done once.
"""

from __future__ import annotations

import math

import numpy as np

from plaudit.control.box_nets import Given, follow
from plaudit.control.files import Arrays, adam_arrays, load_adam
from plaudit.control.replay import Batch
from plaudit.control.sac_nets import LOG_STD_MAX, LOG_STD_MIN, SACNets
from plaudit.models.kernels import Adam, FloatArray, Tape

SQUASH = np.float32(1e-6)
"""keeps the logarithm of 1 - a^2 finite, as in Stable-Baselines3"""
LOWEST, HIGHEST = np.float32(LOG_STD_MIN), np.float32(LOG_STD_MAX)


class NumpyUpdate:
    """Updates SAC's networks in place."""

    def __init__(self, nets: SACNets) -> None:
        rate, rows = nets.config.learning_rate, nets.config.batch_size
        self._nets, self._rows = nets, rows
        self._adams = {
            "actor": Adam(len(nets.actor), rate),
            "critic": Adam(len(nets.critic), rate),
            "alpha": Adam(1, rate),
        }
        self._actor_gradient, self._critic_gradient = np.empty_like(nets.actor), np.empty_like(nets.critic)
        self._actor_gradients = nets.actor_shape.blocks(self._actor_gradient)
        self._critic_gradients = nets.critic_shape.blocks(self._critic_gradient)
        self._actor_tape = Tape(nets.actor_shape, 2 * rows)  # observations and following ones in one pass
        self._critic_tape, self._target_tape = Tape(nets.critic_shape, rows), Tape(nets.critic_shape, rows)
        self._d_critic: FloatArray = np.empty((2, rows, 1), np.float32)
        self._d_actor: FloatArray = np.empty((1, rows, 2 * nets.action_size), np.float32)
        self._scratch: FloatArray = np.empty_like(nets.critic)
        self._given = Given(nets, 0)
        self._noise = self._densities = self._scratch

    def train(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        """One update for each entry of the batch's first axis. Returns the losses of the last."""
        noise = rng.standard_normal((len(batch.rewards), 2 * self._rows, self._nets.action_size), dtype=np.float32)
        return self.train_with(batch, noise)

    def train_with(self, batch: Batch, noise: FloatArray) -> dict[str, float]:
        """`train` with given noise [update, 2 x row, action]: for the observations, then for the following ones."""
        updates = len(batch.rewards)
        if updates > self._given.room:
            self._given = Given(self._nets, updates)
        with np.errstate(all="ignore"):  # what is not finite shows in the losses
            self._given.take(self._nets, batch)
            self._noise = noise
            self._densities = (np.float32(-0.5) * noise * noise - np.float32(0.5 * math.log(2 * math.pi))).sum(axis=-1)
            for index in range(updates - 1):
                self._update(index, report=False)
            return self._update(updates - 1, report=True)

    def arrays(self) -> Arrays:
        """State of the optimisers."""
        found: Arrays = {}
        for name, adam in self._adams.items():
            found |= adam_arrays(name, adam)
        return found

    def load(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        for name, adam in self._adams.items():
            load_adam(name, adam, arrays)

    def hand_over(self) -> None:
        """Give the optimisers of the Stable-Baselines3 model their state."""
        self._nets.hand_over({name: (adam.moments(), adam.steps) for name, adam in self._adams.items()})

    def _update(self, index: int, *, report: bool) -> dict[str, float]:
        nets, rows, given = self._nets, self._rows, self._given
        output = self._actor_tape.forward(nets.actor_blocks, given.actor[index])[0]
        draw = _Draw(output, self._noise[index], self._densities[index])
        alpha, log_alpha = float(np.exp(nets.log_alpha[0])), float(nets.log_alpha[0])
        surplus = float(np.add.reduce(draw.log_probs[:rows])) / rows + nets.target_entropy
        if nets.learns_alpha:
            self._adams["alpha"].step(nets.log_alpha, np.array([-surplus], np.float32))
        self._update_critics(index, draw, alpha)
        critic_loss = 0.5 * rows * float(np.vdot(self._d_critic, self._d_critic)) if report else 0.0
        lowest = self._update_actor(index, draw, alpha)
        follow(nets.target, nets.critic, nets.config.tau, self._scratch)
        if not report:
            return {}
        losses = {
            "train/actor_loss": alpha * (surplus - nets.target_entropy) - float(lowest.mean()),
            "train/critic_loss": critic_loss,
            "train/ent_coef": alpha,
        }
        return losses | ({"train/ent_coef_loss": -log_alpha * surplus} if nets.learns_alpha else {})

    def _update_critics(self, index: int, draw: _Draw, alpha: float) -> None:
        nets, given, rows = self._nets, self._given, self._rows
        future = given.future[index]
        future[0, :, nets.observation_size : -1] = draw.actions[rows:]
        q = self._target_tape.forward(nets.target_blocks, future)[..., 0]
        value = np.minimum(q[0], q[1])
        value -= alpha * draw.log_probs[rows:]
        value *= given.discounts[index]
        value += given.rewards[index]
        q = self._critic_tape.forward(nets.critic_blocks, given.past[index])
        np.subtract(q, value[:, None], out=self._d_critic)
        self._d_critic *= 1 / rows
        self._critic_tape.backward(nets.critic_blocks, self._d_critic, self._critic_gradients)
        self._adams["critic"].step(nets.critic, self._critic_gradient)

    def _update_actor(self, index: int, draw: _Draw, alpha: float) -> FloatArray:
        """Returns the lower critic [row] at the drawn actions."""
        nets, rows = self._nets, self._rows
        present, entries = self._given.present[index], slice(nets.observation_size, -1)
        present[0, :, entries] = draw.actions[:rows]
        q = self._critic_tape.forward(nets.critic_blocks, present)
        d_critic = self._d_critic
        np.less_equal(q[0], q[1], out=d_critic[0], casting="unsafe")
        np.subtract(1, d_critic[0], out=d_critic[1])  # only the lower critic of each row has a slope
        d_critic *= -1 / rows
        columns = slice(nets.observation_size, nets.observation_size + nets.action_size)
        d_actions = self._critic_tape.backward(nets.critic_blocks, d_critic, None, columns=columns)
        assert d_actions is not None
        draw.backward(d_actions[0] + d_actions[1], alpha / rows, self._d_actor[0])
        self._actor_tape.backward(nets.actor_blocks, self._d_actor, self._actor_gradients)
        self._adams["actor"].step(nets.actor, self._actor_gradient)
        return np.minimum(q[0], q[1])


class _Draw:
    """Actions tanh(mean + std x noise) with their log-probabilities, and the way back.

    Args:
        output: [row, 2 x action], mean and log standard deviation.
        noise: [row, action], standard normal.
        densities: [row], log-density of the noise.
    """

    def __init__(self, output: FloatArray, noise: FloatArray, densities: FloatArray) -> None:
        size = noise.shape[1]
        self._raw = output[:, size:]
        self._log_std = np.minimum(self._raw, HIGHEST)
        np.maximum(self._log_std, LOWEST, out=self._log_std)
        self._spread = np.exp(self._log_std)
        self._spread *= noise
        self.actions: FloatArray = np.tanh(output[:, :size] + self._spread)
        self._slope = 1 - self.actions * self.actions
        self._squash = self._slope + SQUASH
        self.log_probs: FloatArray = densities - np.add.reduce(self._log_std + np.log(self._squash), axis=1)

    def backward(self, d_actions: FloatArray, d_log_prob: float, out: FloatArray) -> None:
        """Gradient by the output, into `out` [row, 2 x action], for as many rows as `d_actions` has; changes `d_actions`."""
        rows, size = d_actions.shape
        d_actions += (2 * d_log_prob) * self.actions[:rows] / self._squash[:rows]
        np.multiply(d_actions, self._slope[:rows], out=out[:, :size])
        d_log_std = out[:, :size] * self._spread[:rows]
        d_log_std -= d_log_prob
        np.multiply(
            d_log_std, self._raw[:rows] == self._log_std[:rows], out=out[:, size:]
        )  # no slope beyond the bounds
