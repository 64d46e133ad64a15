"""Pictures of every step, beside the vector that the policy reads: drawn small, or taken from an observed image."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.classic_control import PendulumEnv
from numpy.typing import NDArray
from PIL import Image

from plaudit.errors import WorldError

Pixels = NDArray[np.uint8]
Shape = tuple[int, int, int]
IMAGE_SIDE = 32
"""shortest side from which on a uint8 observation counts as an image"""
MOST_FRAMES = 16
"""channels up to which the first dimension of an image counts as its channels, as in stacked frames"""
SHARPER = 2
"""Pendulum is drawn at so many times the size that is kept, to come out smooth"""


def image_shape(space: spaces.Space[Any]) -> Shape | None:
    """[height, width, channel] of a space of images; None when it is no such space."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8:
        return None
    match space.shape:
        case (height, width):
            shape = height, width, 1
        case (height, width, channels) | (1, height, width, channels) if channels <= 4:  # dm_control has a leading 1
            shape = height, width, channels
        case (channels, height, width) if channels <= MOST_FRAMES:
            shape = height, width, channels
        case _:
            return None
    return shape if min(shape[:2]) >= IMAGE_SIDE else None


def channels_last(image: Pixels, shape: Shape) -> Pixels:
    """An observed image as [height, width, channel]."""
    if image.ndim == 3 and image.shape != shape:
        return np.moveaxis(image, 0, 2)
    return image.reshape(shape)


def shrink(image: Pixels, side: int) -> Pixels:
    """[side, side, channel] from [height, width, channel], every pixel the mean of the area that it covers."""
    height, width, channels = image.shape
    if (height, width) == (side, side):
        return image
    if channels != 3:  # Pillow would take other numbers of channels for colours with transparency
        return np.stack([_shrink(image[:, :, channel], side) for channel in range(channels)], axis=2)
    return _shrink(image, side)


def _shrink(image: Pixels, side: int) -> Pixels:
    picture = Image.fromarray(image)
    factors = picture.width // side, picture.height // side
    if min(factors) > 1:
        picture = picture.reduce(factors)  # cheaper than to resize at once
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX))


class Camera:
    """Takes pictures of one environment.

    Args:
        env: made with render mode `rgb_array`.
        side: of the square pictures.
        world: its id, for messages.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], side: int, world: str) -> None:
        self._world = world
        self._env = env
        self._side = side
        self._fitted: object = None

    def take(self) -> Pixels:
        """[side, side, 3] of the environment as it is now. Raises WorldError when it draws nothing."""
        inner: Any = self._env.unwrapped
        if inner is not self._fitted:  # it may have been made anew for this episode
            _draw_small(inner, self._side)
            if getattr(inner, "mujoco_renderer", None) is not None:
                self._env.render()  # it makes its scene at the first picture
                draw_plain(inner.mujoco_renderer.viewer)
            self._fitted = inner
        with images_kept() if isinstance(inner, PendulumEnv) else nullcontext():
            return shrink(drawn(self._env, self._world), self._side)


@contextmanager
def images_kept() -> Generator[None]:
    """Let pygame read each image file once: Pendulum reads that of its arrow at every step."""
    image: Any = sys.modules.get("pygame.image")
    load = getattr(image, "load", None)
    if load is None:  # before the first picture
        yield
        return
    image.load = _KEPT.setdefault(load, cache(load))
    try:
        yield
    finally:
        image.load = load


_KEPT: dict[object, Any] = {}
"""pygame's loader -> the same with a memory"""


def drawn(env: gymnasium.Env[Any, Any], world: str) -> Pixels:
    """What `render` gives, [height, width, 3]. Raises WorldError when that is no picture; `world` is for the message."""
    drawing: Any = getattr(env.unwrapped, "mujoco_renderer", None)
    if drawing is not None and drawing.viewer is not None:  # it would draw into whatever context was made or freed last
        drawing.viewer.make_context_current()
    frame: object = env.render()
    viewer: Any = getattr(env.unwrapped, "viewer", None)
    if (
        getattr(viewer, "enabled", None) is False
    ):  # highway-env draws nothing on SDL's dummy screen unless it is told to
        viewer.enabled = True
        frame = env.render()
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise WorldError(
            "The world has no picture",
            got=f"{world}: {type(frame).__name__} from render()",
            expected="render_mode rgb_array, giving uint8 [height, width, 3]",
            next_step="add the render mode rgb_array to the environment",
        )
    return frame


def _draw_small(inner: Any, side: int) -> None:
    """Let an environment draw no more than is kept, where its picture scales: software rendering costs by the area."""
    drawing: Any = getattr(inner, "mujoco_renderer", None)
    shimmy = sys.modules.get("shimmy.dm_control_compatibility")  # imported already if this is one of them
    if drawing is not None:
        drawing.width = drawing.height = side
    elif isinstance(inner, PendulumEnv):
        inner.screen_dim = SHARPER * side
    elif shimmy is not None and isinstance(inner, shimmy.DmControlCompatibilityV0):
        plain = {"shadow": False, "reflection": False}
        inner.render_kwargs = {"height": side, "width": side, "render_flag_overrides": plain, **inner.render_kwargs}


def draw_plain(viewer: Any) -> None:
    """Without shadows and mirrors, which take time in software rendering and say nothing of the state."""
    flags = sys.modules["mujoco"].mjtRndFlag
    viewer.scn.flags[flags.mjRND_SHADOW] = viewer.scn.flags[flags.mjRND_REFLECTION] = 0
