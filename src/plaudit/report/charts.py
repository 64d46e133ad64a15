"""Charts as inline SVG: numbers in, markup out. Colours and fonts come from the page's style sheet, so light, dark and
print all work. Every chart has a title and a description for those who do not see it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from plaudit.report.markup import Html, Style, format_number, format_tick, tag

WIDTH = 520


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: what it shows and how its ticks are written."""

    title: str
    low: float
    high: float
    ticks: tuple[float, ...]
    write: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Series:
    """Points joined by a line, with an interval at each where there is one."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    colour: int = 1
    """1, 2, 3 as in the style sheet"""


@dataclass(frozen=True, slots=True)
class Frame:
    """Maps values to places on the drawing."""

    x: Axis
    y: Axis
    height: int
    right: int = 18
    top: int = 16
    bottom: int = 46
    inner: float = 12.0
    """room between the plot's edge and the outermost x values"""
    widest: int = 0
    """characters to make room for beside the y axis, so that charts above each other line up"""

    @property
    def left(self) -> float:
        """Room for the y axis: its title and its longest tick."""
        return 34 + 8.4 * max(self.widest, longest_tick(self.y))

    def across(self, value: float) -> float:
        """Pixels from the left."""
        start, end = self.left + self.inner, WIDTH - self.right - self.inner
        return start + (value - self.x.low) / (self.x.high - self.x.low) * (end - start)

    def down(self, value: float) -> float:
        """Pixels from the top."""
        end, start = self.top, self.height - self.bottom
        return start + (value - self.y.low) / (self.y.high - self.y.low) * (end - start)


def nice_axis(title: str, values: Sequence[float], *, count: int = 5) -> Axis:
    """An axis that holds all values, with ticks at 1, 2 or 5 times a power of ten."""
    low, high = min(values), max(values)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1.0):
        pad = max(abs(low) * 0.1, 0.5)
        low, high = low - pad, high + pad
    else:
        pad = 0.04 * (high - low)
        low, high = low - pad, high + pad
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    ticks = tuple(k * step for k in range(first, math.floor(high / step + 1e-9) + 1))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return Axis(title, low, high, ticks, lambda value: format_tick(value, decimals))


def longest_tick(axis: Axis) -> int:
    """Characters of the longest tick."""
    return max((len(axis.write(tick)) for tick in axis.ticks), default=0)


def round_axis(title: str, numbers: Sequence[float]) -> Axis:
    """An axis over whole numbers, thinned to what can be read."""
    low, high = min(numbers), max(numbers)
    every = max(1, math.ceil((high - low + 1) / 12))
    ticks = tuple(float(k) for k in range(int(low), int(high) + 1) if (k - int(low)) % every == 0)
    return Axis(
        title, low - (low == high), high + (low == high), ticks, lambda value: format_number(value, Style.COUNT)
    )


def drawing(height: int, title: str, description: str, parts: Sequence[str]) -> Html:
    """An SVG element with title and description."""
    attributes = {"viewBox": f"0 0 {WIDTH} {height}", "role": "img", "aria-label": f"{title}. {description}"}
    return tag("svg", attributes, tag("title", None, title), *parts)


def axes(frame: Frame, *, under: Sequence[tuple[float, str]] = ()) -> list[Html]:
    """Grid, ticks and titles of both axes; `under` adds a second row of small labels below the x ticks."""
    bottom, end = frame.height - frame.bottom, WIDTH - frame.right
    parts: list[Html] = []
    for value in frame.y.ticks:
        y = frame.down(value)
        parts.append(_line(frame.left, y, end, y, "grid"))
        parts.append(_text(frame.left - 8, y + 4, frame.y.write(value), "tick end"))
    for value in frame.x.ticks:
        x = frame.across(value)
        parts.append(_line(x, bottom, x, bottom + 4, "axis"))
        parts.append(_text(x, bottom + 17, frame.x.write(value), "tick middle"))
    parts += [_text(frame.across(value), bottom + 31, text, "tick small middle") for value, text in under]
    parts.append(_line(frame.left, bottom, end, bottom, "axis"))
    middle = (frame.left + end) / 2
    parts.append(_text(middle, frame.height - 5, frame.x.title, "label middle"))
    turned = {"class": "label middle", "transform": f"translate(13 {_n((frame.top + bottom) / 2)}) rotate(-90)"}
    parts.append(tag("text", turned, frame.y.title))
    return parts


