"""Behaviour cloning: a policy becomes a copy of whoever acted in logged episodes (Pomerleau 1991).

Squashed Gaussian policies (SAC, IQL) and categorical ones (PPO and its like; DQN with its values as logits) are fitted by maximum
likelihood. A Gaussian whose spread does not depend on the state (PPO and its like) is as well: its mean by least squares, then its
spread from the residuals of held-out steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from plaudit.control.config_offline import CloneConfig
from plaudit.control.dqn import DQNAgent
from plaudit.control.iql import IQLAgent
from plaudit.control.learner import Learner
from plaudit.control.offpolicy import OffPolicyLearner
from plaudit.control.onpolicy import OnPolicyLearner
from plaudit.control.ppo_heads import Categorical
from plaudit.control.sac import SACAgent
from plaudit.control.squashed import HIGHEST, LOWEST, fit_squashed, unsquashed
from plaudit.control.td3 import TD3Agent
from plaudit.errors import ConfigError, LearningError
from plaudit.models.kernels import Adam, FloatArray, Shape, Tapes
from plaudit.run.seeds import generator

STRETCH = 50
"""steps that are held out together: neighbours in time tell on each other"""

Fit = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]
"""loss [row], and into the last argument its gradient, from output [row, output], targets [row, ...], weights [row]"""


@dataclass(frozen=True, slots=True)
class _Part:
    """The network that is fitted, in place."""

    shape: Shape
    weights: FloatArray
    fit: Fit
    targets: Callable[[NDArray[np.generic]], FloatArray]
    """what the outputs are compared with, from the environment's actions"""
    log_std: FloatArray | None = None
    """spread that does not depend on the state"""


def clone(
    learner: Learner, observations: NDArray[np.float32], actions: NDArray[np.generic], config: CloneConfig, *, seed: int
) -> dict[str, float]:
    """Fit a learner's policy to logged steps; its critic and its optimisers stay as they are.

    Args:
        learner: whose policy learns.
        observations: [step, entry], neighbours in time side by side.
        actions: [step, *action], as the environment received them.
        config: the settings; the path in them is not read.
        seed: of everything random.

    Returns:
        Held-out loss at the start and at the end, and the number of passes.

    Raises:
        ConfigError: the learner is of no known kind.
        LearningError: there are fewer than two steps, or numbers that are not finite.
    """
    if len(observations) < 2 or len(observations) != len(actions) or not np.isfinite(observations).all():
        raise LearningError(
            "Logged steps cannot be cloned",
            got=f"{len(observations)} observations, {len(actions)} actions",
            expected="at least two steps of finite observations and actions",
        )
    part, rng = _part(learner), generator(seed, "clone")
    fitter = _Fitter(part, observations, part.targets(actions), config)
    rows, judges = _split(len(observations), config.held_out, rng)
    first = best = fitter.loss(judges)
    kept, waited, epochs = part.weights.copy(), 0, 0
    while epochs < config.epochs and waited < config.patience:
        fitter.epoch(rng.permutation(rows))
        epochs, waited, loss = epochs + 1, waited + 1, fitter.loss(judges)
        if not np.isfinite(loss):
            break
        if loss < best:
            best, waited, kept = loss, 0, part.weights.copy()
    part.weights[:] = kept
    if part.log_std is not None:
        part.log_std[:] = np.clip(0.5 * np.log(fitter.residuals(judges) + 1e-12), LOWEST, HIGHEST)
    _settle(learner)
    return {"clone/loss_before": first, "clone/loss_heldout": best, "clone/epochs": float(epochs)}


