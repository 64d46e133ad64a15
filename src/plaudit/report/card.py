"""The model card: what was trained, on whose answers, how well, with what limits, and who signed; Markdown, made from the log."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from plaudit.check.diagnose import Severity
from plaudit.quality.audit import Audit
from plaudit.quality.groups import Trait
from plaudit.quality.population import LEAST
from plaudit.report.markup import Style, format_number
from plaudit.report.summary import Estimate, Summary
from plaudit.report.verdict import OPEN, open_checks
from plaudit.stats.intervals import Interval
from plaudit.stats.undefined import Undefined
from plaudit.store.signoff import Standing

SPECIAL = re.compile(r"([\\`*_\[\]|~$])")


@dataclass(frozen=True, slots=True)
class Card:
    """What a model card is made of."""

    summary: Summary
    audit: Audit
    traits: Sequence[Trait]
    standings: Sequence[Standing]
    name_of: Callable[[str], str]
    """what a reviewer is called, by account"""


def model_card(card: Card) -> str:
    """The card as Markdown. What people wrote stands in it as plain text."""
    parts = [
        [f"# Model card: {plain(card.summary.name or 'study')}"],
        _warning(card.standings),
        _trained(card.summary),
        _answers(card),
        _figures(card),
        _limits(card),
        _signoff(card),
        _provenance(card.summary),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def plain(text: str) -> str:
    """Text that Markdown takes as it stands, in one line."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\1", line)


def _warning(standings: Sequence[Standing]) -> list[str]:
    still_open = open_checks(standings)
    if not still_open:
        return ["All checks were accepted: see [sign-off](#sign-off)."]
    lines = ["> **Not released.** These checks are open:", ">"]
    for one in still_open:
        last = f": {plain(one.said[-1][1].comment)}" if one.said else ""
        lines.append(f"> - **{plain(one.check.name)}**, {OPEN[one.state]}{last}")
    return lines


def _trained(summary: Summary) -> list[str]:
    lines = ["## What was trained", ""]
    if not summary.rounds_done and not summary.act.env_steps:
        return [
            *lines,
            "Nothing: these are answers about texts that were brought, or a run that has not finished a round.",
        ]
    rounds = f"{summary.rounds_done} of {summary.rounds_planned or summary.rounds_done}"
    newest = summary.rounds[-1] if summary.rounds else None
    facts = [
        ("World", summary.act.world),
        ("Algorithm", summary.act.algorithm),
        ("Rounds", rounds),
        ("Environment steps", _count(summary.act.env_steps)),
        ("Seed", None if summary.seed is None else str(summary.seed)),
    ]
    models = [] if newest is None else [("Policy", newest.policy), ("Reward model", newest.reward)]
    return [
        *lines,
        plain(summary.verdict),
        "",
        *(f"- {name}: {plain(text)}" for name, text in facts if text),
        *(f"- {name}: `{version}`" for name, version in models if version),
    ]


def _answers(card: Card) -> list[str]:
    ask, found = card.summary.ask, card.audit
    simulated, judges = (sum(one.kind == kind for one in found.annotators) for kind in ("simulated", "judge"))
    hours = "not timed" if ask.human_seconds is None else format_number(ask.human_seconds, Style.SECONDS)
    lines = ["## On whose answers", ""]
    lines += [
        f"- Answers: {_count(found.answers)}; skips: {_count(found.skipped)}; questions: {_count(found.questions)}",
        f"- Annotators: {ask.people} people, {simulated} simulated{f'; language models that judged: {judges}' if judges else ''}",
        f"- Time of people: {plain(hours)}",
    ]
    for trait in card.traits:
        lines += ["", f"By {plain(trait.name)}, as annotators said of themselves:", ""]
        lines += ["| group | annotators | answers | agrees with most others |", "|---|---|---|---|"]
        lines += [
            f"| {plain(one.value)} | {one.annotators} | {_count(one.answers)} | "
            f"{_interval(None if isinstance(one.agreement, Undefined) else one.agreement.interval)} |"
            for one in trait.groups
        ]
        if trait.hidden:
            lines += ["", f"Groups of fewer than {LEAST} people are not shown."]
    if not card.traits:
        lines.append("- Groups: nobody said anything of themselves, so it is not known for whom these answers speak")
    return lines


