"""How entries of observations become numbers: one-hot, flattened, thumbnails of images, counts of words."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from plaudit.errors import WorldError
from plaudit.worlds.pixels import Pixels, Shape, channels_last, image_shape, shrink

FloatVector = NDArray[np.float32]
THUMBNAIL = 16
"""side of what the vector holds of an image"""
DRAWERS = 32
"""entries of the vector that the words of a text are counted in"""


def encoder(space: spaces.Space[Any]) -> tuple[Callable[[Any], FloatVector], spaces.Box, Picture | None]:
    """How observations of a space become vectors, the space of these, and where their first image is kept.

    Raises WorldError for a space that has no flat form.
    """
    if any(image_shape(leaf) or _is_text(leaf) for _, leaf in _leaves(space)):
        whole = _Composite(space)
        return whole, whole.space, whole.picture
    if not _is_flattenable(space):
        raise _no_flat_form(space)
    return *_flattener(space), None


def _flattener(space: spaces.Space[Any]) -> tuple[Callable[[Any], FloatVector], spaces.Box]:
    match space:
        case spaces.Box():
            low, high = (np.asarray(bound, dtype=np.float32).reshape(-1) for bound in (space.low, space.high))
            return _BoxFlattener(space.shape), spaces.Box(low, high, dtype=np.float32)
        case spaces.Discrete():
            return _OneHot(int(space.start), int(space.n)), spaces.Box(0.0, 1.0, (int(space.n),), dtype=np.float32)
        case _:
            return _general(space), _general_space(space)


class _BoxFlattener:
    """Box observations, on the hot path."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def __call__(self, observation: Any) -> FloatVector:
        array = np.asarray(observation, dtype=np.float32)
        if array.shape != self._shape:
            raise WorldError("An observation has the wrong shape", got=array.shape, expected=self._shape)
        return array.reshape(-1)


class _OneHot:
    """Discrete observations."""

    def __init__(self, start: int, count: int) -> None:
        self._start = start
        self._rows = np.eye(count, dtype=np.float32)

    def __call__(self, observation: Any) -> FloatVector:
        index = int(observation) - self._start
        if not 0 <= index < len(self._rows):
            expected = f"{self._start} .. {self._start + len(self._rows) - 1}"
            raise WorldError("An observation is outside of its space", got=observation, expected=expected)
        return self._rows[index].copy()


class Picture:
    """Images: kept whole, and flat as a small thumbnail from 0 to 1."""

    def __init__(self, space: spaces.Box, shape: Shape) -> None:
        self.shape = shape
        self.newest: Pixels = np.zeros(shape, dtype=np.uint8)
        self.entries = THUMBNAIL * THUMBNAIL * (1 if shape[2] == 3 else shape[2])
        self._observed = space.shape

    def __call__(self, observation: Any) -> FloatVector:
        """The thumbnail, [entry]; `newest` is the whole."""
        array = np.asarray(observation)
        if array.shape != self._observed or array.dtype != np.uint8:
            found = f"{array.dtype} {array.shape}"
            raise WorldError("An observed image has the wrong shape", got=found, expected=f"uint8 {self._observed}")
        self.newest = np.ascontiguousarray(channels_last(array, self.shape))
        small: FloatVector = shrink(self.newest, THUMBNAIL).astype(np.float32) / np.float32(255)
        return (small.mean(axis=2, dtype=np.float32) if self.shape[2] == 3 else small).reshape(-1)


def _words(observation: Any) -> FloatVector:
    """How often each word occurs; words share drawers by a checksum, so that no list of them is needed."""
    counts = np.zeros(DRAWERS, dtype=np.float32)
    for word in str(observation).lower().split():
        counts[zlib.crc32(word.encode()) % DRAWERS] += 1
    return counts


def _is_flattenable(space: spaces.Space[Any]) -> bool:
    try:
        return space.is_np_flattenable
    except NotImplementedError:  # spaces that others derive need not say
        return False


def _is_text(space: spaces.Space[Any]) -> bool:
    return not _is_flattenable(space) and space.dtype is not None and np.dtype(space.dtype).kind == "U"


def _leaves(
    space: spaces.Space[Any], path: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], spaces.Space[Any]]]:
    """What a Tuple or Dict consists of, with keys and places that lead there, in the order of Gymnasium's `flatten`."""
    match space:
        case spaces.Dict():
            children = list(space.spaces.items())
        case spaces.Tuple():
            children = list(enumerate(space.spaces))
        case _:
            yield path, space
            return
    for key, child in children:
        yield from _leaves(child, (*path, key))


class _Composite:
    """Entry after entry of an observation that holds images or text."""

    def __init__(self, space: spaces.Space[Any]) -> None:
        self.picture: Picture | None = None
        self._parts: list[tuple[tuple[Any, ...], Callable[[Any], FloatVector]]] = []
        bounds: list[spaces.Box] = []
        for path, leaf in _leaves(space):
            shape = image_shape(leaf)
            if shape is not None and isinstance(leaf, spaces.Box):
                encode = Picture(leaf, shape)
                self.picture = self.picture or encode
                bound = spaces.Box(0.0, 1.0, (encode.entries,), dtype=np.float32)
            elif _is_text(leaf):
                encode, bound = _words, spaces.Box(0.0, np.inf, (DRAWERS,), dtype=np.float32)
            elif _is_flattenable(leaf):
                encode, bound = _flattener(leaf)
            else:
                raise _no_flat_form(leaf)
            self._parts.append((path, encode))
            bounds.append(bound)
        low, high = (np.concatenate([getattr(bound, end) for bound in bounds]) for end in ("low", "high"))
        self.space = spaces.Box(low, high, dtype=np.float32)

    def __call__(self, observation: Any) -> FloatVector:
        return np.concatenate([encode(_at(observation, path)) for path, encode in self._parts])


def _at(observation: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        observation = observation[key]
    return observation


def _no_flat_form(space: spaces.Space[Any]) -> WorldError:
    return WorldError(
        "The observation space has no flat form",
        got=space,
        expected="Box, Discrete, MultiDiscrete, MultiBinary, or a Tuple or Dict of these",
        next_step="wrap the environment so that it returns one of these",
    )


def _general(space: spaces.Space[Any]) -> Callable[[Any], FloatVector]:
    def flatten(observation: Any) -> FloatVector:
        if not space.contains(observation):
            raise WorldError("An observation is outside of its space", got=repr(observation)[:200], expected=space)
        return np.asarray(spaces.flatten(space, observation), dtype=np.float32)

    return flatten


def _general_space(space: spaces.Space[Any]) -> spaces.Box:
    flat = spaces.flatten_space(space)
    assert isinstance(flat, spaces.Box)  # is_np_flattenable says so
    return spaces.Box(np.asarray(flat.low, np.float32), np.asarray(flat.high, np.float32), dtype=np.float32)