def lines(
    series: Sequence[Series],
    frame: Frame,
    *,
    title: str,
    description: str,
    dots: Sequence[tuple[float, float]] = (),
    references: Sequence[tuple[str, float]] = (),
    under: Sequence[tuple[float, str]] = (),
) -> Html:
    """Lines with intervals, single observations as light dots, and named horizontal references."""
    parts = axes(frame, under=under)
    for name, value in references:
        y = frame.down(value)
        parts.append(_line(frame.left, y, WIDTH - frame.right, y, "reference"))
        beside = y - 5 if y > frame.top + 28 else y + 15
        parts.append(_text(WIDTH - frame.right - 4, beside, name, "reference-name end"))
    if dots:
        parts.append(_dots([(frame.across(x), frame.down(y)) for x, y in dots], "dots s1"))
    for one in series:
        parts += _series(one, frame)
    if len(series) > 1:
        parts += _legend(series, frame)
    return drawing(frame.height, title, description, parts)


def _series(one: Series, frame: Frame) -> list[Html]:
    places = [(frame.across(x), frame.down(y)) for x, y in zip(one.x, one.y, strict=True)]
    parts: list[Html] = []
    for (x, _), low, high in zip(places, one.low, one.high, strict=False):
        if low is not None and high is not None:
            parts.append(_line(x, frame.down(low), x, frame.down(high), f"interval s{one.colour}"))
    path = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in places)
    parts.append(tag("path", {"class": f"line s{one.colour}", "d": path}))
    if len(places) <= 15:
        parts.append(_dots(places, f"points s{one.colour}"))
    return parts


def _legend(series: Sequence[Series], frame: Frame) -> list[Html]:
    """Names of the lines, right-aligned above the plot."""
    parts: list[Html] = []
    x = WIDTH - frame.right - 4.0
    for one in reversed(series):
        parts.append(_text(x, frame.top - 8, one.name, f"name s{one.colour} end"))
        x -= 7.2 * len(one.name) + 20
    return parts


def scatter(x: Sequence[float], y: Sequence[float], frame: Frame, *, title: str, description: str) -> Html:
    """A cloud of points."""
    places = [(frame.across(a), frame.down(b)) for a, b in zip(x, y, strict=True)]
    return drawing(frame.height, title, description, [*axes(frame), _dots(places, "cloud s1")])


@dataclass(frozen=True, slots=True)
class Bin:
    """One point of a reliability diagram."""

    confidence: float
    right: float
    low: float
    high: float
    n: int


def reliability(bins: Sequence[Bin], *, title: str, description: str) -> Html:
    """Reliability diagram: how often a confident model is right; on the diagonal it is calibrated."""
    low = min(0.5, *(one.low for one in bins))
    start = 0.5 if low >= 0.5 else math.floor(low * 5 + 1e-9) / 5

    def write(value: float) -> str:
        return format_number(value, Style.PERCENT)

    sure = Axis("confidence of the reward model", 0.5, 1.0, (0.5, 0.6, 0.7, 0.8, 0.9, 1.0), write)
    ticks = tuple(k / 10 for k in range(round(start * 10), 11, 1 if start >= 0.5 else 2))
    right = Axis("share that agrees", start, 1.0, ticks, write)
    frame = Frame(sure, right, 320)
    parts = axes(frame)
    parts.append(_line(frame.across(0.5), frame.down(0.5), frame.across(1.0), frame.down(1.0), "reference"))
    parts.append(_text(frame.across(0.51), frame.down(0.51) + 20, "calibrated", "reference-name"))
    free = 0.0
    for one in sorted(bins, key=lambda one: one.confidence):
        x = frame.across(one.confidence)
        parts.append(_line(x, frame.down(one.low), x, frame.down(one.high), "interval s1"))
        if x > free:  # where points stand close, one of them speaks for its neighbours
            parts.append(_text(x, frame.down(frame.y.low) - 6, f"n={one.n}", "tick small middle"))
            free = x + 40
    parts.append(_dots([(frame.across(one.confidence), frame.down(one.right)) for one in bins], "points big s1"))
    return drawing(frame.height, title, description, parts)


