"""Small plots as inline SVG. Everything is an element tree, so what annotators typed is escaped by construction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from plaudit.stats.intervals import Interval

WIDTH = 640
LEFT, RIGHT = 190, 24
ROW = 22
SHOWN = 24
"""characters of a name beside a plot"""


def element(name: str, attributes: Mapping[str, object] | None = None, *children: Element | str) -> Element:
    """An element with attributes, and text or elements inside."""
    made = Element(name, {key: str(value) for key, value in (attributes or {}).items()})
    for child in children:
        if isinstance(child, Element):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + child
        else:
            made.text = (made.text or "") + child
    return made


@dataclass(frozen=True, slots=True)
class Scale:
    """A horizontal axis."""

    low: float
    high: float
    ticks: tuple[float, ...]
    percent: bool = False

    def across(self, value: float) -> float:
        """Pixels from the left; what is off the axis is drawn at its end."""
        inside = min(max(value, self.low), self.high)
        return LEFT + (inside - self.low) / (self.high - self.low) * (WIDTH - LEFT - RIGHT)

    def write(self, value: float) -> str:
        """A tick."""
        return f"{value:.0%}" if self.percent else f"{value:g}"


SHARE = Scale(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0), percent=True)


def forest(rows: Sequence[tuple[str, Interval]], scale: Scale, *, title: str, reference: float) -> Element:
    """One line per name: a dot with its interval; a dashed line marks the reference."""
    height = ROW * len(rows) + 34
    parts = _axis(scale, height)
    parts.append(_line(scale.across(reference), 4, scale.across(reference), height - 26, "reference"))
    for number, (name, one) in enumerate(rows):
        y = ROW * number + 15
        short = name if len(name) <= SHOWN else name[: SHOWN - 1] + "\u2026"
        parts.append(_text(LEFT - 10, y + 4, short, "end"))
        parts.append(_line(scale.across(one.low), y, scale.across(one.high), y, "interval"))
        parts.append(element("circle", {"cx": _n(scale.across(one.value)), "cy": y, "r": 4, "class": "dot"}))
    return _drawing(height, title, parts)


def histogram(values: Sequence[float], mark: float, *, title: str) -> Element:
    """Bars of how often values occurred, with a line where the data are."""
    low, high = min([*values, mark]), max([*values, mark])
    pad = 0.05 * (high - low) or 0.01
    low, high = low - pad, high + pad
    scale = Scale(low, high, tuple(float(f"{low + share * (high - low):.3g}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)))
    bins, height = 30, 150
    counts = [0] * bins
    for value in values:
        counts[min(int((value - low) / (high - low) * bins), bins - 1)] += 1
    parts = _axis(scale, height)
    for number, count in enumerate(counts):
        if count:
            start, end = (scale.across(low + k * (high - low) / bins) for k in (number, number + 1))
            tall = (height - 40) * count / max(counts)
            box = {"x": _n(start), "y": _n(height - 26 - tall), "width": _n(end - start - 1), "height": _n(tall)}
            parts.append(element("rect", {**box, "class": "bar"}))
    parts.append(_line(scale.across(mark), 4, scale.across(mark), height - 26, "mark"))
    return _drawing(height, title, parts)


def paths(rows: Sequence[tuple[str, Sequence[float]]], bounds: tuple[float, float], *, title: str) -> Element:
    """Evidence after each gold answer, one line per name, between the two bounds of the test."""
    longest = max(len(values) for _, values in rows)
    step = max(1, -(-longest // 6))
    scale = Scale(0, longest, tuple(float(k) for k in range(0, longest + 1, step)))
    height = 240
    low = min([bounds[0], *(min(values) for _, values in rows)])
    high = max([bounds[1], *(max(values) for _, values in rows)])

    def down(value: float) -> float:
        return 12 + (high - value) / (high - low) * (height - 50)

    parts = _axis(scale, height)
    for value, name in zip(bounds, ("passes below", "stopped above"), strict=True):
        parts.append(_line(LEFT, down(value), WIDTH - RIGHT, down(value), "reference"))
        parts.append(_text(LEFT - 10, down(value) + 4, name, "end"))
    for name, values in rows:
        places = [(0, 0.0), *enumerate(values, 1)]
        points = " ".join(f"{_n(scale.across(x))},{_n(down(y))}" for x, y in places)
        parts.append(element("polyline", {"points": points, "class": "path"}, element("title", None, name)))
    return _drawing(height, title, parts)


def _axis(scale: Scale, height: float) -> list[Element]:
    bottom = height - 26
    parts = [_line(LEFT, bottom, WIDTH - RIGHT, bottom, "axis")]
    for tick in scale.ticks:
        x = scale.across(tick)
        parts += [_line(x, 4, x, bottom, "grid"), _text(x, height - 9, scale.write(tick), "middle")]
    return parts


def _drawing(height: float, title: str, parts: Sequence[Element]) -> Element:
    attributes = {"viewBox": f"0 0 {WIDTH} {_n(height)}", "role": "img", "aria-label": title}
    return element("svg", attributes, element("title", None, title), *parts)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Element:
    return element("line", {"class": kind, "x1": _n(x1), "y1": _n(y1), "x2": _n(x2), "y2": _n(y2)})


def _text(x: float, y: float, text: str, kind: str) -> Element:
    return element("text", {"class": kind, "x": _n(x), "y": _n(y)}, text)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
