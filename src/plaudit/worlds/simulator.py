"""Save and restore what an environment's simulator stands at: for drawing, and for going on from there.

Classic control, MuJoCo and toy-text environments of Gymnasium are known here; an environment of one's own joins by the
methods of `Restorable`. All else has no simulator and is drawn by replaying the episode.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from gymnasium.envs.classic_control import (
    AcrobotEnv,
    CartPoleEnv,
    Continuous_MountainCarEnv,
    MountainCarEnv,
    PendulumEnv,
)
from gymnasium.envs.toy_text import CliffWalkingEnv, FrozenLakeEnv, TaxiEnv
from numpy.typing import NDArray

from plaudit.worlds.flat import Env
from plaudit.worlds.horizon import FixedHorizon

FloatVector = NDArray[np.float64]


@runtime_checkable
class Restorable(Protocol):
    """An environment that can save and restore its simulator."""

    def get_state(self) -> FloatVector:
        """The state [k], always of the same k, from which the same actions lead to the same observations."""
        ...

    def set_state(self, state: FloatVector) -> None:
        """Return to a state [k]."""
        ...


class Simulator(Protocol):
    """Access to one environment's simulator state, a vector of `size` float64."""

    size: int

    def save(self, out: FloatVector) -> None:
        """Write the state into `out` [size]."""
        ...

    def restore(self, state: FloatVector) -> None:
        """Return to a state [size]. Counters of wrappers, such as a time limit's, stay as they are."""
        ...


def simulator_of(env: Env) -> Simulator | None:
    """Access to the simulator inside of an environment; None when it cannot be saved. Call it after a reset."""
    inner: Any = env.unwrapped
    base = sys.modules.get("gymnasium.envs.mujoco.mujoco_env")  # imported already if this is one of them
    if base is not None and isinstance(inner, base.MujocoEnv):
        return _Mujoco(inner)
    if isinstance(inner, Restorable):
        state = inner.get_state()  # the names are common: what returns something else is not meant
        return _Own(inner, len(state)) if _is_state(state) else None
    if type(inner) in _CLASSIC:
        return _Classic(inner)
    if type(inner) in _TOY_TEXT:
        return _ToyText(inner, _TOY_TEXT[type(inner)])
    return None


def restore(env: Env, simulator: Simulator, state: FloatVector, observation: NDArray[np.float32]) -> None:
    """Bring an environment back to where `observation` [entry] was seen, absorbed or not, to go on from there."""
    simulator.restore(state)
    if isinstance(env, FixedHorizon):
        env.resume(observation)


def _is_state(found: object) -> bool:
    return isinstance(found, np.ndarray) and found.ndim == 1 and found.dtype == np.float64


class _Own:
    def __init__(self, env: Restorable, size: int) -> None:
        self._env = env
        self.size = size

    def save(self, out: FloatVector) -> None:
        out[:] = self._env.get_state()

    def restore(self, state: FloatVector) -> None:
        self._env.set_state(state)


_CLASSIC = {AcrobotEnv: 4, CartPoleEnv: 4, Continuous_MountainCarEnv: 2, MountainCarEnv: 2, PendulumEnv: 2}
"""class -> entries of its `state`"""


class _Classic:
    """`state`, its precision (it decides the next state's bits), and Pendulum's last torque (it is drawn)."""

    def __init__(self, env: Any) -> None:
        self._env = env
        self._entries = _CLASSIC[type(env)]
        self.size = self._entries + 2

    def save(self, out: FloatVector) -> None:
        state = self._env.state
        out[: self._entries] = state
        out[-2] = getattr(state, "dtype", None) == np.float32
        out[-1] = getattr(self._env, "last_u", None) or 0.0

    def restore(self, state: FloatVector) -> None:
        self._env.state = state[: self._entries].astype(np.float32 if state[-2] else np.float64)
        if isinstance(self._env, PendulumEnv):
            self._env.last_u = cast(Any, float(state[-1]))
        elif isinstance(self._env, CartPoleEnv):
            self._env.steps_beyond_terminated = None


class _Mujoco:
    """Full physics with the solver's warm start, without which the last bits of the next state differ."""

    def __init__(self, env: Any) -> None:
        mujoco = sys.modules["mujoco"]
        kinds = mujoco.mjtState
        given_anew = kinds.mjSTATE_CTRL | kinds.mjSTATE_QFRC_APPLIED | kinds.mjSTATE_XFRC_APPLIED
        self._mujoco = mujoco
        self._model, self._data = env.model, env.data
        self._kind = int(kinds.mjSTATE_INTEGRATION) & ~int(given_anew)
        self.size = int(mujoco.mj_stateSize(self._model, self._kind))

    def save(self, out: FloatVector) -> None:
        self._mujoco.mj_getState(self._model, self._data, out, self._kind)

    def restore(self, state: FloatVector) -> None:
        state = np.ascontiguousarray(state)
        self._mujoco.mj_setState(self._model, self._data, state, self._kind)
        self._mujoco.mj_forward(self._model, self._data)  # positions of bodies, for drawing
        self._mujoco.mj_setState(self._model, self._data, state, self._kind)  # the warm start has moved


_TOY_TEXT: dict[type, tuple[str, ...]] = {
    CliffWalkingEnv: ("s", "lastaction"),
    FrozenLakeEnv: ("s", "lastaction"),
    TaxiEnv: ("s", "lastaction", "taxi_orientation", "fickle_step"),
}
"""class -> attributes that are its state, next to its random generator"""
_WORDS = 10
"""32-bit words of a PCG64 generator, each exact as a float64: 4 state, 4 increment, 2 for a kept half"""


class _ToyText:
    """State and random generator: these worlds draw their transitions."""

    def __init__(self, env: Any, names: tuple[str, ...]) -> None:
        self._env = env
        self._names = names
        self.size = len(names) + _WORDS

    def save(self, out: FloatVector) -> None:
        for place, name in enumerate(self._names):
            value = getattr(self._env, name)
            out[place] = -1 if value is None else value
        generator = self._env.np_random.bit_generator.state
        numbers = generator["state"]["state"], generator["state"]["inc"]
        out[-_WORDS:-2] = np.frombuffer(b"".join(number.to_bytes(16, "little") for number in numbers), dtype="<u4")
        out[-2], out[-1] = generator["has_uint32"], generator["uinteger"]

    def restore(self, state: FloatVector) -> None:
        for place, name in enumerate(self._names):
            value = int(state[place])
            setattr(self._env, name, None if value < 0 else value)
        words = state[-_WORDS:].astype("<u4")
        self._env.np_random.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {
                "state": int.from_bytes(words[:4].tobytes(), "little"),
                "inc": int.from_bytes(words[4:8].tobytes(), "little"),
            },
            "has_uint32": int(words[8]),
            "uinteger": int(words[9]),
        }
