"""The report as one HTML file in five sections. Nothing on it comes from anywhere but the summary and its videos."""

from __future__ import annotations

from importlib import resources

from plaudit.report import page_behaviour, page_results, page_texts
from plaudit.report.facts import DASH, Facts
from plaudit.report.markup import Html, Style, join, tag
from plaudit.report.parts import Videos
from plaudit.report.summary import Summary

SECTIONS = (
    ("act", "Act", "What the policy does: the same start, before any question, half-way, and at the end."),
    ("ask", "Ask", "What people or teachers were asked, why, and what they said."),
    ("learn", "Learn", "What the reward model made of the answers, tested on answers that it never saw."),
    ("improve", "Improve", "How the policy changed under the learned reward, round by round."),
    (
        "check",
        "Check",
        "What the result is worth, measured with the true reward where there is one, and what looks wrong.",
    ),
)
LEADS_OF_TEXTS = {
    "act": "What the language model says to prompts that it never learned from.",
    "check": "How the language model does on held-out prompts beside the model that it started from, and what looks wrong.",
}
"""what stands under the titles where a language model is taught"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""content security policy: the page cannot load or send anything"""
STYLE_SHEET = resources.files("plaudit.report") / "report.css"


def render_page(summary: Summary, videos: Videos) -> str:
    """The whole file.

    Args:
        summary: the numbers.
        videos: by digest, for the clips of the summary; a clip whose video is not here says why.
    """
    facts = Facts(summary)
    texts = summary.texts is not None
    bodies = (
        page_texts.act(facts) if texts else page_behaviour.act(facts, videos),
        page_behaviour.ask(facts, videos),
        page_results.learn(facts),
        page_results.improve(facts),
        page_results.check(facts),
    )
    leads = LEADS_OF_TEXTS if texts else {}
    sections = [
        tag(
            "section",
            {"id": key, "aria-labelledby": f"h-{key}"},
            tag("h2", {"id": f"h-{key}"}, title),
            tag("p", None, leads.get(key, lead)),
            body,
        )
        for (key, title, lead), body in zip(SECTIONS, bodies, strict=True)
    ]
    head = tag(
        "head",
        None,
        tag("meta", {"charset": "utf-8"}),
        tag("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}),
        tag("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("title", None, f"{summary.name}: plaudit report"),
        tag("style", None, Html(STYLE_SHEET.read_text(encoding="utf-8"))),
    )
    main = tag("main", {"id": "main", "class": "page"}, *sections, page_results.provenance(facts))
    skip = tag("a", {"class": "skip", "href": "#act"}, "Skip to the report")
    body = tag("body", None, skip, _header(facts), _navigation(videos), main, _footer())
    return "<!doctype html>\n" + tag("html", {"lang": "en"}, head, body) + "\n"


def _header(facts: Facts) -> Html:
    summary = facts.summary
    where = [
        facts.text("act.world" if summary.texts is None else "texts.model"),
        ", seed ",
        facts.number("seed", Style.COUNT),
    ]
    if summary.rounds_planned is not None:
        rounds = [facts.number(name, Style.COUNT) for name in ("rounds_done", "rounds_planned")]
        where += [", ", rounds[0], " of ", rounds[1], " rounds"]
    details = [tag("li", None, facts.text(f"details.{i}")) for i in range(len(summary.details))]
    return tag(
        "header",
        {"class": "page"},
        tag("p", {"class": "eyebrow"}, tag("b", None, facts.text("name")), " ", *where),
        tag("h1", None, facts.text("verdict")),
        tag("ul", {"class": "details"}, *details),
        _key_figures(facts),
    )


def _key_figures(facts: Facts) -> Html:
    ask = facts.summary.ask
    human = "ask.human_seconds" if ask.people or ask.simulated_seconds is None else "ask.simulated_seconds"
    human_name = "human time" if human == "ask.human_seconds" else "human time, if assumed"
    asked = join(["of ", facts.number("ask.asked", Style.COUNT), " asked"])
    way, agreement = (facts.interval(path, Style.PERCENT) for path in ("check.fraction", "learn.accuracy"))
    shown = [
        ("way to the oracle", "check.fraction.value", Style.PERCENT, way),
        ("return per episode", "check.returns.value", Style.RETURN, facts.interval("check.returns", Style.RETURN)),
        ("answers", "ask.answered", Style.COUNT, asked),
        (human_name, human, Style.SECONDS, Html("")),
        ("agreement, held out", "learn.accuracy.value", Style.PERCENT, agreement),
        ("environment steps", "act.env_steps", Style.COUNT, Html("")),
    ]
    if facts.summary.texts is not None:
        newest = f"texts.measures.{len(facts.summary.texts.measures) - 1}"
        gold = facts.interval(f"{newest}.gold", Style.PERCENT)
        shown = [
            ("true reward", f"{newest}.gold.value", Style.PERCENT, gold),
            ("wins over its start", f"{newest}.win_rate_gold", Style.PERCENT, Html("")),
            *shown[2:5],
            ("rollouts", "texts.rollouts", Style.COUNT, Html("")),
        ]
        if not facts.summary.texts.measures:
            shown = shown[2:]
    items = [
        tag(
            "div",
            None,
            tag("dt", None, name),
            tag("dd", None, facts.number(path, style, absent=DASH), tag("small", None, more)),
        )
        for name, path, style, more in shown
    ]
    return tag("dl", {"class": "figures"}, *items)


def _navigation(videos: Videos) -> Html:
    links = [tag("a", {"href": f"#{key}"}, title) for key, title, _ in SECTIONS]
    links.append(tag("a", {"href": "#provenance"}, "Settings"))
    if any(video.still is not None for video in videos.values()):
        box = tag("input", {"type": "checkbox", "id": "play", "checked": "checked"})
        links.append(tag("label", {"for": "play"}, box, "Play clips"))
    return tag("nav", {"aria-label": "Sections"}, tag("div", {"class": "page"}, *links))


def _footer() -> Html:
    text = "Made by plaudit from the run's event log. The same numbers are in report.json beside this file."
    return tag("footer", {"class": "page"}, text)