def _figures(card: Card) -> list[str]:
    summary, found = card.summary, card.audit
    rows = [
        ("Return per episode", _estimate(summary.check.returns, Style.RETURN)),
        ("Return of random actions", _number(summary.check.return_random, Style.RETURN)),
        ("Way from random to the oracle", _estimate(summary.check.fraction, Style.PERCENT)),
        ("Reward model agrees with answers it never saw", _estimate(summary.learn.accuracy, Style.PERCENT)),
        ("The best that noise allows", _number(summary.learn.noise_ceiling, Style.PERCENT)),
        ("Calibration error", _number(summary.learn.calibration_error, Style.PERCENT)),
    ]
    rows += [
        (f"Agreement of annotators, {one.kind} (Krippendorff's alpha)", _alpha(one.alpha)) for one in found.agreement
    ]
    if not isinstance(found.repeats, Undefined):
        rows.append(("Same answer to the same question again", _interval(found.repeats.same)))
    known = [f"| {plain(name)} | {text} |" for name, text in rows if text != "–"]
    if not known:
        return ["## Figures", "", "Nothing was measured."]
    return ["## Figures", "", "| figure | value, with its 95 % interval |", "|---|---|", *known]


def _limits(card: Card) -> list[str]:
    summary = card.summary
    found = [
        f"{plain(one.message)} {plain(one.advice)}".strip()
        for one in summary.check.findings
        if one.severity in (Severity.WARNING, Severity.PROBLEM)
    ]
    if summary.rounds_done:
        found.append(
            "Figures hold for the world and the starts above, for one seed; intervals do not cover other seeds."
        )
        if summary.check.return_oracle is None:
            found.append("No oracle was trained: how much better one could do is not known.")
    if card.audit.suspicions:
        found.append(f"{len(card.audit.suspicions)} suspicions about annotators: see `plaudit audit quality`.")
    if summary.ask.people < LEAST:
        found.append(f"Fewer than {LEAST} people answered: these are preferences of individuals.")
    return ["## Limits", "", *(f"- {one}" for one in found)]


def _signoff(card: Card) -> list[str]:
    lines = [
        "## Sign-off",
        "",
        "| check | what is looked at | state | by | when | policy | comment |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in card.standings:
        row = [plain(one.check.name), plain(one.check.what), OPEN.get(one.state, "accepted")]
        if one.said:
            at, last = one.said[-1]
            when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
            row += [plain(card.name_of(last.reviewer)), when, f"`{last.subject.policy or 'none'}`", plain(last.comment)]
        lines.append(f"| {' | '.join([*row, *[''] * (7 - len(row))])} |")
    return lines


def _provenance(summary: Summary) -> list[str]:
    versions = ", ".join(f"{one.name} {one.value}" for one in summary.provenance.versions)
    return [
        "## Provenance",
        "",
        f"- Event log: {_count(summary.provenance.events)} events, head `{summary.provenance.head}`",
        f"- Versions: {plain(versions) or 'not noted'}",
    ]


def _count(value: int | None) -> str:
    return "" if value is None else format_number(value, Style.COUNT)


def _number(value: float | None, style: Style) -> str:
    return "–" if value is None else format_number(value, style)


def _estimate(found: Estimate | None, style: Style) -> str:
    if found is None:
        return "–"
    value = format_number(found.value, style)
    if found.low is None or found.high is None:
        return value
    return f"{value} ({format_number(found.low, style)} to {format_number(found.high, style)})"


def _alpha(found: Interval | Undefined) -> str:
    if isinstance(found, Undefined) or not math.isfinite(found.value):
        return "–"
    return _estimate(Estimate(found.value, found.low, found.high), Style.DECIMAL)


def _interval(found: Interval | None) -> str:
    if found is None or not math.isfinite(found.value):
        return "–"
    ends = (found.low, found.high) if math.isfinite(found.low) and math.isfinite(found.high) else (None, None)
    return _estimate(Estimate(found.value, *ends), Style.PERCENT)
