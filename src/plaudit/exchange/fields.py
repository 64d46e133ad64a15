"""Fields of a row, checked: what is missing or of another type becomes a RecordError that names the field."""

from __future__ import annotations

import re
from typing import Any

from plaudit.errors import RecordError
from plaudit.records import Message, Text

DIGITS = re.compile(r"\s*-?[0-9]{1,18}\s*")


def table(value: Any, what: str = "A row") -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise RecordError(f"{what} is no object", got=type(value).__name__)
    return value


def field(row: Any, name: str) -> Any:
    """What a field holds."""
    there = table(row)
    if name not in there:
        raise RecordError(f"The field `{name}` is missing", got=sorted(there)[:20])
    return there[name]


def text(row: Any, name: str) -> str:
    """Text."""
    value = field(row, name)
    if not isinstance(value, str):
        raise _wrong(name, value, "text")
    return value


def named(row: Any, name: str, otherwise: str = "unknown") -> str:
    """Name of somebody: text or a number; `otherwise` where the field is missing or empty."""
    value = table(row).get(name)
    if value is None or value == "":
        return otherwise
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise _wrong(name, value, "a name or number")
    return str(value)


def whole(row: Any, name: str, low: int, high: int) -> int:
    """A whole number in low .. high; from CSV its digits."""
    value = field(row, name)
    if isinstance(value, str) and DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(name, value, f"a whole number in {low} .. {high}")
    if not low <= value <= high:
        raise RecordError(f"The field `{name}` is out of range", got=value, expected=f"{low} .. {high}")
    return value


def number(row: Any, name: str) -> float:
    """A finite number; from CSV its digits."""
    value = field(row, name)
    try:
        found = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        found = None
    if found is None or not abs(found) < float("inf"):
        raise _wrong(name, value, "a finite number")
    return found


def truth(row: Any, name: str) -> bool:
    """True or false; 0 and 1 and, from CSV, the words count too."""
    value = field(row, name)
    known: dict[Any, bool] = {"true": True, "false": False, "1": True, "0": False}
    found = known.get(str(value).lower()) if isinstance(value, (bool, int, str)) else None
    if found is None:
        raise _wrong(name, value, "true or false")
    return found


def entries(row: Any, name: str) -> list[Any]:
    """A list."""
    value = field(row, name)
    if not isinstance(value, list):
        raise _wrong(name, value, "a list")
    return value


def spoken(row: Any, name: str) -> Text:
    """Plain text, or a conversation: a list of messages."""
    value = field(row, name)
    return value if isinstance(value, str) else messages(value, name)


def messages(value: Any, name: str) -> tuple[Message, ...]:
    """A conversation from a list of {role, content}; what else a message holds is kept in `extra`."""
    if not isinstance(value, list):
        raise _wrong(name, value, "text, or a list of messages")
    found: list[Message] = []
    for one in value:
        rest = {key: entry for key, entry in table(one, f"A message in `{name}`").items() if entry is not None}
        role, content = rest.pop("role", None), rest.pop("content", "")
        if not isinstance(role, str) or not isinstance(content, str):
            raise RecordError(f"A message in `{name}` is not text", got=f"role {role!r}, content {content!r:.80}")
        found.append(Message(role, content, rest or None))
    return tuple(found)


def _wrong(name: str, value: Any, expected: str) -> RecordError:
    return RecordError(f"The field `{name}` has the wrong type", got=type(value).__name__, expected=expected)
