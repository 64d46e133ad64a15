"""Can this installation do the work? Python, packages, threads, disk, and whether a clip can be rendered."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plaudit.check.diagnose import Evidence, Finding, Severity
from plaudit.errors import PlauditError
from plaudit.run.optional import require

PACKAGES = (
    "plaudit",
    "numpy",
    "scipy",
    "sqlalchemy",
    "torch",
    "gymnasium",
    "stable-baselines3",
    "mujoco",
    "sbx-rl",
    "transformers",
    "peft",
)
EXTRAS = {
    "control": (("torch", "gymnasium", "stable_baselines3", "PIL"), "train agents and render clips"),
    "mujoco": (("mujoco", "imageio"), "MuJoCo worlds"),
    "box2d": (("Box2D",), "Box2D worlds"),
    "language": (("torch", "transformers", "peft"), "language models"),
    "fast": (("sbx", "jax"), "SAC and PPO on JAX"),
}
"""extra, modules that it brings, what it is good for"""
GIGABYTE = 10**9
DISK_NEEDED = 2.0
"""gigabytes: checkpoints of a long run with its behaviour"""


def environment_report(directory: Path | None = None) -> list[Finding]:
    """All checks of the installation; `directory` is where runs would lie, the working directory if not given."""
    place = directory or Path.cwd()
    return [
        python_version(sys.version_info[:2]),
        package_versions(_version),
        *(extra(name, _present) for name in EXTRAS),
        threads(os.cpu_count() or 1, os.environ.get("OMP_NUM_THREADS")),
        disk(shutil.disk_usage(place).free / GIGABYTE, place),
        rendering(),
    ]


def python_version(found: tuple[int, int]) -> Finding:
    """Is this Python one that plaudit is tested on?"""
    text = f"Python {found[0]}.{found[1]} on {platform.system()} {platform.machine()}."
    if found < (3, 11):
        return Finding(Severity.PROBLEM, "python", text, advice="Install Python 3.11, 3.12 or 3.13.")
    if found > (3, 13):
        return Finding(Severity.NOTE, "python", f"{text} plaudit is tested on 3.11 to 3.13.")
    return Finding(Severity.OK, "python", text)


def package_versions(version: Callable[[str], str | None]) -> Finding:
    """Versions of what results depend on."""
    known = [(name, version(name)) for name in PACKAGES]
    return Finding(
        Severity.OK, "packages", ", ".join(f"{name} {number}" for name, number in known if number is not None) + "."
    )


def extra(name: str, present: Callable[[str], bool]) -> Finding:
    """Is an optional extra installed? Only `control` is needed to train agents."""
    modules, purpose = EXTRAS[name]
    missing = [module for module in modules if not present(module)]
    if not missing:
        return Finding(Severity.OK, f"extra {name}", f"Installed: {purpose}.")
    severity = Severity.WARNING if name == "control" else Severity.NOTE
    message = (
        f"Not installed ({', '.join(missing)} missing): no {purpose}."
        if name != "control"
        else (
            f"Not installed ({', '.join(missing)} missing): this installation can store and label, but not {purpose}."
        )
    )
    return Finding(severity, f"extra {name}", message, advice=f'pip install "plaudit[{name}]"')


def threads(cores: int, limit: str | None) -> Finding:
    """How many cores there are, and what caps the numeric libraries."""
    evidence = (Evidence("cores", cores),)
    capped = "" if limit is None else f"; OMP_NUM_THREADS is {limit}"
    message = f"{cores} core{'' if cores == 1 else 's'}{capped}. Runs set their own number of threads (loop.threads)."
    return Finding(Severity.OK, "threads", message, evidence)


def disk(free: float, place: Path) -> Finding:
    """Is there room for a run? `free` in gigabytes."""
    evidence = (Evidence("free gigabytes", free),)
    if free >= DISK_NEEDED:
        return Finding(Severity.OK, "disk", f"{free:.1f} GB free in {place}.", evidence)
    severity = Severity.PROBLEM if free < DISK_NEEDED / 10 else Severity.WARNING
    return Finding(
        severity, "disk", f"Only {free:.1f} GB free in {place}.", evidence, "Free some space, or see `plaudit gc RUN`."
    )


def rendering() -> Finding:
    """Can a clip be drawn here, without a screen? Draws one frame of CartPole."""
    name = "rendering"
    advice = 'Install the extra: pip install "plaudit[control]". Where there is no screen, leave SDL_VIDEODRIVER unset.'
    try:
        worlds, config = require("plaudit.worlds.make", "control"), require("plaudit.worlds.config", "control")
        refused: type[Exception] = require("gymnasium", "control").error.Error
        env = worlds.make(config.WorldConfig(id="CartPole-v1"), render_mode="rgb_array")
    except PlauditError as error:
        return Finding(Severity.WARNING, name, f"A clip cannot be drawn: {error}", advice=advice)
    try:
        env.reset(seed=0)
        frame = np.asarray(env.render())
    except (refused, OSError, RuntimeError) as error:
        return Finding(Severity.WARNING, name, f"A clip could not be drawn: {error}", advice=advice)
    finally:
        env.close()
    return frame_drawn(frame)


def frame_drawn(frame: NDArray[np.uint8]) -> Finding:
    """Does a frame [height, width, 3] show anything?"""
    if frame.ndim != 3 or np.ptp(frame) == 0:
        return Finding(
            Severity.WARNING, "rendering", "A frame was drawn, but it is empty.", advice="Check the graphics libraries."
        )
    evidence = (Evidence("height", frame.shape[0]), Evidence("width", frame.shape[1]))
    return Finding(Severity.OK, "rendering", "Clips can be drawn here without a screen.", evidence)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _present(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
