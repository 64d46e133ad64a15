"""From a network's outputs to actions, and back: diagonal Gaussian and categorical policies without autograd."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plaudit.models.kernels import FloatArray

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


class Head(Protocol):
    """A distribution over actions, given outputs [row, output]."""

    def draw(self, output: FloatArray, rng: np.random.Generator | None) -> NDArray[np.generic]:
        """Actions [row, ...]; the most likely ones without a generator."""
        ...

    def evaluate(self, output: FloatArray, actions: NDArray[np.generic]) -> tuple[FloatArray, FloatArray]:
        """Log-probabilities and entropies, both [row]."""
        ...

    def backward(self, d_log_probs: FloatArray, d_entropy: float, out: FloatArray) -> None:
        """Write the gradient by the outputs of the newest `evaluate`, given those by its results (one for all entropies)."""
        ...


class Gaussian:
    """Independent normal distributions around the outputs, with standard deviations that do not depend on the state.

    Args:
        log_std: [action], changed from outside.
        d_log_std: [action], receives its gradient.
    """

    def __init__(self, log_std: FloatArray, d_log_std: FloatArray) -> None:
        self._log_std, self._d_log_std = log_std, d_log_std
        self._scaled = self._inverse = log_std

    def draw(self, output: FloatArray, rng: np.random.Generator | None) -> NDArray[np.generic]:
        """Actions [row, action], not clipped."""
        if rng is None:
            return output.copy()
        return output + np.exp(self._log_std) * rng.standard_normal(output.shape, dtype=np.float32)

    def evaluate(self, output: FloatArray, actions: NDArray[np.generic]) -> tuple[FloatArray, FloatArray]:
        """Log-probabilities and entropies, both [row]."""
        self._inverse = np.exp(-self._log_std)
        self._scaled = (actions.astype(np.float32, copy=False) - output) * self._inverse
        total, size = np.float32(self._log_std.sum()), len(self._log_std)
        log_probs = -0.5 * np.add.reduce(self._scaled * self._scaled, axis=1) - total - np.float32(size * HALF_LOG_TAU)
        return log_probs, np.full(len(output), total + np.float32(size * (0.5 + HALF_LOG_TAU)), np.float32)

    def backward(self, d_log_probs: FloatArray, d_entropy: float, out: FloatArray) -> None:
        """d log p / d mean = z / std and d log p / d log std = z^2 - 1, with z = (action - mean) / std."""
        np.multiply(self._scaled, d_log_probs[:, None], out=out)
        self._d_log_std[:] = (
            np.add.reduce(out * self._scaled, axis=0) - d_log_probs.sum() + d_entropy * len(d_log_probs)
        )
        out *= self._inverse


class Categorical:
    """One of several actions, with the outputs as logits."""

    def __init__(self) -> None:
        self._log_p: FloatArray = np.empty((0, 0), np.float32)
        self._p, self._chosen, self._entropies = self._log_p, np.empty(0, np.intp), self._log_p

    def draw(self, output: FloatArray, rng: np.random.Generator | None) -> NDArray[np.generic]:
        """Actions [row]; drawn by adding Gumbel noise to the logits."""
        scores = output if rng is None else output - np.log(rng.standard_exponential(output.shape, dtype=np.float32))
        return scores.argmax(axis=1)

    def evaluate(self, output: FloatArray, actions: NDArray[np.generic]) -> tuple[FloatArray, FloatArray]:
        """Log-probabilities and entropies, both [row]."""
        shifted = output - output.max(axis=1, keepdims=True)
        self._log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self._p = np.exp(self._log_p)
        self._chosen = actions.astype(np.intp)
        self._entropies = -np.add.reduce(self._p * self._log_p, axis=1)
        return self._log_p[np.arange(len(output)), self._chosen], self._entropies

    def backward(self, d_log_probs: FloatArray, d_entropy: float, out: FloatArray) -> None:
        """d log p_i / d logit_j = [i = j] - p_j and d H / d logit_j = -p_j (log p_j + H)."""
        np.multiply(self._p, -d_log_probs[:, None], out=out)
        out[np.arange(len(out)), self._chosen] += d_log_probs
        if d_entropy:
            out -= d_entropy * self._p * (self._log_p + self._entropies[:, None])
