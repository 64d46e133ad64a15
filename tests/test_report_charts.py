"""Charts put marks where the numbers are."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.report import charts
from plaudit.report.charts import WIDTH, Axis, Bin, Frame, Mark, Series

FINITE = st.floats(-1e9, 1e9).filter(lambda x: x == 0 or abs(x) > 1e-9)


def plain(low: float, high: float) -> Axis:
    return Axis("x", low, high, (), str)


def tree(drawing: str) -> ElementTree.Element:
    return ElementTree.fromstring(drawing)


def marks(drawing: str, kind: str) -> list[tuple[float, float]]:
    paths = [path for path in tree(drawing).iter("path") if path.attrib["class"] == kind]
    return [(float(x), float(y)) for path in paths for x, y in re.findall(r"M([-\d.]+) ([-\d.]+)h0", path.attrib["d"])]


def test_a_frame_maps_the_ends_of_its_axes_to_the_ends_of_the_plot():
    frame = Frame(plain(0, 10), plain(-1, 1), 300, right=20, top=10, bottom=40, inner=6)
    assert frame.left == 34
    assert (frame.across(0), frame.across(10)) == (40, WIDTH - 26)
    assert (frame.down(-1), frame.down(1), frame.down(0)) == (260, 10, 135)


@given(st.lists(FINITE, min_size=1, max_size=20))
def test_an_axis_holds_all_values_and_has_readable_ticks(values):
    axis = charts.nice_axis("y", values)
    assert axis.low <= min(values)
    assert axis.high >= max(values)
    assert 1 <= len(axis.ticks) <= 11
    assert all(axis.low - 1e-9 * abs(axis.low) <= tick <= axis.high + 1e-9 * abs(axis.high) for tick in axis.ticks)
    if max(values) - min(values) > 1e-6 * max(map(abs, values)):
        assert len({axis.write(tick) for tick in axis.ticks}) == len(axis.ticks)


def test_ticks_are_round_numbers():
    axis = charts.nice_axis("return", [-1480.0, -130.0])
    assert axis.ticks == (-1400, -1200, -1000, -800, -600, -400, -200) or axis.ticks == (-1500, -1000, -500)
    assert axis.write(-1000.0) == "\u22121,000"
    assert charts.nice_axis("loss", [0.1, 0.7]).write(0.2) == "0.2"


@pytest.mark.parametrize(("last", "every"), [(3, 1), (12, 1), (13, 2), (40, 4)])
def test_rounds_are_thinned(last, every):
    ticks = charts.round_axis("round", [1.0, float(last)]).ticks
    assert ticks[:2] == (1, 1 + every)
    assert len(ticks) <= 12


def test_lines_show_means_intervals_dots_and_references():
    frame = Frame(plain(1, 2), plain(0, 10), 300, inner=0)
    series = Series("mean", (1.0, 2.0), (4.0, 6.0), (3.0, None), (5.0, None))
    drawing = charts.lines(
        [series], frame, title="T", description="D", dots=[(1.0, 10.0)], references=[("oracle", 5.0)]
    )
    assert marks(drawing, "points s1") == [
        (frame.across(1), round(frame.down(4), 1)),
        (frame.across(2), round(frame.down(6), 1)),
    ]
    assert marks(drawing, "dots s1") == [(frame.left, 16)]
    bars = [line.attrib for line in tree(drawing).iter("line") if line.attrib["class"] == "interval s1"]
    assert [(float(bar["y1"]), float(bar["y2"])) for bar in bars] == [
        (round(frame.down(3), 1), round(frame.down(5), 1))
    ]
    assert "oracle" in [text.text for text in tree(drawing).iter("text")]


def test_two_lines_are_named():
    frame = Frame(plain(0, 1), plain(0, 1), 200)
    one, two = (
        Series(name, (0.0, 1.0), (0.0, 1.0), colour=colour) for name, colour in (("training", 1), ("held-out", 2))
    )
    texts = {text.text for text in tree(charts.lines([one, two], frame, title="T", description="D")).iter("text")}
    assert {"training", "held-out"} <= texts


def test_a_ruler_places_the_mark_between_its_ends():
    drawing = charts.ruler(
        Mark("m", 0.25, "25 %"), (Mark("random", 0.0, "a"), Mark("oracle", 1.0, "b")), None, title="T", description="D"
    )
    assert marks(drawing, "points big s1") == [(26 + 0.25 * (WIDTH - 52), 62)]


def test_a_ruler_stretches_to_what_lies_beyond_its_ends():
    ends = (Mark("random", 0.0, "a"), Mark("oracle", 1.0, "b"))
    drawing = charts.ruler(Mark("m", 1.5, "150 %"), ends, (1.0, 2.0), title="T", description="D")
    assert marks(drawing, "points big s1") == [(26 + 0.75 * (WIDTH - 52), 62)]
    assert all(0 <= float(line.attrib[name]) <= WIDTH for line in tree(drawing).iter("line") for name in ("x1", "x2"))


def test_a_reliability_diagram_reaches_down_to_the_lowest_interval():
    drawing = charts.reliability([Bin(0.6, 0.5, 0.2, 0.8, 9), Bin(0.9, 1.0, 0.7, 1.0, 8)], title="T", description="D")
    texts = [text.text for text in tree(drawing).iter("text")]
    assert {"n=9", "n=8", "20\u202f%", "100\u202f%"} <= set(texts)
    assert len(marks(drawing, "points big s1")) == 2


def test_outcome_bars_add_up_to_the_questions():
    drawing = charts.outcomes([(1, (6, 2, 0, 0)), (2, (0, 0, 3, 1))], title="T", description="D")
    bars = {bar.find("title").text: float(bar.attrib["height"]) for bar in tree(drawing).iter("rect")}
    assert set(bars) == {"round 1: 6 answered", "round 1: 2 tie", "round 2: 3 skipped", "round 2: 1 waiting"}
    assert bars["round 1: 6 answered"] == pytest.approx(3 * bars["round 1: 2 tie"], abs=0.2)


def test_a_scatter_has_a_dot_for_every_point():
    frame = Frame(plain(0, 1), plain(0, 1), 200)
    assert (
        len(marks(charts.scatter([0.1, 0.2, 0.3], [0.3, 0.2, 0.1], frame, title="T", description="D"), "cloud s1")) == 3
    )


def test_names_in_a_chart_are_escaped():
    drawing = charts.drawing(10, "<b>", 'a"b', [])
    assert tree(drawing).attrib["aria-label"] == '<b>. a"b'
