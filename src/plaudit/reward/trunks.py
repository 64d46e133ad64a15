"""Which network stands behind each `reward.trunk`, and what it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plaudit.errors import RecordError
from plaudit.models.attention import Attention
from plaudit.models.convolution import Convolutions
from plaudit.models.ensemble import Ensemble
from plaudit.models.recurrent import Recurrent
from plaudit.reward.config import HEAD, RewardConfig, Trunk

Float32 = NDArray[np.float32]
Network = Ensemble | Recurrent | Attention | Convolutions


@dataclass(frozen=True, slots=True)
class Shown:
    """What networks are shown of items."""

    features: Tensor
    """[item, step, feature]"""
    pixels: Tensor | None = None
    """uint8 [item, step, height, width, channel], for networks that see"""


def create(config: RewardConfig, shown: Shown, rng: np.random.Generator) -> Network:
    """Fresh members for what they will be shown."""
    features = shown.features.shape[-1]
    match config.trunk:
        case Trunk.MLP:
            return Ensemble.create(config.members, features, config.hidden, rng)
        case Trunk.LINEAR:
            made = Ensemble.create(config.members, features, (), rng)
            made.head.zero_()  # there is nothing that a random start would help to tell apart
            return made
        case Trunk.GRU:
            return Recurrent.create(config.members, features, config.hidden, rng)
        case Trunk.TRANSFORMER:
            return Attention.create(config.members, features, config.hidden, heads=config.hidden[0] // HEAD, rng=rng)
        case Trunk.CNN:
            assert shown.pixels is not None  # `show` has looked
            height, width, channels = shown.pixels.shape[2:]
            return Convolutions.create(
                config.members, (height, width, channels), features, hidden=config.hidden, rng=rng
            )
        case _ as never:
            assert_never(never)


def from_arrays(trunk: Trunk, arrays: Mapping[str, Float32]) -> Network:
    """Inverse of `arrays` of a network."""
    match trunk:
        case Trunk.MLP | Trunk.LINEAR:
            return Ensemble.from_arrays(arrays)
        case Trunk.GRU:
            return Recurrent.from_arrays(arrays)
        case Trunk.TRANSFORMER:
            return Attention.from_arrays(arrays)
        case Trunk.CNN:
            return Convolutions.from_arrays(arrays)
        case _ as never:
            assert_never(never)


def evaluate(network: Network, shown: Shown) -> Float32:
    """[member, item, step] rewards of all that is shown, without gradients."""
    items, steps, width = shown.features.shape
    match network:
        case Ensemble():
            found = network.evaluate(shown.features.view(-1, width).numpy())
        case Convolutions():
            frames = _frames(network, shown)
            found = network.evaluate(frames.flatten(0, 1).numpy(), shown.features.view(-1, width).numpy())
        case Recurrent() | Attention():
            found = network.evaluate(shown.features.numpy())
        case _ as never:
            assert_never(never)
    return found.reshape(-1, items, steps)


def look(network: Network, shown: Shown, items: NDArray[np.intp], positions: NDArray[np.intp]) -> Tensor:
    """Rewards of some steps, with gradients.

    Args:
        network: networks with memory read their items from the first step on, whatever the positions.
        shown: what they are shown of all items.
        items: [answer, segment] which items.
        positions: [answer, segment, step] which of their steps.

    Returns:
        [member, answer, segment, step].
    """
    return _read(network, shown, items, positions, hidden=False)


def represented(network: Network, shown: Shown, items: NDArray[np.intp], positions: NDArray[np.intp]) -> Tensor:
    """What the last hidden layer makes of some steps, with gradients: as `look`, [member, answer, segment, step, unit]."""
    return _read(network, shown, items, positions, hidden=True)


def _read(
    network: Network, shown: Shown, items: NDArray[np.intp], positions: NDArray[np.intp], *, hidden: bool
) -> Tensor:
    chosen, steps = torch.from_numpy(items[..., None]), torch.from_numpy(positions)
    width = shown.features.shape[-1]
    match network:
        case Ensemble():
            read = network.hidden if hidden else network.forward
            found = read(shown.features[chosen, steps].view(-1, width))
        case Convolutions():
            read = network.hidden if hidden else network.forward
            frames = _frames(network, shown)[chosen, steps].flatten(0, -4)
            found = read(frames, shown.features[chosen, steps].view(-1, width))
        case Recurrent() | Attention():
            read = network.hidden if hidden else network.forward
            once, where = np.unique(items, return_inverse=True)
            rewards = read(shown.features[torch.from_numpy(once)])
            return rewards[:, torch.from_numpy(where.reshape(items.shape)[..., None]), steps]
        case _ as never:
            assert_never(never)
    return found.view(network.members, *positions.shape, *found.shape[2:])


def _frames(network: Convolutions, shown: Shown) -> Tensor:
    """The pictures. Raises RecordError when they are not of the size that the network knows."""
    found = None if shown.pixels is None else tuple(shown.pixels.shape[2:])
    if shown.pixels is None or not network.fits(shown.pixels.shape[2:]):
        raise RecordError(
            "A reward that reads pictures was shown other behaviour",
            got="no pictures" if found is None else f"pictures of {found}",
            expected="pictures of the height, width and channels that the model learned from",
            next_step="record pictures in the world",
        )
    return shown.pixels
