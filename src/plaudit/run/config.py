"""Run files: TOML to one tree of frozen dataclasses.

An unknown key names the nearest known one; a value of the wrong type names its place. The classes themselves live with
the layer that they configure.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from plaudit.errors import ConfigError, RecordError
from plaudit.records.codec import from_json

T = TypeVar("T")


def load(cls: type[T], path: Path) -> T:
    """A config of class `cls` from a TOML file. Raises ConfigError naming file, place and next step."""
    return from_table(cls, read_table(path), where=path.name)


def read_table(path: Path) -> dict[str, Any]:
    """A TOML file as nested tables. Raises ConfigError."""
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "The run file cannot be read",
            got=f"{path}: {error}",
            next_step="give the path of a TOML file, or make one with `plaudit init`",
        ) from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("The run file is not valid TOML", got=f"{path}: {error}") from error


def from_table(cls: type[T], table: dict[str, Any], *, where: str = "run file") -> T:
    """A config of class `cls` from a nested table. Raises ConfigError for unknown keys and wrong types."""
    _refuse_unknown(cls, table, where)
    try:
        return from_json(cls, table)
    except RecordError as error:
        raise ConfigError(f"{where}: {error.what}", got=error.got, expected=error.expected) from error


def _refuse_unknown(cls: type, table: dict[str, Any], where: str) -> None:
    hints = typing.get_type_hints(cls)
    for key, value in table.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1, cutoff=0.5)
            raise ConfigError(
                f"{where} has an unknown key",
                got=key,
                expected=", ".join(sorted(hints)),
                next_step=f"did you mean `{near[0]}`?" if near else "see the reference of run files in the docs",
            )
        inner = _dataclass_in(hints[key])
        if inner is not None and isinstance(value, dict):
            _refuse_unknown(inner, value, f"{where} [{key}]")


def _dataclass_in(hint: Any) -> type | None:
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return next((option for option in options if isinstance(option, type) and dataclasses.is_dataclass(option)), None)
