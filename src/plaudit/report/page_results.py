"""The page's sections Learn, Improve and Check, and where the numbers come from."""

from __future__ import annotations

from plaudit.check.diagnose import Severity
from plaudit.report import figures, page_texts
from plaudit.report.facts import DASH, Facts
from plaudit.report.markup import Html, Style, join, tag
from plaudit.report.parts import facts_list, folded, table


def learn(facts: Facts) -> Html:
    """Section Learn: the reward model."""
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
    left = tag("div", {"class": "stack"}, figures.accuracy_ruler(facts), facts_list(rows))
    upper = tag("div", {"class": "columns"}, left, figures.agreement_chart(facts))
    lower = tag("div", {"class": "columns"}, figures.reliability_chart(facts), figures.scatter_chart(facts))
    title = "Is it as sure as it is right, and does it see what is wanted?"
    return join([upper, tag("h3", None, title), lower, folded("Loss of the last fit", figures.history_chart(facts))])


def improve(facts: Facts) -> Html:
    """Section Improve: the policy under the learned reward."""
    rows = [
        (name.name, facts.number(f"improve.metrics.{i}.value", Style.DECIMAL))
        for i, name in enumerate(facts.summary.improve.metrics)
    ]
    logged = facts_list(rows) if rows else tag("p", {"class": "absent"}, "The learner logged nothing.")
    side = tag("div", {"class": "stack"}, tag("h3", None, "What the learner logged last"), logged)
    if facts.summary.texts is not None:
        return page_texts.improve(facts, side)
    upper = tag("div", {"class": "columns"}, figures.learned_return_chart(facts), side)
    return join([upper, tag("h3", None, "Round by round"), _rounds(facts)])


def _rounds(facts: Facts) -> Html:
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
    for i in range(len(facts.summary.rounds)):
        path = f"rounds.{i}"
        cells = [facts.number(f"{path}.number", Style.COUNT)]
        cells += [facts.number(f"{path}.{name}", style, absent=DASH) for name, style in columns]
        cells.append(facts.interval(f"{path}.return_mean", Style.RETURN) or Html(DASH))
        cells += [facts.version(f"{path}.policy"), facts.version(f"{path}.reward")]
        rows.append([*cells, facts.number(f"{path}.seconds", Style.SECONDS, absent=DASH)])
    return table(head, rows, absent="No round has begun.")


def check(facts: Facts) -> Html:
    """Section Check: what the result is worth."""
    if facts.summary.texts is not None:
        return join([page_texts.check(facts), tag("h3", None, "What the doctor says"), _findings(facts)])
    rows = [
        ("Return of the agent", facts.number("check.returns.value", Style.RETURN)),
        ("95 % interval", facts.interval("check.returns", Style.RETURN) or Html(DASH)),
        ("Evaluation episodes", facts.number("check.returns.n", Style.COUNT)),
        ("Return of random actions", facts.number("check.return_random", Style.RETURN)),
        ("Return of the oracle", facts.number("check.return_oracle", Style.RETURN)),
    ]
    right = tag("div", {"class": "stack"}, figures.fraction_ruler(facts), facts_list(rows))
    upper = tag("div", {"class": "columns"}, figures.return_chart(facts), right)
    return join([upper, tag("h3", None, "What the doctor says"), _findings(facts)])


def _findings(facts: Facts) -> Html:
    findings = facts.summary.check.findings
    if not findings:
        return tag("p", {"class": "absent"}, "not examined")
    bad = [_finding(facts, i) for i, one in enumerate(findings) if one.severity is not Severity.OK]
    good = [_finding(facts, i) for i, one in enumerate(findings) if one.severity is Severity.OK]
    shown = tag("ul", {"class": "findings"}, *bad) if bad else tag("p", None, "Nothing to worry about.")
    rest = folded("Checks that found nothing wrong", tag("ul", {"class": "findings"}, *good)) if good else Html("")
    return join([shown, rest])


def _finding(facts: Facts, index: int) -> Html:
    path = f"check.findings.{index}"
    finding = facts.summary.check.findings[index]
    numbers: list[str] = []
    for k, one in enumerate(finding.evidence):
        value = facts.number(f"{path}.evidence.{k}.value", Style.DECIMAL)
        numbers += [tag("span", None, one.name, ": ", value), " "]
    body = [tag("p", None, facts.text(f"{path}.message"))]
    if finding.advice:
        body.append(tag("p", {"class": "advice"}, facts.text(f"{path}.advice")))
    if numbers:
        body.append(tag("p", {"class": "numbers"}, *numbers))
    kind = finding.severity.value
    return tag("li", None, tag("span", {"class": f"severity {kind}"}, kind), tag("div", None, *body))


def provenance(facts: Facts) -> Html:
    """Settings, versions and the event log."""
    known = facts.summary.provenance
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
        tag("div", {"class": "columns"}, facts_list(chain), facts_list(versions)),
        folded(
            "Settings",
            table(("Setting", "Value"), settings, words=True, absent="The log does not hold the settings."),
        ),
        folded("Time and versions of every stage", _stages(facts)),
        folded("All metrics", _metrics(facts)),
    )


def _stages(facts: Facts) -> Html:
    head = ("Round", "Stage", "Wall time", "CPU time", "Read the log up to", "Policy", "Reward", "Checkpoint")
    rows: list[list[Html]] = []
    for i in range(len(facts.summary.provenance.stages)):
        path = f"provenance.stages.{i}"
        cells = [facts.number(f"{path}.round", Style.COUNT), facts.text(f"{path}.stage")]
        cells += [facts.number(f"{path}.{name}", Style.SECONDS, absent=DASH) for name in ("seconds", "cpu_seconds")]
        cells.append(facts.number(f"{path}.log_position", Style.COUNT, absent=DASH))
        rows.append([*cells, *(facts.version(f"{path}.{name}") for name in ("policy", "reward", "checkpoint"))])
    return table(head, rows, words=True, absent="No stage is finished.")


def _metrics(facts: Facts) -> Html:
    rows = [
        [
            facts.number(f"provenance.stages.{i}.round", Style.COUNT),
            tag("code", None, metric.name),
            facts.number(f"provenance.stages.{i}.metrics.{k}.value", Style.DECIMAL),
        ]
        for i, stage in enumerate(facts.summary.provenance.stages)
        for k, metric in enumerate(stage.metrics)
    ]
    return table(("Round", "Metric", "Value"), rows, words=True, absent="No stage is finished.")
