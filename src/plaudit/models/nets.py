"""What stacks of small networks have in common: tensors [member, ...] by name, laid end to end for an optimiser."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import silu

FloatArray = NDArray[np.float32]
ROWS = 2048
"""steps of all items per pass when evaluating; bounds memory"""


def lay_out(parameters: Sequence[Tensor]) -> tuple[list[Tensor], FloatArray, FloatArray]:
    """Copies of parameters that are views of one vector, that vector, and the vector that their gradients are views of."""
    sizes = [parameter.numel() for parameter in parameters]
    values = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
    gradients = torch.zeros_like(values)
    views: list[Tensor] = []
    for parameter, value, gradient in zip(parameters, values.split(sizes), gradients.split(sizes), strict=True):
        view = value.view(parameter.shape).detach().requires_grad_()
        view.grad = gradient.view(parameter.shape)
        views.append(view)
    return views, values.numpy(), gradients.numpy()


@dataclass(frozen=True, slots=True)
class Net:
    """Equal networks as one stack; every tensor is [member, ...], in the order of the names."""

    tensors: dict[str, Tensor]

    @property
    def members(self) -> int:
        """Number of networks."""
        return next(iter(self.tensors.values())).shape[0]

    def parameters(self) -> list[Tensor]:
        """All tensors, in the order of their names."""
        return list(self.tensors.values())

    def trainable(self) -> tuple[Self, FloatArray, FloatArray]:
        """A copy whose parameters, and whose gradients, lie end to end in two vectors, for an optimiser of vectors."""
        views, values, gradients = lay_out(self.parameters())
        return type(self)(dict(zip(self.tensors, views, strict=True))), values, gradients

    def arrays(self) -> dict[str, FloatArray]:
        """The parameters by name."""
        return {name: tensor.detach().numpy() for name, tensor in self.tensors.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, FloatArray]) -> Self:
        """Inverse of `arrays`."""
        return cls({name: torch.from_numpy(arrays[name]).clone() for name in sorted(arrays)})


class Draw:
    """Starting weights: uniform in +-1 / sqrt(fan in), drawn in the order of the calls."""

    def __init__(self, members: int, rng: np.random.Generator) -> None:
        self._members, self._rng = members, rng

    def weights(self, fan_in: int, *shape: int) -> FloatArray:
        """[member, *shape] random numbers."""
        drawn = self._rng.uniform(-1, 1, (self._members, *shape)) / math.sqrt(fan_in)
        return np.asarray(drawn, dtype=np.float32)

    def constant(self, value: float, *shape: int) -> FloatArray:
        """[member, *shape] equal numbers."""
        return np.full((self._members, *shape), value, dtype=np.float32)

    def layers(self, name: str, sizes: Sequence[int]) -> dict[str, FloatArray]:
        """Weights [member, in, out] and biases [member, 1, out] of layers, for `hidden_layers`."""
        made: dict[str, FloatArray] = {}
        for number, (inside, outside) in enumerate(pairwise(sizes)):
            made[f"{name}/weight/{number}"] = self.weights(inside, inside, outside)
            made[f"{name}/bias/{number}"] = self.constant(0.0, 1, outside)
        return made


def hidden_layers(tensors: Mapping[str, Tensor], name: str, rows: Tensor) -> Tensor:
    """[member, row, in] through the layers called `name`, each with SiLU units."""
    for number in range(sum(key.startswith(f"{name}/weight/") for key in tensors)):
        rows = silu(torch.baddbmm(tensors[f"{name}/bias/{number}"], rows, tensors[f"{name}/weight/{number}"]))
    return rows


def by_items(forward: Callable[[Tensor], Tensor], features: FloatArray) -> FloatArray:
    """A pass without gradients, a few items at a time."""
    with torch.inference_mode():
        parts = torch.from_numpy(features).split(max(1, ROWS // max(1, features.shape[1])))
        return torch.cat([forward(part) for part in parts], 1).numpy()
