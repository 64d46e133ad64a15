"""Saved learners: one safetensors file of arrays and one JSON file. Equal learners give equal bytes; nothing is pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from plaudit.errors import RunError
from plaudit.models.kernels import Adam
from plaudit.records import canonical_json, digest

Arrays = dict[str, NDArray[np.generic]]

FORMAT = 1
WEIGHTS, ABOUT = "policy.safetensors", "policy.json"


def save_arrays(folder: Path, algorithm: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write a learner's arrays into a folder that exists."""
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / WEIGHTS)
    (folder / ABOUT).write_bytes(canonical_json({"format": FORMAT, "algorithm": algorithm}) + b"\n")


def load_arrays(folder: Path, algorithm: str, like: Mapping[str, NDArray[np.generic]]) -> Arrays:
    """Inverse of `save_arrays`.

    Args:
        folder: where they lie.
        algorithm: which one must have been saved.
        like: arrays that every saved one of the same name must fit in type and in all but its first dimension.

    Raises:
        RunError: the files cannot be read, or belong to a learner with other settings.
    """
    try:
        about = json.loads((folder / ABOUT).read_bytes())
        found: Arrays = load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise RunError("A saved policy cannot be read", got=f"{folder}: {error}") from error
    here = {name: (array.shape[1:], str(array.dtype)) for name, array in like.items()}
    there = {name: (array.shape[1:], str(array.dtype)) for name, array in found.items()}
    sizes = {
        name
        for name, array in like.items()
        if not name.startswith("end") and name in found and len(found[name]) != len(array)
    }
    if about != {"format": FORMAT, "algorithm": algorithm} or here != there or sizes:
        raise RunError(
            "A saved policy does not fit this learner",
            got=f"{about}, {sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name) or name in sizes)}",
            expected=f"{algorithm} with the same [policy] settings and world",
            next_step="restore it with the settings that it was saved with",
        )
    return found


def version_of(*weights: NDArray[np.float32]) -> str:
    """A name for weights: equal weights, equal name."""
    return f"pol_{digest(b''.join(array.tobytes() for array in weights))[:32]}"


def adam_arrays(name: str, adam: Adam) -> Arrays:
    """State of an optimiser, under names that begin with `name`."""
    return {f"{name}.first": adam.first, f"{name}.second": adam.second, f"{name}.steps": np.array([adam.steps])}


def load_adam(name: str, adam: Adam, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Inverse of `adam_arrays`."""
    adam.first[:], adam.second[:] = arrays[f"{name}.first"], arrays[f"{name}.second"]
    adam.steps = int(arrays[f"{name}.steps"][0])
