"""The report as one HTML file in five sections. Nothing on it comes from anywhere but the summary and its videos."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plaudit.check.diagnose import Severity
from plaudit.loop import report_figures as figures
from plaudit.loop.facts import DASH, Facts
from plaudit.loop.markup import Html, Style, join, tag
from plaudit.loop.report_style import STYLE_SHEET
from plaudit.loop.summary import Clip, Question, Summary

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
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""content security policy: the page cannot load or send anything"""


@dataclass(frozen=True, slots=True)
class Video:
    """Bytes of one clip, and of its first frame where that could be taken out."""

    data: bytes
    mime: str
    still: bytes | None = None


def render_page(summary: Summary, videos: Mapping[str, Video]) -> str:
    """The whole file.

    Args:
        summary: the numbers.
        videos: by digest, for the clips of the summary; a clip whose video is not here says why.
    """
    facts = Facts(summary)
    page = _Page(facts, videos)
    bodies = (page.act(), page.ask(), page.learn(), page.improve(), page.check())
    sections = [
        tag(
            "section",
            {"id": key, "aria-labelledby": f"h-{key}"},
            tag("h2", {"id": f"h-{key}"}, title),
            tag("p", None, lead),
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
        tag("style", None, STYLE_SHEET),
    )
    main = tag("main", {"id": "main", "class": "page"}, *sections, page.provenance())
    skip = tag("a", {"class": "skip", "href": "#act"}, "Skip to the report")
    body = tag("body", None, skip, page.header(), page.navigation(), main, page.footer())
    return "<!doctype html>\n" + tag("html", {"lang": "en"}, head, body) + "\n"


class _Page:
    """Builds the parts of one page."""

    def __init__(self, facts: Facts, videos: Mapping[str, Video]) -> None:
        self._facts = facts
        self._summary = facts.summary
        self._videos = videos

    def header(self) -> Html:
        facts, summary = self._facts, self._summary
        where = [facts.text("act.world"), ", seed ", facts.number("seed", Style.COUNT)]
        if summary.rounds_planned is not None:
            where += [
                ", ",
                facts.number("rounds_done", Style.COUNT),
                " of ",
                facts.number("rounds_planned", Style.COUNT),
                " rounds",
            ]
        details = [tag("li", None, facts.text(f"details.{i}")) for i in range(len(summary.details))]
        return tag(
            "header",
            {"class": "page"},
            tag("p", {"class": "eyebrow"}, tag("b", None, facts.text("name")), " ", *where),
            tag("h1", None, facts.text("verdict")),
            tag("ul", {"class": "details"}, *details),
            self._key_figures(),
        )

    def _key_figures(self) -> Html:
        facts, ask = self._facts, self._summary.ask
        human = "ask.human_seconds" if ask.people or ask.simulated_seconds is None else "ask.simulated_seconds"
        human_name = "human time" if human == "ask.human_seconds" else "human time, if assumed"
        shown = [
            (
                "way from random to oracle",
                "check.fraction.value",
                Style.PERCENT,
                facts.interval("check.fraction", Style.PERCENT),
            ),
            ("return per episode", "check.returns.value", Style.RETURN, facts.interval("check.returns", Style.RETURN)),
            ("answers", "ask.answered", Style.COUNT, join(["of ", facts.number("ask.asked", Style.COUNT), " asked"])),
            (human_name, human, Style.SECONDS, Html("")),
            (
                "agreement, held out",
                "learn.accuracy.value",
                Style.PERCENT,
                facts.interval("learn.accuracy", Style.PERCENT),
            ),
            ("environment steps", "act.env_steps", Style.COUNT, Html("")),
        ]
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

    def navigation(self) -> Html:
        links = [tag("a", {"href": f"#{key}"}, title) for key, title, _ in SECTIONS]
        links.append(tag("a", {"href": "#provenance"}, "Settings"))
        if any(video.still is not None for video in self._videos.values()):
            box = tag("input", {"type": "checkbox", "id": "play", "checked": "checked"})
            links.append(tag("label", {"for": "play"}, box, "Play clips"))
        return tag("nav", {"aria-label": "Sections"}, tag("div", {"class": "page"}, *links))

    def act(self) -> Html:
        facts, act = self._facts, self._summary.act
        clips = [self._clip(f"act.clips.{i}", clip) for i, clip in enumerate(act.clips)]
        shown = (
            tag("div", {"class": "clips"}, *clips) if clips else figures.empty("No clips were kept.", why="no videos")
        )
        rows = [
            ("World", facts.text("act.world")),
            ("Algorithm", facts.text("act.algorithm")),
            ("Environments side by side", facts.number("act.envs", Style.COUNT)),
            ("Fixed horizon", facts.number("act.horizon", Style.COUNT, absent="none: the world ends its own episodes")),
            ("Environment steps", facts.number("act.env_steps", Style.COUNT)),
            ("Segments kept", facts.number("act.segments", Style.COUNT)),
        ]
        return join([shown, _facts_list(rows)])

    def _clip(self, path: str, clip: Clip) -> Html:
        facts = self._facts
        caption = [tag("b", None, facts.text(f"{path}.label")), ": policy ", facts.version(f"{path}.policy")]
        caption += [", ", facts.number(f"{path}.steps", Style.COUNT), " steps"]
        alt = f"Clip of the agent {clip.label}: {clip.steps} steps of {self._summary.act.world}"
        return tag("figure", None, self._video(clip, alt), tag("figcaption", None, *caption))

    def _video(self, clip: Clip, alt: str) -> Html:
        video = self._videos.get(clip.blob or "")
        if video is None:
            return tag("div", {"class": "video none"}, clip.missing or "the video is not in the run's blob store")
        moving = {
            "class": "moving" if video.still is None else "moving paired",
            "alt": alt,
            "src": _data(video.mime, video.data),
        }
        parts = [tag("img", moving)]
        if video.still is not None:
            parts.append(
                tag("img", {"class": "still", "alt": f"{alt} (first frame)", "src": _data("image/webp", video.still)})
            )
        return tag("div", {"class": "video"}, *parts)

    def ask(self) -> Html:
        facts, ask = self._facts, self._summary.ask
        rows = [
            ("Form of the questions", facts.text("ask.kind")),
            ("Asked", facts.number("ask.asked", Style.COUNT)),
            ("Answered", facts.number("ask.answered", Style.COUNT)),
            ("of these, ties", facts.number("ask.ties", Style.COUNT)),
            ("Skipped", facts.number("ask.skipped", Style.COUNT)),
            ("Waiting for an answer", facts.number("ask.waiting", Style.COUNT)),
            ("Time of people", facts.number("ask.human_seconds", Style.SECONDS, absent="none measured")),
            (
                "Time assumed for the simulated teacher",
                facts.number("ask.simulated_seconds", Style.SECONDS, absent="none"),
            ),
        ]
        parts = [tag("div", {"class": "columns"}, figures.outcomes_chart(facts), _facts_list(rows))]
        parts += [
            tag("h3", None, "Who answered"),
            self._annotators(),
            tag("h3", None, "How the questions were chosen"),
            self._strategies(),
        ]
        if ask.questions:
            items = [self._question(i, question) for i, question in enumerate(ask.questions)]
            parts += [tag("h3", None, "Some of the questions"), tag("ul", {"class": "questions"}, *items)]
        return join(parts)

    def _annotators(self) -> Html:
        facts = self._facts
        head = ("Annotator", "Who", "Answered", "Ties", "Skipped", "Chose what stood first", "Time")
        rows: list[list[Html]] = []
        for i, one in enumerate(self._summary.ask.annotators):
            path = f"ask.annotators.{i}"
            first = [
                facts.number(f"{path}.chose_shown_first", Style.COUNT),
                " of ",
                facts.number(f"{path}.decided", Style.COUNT),
            ]
            counts = [facts.number(f"{path}.{name}", Style.COUNT) for name in ("answered", "ties", "skipped")]
            who = facts.text(f"{path}.description" if one.description else f"{path}.kind")
            time = facts.number(f"{path}.seconds", Style.SECONDS, absent=DASH)
            rows.append(
                [facts.text(f"{path}.annotator"), who, *counts, join(first) if one.decided else Html(DASH), time]
            )
        return _table(head, rows, words=True, absent="Nobody has answered yet.")

    def _strategies(self) -> Html:
        facts = self._facts
        rows = [
            [facts.text(f"ask.strategies.{i}.strategy")]
            + [
                facts.number(f"ask.strategies.{i}.{name}", Style.COUNT)
                for name in ("asked", "answered", "ties", "skipped")
            ]
            for i in range(len(self._summary.ask.strategies))
        ]
        return _table(("Strategy", "Asked", "Answered", "Ties", "Skipped"), rows, absent="Nothing was asked.")

    def _question(self, index: int, question: Question) -> Html:
        facts, path = self._facts, f"ask.questions.{index}"
        winner = next((reply.answer for reply in question.replies if reply.answer in ("first", "second")), None)
        pictures: list[Html] = []
        for i, clip in enumerate(question.clips):
            won = clip.label == winner
            name = f"{clip.label}, preferred" if won else clip.label
            video = self._video(clip, f"Clip {i + 1} of question {index + 1}, {clip.steps} steps")
            pictures.append(tag("figure", {"class": "won"} if won else None, video, tag("figcaption", None, name)))
        why = ["Round ", facts.number(f"{path}.round", Style.COUNT), ", chosen by ", facts.text(f"{path}.strategy")]
        if question.score is not None:
            why += [", score ", facts.number(f"{path}.score", Style.DECIMAL)]
        if question.propensity is not None:
            why += [", probability ", facts.number(f"{path}.propensity", Style.DECIMAL)]
        said = [self._reply(f"{path}.replies.{i}") for i in range(len(question.replies))] or [Html("No answer yet.")]
        return tag(
            "li",
            None,
            tag("div", {"class": "pair"}, *pictures),
            *(tag("p", None, one) for one in said),
            tag("p", None, *why, "."),
        )

    def _reply(self, path: str) -> Html:
        facts = self._facts
        parts = [facts.text(f"{path}.annotator"), ": ", facts.text(f"{path}.answer")]
        if facts.get(f"{path}.strength") is not None:
            parts += [", strength ", facts.number(f"{path}.strength", Style.DECIMAL)]
        if facts.get(f"{path}.seconds") is not None:
            parts += [" (", facts.number(f"{path}.seconds", Style.SECONDS), ")"]
        return join(parts)

    def learn(self) -> Html:
        facts = self._facts
        rows = [
            ("Agreement on training answers", facts.number("learn.accuracy_train", Style.PERCENT)),
            ("Agreement on held-out answers", facts.number("learn.accuracy.value", Style.PERCENT)),
            (
                "Noise ceiling",
                facts.number("learn.noise_ceiling", Style.PERCENT, absent="not known for these annotators"),
            ),
            ("Expected calibration error", facts.number("learn.calibration_error", Style.PERCENT)),
            ("Correlation with the true reward", facts.number("learn.correlation", Style.DECIMAL)),
        ]
        left = tag("div", {"class": "stack"}, figures.accuracy_ruler(facts), _facts_list(rows))
        upper = tag("div", {"class": "columns"}, left, figures.history_chart(facts))
        lower = tag("div", {"class": "columns"}, figures.reliability_chart(facts), figures.scatter_chart(facts))
        return join([upper, tag("h3", None, "Is it as sure as it is right, and does it see what is wanted?"), lower])

    def improve(self) -> Html:
        facts = self._facts
        rows = [
            (name.name, facts.number(f"improve.metrics.{i}.value", Style.DECIMAL))
            for i, name in enumerate(self._summary.improve.metrics)
        ]
        logged = _facts_list(rows) if rows else tag("p", {"class": "absent"}, "The learner logged nothing.")
        side = tag("div", {"class": "stack"}, tag("h3", None, "What the learner logged last"), logged)
        upper = tag("div", {"class": "columns"}, figures.learned_return_chart(facts), side)
        return join([upper, tag("h3", None, "Round by round"), self._rounds()])

    def _rounds(self) -> Html:
        facts = self._facts
        head = (
            "Round",
            "Labels",
            "Env steps",
            "Held-out agreement",
            "Correlation",
            "Learned return",
            "Return",
            "95 % interval",
        )
        head += ("Policy", "Reward", "Wall time")
        columns = [
            ("labels_total", Style.COUNT),
            ("env_steps", Style.COUNT),
            ("accuracy_heldout", Style.PERCENT),
            ("correlation_true", Style.DECIMAL),
            ("learned_return_mean", Style.RETURN),
            ("return_mean.value", Style.RETURN),
        ]
        rows: list[list[Html]] = []
        for i in range(len(self._summary.rounds)):
            path = f"rounds.{i}"
            cells = [facts.number(f"{path}.number", Style.COUNT)]
            cells += [facts.number(f"{path}.{name}", style, absent=DASH) for name, style in columns]
            cells.append(facts.interval(f"{path}.return_mean", Style.RETURN) or Html(DASH))
            cells += [facts.version(f"{path}.policy"), facts.version(f"{path}.reward")]
            rows.append([*cells, facts.number(f"{path}.seconds", Style.SECONDS, absent=DASH)])
        return _table(head, rows, absent="No round has begun.")

    def check(self) -> Html:
        facts = self._facts
        rows = [
            ("Return of the agent", facts.number("check.returns.value", Style.RETURN)),
            ("95 % interval", facts.interval("check.returns", Style.RETURN) or Html(DASH)),
            ("Evaluation episodes", facts.number("check.returns.n", Style.COUNT)),
            ("Return of random actions", facts.number("check.return_random", Style.RETURN)),
            ("Return of the oracle", facts.number("check.return_oracle", Style.RETURN)),
        ]
        right = tag("div", {"class": "stack"}, figures.fraction_ruler(facts), _facts_list(rows))
        upper = tag("div", {"class": "columns"}, figures.return_chart(facts), right)
        return join([upper, tag("h3", None, "What the doctor says"), self._findings()])

    def _findings(self) -> Html:
        findings = self._summary.check.findings
        if not findings:
            return tag("p", {"class": "absent"}, "not examined")
        bad = [self._finding(i) for i, one in enumerate(findings) if one.severity is not Severity.OK]
        good = [self._finding(i) for i, one in enumerate(findings) if one.severity is Severity.OK]
        shown = tag("ul", {"class": "findings"}, *bad) if bad else tag("p", None, "Nothing to worry about.")
        folded = (
            _folded("Checks that found nothing wrong", tag("ul", {"class": "findings"}, *good)) if good else Html("")
        )
        return join([shown, folded])

    def _finding(self, index: int) -> Html:
        facts, path = self._facts, f"check.findings.{index}"
        finding = self._summary.check.findings[index]
        numbers = [
            tag("span", None, one.name, ": ", facts.number(f"{path}.evidence.{k}.value", Style.DECIMAL))
            for k, one in enumerate(finding.evidence)
        ]
        body = [tag("p", None, facts.text(f"{path}.message"))]
        if finding.advice:
            body.append(tag("p", {"class": "advice"}, facts.text(f"{path}.advice")))
        if numbers:
            body.append(tag("p", {"class": "numbers"}, *numbers))
        kind = finding.severity.value
        return tag("li", None, tag("span", {"class": f"severity {kind}"}, kind), tag("div", None, *body))

    def provenance(self) -> Html:
        facts, known = self._facts, self._summary.provenance
        versions = [(one.name, facts.text(f"provenance.versions.{i}.value")) for i, one in enumerate(known.versions)]
        settings = [
            [tag("code", None, one.name), tag("code", None, facts.text(f"provenance.settings.{i}.value"))]
            for i, one in enumerate(known.settings)
        ]
        chain = [
            ("Events in the log", facts.number("provenance.events", Style.COUNT)),
            ("Hash of the newest event", tag("span", {"class": "hash"}, facts.text("provenance.head"))),
        ]
        return tag(
            "section",
            {"id": "provenance", "aria-labelledby": "h-provenance"},
            tag("h2", {"id": "h-provenance"}, "Settings, versions, evidence"),
            tag("p", None, "The hash covers every event before it: equal hashes mean equal runs, answers included."),
            tag("div", {"class": "columns"}, _facts_list(chain), _facts_list(versions)),
            _folded(
                "Settings",
                _table(("Setting", "Value"), settings, words=True, absent="The log does not hold the settings."),
            ),
            _folded("Time and versions of every stage", self._stages()),
            _folded("All metrics", self._metrics()),
        )

    def _stages(self) -> Html:
        facts = self._facts
        head = ("Round", "Stage", "Wall time", "CPU time", "Read the log up to", "Policy", "Reward", "Checkpoint")
        rows: list[list[Html]] = []
        for i in range(len(self._summary.provenance.stages)):
            path = f"provenance.stages.{i}"
            cells = [facts.number(f"{path}.round", Style.COUNT), facts.text(f"{path}.stage")]
            cells += [facts.number(f"{path}.{name}", Style.SECONDS, absent=DASH) for name in ("seconds", "cpu_seconds")]
            cells.append(facts.number(f"{path}.log_position", Style.COUNT, absent=DASH))
            rows.append([*cells, *(facts.version(f"{path}.{name}") for name in ("policy", "reward", "checkpoint"))])
        return _table(head, rows, words=True, absent="No stage is finished.")

    def _metrics(self) -> Html:
        facts = self._facts
        rows = [
            [
                facts.number(f"provenance.stages.{i}.round", Style.COUNT),
                tag("code", None, metric.name),
                facts.number(f"provenance.stages.{i}.metrics.{k}.value", Style.DECIMAL),
            ]
            for i, stage in enumerate(self._summary.provenance.stages)
            for k, metric in enumerate(stage.metrics)
        ]
        return _table(("Round", "Metric", "Value"), rows, words=True, absent="No stage is finished.")

    def footer(self) -> Html:
        text = "Made by plaudit from the run's event log. The same numbers are in report.json beside this file."
        return tag("footer", {"class": "page"}, text)


def _facts_list(rows: Sequence[tuple[str, Html]]) -> Html:
    pairs = [join([tag("dt", None, name), tag("dd", None, value)]) for name, value in rows]
    return tag("dl", {"class": "facts"}, *pairs)


def _table(head: Sequence[str], rows: Sequence[Sequence[Html]], *, absent: str, words: bool = False) -> Html:
    """A table whose first column names the row; `words`: the second column holds text."""
    if not rows:
        return tag("p", {"class": "absent"}, absent)
    titles = tag("tr", None, *(tag("th", {"scope": "col"}, title) for title in head))
    body = [
        tag("tr", None, tag("th", {"scope": "row"}, row[0]), *(tag("td", None, cell) for cell in row[1:]))
        for row in rows
    ]
    table = tag("table", {"class": "words"} if words else None, tag("thead", None, titles), tag("tbody", None, *body))
    return tag(
        "div",
        {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": f"Table: {head[0]}, {head[1]}"},
        table,
    )


def _folded(title: str, body: Html) -> Html:
    return tag("details", None, tag("summary", None, title), body)


def _data(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


__all__ = ["SECTIONS", "Video", "render_page"]
