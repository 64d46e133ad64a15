"""Records to canonical JSON and back; content addresses.

Canonical JSON here: UTF-8, keys sorted, no spaces, no NaN or infinity, floats in Python's shortest form that reads back
to the same bits. Equal records give equal bytes on every platform, so a hash of the bytes names the record.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from plaudit.errors import RecordError

T = TypeVar("T")
Json = Any
"""None, bool, int, float, str, list or dict with string keys"""


def canonical_json(value: Json) -> bytes:
    """Canonical bytes of a JSON value. Raises RecordError for NaN, infinity and what JSON does not have."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise RecordError(
            "A value cannot be written as canonical JSON",
            got=str(error),
            expected="finite numbers, strings, lists, dicts",
        ) from error


def digest(data: bytes) -> str:
    """SHA-256 of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def content_id(prefix: str, record: object) -> str:
    """`prefix_` and the first 32 hexadecimal digits of the hash of a record's fields other than `id`."""
    fields = {name: value for name, value in to_json(record).items() if name != "id"}
    return f"{prefix}_{digest(canonical_json(fields))[:32]}"


def to_json(record: object) -> dict[str, Json]:
    """A frozen dataclass as JSON values; fields that are None are left out, enums become their values."""
    if not dataclasses.is_dataclass(record) or isinstance(record, type):
        raise RecordError("Only dataclass records can be encoded", got=type(record).__name__)
    pairs = ((field.name, getattr(record, field.name)) for field in dataclasses.fields(record))
    return {name: _encode(value) for name, value in pairs if value is not None}


def _encode(value: Any) -> Json:
    match value:
        case enum.Enum():
            return value.value
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise RecordError("A record holds a number that is not finite", got=value)
            return value
        case tuple() | list():
            return [_encode(item) for item in value]
        case Mapping():
            return {str(key): _encode(item) for key, item in value.items()}
        case _ if dataclasses.is_dataclass(value):
            return to_json(value)
        case _:
            raise RecordError("A record holds a value of a type that has no JSON form", got=type(value).__name__)


def from_json(cls: type[T], data: Json) -> T:
    """A record of class `cls` from its JSON form. Raises RecordError naming the field that does not fit."""
    if not isinstance(data, dict):
        raise RecordError(f"A {cls.__name__} must be a JSON object", got=type(data).__name__)
    hints = _hints(cls)
    unknown = set(data) - set(hints)
    if unknown:
        raise RecordError(f"A {cls.__name__} has unknown fields", got=sorted(unknown), expected=sorted(hints))
    values = {name: _decode(hints[name], data[name], f"{cls.__name__}.{name}") for name in data}
    try:
        return cls(**values)
    except TypeError as error:
        raise RecordError(f"A {cls.__name__} is incomplete", got=sorted(data), expected=str(error)) from error


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _decode(hint: Any, value: Json, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(typing.get_args(hint), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise RecordError(f"{where} has the wrong type", got=type(value).__name__, expected="a list")
        item = typing.get_args(hint)[0]
        return tuple(_decode(item, entry, where) for entry in value)
    if origin is dict:
        if not isinstance(value, dict):
            raise RecordError(f"{where} has the wrong type", got=type(value).__name__, expected="a table")
        return value
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        try:
            return hint(value)
        except ValueError as error:
            raise RecordError(f"{where} has an unknown value", got=value, expected=[m.value for m in hint]) from error
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_json(hint, value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise RecordError(f"{where} is out of range", got=str(error), expected="a finite number") from error
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise RecordError(f"{where} has the wrong type", got=type(value).__name__, expected=hint)


def _decode_union(options: tuple[Any, ...], value: Json, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    failures: list[str] = []
    for option in options:
        if option is type(None):
            continue
        try:
            return _decode(option, value, where)
        except RecordError as error:
            failures.append(str(error))
    raise RecordError(f"{where} fits none of its types", got=value, expected="; ".join(failures))
