"""Networks with memory, member beside member: gated recurrent units over the steps of an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from plaudit.models.nets import Draw, FloatArray, Net, by_items, hidden_layers


@dataclass(frozen=True, slots=True)
class Recurrent(Net):
    """A gated recurrent unit (Cho et al. 2014) behind hidden layers, beside a linear model of the present step's features.

    With the gates r, z and the candidate n as `torch.nn.GRU` defines them, the state of an item follows
    h' = (1 - z) n + z h from h = 0 before its first step; a step's output reads the state after that step.
    """

    @classmethod
    def create(cls, members: int, inputs: int, hidden: Sequence[int], rng: np.random.Generator) -> Self:
        """Fresh members: the last of `hidden` is the size of the state, those before are ordinary layers.

        The update gates start out in favour of keeping the state (Jozefowicz et al. 2015 do so for LSTM's forget gates).
        """
        draw, units = Draw(members, rng), hidden[-1]
        fan_in = [inputs, *hidden][-2]
        keep = draw.constant(0.0, 1, 3 * units)
        keep[..., units : 2 * units] = 1.0
        return cls.from_arrays(
            draw.layers("encode", [inputs, *hidden[:-1]])
            | {
                "input/weight": draw.weights(fan_in, fan_in, 3 * units),
                "input/bias": keep,
                "state/weight": draw.weights(units, units, 3 * units),
                "state/bias": draw.constant(0.0, 1, 3 * units),
                "head": draw.weights(units, 1, units),
                "skip": draw.constant(0.0, inputs),
            }
        )

    def forward(self, features: Tensor) -> Tensor:
        """[item, step, feature] to [member, item, step]; an output depends on its step and on those before it."""
        items, steps, width = features.shape
        linear = self.tensors["skip"] @ features.reshape(-1, width).T
        return (self.hidden(features) * self.tensors["head"][:, None]).sum(-1) + linear.view(-1, items, steps)

    def hidden(self, features: Tensor) -> Tensor:
        """[item, step, feature] to [member, item, step, unit] the state after each step."""
        items, steps, width = features.shape
        rows = features.reshape(-1, width)
        encoded = hidden_layers(self.tensors, "encode", rows.expand(self.members, -1, -1))
        given = torch.baddbmm(self.tensors["input/bias"], encoded, self.tensors["input/weight"])
        return self.states(given.view(self.members, items, steps, -1))

    def states(self, given: Tensor) -> Tensor:
        """[member, item, step, 3 x unit] what inputs bring to r, z and n, to [member, item, step, unit] states."""
        weight, bias = self.tensors["state/weight"], self.tensors["state/bias"]
        units = weight.shape[1]
        state = given.new_zeros(*given.shape[:2], units)
        found: list[Tensor] = []
        for now in given.unbind(2):
            kept = torch.baddbmm(bias, state, weight)
            gates = torch.sigmoid(now[..., : 2 * units] + kept[..., : 2 * units])
            reset, update = gates.split(units, -1)
            candidate = torch.tanh(torch.addcmul(now[..., 2 * units :], reset, kept[..., 2 * units :]))
            state = torch.lerp(candidate, state, update)
            found.append(state)
        return torch.stack(found, 2)

    def evaluate(self, features: FloatArray) -> FloatArray:
        """[item, step, feature] to [member, item, step], without gradients."""
        return by_items(self.forward, features)
