"""The reward card as one HTML file that loads nothing, and as JSON with the same numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path

from plaudit.check.card.numbers import RewardCard
from plaudit.check.diagnose import Severity
from plaudit.records import to_json
from plaudit.report import page_reward
from plaudit.report.facts import DASH, Paths
from plaudit.report.markup import Html, Style, join, tag
from plaudit.report.page import POLICY, STYLE_SHEET

SECTIONS = (
    ("right", "Right?", "How often the text that judges preferred scores higher, beside noise and beside scorers that do not read."),
    ("where", "Where not", "Slices in which it is right less often, and what it takes for merit."),
    ("edits", "Edits", "What happens to a score when a text is edited; each edit has a contract."),
    ("sure", "How sure", "Whether confidence fits, and how early in a text the score knows."),
    ("mistakes", "Mistakes", "The pairs that it is most confidently wrong about, and what each piece added to the score."),
)  # fmt: skip


def write_card(card: RewardCard, path: Path) -> tuple[Path, Path]:
    """Write the page, and the JSON beside it under the same name. Returns both paths."""
    data = path.with_suffix(".json")
    _replace(path, render_card(card))
    _replace(data, json.dumps(to_json(card), indent=1, ensure_ascii=False) + "\n")
    return path, data


def render_card(card: RewardCard) -> str:
    """The whole page; every number on it is one of the JSON's."""
    paths = Paths(card)
    bodies = (
        page_reward.right(card, paths),
        page_reward.where(card, paths),
        page_reward.edits(card, paths),
        page_reward.sure(card, paths),
        page_reward.mistakes(card, paths),
    )
    sections = [
        tag(
            "section", {"id": key, "aria-labelledby": f"h-{key}"},
            tag("h2", {"id": f"h-{key}"}, title), tag("p", None, lead), body,
        )
        for (key, title, lead), body in zip(SECTIONS, bodies, strict=True)
    ]  # fmt: skip
    head = tag(
        "head",
        None,
        tag("meta", {"charset": "utf-8"}),
        tag("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}),
        tag("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("title", None, f"{card.signal}: reward card"),
        tag("style", None, Html(STYLE_SHEET.read_text(encoding="utf-8"))),
    )
    links = [tag("a", {"href": f"#{key}"}, title) for key, title, _ in SECTIONS]
    body = tag(
        "body",
        None,
        tag("a", {"class": "skip", "href": "#right"}, "Skip to the card"),
        _header(card, paths),
        tag("nav", {"aria-label": "Sections"}, tag("div", {"class": "page"}, *links)),
        tag("main", {"id": "main", "class": "page"}, *sections),
        tag("footer", {"class": "page"}, "Made by plaudit. The same numbers are in the JSON file beside this page."),
    )
    return "<!doctype html>\n" + tag("html", {"lang": "en"}, head, body) + "\n"


def _header(card: RewardCard, paths: Paths) -> Html:
    shown = [
        ("right", "accuracy.value", Style.PERCENT, paths.interval("accuracy", Style.PERCENT)),
        ("judged pairs", "pairs", Style.COUNT, join(["of ", paths.number("prompts", Style.COUNT), " prompts"])),
        ("noise ceiling, at most", "ceiling.high", Style.PERCENT, Html("")),
        ("calibration error", "calibrated.error_after", Style.PERCENT, Html("after a temperature of its own")),
    ]
    items = [
        tag("div", None, tag("dt", None, name), tag("dd", None, paths.number(path, style, absent=DASH), tag("small", None, more)))
        for name, path, style, more in shown
    ]  # fmt: skip
    return tag(
        "header",
        {"class": "page"},
        tag("p", {"class": "eyebrow"}, tag("b", None, paths.text("signal")), " on ", paths.text("data", absent="judged pairs")),
        tag("h1", None, paths.text("verdict")),
        _findings(card, paths),
        tag("dl", {"class": "figures"}, *items),
    )  # fmt: skip


def _findings(card: RewardCard, paths: Paths) -> Html:
    items: list[Html] = []
    for k, one in enumerate(card.findings):
        if one.severity is not Severity.OK:
            said = [tag("p", None, paths.text(f"findings.{k}.message"))]
            said += [tag("p", {"class": "advice"}, paths.text(f"findings.{k}.advice"))] if one.advice else []
            kind = one.severity.value
            items.append(tag("li", None, tag("span", {"class": f"severity {kind}"}, kind), tag("div", None, *said)))
    return tag("ul", {"class": "findings"}, *items) if items else Html("")


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
