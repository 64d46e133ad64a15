"""Fitting a Gaussian that is squashed by tanh, SAC's policy, to actions that others took."""

from __future__ import annotations

import numpy as np

from plaudit.models.kernels import FloatArray

EDGE = np.float32(0.99)
"""actions beyond this share of their range count as this: tanh reaches a bound only at infinity"""
LOWEST, HIGHEST = np.float32(-3.0), np.float32(2.0)
"""bounds of a fitted log standard deviation; a copy of who never varies would else shrink to a point"""


def unsquashed(actions: FloatArray) -> FloatArray:
    """Inverse of tanh, for actions in [-1, 1] of any shape."""
    return np.arctanh(np.clip(actions, -EDGE, EDGE))


def fit_squashed(output: FloatArray, wanted: FloatArray, weights: FloatArray, out: FloatArray) -> FloatArray:
    """Negative log-likelihood, up to what does not depend on the policy, and its gradient.

    With z = (wanted - mean) / std a row loses sum over actions of z^2 / 2 + log std.

    Args:
        output: [row, 2 x action], mean and log standard deviation before squashing.
        wanted: [row, action], see `unsquashed`.
        weights: [row], of the row's gradient.
        out: [row, 2 x action], receives the gradient by `output`.

    Returns:
        The loss [row], not weighted.
    """
    size = wanted.shape[1]
    raw = output[:, size:]
    log_std = np.clip(raw, LOWEST, HIGHEST)
    inverse = np.exp(-log_std)
    scaled = (wanted - output[:, :size]) * inverse
    np.multiply(scaled * inverse, -weights[:, None], out=out[:, :size])
    np.multiply((1 - scaled * scaled) * (raw == log_std), weights[:, None], out=out[:, size:])
    return np.add.reduce(np.float32(0.5) * scaled * scaled + log_std, axis=1)
