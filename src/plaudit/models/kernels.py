"""Multilayer perceptrons and Adam without autograd, in place on flat float32 vectors.

For networks of a few thousand weights an autograd framework spends most of its time on bookkeeping (an update of SAC with
64 x 64 networks here and by Stable-Baselines3: `python -m benchmarks.details`). Here several networks of
one shape are evaluated together as stacked matrix products, every result goes to a buffer that already exists, and
weights live in one vector, so that an optimiser step is a handful of array operations.

A layer is one block [member, input + 1, output] whose last input row is the bias; activations carry a last column of
ones to meet it. That makes bias and its gradient part of the matrix product.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class Activation(enum.Enum):
    """Nonlinearity of hidden layers."""

    RELU = "relu"
    TANH = "tanh"


@dataclass(frozen=True, slots=True)
class Shape:
    """Shape of `members` equal networks; `sizes` are input, hidden layers and output."""

    sizes: tuple[int, ...]
    members: int = 1
    activation: Activation = Activation.RELU

    @property
    def parameters(self) -> int:
        """Number of weights and biases of all members together."""
        return self.members * sum((inside + 1) * outside for inside, outside in pairwise(self.sizes))

    def blocks(self, flat: FloatArray) -> list[FloatArray]:
        """Views [member, input + 1, output] of a vector of `parameters` numbers, one a layer."""
        found: list[FloatArray] = []
        start = 0
        for inside, outside in pairwise(self.sizes):
            end = start + self.members * (inside + 1) * outside
            found.append(flat[start:end].reshape(self.members, inside + 1, outside))
            start = end
        return found


def with_ones(*shape: int) -> FloatArray:
    """Zeros of the given shape, but ones in the last column: an activation buffer that meets the biases."""
    buffer = np.zeros(shape, np.float32)
    buffer[..., -1] = 1.0
    return buffer


class Tape:
    """Buffers for passes of one batch size through networks of one shape."""

    def __init__(self, shape: Shape, batch: int) -> None:
        self._tanh = shape.activation is Activation.TANH
        hidden = shape.sizes[1:-1]
        self._hidden = [with_ones(shape.members, batch, size + 1) for size in hidden]
        self._zeros = [np.zeros_like(buffer) for buffer in self._hidden]
        self._slopes = [np.empty((shape.members, batch, size), np.float32) for size in hidden]
        self._deltas = [np.empty((shape.members, batch, size), np.float32) for size in hidden]
        self.output: FloatArray = np.empty((shape.members, batch, shape.sizes[-1]), np.float32)
        self._inputs: FloatArray = self.output

    def forward(self, blocks: Sequence[FloatArray], inputs: FloatArray) -> FloatArray:
        """Outputs [member, row, output] of inputs [member or 1, row, input + 1] whose last column is one."""
        self._inputs = inputs
        for buffer, zeros, block in zip(self._hidden, self._zeros, blocks, strict=False):
            values = buffer[..., :-1]
            np.matmul(inputs, block, out=values)
            if self._tanh:
                np.tanh(values, out=values)
            else:
                np.maximum(buffer, zeros, out=buffer)  # ones stay
            inputs = buffer
        return np.matmul(inputs, blocks[-1], out=self.output)

    def backward(
        self,
        blocks: Sequence[FloatArray],
        d_output: FloatArray,
        gradients: Sequence[FloatArray] | None,
        *,
        columns: slice | None = None,
    ) -> FloatArray | None:
        """Backpropagate through the newest forward pass.

        Args:
            blocks: the weights of that pass.
            d_output: gradient of the loss by the outputs, [member, row, output]; fewer rows than the pass had mean the first.
            gradients: views like `blocks` that receive the gradient by the weights; None leaves it out.
            columns: input columns whose gradient is wanted.

        Returns:
            Gradient by those input columns, [member, row, column], or None.
        """
        rows = d_output.shape[1]
        delta = d_output
        for layer in range(len(self._hidden) - 1, -1, -1):
            buffer = self._hidden[layer][:, :rows]
            if gradients is not None:
                np.matmul(buffer.swapaxes(1, 2), delta, out=gradients[layer + 1])
            before = (np.multiply if delta.shape[2] == 1 else np.matmul)(
                delta, blocks[layer + 1][:, :-1].swapaxes(1, 2), out=self._deltas[layer][:, :rows]
            )
            delta = self._through(layer, before, rows)
        if gradients is not None:
            np.matmul(self._inputs[:, :rows].swapaxes(1, 2), delta, out=gradients[0])
        return None if columns is None else np.matmul(delta, blocks[0][:, columns].swapaxes(1, 2))

    def _through(self, layer: int, delta: FloatArray, rows: int) -> FloatArray:
        """Multiply a gradient by the activation's slope, in place."""
        values, slope = self._hidden[layer][:, :rows, :-1], self._slopes[layer][:, :rows]
        if self._tanh:
            np.multiply(values, values, out=slope)
            np.subtract(1.0, slope, out=slope)
        else:
            np.greater(values, 0.0, out=slope, casting="unsafe")
        return np.multiply(delta, slope, out=delta)