class _Fitter:
    """Passes over logged steps."""

    def __init__(
        self, part: _Part, observations: NDArray[np.float32], targets: FloatArray, config: CloneConfig
    ) -> None:
        self._part, self._observations, self._targets, self._batch = part, observations, targets, config.batch_size
        self._blocks, self._gradient = part.shape.blocks(part.weights), np.empty_like(part.weights)
        self._gradients = part.shape.blocks(self._gradient)
        self._tapes, self._adam = Tapes(part.shape), Adam(len(part.weights), config.learning_rate)

    def epoch(self, rows: NDArray[np.int64]) -> None:
        """One pass over these rows, in their order."""
        for start in range(0, len(rows), self._batch):
            picked = rows[start : start + self._batch]
            output = self._tapes.forward(self._blocks, self._observations[picked])
            slope, weights = np.empty_like(output), np.full(len(picked), 1 / len(picked), np.float32)
            self._part.fit(output[0], self._targets[picked], weights, slope[0])
            self._tapes.of(len(picked)).backward(self._blocks, slope, self._gradients)
            self._adam.step(self._part.weights, self._gradient)

    def loss(self, rows: NDArray[np.int64]) -> float:
        """Mean loss of these rows."""
        output = self._output(rows)
        weights = np.zeros(len(rows), np.float32)
        return float(self._part.fit(output, self._targets[rows], weights, np.empty_like(output)).mean())

    def residuals(self, rows: NDArray[np.int64]) -> FloatArray:
        """[output], mean squared distance of outputs and targets."""
        return np.square(self._output(rows) - self._targets[rows]).mean(axis=0)

    def _output(self, rows: NDArray[np.int64]) -> FloatArray:
        return Tapes(self._part.shape).forward(self._blocks, self._observations[rows])[0]


def _split(steps: int, share: float, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from, and rows to judge by: whole stretches of time, at least one step of each."""
    stretch = max(1, min(STRETCH, int(steps * share / 4)))
    order = rng.permutation(-(-steps // stretch))
    judges = np.zeros(len(order), np.bool_)
    judges[order[: min(len(order) - 1, max(1, round(share * len(order))))]] = True
    held = np.repeat(judges, stretch)[:steps]
    return np.flatnonzero(~held), np.flatnonzero(held)


def _part(learner: Learner) -> _Part:
    match learner:
        case OnPolicyLearner():
            nets = learner.nets
            if isinstance(nets.space, spaces.Discrete):
                return _Part(*nets.policy, _fit_choice, _numbers)
            return _Part(*nets.policy, _fit_mean, _rows, nets.log_std)
        case OffPolicyLearner(agent=SACAgent(nets=nets) | IQLAgent(nets=nets)):
            return _Part(nets.actor_shape, nets.actor, fit_squashed, lambda actions: unsquashed(nets.squashed(actions)))
        case OffPolicyLearner(agent=TD3Agent(nets=nets)):
            return _Part(nets.actor_shape, nets.actor, _fit_tanh, nets.squashed)
        case OffPolicyLearner(agent=DQNAgent() as agent):
            return _Part(*agent.network, _fit_choice, _numbers)
        case _:
            raise ConfigError("This algorithm cannot start as a clone", got=type(learner).__name__)


def _settle(learner: Learner) -> None:
    """Whatever mirrors the weights elsewhere looks at them anew."""
    if isinstance(learner, OffPolicyLearner):
        if isinstance(learner.agent, TD3Agent):
            learner.agent.nets.actor_target[:] = learner.agent.nets.actor
        learner.agent.load(learner.agent.arrays())


def _numbers(actions: NDArray[np.generic]) -> FloatArray:
    return actions.astype(np.float32)


def _rows(actions: NDArray[np.generic]) -> FloatArray:
    return _numbers(actions).reshape(len(actions), -1)


def _fit_mean(output: FloatArray, wanted: FloatArray, weights: FloatArray, out: FloatArray) -> FloatArray:
    error = output - wanted
    np.multiply(error, weights[:, None], out=out)
    return np.add.reduce(np.float32(0.5) * error * error, axis=1)


def _fit_tanh(output: FloatArray, wanted: FloatArray, weights: FloatArray, out: FloatArray) -> FloatArray:
    action = np.tanh(output)
    error = action - wanted
    np.multiply(error * (1 - action * action), weights[:, None], out=out)
    return np.add.reduce(np.float32(0.5) * error * error, axis=1)


def _fit_choice(output: FloatArray, wanted: FloatArray, weights: FloatArray, out: FloatArray) -> FloatArray:
    head = Categorical()
    log_probs, _ = head.evaluate(output, wanted)
    head.backward(-weights, 0.0, out)
    return -log_probs
