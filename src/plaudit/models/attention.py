"""Networks that look back, member beside member: causal self-attention over the steps of an item."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import layer_norm, scaled_dot_product_attention, silu

from plaudit.models.nets import Draw, FloatArray, Net, by_items

BUCKETS = 32
"""kinds of distance that attention tells apart: half of them single steps, the rest ever wider"""
FARTHEST = 128
"""steps; all longer distances are one kind, so that items may be longer than those learned from"""


@dataclass(frozen=True, slots=True)
class Attention(Net):
    """A transformer (Vaswani et al. 2017) that is blind to the future, beside a linear model of the present step's features.

    Blocks normalise first, without scale and shift; positions enter as a learned bias per head and distance (Raffel et
    al. 2020, section 2.1), which starts at the slopes of Press et al. (2022): near steps count more.
    """

    @classmethod
    def create(cls, members: int, inputs: int, hidden: Sequence[int], *, heads: int, rng: np.random.Generator) -> Self:
        """Fresh members with one block per entry of `hidden`; these are equal multiples of `heads`."""
        draw, width = Draw(members, rng), hidden[0]
        slopes = 2.0 ** (-8.0 * np.arange(1, heads + 1) / heads)
        made: dict[str, FloatArray] = {
            "encode/weight": draw.weights(inputs, inputs, width),
            "encode/bias": draw.constant(0.0, 1, width),
            "head": draw.weights(width, 1, width),
            "skip": draw.constant(0.0, inputs),
        }
        for number in range(len(hidden)):
            made |= {
                f"{number}/attend": draw.weights(width, width, 3 * width),
                f"{number}/mix": draw.weights(width, width, width),
                f"{number}/widen": draw.weights(width, width, 2 * width),
                f"{number}/widen/bias": draw.constant(0.0, 1, 2 * width),
                f"{number}/narrow": draw.weights(2 * width, 2 * width, width),
                f"{number}/distance": draw.constant(1.0, heads, BUCKETS)
                * (-slopes[:, None] * _starts()).astype(np.float32),
            }
        return cls.from_arrays(made)

    def forward(self, features: Tensor) -> Tensor:
        """[item, step, feature] to [member, item, step]; an output depends on its step and on those before it."""
        items, steps, width = features.shape
        linear = self.tensors["skip"] @ features.reshape(-1, width).T
        return (self.hidden(features) * self.tensors["head"][:, None]).sum(-1) + linear.view(-1, items, steps)

    def hidden(self, features: Tensor) -> Tensor:
        """[item, step, feature] to [member, item, step, unit] what the last block makes of each step."""
        items, steps, width = features.shape
        rows, tensors = features.reshape(-1, width), self.tensors
        found = torch.baddbmm(tensors["encode/bias"], rows.expand(self.members, -1, -1), tensors["encode/weight"])
        bucket, future = distances(steps)
        for number in range(sum(name.endswith("/attend") for name in tensors)):
            queries = torch.bmm(_normal(found), tensors[f"{number}/attend"])
            bias = tensors[f"{number}/distance"][..., bucket].masked_fill(future, -math.inf)
            looked = self.attend(queries.view(self.members, items, steps, -1), bias)
            found = torch.baddbmm(found, looked.reshape(self.members, items * steps, -1), tensors[f"{number}/mix"])
            wide = silu(torch.baddbmm(tensors[f"{number}/widen/bias"], _normal(found), tensors[f"{number}/widen"]))
            found = torch.baddbmm(found, wide, tensors[f"{number}/narrow"])
        return _normal(found).view(self.members, items, steps, -1)

    @staticmethod
    def attend(queries: Tensor, bias: Tensor) -> Tensor:
        """Attention per head: softmax(q k / sqrt(width of a head) + bias) v.

        Args:
            queries: [member, item, step, 3 x width], queries, keys and values one after the other.
            bias: [member, head, step, step], minus infinity where a step must not look.

        Returns:
            [member, item, step, width].
        """
        members, items, steps, _ = queries.shape
        heads = bias.shape[1]
        split = queries.view(members, items, steps, 3, heads, -1).permute(3, 0, 1, 4, 2, 5)
        looked = scaled_dot_product_attention(
            *(part.flatten(0, 1) for part in split), attn_mask=bias.repeat_interleave(items, 0)
        )
        return looked.view(members, items, heads, steps, -1).transpose(2, 3).reshape(members, items, steps, -1)

    def evaluate(self, features: FloatArray) -> FloatArray:
        """[item, step, feature] to [member, item, step], without gradients."""
        return by_items(self.forward, features)


def distances(steps: int) -> tuple[Tensor, Tensor]:
    """[step, step] the kind of distance from a step back to another, and whether the other lies in the future."""
    back = np.arange(steps)[:, None] - np.arange(steps)
    kind = np.searchsorted(_starts(), np.maximum(back, 0), side="right") - 1
    return torch.from_numpy(kind), torch.from_numpy(back < 0)


def _starts() -> NDArray[np.float64]:
    """[bucket] shortest distance of each kind."""
    half = BUCKETS // 2
    wide = half * (FARTHEST / half) ** (np.arange(half) / (half - 1))
    return np.concatenate([np.arange(half, dtype=np.float64), np.ceil(wide - 1e-9)])


def _normal(rows: Tensor) -> Tensor:
    return layer_norm(rows, rows.shape[-1:])
