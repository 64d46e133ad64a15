"""Which keys do what when a person acts by hand.

Every world has controls: of its own here, those of `world.keys`, or keys in order. Names of keys are the browser's
`KeyboardEvent.code`: places on the keyboard, whatever is printed on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from plaudit.errors import WorldError
from plaudit.worlds.flat import Env

Action = int | tuple[float, ...]
Box = spaces.Box | spaces.Discrete
LEFT, RIGHT, UP, DOWN = "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"
IN_ORDER = (
    *(f"Digit{digit}" for digit in (1, 2, 3, 4, 5, 6, 7, 8, 9, 0)),
    *(f"Key{one}" for one in "QWERTYUIOPASDFGHJKL"),
)
"""keys of discrete actions that nothing is known about"""
COLUMNS = tuple((f"Key{low}", f"Key{high}") for high, low in zip("QWERTYUIO", "ASDFGHJKL", strict=True))
"""one above the other: less and more of each entry of an action of three or more"""
IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Bind:
    """What one key does. Actions of several keys that are held add up, as differences from `idle`, where they are continuous."""

    key: str
    action: Action
    label: str
    """a word or two, translated by the page where it knows them"""


@dataclass(frozen=True, slots=True)
class Pad:
    """A field to point at: how far from its middle says how strongly the binds of these numbers act."""

    x: tuple[int, int] | None
    """left, right"""
    y: tuple[int, int] | None = None
    """down, up"""


@dataclass(frozen=True, slots=True)
class Controls:
    """All that the page needs to make actions from keys and pointer."""

    binds: tuple[Bind, ...]
    idle: Action | None
    """while no key is held; None: the world waits for the first key, and what was done last goes on"""
    turns: bool = False
    """the world takes one step per key press, and waits in between"""
    pads: tuple[Pad, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    """bounds of each entry of a continuous action; () for a discrete one"""
    strength: float = 1.0
    """share of a bind's action that is done at first; the person can change it"""


def controls_of(env: Env, keys: Mapping[str, Any] | None = None) -> Controls:
    """Controls of an environment.

    Args:
        env: as `plaudit.worlds.make.make` gives it.
        keys: of `world.keys`.

    Raises:
        WorldError: `keys` do not fit the action space, or it has too many actions for a keyboard.
    """
    space: Any = env.action_space
    if keys is not None:
        return _given(space, keys)
    known = {base.__name__ for base in type(env.unwrapped).__mro__}
    if isinstance(space, spaces.Discrete):
        for name, (binds, idle, turns) in _DISCRETE.items():
            if name in known and len(binds) <= space.n:
                return Controls(tuple(Bind(*one) for one in binds), idle, turns)
        return _in_order(int(space.n))
    return _continuous(space, known)


