"""The one way from a summary to the page: every number and name is taken by its path, so the page cannot say another
thing than `report.json`. A number becomes `<data value=".." data-path="..">`, which a reader's script can pick up too.
"""

from __future__ import annotations

from typing import Any

from plaudit.report.markup import NOT_MEASURED, Html, Style, format_number, join, tag
from plaudit.report.summary import Summary

DASH = "\u2013"


class Paths:
    """Values of a record by dotted path, for example `rounds.3.return_mean.value`."""

    def __init__(self, root: object) -> None:
        self._root = root

    def get(self, path: str) -> Any:
        """The value; None when it, or something on the way, was not measured. Raises AttributeError: wrong path."""
        value: Any = self._root
        for step in path.split("."):
            if value is None:
                return None
            value = value[int(step)] if step.isdigit() else getattr(value, step)
        return value

    def number(self, path: str, style: Style, *, absent: str = NOT_MEASURED) -> Html:
        """A number, or words that say that there is none."""
        value = self.get(path)
        if value is None:
            return tag("span", {"class": "absent"}, absent)
        return tag(
            "data", {"value": repr(value), "data-path": path, "data-style": style.value}, format_number(value, style)
        )

    def text(self, path: str, *, absent: str = NOT_MEASURED) -> Html:
        """A name or sentence."""
        value = self.get(path)
        if value is None or value == "":
            return tag("span", {"class": "absent"}, absent)
        return tag("span", {"data-path": path}, str(value))

    def version(self, path: str, *, absent: str = DASH) -> Html:
        """A version or hash, cut to what one can compare by eye; the whole of it is in the tooltip."""
        value = self.get(path)
        if value is None:
            return tag("span", {"class": "absent"}, absent)
        return tag("code", {"title": value, "data-path": path, "data-short": "yes"}, short(value))

    def interval(self, path: str, style: Style) -> Html:
        """`low to high` of an estimate, or nothing when it has no interval."""
        if self.get(f"{path}.low") is None or self.get(f"{path}.high") is None:
            return Html("")
        return join([self.number(f"{path}.low", style), " to ", self.number(f"{path}.high", style)])


class Facts(Paths):
    """Values of a summary."""

    def __init__(self, summary: Summary) -> None:
        super().__init__(summary)
        self.summary = summary


def short(version: str) -> str:
    """The first digits of a version's hash, without its prefix."""
    return version.rpartition("_")[2][:8]
