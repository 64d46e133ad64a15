"""The page says what the JSON says, carries all it needs, and cannot be broken out of."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from html.parser import HTMLParser

import pytest

from plaudit.check.diagnose import Evidence, Finding, Severity
from plaudit.records import to_json
from plaudit.report.facts import Facts, short
from plaudit.report.markup import VOID, Style, format_number, tag
from plaudit.report.page import SECTIONS, render_page
from plaudit.report.parts import Video
from plaudit.report.summary import Setting, Summary
from tests.report_examples import bare, lifelike

EVIL = "<script>alert(1)</script>\"'&"


@dataclass
class Element:
    name: str
    attributes: dict[str, str | None]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """All elements with the text directly and indirectly inside them; fails on tags that do not match."""

    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        assert len(element.attributes) == len(attrs)
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def named(self, *names: str) -> list[Element]:
        return [element for element in self.elements if element.name in names]


def parse(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    assert not page._open
    return page


@cache
def lifelike_page() -> str:
    return render_page(*lifelike())


def lookup(value, path: str):
    for step in path.split("."):
        value = value[int(step)] if step.isdigit() else value[step]
    return value


def all_numbers(value, path=""):
    match value:
        case dict():
            for name, item in value.items():
                yield from all_numbers(item, f"{path}.{name}" if path else name)
        case list():
            for index, item in enumerate(value):
                yield from all_numbers(item, f"{path}.{index}")
        case int() | float():
            yield path


def test_every_number_on_the_page_is_the_number_in_the_json():
    summary, _ = lifelike()
    written = json.loads(json.dumps(to_json(summary)))
    shown = parse(lifelike_page()).named("data")
    assert len(shown) > 300
    for element in shown:
        value = lookup(written, element.attributes["data-path"] or "")
        assert float(element.attributes["value"] or "") == value
        assert element.text == format_number(value, Style(element.attributes["data-style"]))


def test_every_name_and_sentence_on_the_page_is_the_one_in_the_json():
    summary, _ = lifelike()
    written = to_json(summary)
    for element in parse(lifelike_page()).named("span", "code"):
        path = element.attributes.get("data-path")
        if path is not None:
            value = str(lookup(written, path))
            assert element.text == (short(value) if element.attributes.get("data-short") else value)


def test_there_are_no_numbers_but_those_from_the_summary():
    html = lifelike_page()
    for kept in (r"<style>.*?</style>", r"<svg.*?</svg>", r"<data .*?</data>", r"<(span|code)[^>]* data-path=.*?</\1>"):
        html = re.sub(kept, "", html, flags=re.DOTALL)
    text = unescape(re.sub(r"<[^>]*>", " ", html)).replace("95 %", "")
    assert re.findall(r"\S*\d\S*", text) == []


def test_most_numbers_of_the_summary_are_on_the_page():
    summary, _ = lifelike()
    shown = {element.attributes["data-path"] for element in parse(lifelike_page()).named("data")}
    drawn = re.compile(
        r"(learn\.(scatter|history)|\.returns\.\d|return_std|\.index$|\.start$|shown_first|accuracy_train)"
    )
    listed = re.compile(
        r"(rounds\.\d+\.(asked|answered|skipped|ties)|return_mean\.n|fraction\.n|^format$|\.people$|clips\.\d\.steps)"
    )
    left = [path for path in all_numbers(to_json(summary)) if path not in shown]
    assert [path for path in left if not drawn.search(path) and not listed.search(path)] == []


def test_the_five_sections_come_in_order():
    sections = [element.attributes["id"] for element in parse(lifelike_page()).named("section")]
    assert sections == ["act", "ask", "learn", "improve", "check", "provenance"]
    assert [title for _, title, _ in SECTIONS] == ["Act", "Ask", "Learn", "Improve", "Check"]


def test_the_page_needs_nothing_else():
    page = parse(lifelike_page())
    assert not page.named("script", "link", "iframe", "object", "embed", "base", "form")
    for element in page.elements:
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            if name == "src":
                assert (value or "").startswith("data:image/")
            if name == "href":
                assert (value or "").startswith("#")
    policy = next(e for e in page.named("meta") if e.attributes.get("http-equiv") == "Content-Security-Policy")
    assert (policy.attributes["content"] or "").startswith("default-src 'none'")
    assert not re.search(r"https?://|url\(|@import", lifelike_page())


def test_those_who_do_not_see_it_are_told():
    page = parse(lifelike_page())
    assert page.named("html")[0].attributes["lang"] == "en"
    assert all(element.attributes.get("alt") for element in page.named("img"))
    charts = page.named("svg")
    assert len(charts) == 10
    assert all(chart.attributes["role"] == "img" and chart.attributes["aria-label"] for chart in charts)
    assert all(head.attributes.get("scope") for head in page.named("th"))
    assert len(page.named("h1")) == 1


def test_moving_pictures_can_be_stopped():
    page = parse(lifelike_page())
    moving = [element for element in page.named("img") if element.attributes["class"] == "moving paired"]
    still = [element for element in page.named("img") if element.attributes["class"] == "still"]
    assert len(moving) == len(still) == 15
    assert any(element.attributes.get("id") == "play" for element in page.named("input"))
    summary, videos = lifelike()
    bare_videos = {name: Video(video.data, video.mime) for name, video in videos.items()}
    assert not any(e.attributes.get("id") == "play" for e in parse(render_page(summary, bare_videos)).named("input"))


def test_the_preferred_clip_is_marked():
    items = [element for element in parse(lifelike_page()).named("figure") if element.attributes.get("class") == "won"]
    assert [element.text for element in items] == [
        "first, preferred",
        "second, preferred",
        "second, preferred",
        "first, preferred",
    ]


def evil(value):
    """The same tree with every string made hostile."""
    match value:
        case Severity():
            return value
        case str():
            return EVIL
        case tuple():
            return tuple(evil(item) for item in value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.replace(
                value, **{f.name: evil(getattr(value, f.name)) for f in dataclasses.fields(value)}
            )
        case _:
            return value


def test_what_users_write_stays_text():
    summary, _ = lifelike()
    html = render_page(evil(summary), {})
    page = parse(html)
    assert not page.named("script")
    assert EVIL in page.named("h1")[0].text
    assert "<script" not in html
    shown = {element.name for element in page.elements}
    assert shown <= {element.name for element in parse(lifelike_page()).elements}


def test_what_was_not_measured_is_said_and_never_invented():
    html = render_page(bare(), {})
    page = parse(html)
    values = {element.attributes["data-path"]: element.text for element in page.named("data")}
    assert set(values.values()) <= {"0"}
    assert "not measured" in html
    assert not page.named("svg")
    for word in ("None", "nan", "inf"):
        assert not re.search(rf"\b{word}\b", re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL))


@pytest.mark.parametrize(
    ("value", "style", "text"),
    [
        (1234567, Style.COUNT, "1,234,567"),
        (0.966, Style.PERCENT, "97\u202f%"),
        (-0.001, Style.PERCENT, "0\u202f%"),
        (-1214.8, Style.RETURN, "\u22121,215"),
        (-152.34, Style.RETURN, "\u2212152.3"),
        (0.5, Style.RETURN, "0.5"),
        (0.77, Style.DECIMAL, "0.770"),
        (118.2, Style.DECIMAL, "118"),
        (24.0, Style.DECIMAL, "24"),
        (0.0512, Style.DECIMAL, "0.0512"),
        (12345.6, Style.DECIMAL, "12,346"),
        (2.5, Style.SECONDS, "2.5\u202fs"),
        (187.4, Style.SECONDS, "3.1\u202fmin"),
        (9000.0, Style.SECONDS, "2.5\u202fh"),
    ],
)
def test_numbers_read_well(value, style, text):
    assert format_number(value, style) == text


def test_only_markup_is_left_unescaped():
    inner = tag("b", None, "x")
    assert tag("p", {"title": '"<', "id": None}, "a & b", inner) == '<p title="&quot;&lt;">a &amp; b<b>x</b></p>'


def test_settings_keep_their_order():
    summary, _ = lifelike()
    known = dataclasses.replace(summary.provenance, settings=(Setting("b", "1"), Setting("a", "2")))
    html = render_page(dataclasses.replace(summary, provenance=known), {})
    assert html.index("<code>b</code>") < html.index("<code>a</code>")


def test_findings_that_need_something_come_first_and_the_others_are_folded():
    summary, _ = lifelike()
    html = lifelike_page()
    assert (
        html.index("as another question")
        < html.index("Checks that found nothing wrong")
        < html.index("tell the two clips")
    )
    fine = (Finding(Severity.OK, "ties", "Fine.", (Evidence("ties", 1),)),)
    calm = dataclasses.replace(summary, check=dataclasses.replace(summary.check, findings=fine))
    assert "Nothing to worry about." in render_page(calm, {})


def test_a_summary_is_json(tmp_path):
    summary, _ = lifelike()
    assert isinstance(summary, Summary)
    assert json.loads(json.dumps(to_json(summary), allow_nan=False))["ask"]["answered"] == 49


def test_a_wrong_path_is_an_error_and_an_absent_value_is_not():
    facts = Facts(bare())
    assert facts.get("check.fraction.value") is None
    with pytest.raises(AttributeError):
        facts.get("check.fractoin")


def test_versions_are_shown_short():
    assert short("pol_0123456789abcdef") == "01234567"
    assert short("random") == "random"