def checked(space: Box, action: object) -> np.ndarray:
    """An action that a page sent, as the environment takes it: within bounds. Raises WorldError for what is none."""
    if isinstance(space, spaces.Discrete):
        if isinstance(action, bool) or not isinstance(action, int) or not 0 <= action < space.n:
            raise WorldError("There is no such action", got=action, expected=f"0 .. {space.n - 1}")
        return np.asarray(action, dtype=np.int64)
    size = int(np.prod(space.shape))
    if not isinstance(action, list) or len(action) != size:
        raise WorldError("There is no such action", got=action, expected=f"{size} numbers")
    try:
        numbers = np.asarray(action, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise WorldError("There is no such action", got=action, expected=f"{size} numbers") from error
    if not np.isfinite(numbers).all():
        raise WorldError("There is no such action", got=action, expected="finite numbers")
    return np.clip(numbers.reshape(space.shape).astype(space.dtype), space.low, space.high)


def _given(space: Box, keys: Mapping[str, Any]) -> Controls:
    def taken(action: Any) -> Action:
        plain = checked(space, [float(one) for one in action] if isinstance(action, list) else action)
        return int(plain) if plain.ndim == 0 else tuple(float(one) for one in plain.reshape(-1))

    found = {name: taken(action) for name, action in keys.items()}
    idle = found.pop(IDLE, None)
    binds = tuple(Bind(name, action, "") for name, action in found.items())
    if isinstance(space, spaces.Discrete):
        return Controls(binds, idle, turns=idle is None)
    place = {bind.key: number for number, bind in enumerate(binds)}
    x, y = ((place[a], place[b]) if {a, b} <= set(place) else None for a, b in ((LEFT, RIGHT), (DOWN, UP)))
    low, high = _bounds(space)
    rest = tuple(0.0 for _ in low) if idle is None else idle
    return Controls(binds, rest, pads=(Pad(x, y),) if x or y else (), low=low, high=high)


def _in_order(count: int) -> Controls:
    if count > len(IN_ORDER):
        raise WorldError(
            "The world has more actions than keys that could stand for them",
            got=count,
            expected=f"at most {len(IN_ORDER)}",
            next_step="say what keys do by world.keys",
        )
    return Controls(tuple(Bind(IN_ORDER[number], number, "") for number in range(count)), None, turns=True)


def _continuous(space: spaces.Box, known: set[str]) -> Controls:
    low, high = _bounds(space)
    pairs, strength = next((found for name, found in _CONTINUOUS.items() if name in known), (None, 1.0))
    pairs = _pairs(len(low)) if pairs is None or len(pairs) != len(low) else pairs
    binds: list[Bind] = []
    for entry, (less, more) in enumerate(pairs):
        for (key, label), end in ((less, low), (more, high)):
            action = tuple(end[entry] if other == entry else 0.0 for other in range(len(low)))
            binds.append(Bind(key, action, label))
    pads = _pads(pairs)
    return Controls(tuple(binds), tuple(0.0 for _ in low), pads=pads, low=low, high=high, strength=strength)


def _pairs(count: int) -> Sequence[Pair]:
    """Keys for so many entries: arrows for one or two, else one column of the keyboard for each."""
    if count <= 2:
        return (((LEFT, ""), (RIGHT, "")), ((DOWN, ""), (UP, "")))[:count]
    if count > len(COLUMNS):
        raise WorldError(
            "The world's actions have more entries than there are keys for",
            got=count,
            expected=f"at most {len(COLUMNS)}",
            next_step="say what keys do by world.keys",
        )
    return tuple(
        ((low, f"{entry + 1} -"), (high, f"{entry + 1} +")) for entry, (low, high) in enumerate(COLUMNS[:count])
    )


def _pads(pairs: Sequence[Pair]) -> tuple[Pad, ...]:
    """One pad for two entries each; what arrows do lies as they point, also where clockwise is less."""

    def ends(entry: int) -> tuple[int, int]:
        return (2 * entry + 1, 2 * entry) if pairs[entry][0][0] in (RIGHT, UP) else (2 * entry, 2 * entry + 1)

    if len(pairs) == 1:
        return (Pad(ends(0)),)
    if pairs[0][0][0] in (UP, DOWN):
        return (Pad(ends(1), ends(0)),)
    last = (Pad(None, ends(len(pairs) - 1)),) if len(pairs) % 2 else ()
    return (*(Pad(ends(entry), ends(entry + 1)) for entry in range(0, len(pairs) - 1, 2)), *last)


def _bounds(space: spaces.Box) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Low and high, -1 and 1 where the space has none."""
    low, high = space.low.reshape(-1), space.high.reshape(-1)
    return (
        tuple(float(one) if np.isfinite(one) else -1.0 for one in low),
        tuple(float(one) if np.isfinite(one) else 1.0 for one in high),
    )


Pair = tuple[tuple[str, str], tuple[str, str]]
"""key and label of less, key and label of more"""
_DISCRETE: dict[str, tuple[tuple[tuple[str, int, str], ...], int | None, bool]] = {
    "CartPoleEnv": (((LEFT, 0, "left"), (RIGHT, 1, "right")), None, False),
    "MountainCarEnv": (((LEFT, 0, "left"), (RIGHT, 2, "right")), 1, False),
    "AcrobotEnv": (((LEFT, 2, "turn left"), (RIGHT, 0, "turn right")), 1, False),
    "LunarLander": (((LEFT, 1, "left engine"), (UP, 2, "main engine"), (RIGHT, 3, "right engine")), 0, False),
    "FrozenLakeEnv": (((LEFT, 0, "left"), (DOWN, 1, "down"), (RIGHT, 2, "right"), (UP, 3, "up")), None, True),
    "CliffWalkingEnv": (((UP, 0, "up"), (RIGHT, 1, "right"), (DOWN, 2, "down"), (LEFT, 3, "left")), None, True),
    "TaxiEnv": (
        (
            (DOWN, 0, "down"), (UP, 1, "up"), (RIGHT, 2, "right"), (LEFT, 3, "left"),
            ("Space", 4, "pick up"), ("KeyD", 5, "drop"),
        ),
        None, True,
    ),
    "GridWorld": (((RIGHT, 0, "right"), (DOWN, 1, "down"), (LEFT, 2, "left"), (UP, 3, "up")), None, True),
    "MiniGridEnv": (
        (
            (LEFT, 0, "turn left"), (RIGHT, 1, "turn right"), (UP, 2, "forward"), ("KeyP", 3, "pick up"),
            ("KeyD", 4, "drop"), ("Space", 5, "use"), ("Enter", 6, "done"),
        ),
        None, True,
    ),
}  # fmt: skip
"""class of the environment -> key, action and label of each; idle; turns"""
_CONTINUOUS: dict[str, tuple[tuple[Pair, ...], float]] = {
    # a positive torque turns counter-clockwise
    "PendulumEnv": ((((RIGHT, "turn right"), (LEFT, "turn left")),), 1.0),
    "Continuous_MountainCarEnv": ((((LEFT, "left"), (RIGHT, "right")),), 1.0),
    "LunarLander": ((((DOWN, "off"), (UP, "main engine")), ((LEFT, "left engine"), (RIGHT, "right engine"))), 1.0),
    "ReacherEnv": (
        (((RIGHT, "shoulder right"), (LEFT, "shoulder left")), ((DOWN, "elbow right"), (UP, "elbow left"))), 0.15,
    ),
    "HopperEnv": (
        (
            (("KeyA", "thigh -"), ("KeyQ", "thigh +")), (("KeyS", "leg -"), ("KeyW", "leg +")),
            (("KeyD", "foot -"), ("KeyE", "foot +")),
        ),
        0.5,
    ),
    "HalfCheetahEnv": (
        (
            (("KeyA", "back thigh -"), ("KeyQ", "back thigh +")), (("KeyS", "back shin -"), ("KeyW", "back shin +")),
            (("KeyD", "back foot -"), ("KeyE", "back foot +")), (("KeyJ", "front thigh -"), ("KeyU", "front thigh +")),
            (("KeyK", "front shin -"), ("KeyI", "front shin +")), (("KeyL", "front foot -"), ("KeyO", "front foot +")),
        ),
        0.8,
    ),
}  # fmt: skip
"""class of the environment -> keys of each entry of its actions; strength at first"""