class Tapes:
    """Tapes for batches of any size; the newest few are kept."""

    KEPT = 8

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._kept: dict[int, tuple[Tape, FloatArray]] = {}

    def of(self, rows: int) -> Tape:
        """The tape for so many rows."""
        return self._find(rows)[0]

    def forward(self, blocks: Sequence[FloatArray], observations: NDArray[np.generic]) -> FloatArray:
        """Outputs [member, row, output] of observations [row, input], which come without a column of ones."""
        tape, inputs = self._find(len(observations))
        inputs[0, :, :-1] = observations
        return tape.forward(blocks, inputs)

    def _find(self, rows: int) -> tuple[Tape, FloatArray]:
        if rows not in self._kept:
            if len(self._kept) == self.KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[rows] = Tape(self._shape, rows), with_ones(1, rows, self._shape.sizes[0] + 1)
        return self._kept[rows]


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1) in place on one vector, equal to torch.optim.Adam to rounding.

    The moments are kept as plain sums, M = m / (1 - beta1) and V = v / (1 - beta2), which saves two passes over memory; the
    factors go into the step size and into epsilon.
    """

    BETA1, BETA2 = 0.9, 0.999

    def __init__(self, size: int, learning_rate: float, *, epsilon: float = 1e-8) -> None:
        self.learning_rate = learning_rate
        self.epsilon = epsilon
        self.steps = 0
        self.first: FloatArray = np.zeros(size, np.float32)
        self.second: FloatArray = np.zeros(size, np.float32)
        self._scratch: FloatArray = np.empty(size, np.float32)

    def step(self, parameters: FloatArray, gradient: FloatArray) -> None:
        """One step downhill; changes `parameters`."""
        self.steps += 1
        first, second, scratch = self.first, self.second, self._scratch
        first *= self.BETA1
        first += gradient
        second *= self.BETA2
        np.multiply(gradient, gradient, out=scratch)
        second += scratch
        root = math.sqrt((1 - self.BETA2) / (1 - self.BETA2**self.steps))
        size = self.learning_rate * (1 - self.BETA1) / (1 - self.BETA1**self.steps)
        np.sqrt(second, out=scratch)
        scratch += self.epsilon / root
        np.divide(first, scratch, out=scratch)
        scratch *= size / root
        parameters -= scratch

    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Running means of the gradient and of its square, as torch keeps them."""
        return self.first * np.float32(1 - self.BETA1), self.second * np.float32(1 - self.BETA2)


def clip_norm(gradient: FloatArray, longest: float) -> None:
    """Shorten a gradient to at most this Euclidean length, in place, as torch.nn.utils.clip_grad_norm_ does."""
    length = math.sqrt(float(np.vdot(gradient, gradient)))
    if length + 1e-6 > longest:
        gradient *= longest / (length + 1e-6)
