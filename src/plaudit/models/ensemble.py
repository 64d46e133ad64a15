"""Many small networks as one stack of tensors: every layer of all members is one batched product.

Members are what tells uncertainty: equal in form, different in starting weights and in the answers that they see. For
nets of this size a pass costs about as much in calls as in arithmetic, so members share calls and rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import silu

from plaudit.models.nets import Draw, lay_out

CHUNK = 512
"""rows per pass when evaluating: activations of more rows fall out of the processor's cache"""


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Multilayer perceptrons with SiLU units, beside a linear model of the same features; one output, no offset.

    The linear part learns what is simple from a handful of answers, and the rest only has to learn what is left.
    """

    weights: tuple[Tensor, ...]
    """one [member, in, out] per hidden layer"""
    biases: tuple[Tensor, ...]
    """one [member, 1, out] per hidden layer"""
    head: Tensor
    """[member, 1, in] from the last hidden layer to the output"""
    skip: Tensor
    """[member, feature] from the features to the output"""

    @classmethod
    def create(cls, members: int, inputs: int, hidden: Sequence[int], rng: np.random.Generator) -> Ensemble:
        """Fresh members; weights uniform in +-1 / sqrt(fan in), biases and linear part zero."""
        draw, sizes = Draw(members, rng), [inputs, *hidden]
        return cls(
            weights=tuple(torch.from_numpy(draw.weights(m, m, n)) for m, n in pairwise(sizes)),
            biases=tuple(torch.zeros(members, 1, n) for n in hidden),
            head=torch.from_numpy(draw.weights(sizes[-1], 1, sizes[-1])),
            skip=torch.zeros(members, inputs),
        )

    @property
    def members(self) -> int:
        """Number of networks."""
        return self.head.shape[0]

    @property
    def inputs(self) -> int:
        """Number of features that they read."""
        return self.skip.shape[1]

    def parameters(self) -> list[Tensor]:
        """All tensors, in a fixed order."""
        return [*self.weights, *self.biases, self.head, self.skip]

    def trainable(self) -> tuple[Ensemble, NDArray[np.float32], NDArray[np.float32]]:
        """A copy whose parameters, and whose gradients, lie end to end in two vectors, for an optimiser of vectors."""
        views, values, gradients = lay_out(self.parameters())
        layers = len(self.weights)
        made = Ensemble(tuple(views[:layers]), tuple(views[layers:-2]), *views[-2:])
        return made, values, gradients

    def hidden(self, rows: Tensor) -> Tensor:
        """[row, feature] to [member, row, unit] what the last hidden layer makes of them."""
        activity = rows.expand(self.members, -1, -1)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            activity = silu(torch.baddbmm(bias, activity, weight))
        return activity

    def forward(self, rows: Tensor) -> Tensor:
        """[row, feature] to [member, row]."""
        # a product with one column is slow as a matrix product
        return (self.hidden(rows) * self.head).sum(-1) + self.skip @ rows.T

    def evaluate(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """[row, feature] to [member, row], without gradients."""
        with torch.inference_mode():
            parts = [self.forward(part) for part in torch.from_numpy(rows).split(CHUNK)]
            return (parts[0] if len(parts) == 1 else torch.cat(parts, 1)).numpy()

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The parameters by name."""
        named = {f"weight/{i}": w for i, w in enumerate(self.weights)}
        named |= {f"bias/{i}": b for i, b in enumerate(self.biases)}
        return {
            name: tensor.detach().numpy() for name, tensor in (named | {"head": self.head, "skip": self.skip}).items()
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Ensemble:
        """Inverse of `arrays`. Raises KeyError when one is missing."""
        layers = sum(name.startswith("weight/") for name in arrays)
        return cls(
            tuple(torch.from_numpy(arrays[f"weight/{i}"].copy()) for i in range(layers)),
            tuple(torch.from_numpy(arrays[f"bias/{i}"].copy()) for i in range(layers)),
            torch.from_numpy(arrays["head"].copy()),
            torch.from_numpy(arrays["skip"].copy()),
        )
