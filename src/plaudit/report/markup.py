"""HTML and SVG text that cannot be broken out of: everything is escaped unless it was made here."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from html import escape
from typing import assert_never

VOID = frozenset({"img", "meta", "br", "input", "link", "source"})
SVG_LEAVES = frozenset({"path", "line", "rect", "circle"})
NARROW_SPACE = "\u202f"
MINUS = "\u2212"
NOT_MEASURED = "not measured"


class Html(str):
    """Text that is HTML already. Only this module and the style sheet make it from plain strings."""

    __slots__ = ()


def tag(name: str, attributes: Mapping[str, object] | None = None, *children: str) -> Html:
    """One element. Attribute values and plain strings are escaped; attributes of None are left out."""
    given = "".join(
        f' {key}="{escape(str(value), quote=True)}"' for key, value in (attributes or {}).items() if value is not None
    )
    if name in VOID:
        return Html(f"<{name}{given}>")
    if name in SVG_LEAVES and not children:
        return Html(f"<{name}{given}/>")
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(parts: Sequence[str]) -> Html:
    """Parts one after the other, plain strings escaped."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


class Style(enum.Enum):
    """How a number is written."""

    COUNT = "count"
    PERCENT = "percent"
    DECIMAL = "decimal"
    """three significant digits"""
    RETURN = "return"
    """a digit behind the point where it says something"""
    SECONDS = "seconds"
    """seconds, minutes or hours, whichever reads best"""


def format_number(value: float, style: Style) -> str:
    """A number as the page shows it."""
    match style:
        case Style.COUNT:
            text = f"{value:,.0f}"
        case Style.PERCENT:
            text = f"{100 * value:.0f}{NARROW_SPACE}%"
        case Style.DECIMAL:
            text = f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:#.3g}".removesuffix(".")
        case Style.RETURN:
            text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
        case Style.SECONDS:
            text = _duration(value)
        case _:
            assert_never(style)
    return _sign(text)


def format_tick(value: float, decimals: int) -> str:
    """A number beside an axis, with as many digits as tell the ticks apart."""
    return _sign(f"{value:,.{decimals}f}")


def _sign(text: str) -> str:
    # -0 says nothing, and a real minus sign lines up with digits
    negative = text.startswith("-") and any(digit in "123456789" for digit in text)
    return (MINUS if negative else "") + text.removeprefix("-")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f}{NARROW_SPACE}s"
    if seconds < 5400:
        return f"{seconds / 60:.1f}{NARROW_SPACE}min"
    return f"{seconds / 3600:.1f}{NARROW_SPACE}h"
