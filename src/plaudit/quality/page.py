"""The audit as one HTML page that loads nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, tostring

from plaudit.quality import words
from plaudit.quality.audit import Audit
from plaudit.quality.drawing import SHARE, element, forest, histogram, paths
from plaudit.quality.gold import GoldTest, SequentialConfig
from plaudit.quality.section import Section
from plaudit.stats.undefined import Undefined

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""content security policy: the page cannot load or send anything"""
STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fdfcfa; --muted: #5f6670; --rule: #e5e2dc; --one: #2a5da8; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e1; --paper: #14161a; --muted: #a0a6af; --rule: #30343b; --one: #86b4f3;
 --bad: #f2938c; } }
body { margin: 0 auto; max-width: 1040px; padding: 32px 20px; font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
 background: var(--paper); }
h1, h2 { font-weight: 500; } dt { color: var(--muted); margin-top: 8px; } dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 14px; }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--rule); font-weight: 400; white-space: nowrap; }
thead th, figcaption { color: var(--muted); } .suspect { color: var(--bad); overflow-wrap: anywhere; }
figure { margin: 24px 0; } svg { display: block; width: 100%; max-width: 640px; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--muted); } .end { text-anchor: end; } .middle { text-anchor: middle; }
.grid { stroke: var(--rule); } .axis { stroke: var(--muted); } .reference { stroke: var(--muted); stroke-dasharray: 5 4; }
.interval { stroke: var(--one); stroke-width: 2; } .dot, .bar { fill: var(--one); } .mark { stroke: var(--bad); stroke-width: 2; }
.path { fill: none; stroke: var(--one); stroke-width: 1.5; opacity: .7; }
"""


def render(audit: Audit, *, title: str, gold: SequentialConfig, more: Sequence[Section] = ()) -> str:
    """The whole file.

    Args:
        audit: what it shows.
        title: of the page, for example the run's name.
        gold: the test that the audit used, for its bounds.
        more: tables that others made.
    """
    content = {"http-equiv": "Content-Security-Policy", "content": POLICY}
    head = element(
        "head",
        None,
        element("meta", {"charset": "utf-8"}),
        element("meta", content),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("title", None, f"{title}: quality of the answers"),
        element("style", None, STYLE),
    )
    body = element(
        "body",
        None,
        element("h1", None, f"{title}: quality of the answers"),
        *_suspicions(audit),
        element("h2", None, "All together"),
        _facts(words.overall(audit)),
        element("h2", None, "Annotators"),
        _table(audit),
        *(part for one in (*words.population(audit.weighting), *more) for part in _section(one)),
        *_plots(audit, gold),
        *_reasons(audit),
    )
    return (
        "<!doctype html>\n"
        + tostring(element("html", {"lang": "en"}, head, body), encoding="unicode", method="html")
        + "\n"
    )


def _suspicions(audit: Audit) -> list[Element]:
    if not audit.suspicions:
        return [element("p", None, "Nobody is suspected.")]
    items = [element("li", {"class": "suspect"}, one) for one in audit.suspicions]
    return [element("h2", None, "Look at these"), element("ul", None, *items)]


def _facts(rows: Sequence[tuple[str, str]]) -> Element:
    pairs = [(element("dt", None, name), element("dd", None, text)) for name, text in rows]
    return element("dl", None, *(part for pair in pairs for part in pair))


def _table(audit: Audit) -> Element:
    return _grid("Table of annotators", words.ANNOTATOR_COLUMNS, [words.annotator(one) for one in audit.annotators])


def _section(one: Section) -> list[Element]:
    found = [element("h2", None, one.title), element("p", None, one.note)]
    return [*found, _grid(one.title, one.columns, one.rows)] if one.rows else found


def _grid(label: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> Element:
    head = element("tr", None, *(element("th", {"scope": "col"}, name) for name in columns))
    rows = [
        element("tr", None, element("th", {"scope": "row"}, name), *(element("td", None, cell) for cell in cells))
        for name, *cells in lines
    ]
    table = element("table", None, element("thead", None, head), element("tbody", None, *rows))
    return element("div", {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": label}, table)


def _plots(audit: Audit, gold: SequentialConfig) -> list[Element]:
    """The plots that the data allow."""
    people = audit.annotators
    sides = [(one.name, one.side.share) for one in people if not isinstance(one.side, Undefined)]
    accuracy = [(one.name, one.accuracy) for one in people if not isinstance(one.accuracy, Undefined)]
    reliability = [(one.name, one.reliability) for one in people if not isinstance(one.reliability, Undefined)]
    tests = [(one.name, one.gold.evidence) for one in people if isinstance(one.gold, GoldTest)]
    found: list[Element] = []
    for rows, caption in (
        (sides, "Share of decided comparisons that took what was shown first; one half is no bias."),
        (accuracy, "Accuracy against what annotators say together, with 95 % intervals."),
        (
            reliability,
            "Reliability by crowd Bradley-Terry: one half is chance, below it the opposite of what others see.",
        ),
    ):
        if rows:
            found.append(_figure(forest(rows, SHARE, title=caption, reference=0.5), caption))
    if tests:
        caption = f"Gold: log evidence for accuracy {gold.bad:.0%} against {gold.good:.0%} after each gold answer."
        found.append(_figure(paths(tests, gold.bounds, title=caption), caption))
    circles = audit.intransitivity
    if not isinstance(circles, Undefined) and len(circles.cyclic_null):
        caption = "Length of the preferences that fit no single value: these answers (line) and noise alone (bars)."
        found.append(_figure(histogram(circles.cyclic_null.tolist(), circles.hodge.length, title=caption), caption))
    return found


def _figure(drawing: Element, caption: str) -> Element:
    return element("figure", None, drawing, element("figcaption", None, caption))


def _reasons(audit: Audit) -> list[Element]:
    """What is not known, and why."""
    rows = [(one.name, "; ".join(why)) for one in audit.annotators if (why := words.reasons(one))]
    if not rows:
        return []
    return [element("h2", None, "Not known, and why"), _facts(rows)]
