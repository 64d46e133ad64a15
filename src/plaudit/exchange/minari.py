"""Minari datasets on disk: every episode becomes a control segment. HDF5 needs h5py, Arrow and Parquet need pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ConfigError, RecordError
from plaudit.exchange import fields
from plaudit.exchange.columnar import arrow, parquet
from plaudit.exchange.judgement import Entry
from plaudit.records import Segment, SegmentData, to_json
from plaudit.run.optional import require
from plaudit.store.blobs import BlobStore

EXTRA = "minari"
HDF5 = "main_data.hdf5"
COLUMNS = ("observations", "actions", "rewards")


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode: its place, and its arrays."""

    world: str
    dataset: str
    number: str
    data: SegmentData

    def entries(self, blobs: BlobStore) -> list[Entry]:
        """The event that logs its segment, after its arrays were put into `blobs`."""
        blob = blobs.put_arrays(self.data.arrays())
        place = f"{self.dataset}/{self.number}"
        segment = Segment(self.world, f"minari/{self.dataset}", place, 0, len(self.data), blob)
        return [("segment.added", to_json(segment), segment.id)]


def is_dataset(folder: Path) -> bool:
    """Whether a folder looks like a Minari dataset."""
    return (folder / "data" / "metadata.json").is_file()


def rows(folder: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Episodes as tables of arrays, numbered from 1; text instead of an episode says why it cannot be read.

    Raises ConfigError when the folder is none, MissingExtra.
    """
    inside = folder / "data"
    try:
        about: dict[str, Any] = json.loads((inside / "metadata.json").read_text("utf-8"))
        spec = json.loads(about["env_spec"]) if about.get("env_spec") else {}
        head = {"dataset": str(about["dataset_id"]), "world": str(spec.get("id", "unknown"))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError("This folder holds no Minari dataset", got=f"{folder}: {error}") from error
    found = _hdf5(inside / HDF5) if (inside / HDF5).is_file() else _parts(inside)
    return ((number, one if isinstance(one, str) else head | one) for number, one in enumerate(found, 1))


def _hdf5(path: Path) -> Iterator[dict[str, Any] | str]:
    h5py: Any = require("h5py", EXTRA)
    try:
        with h5py.File(path, "r") as file:
            for name in sorted(file, key=_number):
                group = file[name]
                if not isinstance(group, h5py.Group):
                    yield f"{name} is no group of arrays"
                    continue
                arrays = {key: group[key][()] if hasattr(group[key], "shape") else None for key in group}
                seed = group.attrs.get("seed")
                number = name.removeprefix("episode_")
                yield arrays | {"number": number, "seed": seed.item() if isinstance(seed, np.generic) else seed}
    except OSError as error:
        yield f"the file cannot be read any further: {error}"


def _parts(folder: Path) -> Iterator[dict[str, Any] | str]:
    """One folder per episode; every step is a row, and the last one holds the last observation alone."""
    for part in sorted((one for one in folder.iterdir() if one.is_dir()), key=lambda one: _number(one.name)):
        about = part / "metadata.json"
        try:
            told = json.loads(about.read_text("utf-8")) if about.is_file() else {}
        except (OSError, ValueError) as error:
            yield f"{part.name}/{about.name} cannot be read: {error}"
            continue
        files = sorted([*part.glob("*.arrow"), *part.glob("*.parquet")])
        steps = [row for file in files for _, row in (arrow if file.suffix == ".arrow" else parquet)(file)]
        broken = next((step for step in steps if isinstance(step, str)), None)
        if broken is not None:
            yield f"{part.name}: {broken}"
            continue
        columns = {name: [step.get(name) for step in steps if isinstance(step, dict)] for name in COLUMNS}
        columns |= {name: columns[name][:-1] for name in COLUMNS[1:]}
        yield {"number": part.name, "seed": told.get("seed") if isinstance(told, dict) else told, **columns}


def _number(name: str) -> tuple[int, str]:
    digits = name.removeprefix("episode_")
    return (int(digits), name) if digits.isdecimal() else (2**63, name)


def episode(row: Any) -> Iterator[Episode]:
    """The episode of a row. Raises RecordError for spaces of several parts, pictures in packed form, lengths that do not
    fit together, and fields that are missing or of another type.
    """
    observations, actions, rewards = (_array(fields.table(row), name) for name in COLUMNS)
    if len(actions) < 1 or len(observations) != len(actions) + 1 or rewards.shape != (len(actions),):
        raise RecordError(
            "The arrays of an episode do not fit together",
            got=f"{len(observations)} observations, {len(actions)} actions, rewards {rewards.shape}",
            expected="one observation more than actions, one reward per action",
        )
    seeded = str(row.get("seed")) != "None"
    data = SegmentData(
        observations=observations[:-1].astype(np.float32),
        actions=actions,
        true_rewards=rewards.astype(np.float64),
        reset_seed=fields.whole(row, "seed", -(2**63), 2**63 - 1) if seeded else None,
    )
    yield Episode(fields.text(row, "world"), fields.text(row, "dataset"), fields.text(row, "number"), data)


def _array(row: Mapping[str, Any], name: str) -> NDArray[Any]:
    value = row.get(name)
    try:
        found = np.asarray(value)
    except ValueError as error:
        raise RecordError(f"The {name} of an episode are not one array", got=str(error)) from error
    if value is None or found.ndim < 1 or found.dtype.kind not in "fiub":
        raise RecordError(f"The {name} of an episode are no array of numbers", expected="a Box or Discrete space")
    if found.dtype.kind == "f" and not (np.abs(found) <= np.finfo(np.float32).max).all():
        raise RecordError(f"The {name} of an episode hold numbers that are not finite")
    return found
