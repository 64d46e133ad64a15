"""Build one environment from its settings; whatever does not fit is said at once, and clearly."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium

from plaudit.errors import PlauditError, WorldError
from plaudit.run.optional import missing, require
from plaudit.worlds.anew import CARRY_OVER, Anew
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.flat import Env, Flat, check_actions
from plaudit.worlds.horizon import FixedHorizon

EXTRAS = {"mujoco": "mujoco", "box2d": "box2d", "classic_control": "control", "toy_text": "control"}
"""family of gymnasium.envs -> extra of plaudit that brings what it needs"""


ELSEWHERE = {
    "ALE/": ("ale-py", "ale_py"),
    "BabyAI-": ("minigrid", "minigrid"),
    "MiniGrid-": ("minigrid", "minigrid"),
    "dm_control/": ("shimmy[dm-control]", "shimmy"),
}
"""start of an id -> package that brings such worlds, and module that registers them"""


def make(config: WorldConfig, render_mode: str | None = None, *, task: int = 0) -> Env:
    """An environment with flat float32 observations and, if asked, a fixed horizon.

    Args:
        config: the settings; `envs` and `step_seconds` matter only to `Lockstep`.
        render_mode: Gymnasium's, for example "rgb_array"; that one is chosen when the settings ask for pixels.
        task: which of the world's tasks.

    Raises:
        WorldError: the id is unknown (names near ones), its making failed, or a space is not supported.
        MissingExtra: it needs an optional dependency (gives the line that installs it).
    """
    headless()
    tasks = len(config.tasks or ())
    config = config.one_task(task)
    if config.pixels is not None:
        render_mode = "rgb_array"
    options = dict(config.options) if render_mode is None else {**config.options, "render_mode": render_mode}
    raw = _from_factory(config, options) if _is_factory(config.id) else _from_registry(config, options)
    try:
        check_actions(raw)
        env = Flat(raw, (task, tasks) if tasks else None)
        return env if config.horizon is None else FixedHorizon(env, config.horizon)
    except PlauditError as error:
        raw.close()
        what = f"{config.id}: {error.what}"
        raise WorldError(what, got=error.got, expected=error.expected, next_step=error.next_step) from error


def headless() -> None:
    """Let pictures be drawn where there is no screen. Must run before MuJoCo or pygame is first imported."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("MUJOCO_GL", "egl")


def _is_factory(name: str) -> bool:
    """`package.module:function`; what Gymnasium registers never looks like an identifier after the colon."""
    module, colon, attribute = name.partition(":")
    return bool(colon and module) and attribute.isidentifier()


def _from_factory(config: WorldConfig, options: dict[str, Any]) -> Env:
    module, _, attribute = config.id.partition(":")
    try:
        factory: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise WorldError(
            "The factory of the world cannot be imported",
            got=f"{config.id}: {error}",
            expected="`module:function` in a module that Python finds",
            next_step="check the spelling, or start plaudit in the folder of the module with PYTHONPATH=.",
        ) from error
    env = _built(config, lambda: factory(**options))
    if not isinstance(env, gymnasium.Env):
        raise WorldError(
            "The factory made no environment",
            got=f"{config.id} returned {type(env).__name__}",
            expected="a gymnasium.Env",
        )
    return env


def _from_registry(config: WorldConfig, options: dict[str, Any]) -> Env:
    spec = gymnasium.registry.get(config.id)
    family = "" if spec is None else _family(spec.entry_point)
    if family == "mujoco":
        quiet_mujoco()
    limit = None if config.horizon is None else -1  # the horizon takes the place of the environment's own limit

    def build() -> Env:
        return gymnasium.make(config.id, max_episode_steps=limit, disable_env_checker=True, **options)

    carries_over = spec is not None and str(spec.entry_point).startswith(CARRY_OVER)
    try:
        return _built(config, lambda: Anew(build) if carries_over else build())
    except WorldError as error:
        match error.__cause__:
            case gymnasium.error.DependencyNotInstalled() if family in EXTRAS and not _needs_older(error):
                raise missing(EXTRAS[family], str(error.__cause__)) from error
            case gymnasium.error.UnregisteredEnv() | gymnasium.error.DeprecatedEnv():
                raise _unknown(config.id, error.__cause__) from error
            case _:
                raise


def _built(config: WorldConfig, build: Callable[[], Any]) -> Any:
    """Run foreign code that makes an environment; whatever it raises becomes a WorldError with that cause."""
    try:
        return build()
    except Exception as error:
        raise WorldError(
            "The world cannot be made",
            got=f"{config.id} with {dict(config.options)}: {type(error).__name__}: {error}",
            next_step="check world.id and world.options",
        ) from error


def _needs_older(error: WorldError) -> bool:
    """Whether the dependency is there, but too new; no extra helps then."""
    return "only supported on" in str(error)


def _family(entry_point: object) -> str:
    words = entry_point.split(".") if isinstance(entry_point, str) else []
    return words[2].partition(":")[0] if words[:2] == ["gymnasium", "envs"] and len(words) > 2 else ""


def _unknown(name: str, cause: BaseException) -> WorldError:
    known = list(gymnasium.registry)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    advice = "did you mean " + " or ".join(f"`{entry}`" for entry in near) + "?" if near else None
    for space, (package, module) in ELSEWHERE.items():
        if name.startswith(space):
            advice = f'install {package} and write "{module}:{name}"'
    return WorldError(
        "No such world is registered",
        got=f"{name} ({cause})",
        expected="a Gymnasium id, or `module:factory`",
        next_step=advice or "`python -c 'import gymnasium; gymnasium.pprint_registry()'` lists all ids",
    )


def quiet_mujoco() -> None:
    """Turn MuJoCo's warnings into Python's, and drop one that each HalfCheetah gives.

    MuJoCo's own handler writes a MUJOCO_LOG.TXT into the working directory.
    """
    mujoco: Any = require("mujoco", "mujoco")
    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(_mujoco_warning)


def _mujoco_warning(text: str) -> None:
    if "settotalmass" not in text:
        warnings.warn(f"MuJoCo: {text}", RuntimeWarning, stacklevel=2)
