"""Parts that sections of the page share: lists of facts, tables, folded details, videos."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plaudit.report.markup import Html, join, tag

PICTURES = frozenset({"image/webp", "image/png", "image/gif", "image/avif", "image/apng"})
"""media types that go into a page; anything else could run code"""


@dataclass(frozen=True, slots=True)
class Video:
    """Bytes of one clip, and of its first frame where that could be taken out."""

    data: bytes
    mime: str
    still: bytes | None = None


Videos = Mapping[str, Video]
"""by digest"""


def facts_list(rows: Sequence[tuple[str, Html]]) -> Html:
    """Names and values side by side."""
    pairs = [join([tag("dt", None, name), tag("dd", None, value)]) for name, value in rows]
    return tag("dl", {"class": "facts"}, *pairs)


def table(head: Sequence[str], rows: Sequence[Sequence[Html]], *, absent: str, words: bool = False) -> Html:
    """A table whose first column names the row; `words`: the second column holds text."""
    if not rows:
        return tag("p", {"class": "absent"}, absent)
    titles = tag("tr", None, *(tag("th", {"scope": "col"}, title) for title in head))
    body = [
        tag("tr", None, tag("th", {"scope": "row"}, row[0]), *(tag("td", None, cell) for cell in row[1:]))
        for row in rows
    ]
    drawn = tag("table", {"class": "words"} if words else None, tag("thead", None, titles), tag("tbody", None, *body))
    return tag(
        "div",
        {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": f"Table: {head[0]}, {head[1]}"},
        drawn,
    )


def folded(title: str, body: Html) -> Html:
    """What only some readers want, behind a title."""
    return tag("details", None, tag("summary", None, title), body)


def data_url(mime: str, data: bytes) -> str:
    """Bytes as an address that needs no file."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"