@dataclass(frozen=True, slots=True)
class Mark:
    """A named place on a ruler."""

    name: str
    value: float
    text: str


def ruler(
    mark: Mark, ends: tuple[Mark, Mark], interval: tuple[float, float] | None, *, title: str, description: str
) -> Html:
    """One number between two references, with its interval: how far along are we?"""
    height, y, left, right = 114, 62, 26, WIDTH - 26
    values = [mark.value, *(end.value for end in ends), *(interval or ())]
    low, high = min(values), max(values)

    def place(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    parts = [_line(left, y, right, y, "track"), _line(place(ends[0].value), y, place(mark.value), y, "fill s1")]
    for end in ends:
        x = place(end.value)
        parts.append(_line(x, y - 11, x, y + 11, "axis strong"))
        anchor = "start" if x < WIDTH / 2 else "end"
        parts.append(_text(x, y + 29, end.name, f"label {anchor}"))
        parts.append(_text(x, y + 46, end.text, f"tick {anchor}"))
    if interval is not None:
        parts.append(_line(place(interval[0]), y, place(interval[1]), y, "interval wide s1"))
    x = place(mark.value)
    parts.append(_dots([(x, y)], "points big s1"))
    anchor = "start" if x < 90 else "end" if x > WIDTH - 90 else "middle"
    shifted = min(max(x, left), right) if anchor == "middle" else left if anchor == "start" else right
    parts.append(_text(shifted, y - 36, mark.text, f"headline {anchor}"))
    parts.append(_text(shifted, y - 17, mark.name, f"tick {anchor}"))
    return drawing(height, title, description, parts)


OUTCOMES = ("answered", "tie", "skipped", "waiting")


def outcomes(rows: Sequence[tuple[int, tuple[int, int, int, int]]], *, title: str, description: str) -> Html:
    """Stacked bars: per round, the questions that were answered with a side, tied, skipped, or still wait."""
    most = max(sum(counts) for _, counts in rows)
    tall = nice_axis("questions", [0, most])
    whole = tuple(tick for tick in tall.ticks if tick >= 0 and tick == int(tick))
    frame = Frame(
        round_axis("round", [number for number, _ in rows]),
        Axis("questions", 0, tall.high, whole, lambda value: format_tick(value, 0)),
        240,
        inner=26,
    )
    gap = (frame.across(frame.x.high) - frame.across(frame.x.low)) / max(frame.x.high - frame.x.low, 1)
    width = min(34.0, 0.7 * gap)
    parts = axes(frame)
    for number, counts in rows:
        base = 0
        for name, count in zip(OUTCOMES, counts, strict=True):
            if count:
                top, bottom = frame.down(base + count), frame.down(base)
                box = {
                    "class": f"bar {name}",
                    "x": _n(frame.across(number) - width / 2),
                    "y": _n(top),
                    "width": _n(width),
                    "height": _n(bottom - top),
                }
                parts.append(tag("rect", box, tag("title", None, f"round {number}: {count} {name}")))
            base += count
    return drawing(frame.height, title, description, parts)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Html:
    return tag("line", {"class": kind, "x1": _n(x1), "y1": _n(y1), "x2": _n(x2), "y2": _n(y2)})


def _text(x: float, y: float, text: str, kind: str) -> Html:
    return tag("text", {"class": kind, "x": _n(x), "y": _n(y)}, text)


def _dots(places: Sequence[tuple[float, float]], kind: str) -> Html:
    """Many round dots as one path: lines of no length with round caps."""
    return tag("path", {"class": kind, "d": "".join(f"M{_n(x)} {_n(y)}h0" for x, y in places)})


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


__all__ = [
    "OUTCOMES",
    "Axis",
    "Bin",
    "Frame",
    "Mark",
    "Series",
    "drawing",
    "lines",
    "longest_tick",
    "nice_axis",
    "outcomes",
    "reliability",
    "round_axis",
    "ruler",
    "scatter",
]
