"""Networks that see, member beside member: three strided convolutions over a picture, then hidden layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d, silu

from plaudit.models.nets import Draw, FloatArray, Net, hidden_layers

LAYERS = ((8, 4, 4, 0), (16, 3, 2, 1), (16, 3, 2, 1))
"""channels, side of the kernel, stride and padding of each convolution"""
FRAMES = 256
"""pictures per pass when evaluating"""


@dataclass(frozen=True, slots=True)
class Convolutions(Net):
    """Convolutions with SiLU units over a picture; hidden layers read what they find and further features.

    All members go through one grouped convolution. They share no weights: what one member learned from an answer must not
    reach the member that leaves it out.
    """

    @classmethod
    def create(
        cls,
        members: int,
        picture: tuple[int, int, int],
        features: int,
        *,
        hidden: Sequence[int],
        rng: np.random.Generator,
    ) -> Self:
        """Fresh members for pictures of [height, width, channel], beside so many further features."""
        draw, (height, width, before) = Draw(members, rng), picture
        made: dict[str, FloatArray] = {}
        for number, (channels, side, *_) in enumerate(LAYERS):
            made[f"see/{number}"] = draw.weights(before * side * side, channels, before, side, side)
            made[f"see/bias/{number}"] = draw.constant(0.0, channels)
            before = channels
        made |= draw.layers("hidden", [found_in(height, width) + features, *hidden])
        made["head"] = draw.weights(hidden[-1], 1, hidden[-1])
        made["skip"] = draw.constant(0.0, features)
        return cls.from_arrays(made)

    def fits(self, picture: Sequence[int]) -> bool:
        """Whether these members were made for pictures of [height, width, channel]."""
        found = self.tensors["hidden/weight/0"].shape[1] - self.tensors["skip"].shape[1]
        return picture[2] == self.tensors["see/0"].shape[2] and found_in(picture[0], picture[1]) == found

    def forward(self, frames: Tensor, features: Tensor) -> Tensor:
        """uint8 [row, height, width, channel] and [row, feature] to [member, row]."""
        return (self.hidden(frames, features) * self.tensors["head"]).sum(-1) + self.tensors["skip"] @ features.T

    def hidden(self, frames: Tensor, features: Tensor) -> Tensor:
        """uint8 [row, height, width, channel] and [row, feature] to [member, row, unit] of the last hidden layer."""
        rows = torch.cat([self.see(frames), features.expand(self.members, -1, -1)], -1)
        return hidden_layers(self.tensors, "hidden", rows)

    def see(self, frames: Tensor) -> Tensor:
        """uint8 [row, height, width, channel] to [member, row, found]."""
        found = (frames.to(self.tensors["head"].dtype) / 255 - 0.5).permute(0, 3, 1, 2)
        for number, (_, _, stride, padding) in enumerate(LAYERS):
            kernel, bias = self.tensors[f"see/{number}"].flatten(0, 1), self.tensors[f"see/bias/{number}"].flatten()
            # the picture is the same for all members, what they find in it is not
            groups = self.members if number else 1
            found = silu(conv2d(found, kernel, bias, stride=stride, padding=padding, groups=groups))
        return found.reshape(len(found), self.members, -1).transpose(0, 1)

    def evaluate(self, frames: NDArray[np.uint8], features: FloatArray) -> FloatArray:
        """As `forward`, without gradients, some pictures at a time."""
        with torch.inference_mode():
            parts = zip(torch.from_numpy(frames).split(FRAMES), torch.from_numpy(features).split(FRAMES), strict=True)
            return torch.cat([self.forward(*part) for part in parts], 1).numpy()


def found_in(height: int, width: int) -> int:
    """How many numbers the convolutions make of a picture."""
    for _, side, stride, padding in LAYERS:
        height, width = ((size + 2 * padding - side) // stride + 1 for size in (height, width))
    return LAYERS[-1][0] * height * width
