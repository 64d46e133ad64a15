"""The audit in words: the same sentences in the terminal and on the page."""

from __future__ import annotations

from plaudit.quality.audit import Agreement, AnnotatorAudit, Audit
from plaudit.quality.gold import GoldTest, Verdict
from plaudit.quality.population import Weighting
from plaudit.quality.repeats import Repeats
from plaudit.quality.section import Section, share
from plaudit.stats.ceiling import NoiseCeiling
from plaudit.stats.clustered import ClusteredMean
from plaudit.stats.intervals import Interval
from plaudit.stats.side import SideBias
from plaudit.stats.transitivity import Intransitivity
from plaudit.stats.undefined import Undefined

ANNOTATOR_COLUMNS = (
    "annotator", "kind", "answers", "skipped", "median time", "gold", "repeats", "accuracy", "reliability", "shown first",
)  # fmt: skip
ABSENT = "\u2013"


def overall(audit: Audit) -> list[tuple[str, str]]:
    """Name and sentence of everything that is not about one annotator."""
    rows = [
        (
            "answers",
            f"{audit.answers} to {audit.questions} questions by {len(audit.annotators)} annotators; {audit.skipped} skipped",
        ),
        *((f"agreement: {one.kind}", _agreement(one)) for one in audit.agreement),
        ("consensus", _consensus(audit)),
        ("side bias", _side(audit.side)),
        ("repeats", _repeats(audit.repeats)),
        ("noise ceiling, other annotators", _ceiling(audit.overlap_ceiling)),
        ("noise ceiling, same annotator", _ceiling(audit.repeat_ceiling)),
        ("circles", _circles(audit.intransitivity)),
    ]
    if audit.other:
        rows.append(("left out", f"{audit.other} answers of kinds that enter no statistic here"))
    return rows


def population(found: Weighting | Undefined | None) -> list[Section]:
    """What weighting to a population did; nothing where no population was given."""
    if found is None:
        return []
    title = "Who answered, beside the population"
    if isinstance(found, Undefined):
        return [Section(title, f"Not known: {found.reason}.", (), ())]
    note = (
        f"Raked to {len({one.trait for one in found.margins})} margins, weights from {found.weights.min():.2f} to {found.weights.max():.2f}: design "
        f"effect {found.effect:.2f}, {len(found.names)} annotators count as {found.effective:.1f}, their answers as "
        f"{found.effective_answers:.1f}. A weighted share is {found.gap:.1%} off its target at most."
    )
    if found.unreached:
        note += f" Nobody is of: {', '.join(found.unreached)}."
    rows = tuple(
        (one.trait, one.value, str(one.annotators), str(one.meant), f"{one.target:.1%}", f"{one.plain:.1%}", f"{one.weighted:.1%}", share(one.agreement))
        for one in found.margins
    )  # fmt: skip
    columns = ("trait", "value", "annotators", "meant", "population", "share", "weighted", "agrees with the others")
    answers = (
        ("weighted to the population", share(found.agreement), _effect(found.agreement)),
        ("as they came", share(found.plain_agreement), _effect(found.plain_agreement)),
    )
    return [
        Section(title, note, columns, rows),
        Section(
            "Agreement with the weighted majority of others",
            "Intervals by clusters of annotators (CR2); the design effect is how many times more answers a mean needs for that.",
            ("answers", "agree", "design effect"),
            answers,
        ),
        Section(
            "Weights", "One is the mean.", ("annotator", "weight"),
            tuple((name, f"{weight:.2f}") for name, weight in zip(found.names, found.weights, strict=True)),
        ),
    ]  # fmt: skip


def _effect(found: ClusteredMean | Undefined) -> str:
    return "\u2013" if isinstance(found, Undefined) else f"{found.effect:.2f}"


def annotator(one: AnnotatorAudit) -> tuple[str, ...]:
    """A line of the table, in the order of ANNOTATOR_COLUMNS; the page gives the reasons for what is absent."""
    repeats = (
        ABSENT if isinstance(one.repeats, Undefined) else f"{_interval(one.repeats.same, '.0%')} of {one.repeats.pairs}"
    )
    return (
        one.name,
        one.kind,
        str(one.answered),
        str(one.skipped),
        ABSENT if one.seconds is None else f"{one.seconds:.1f} s",
        _gold(one.gold),
        repeats,
        ABSENT if isinstance(one.accuracy, Undefined) else _interval(one.accuracy, ".0%"),
        ABSENT if isinstance(one.reliability, Undefined) else _interval(one.reliability, ".2f"),
        ABSENT if isinstance(one.side, Undefined) else _interval(one.side.share, ".0%"),
    )


def reasons(one: AnnotatorAudit) -> list[str]:
    """Why something is not known of an annotator."""
    parts = {
        "gold": one.gold, "repeats": one.repeats, "accuracy": one.accuracy, "reliability": one.reliability,
        "side": one.side, "spam": one.spam, "order of sides": one.pattern, "bursts": one.bursts, "tiring": one.decline,
    }  # fmt: skip
    return [f"{name}: {value.reason}" for name, value in parts.items() if isinstance(value, Undefined)]


def _gold(found: GoldTest | Undefined) -> str:
    if isinstance(found, Undefined):
        return ABSENT
    text = f"{found.verdict.value}, {found.right} of {found.answered}"
    return text if found.verdict is Verdict.OPEN else f"{text}, after {found.decided_after}"


def _interval(one: Interval, form: str) -> str:
    return f"{one.value:{form}} ({one.low:{form}} \u2026 {one.high:{form}})"


def _agreement(one: Agreement) -> str:
    alpha = one.alpha.reason if isinstance(one.alpha, Undefined) else f"alpha {_interval(one.alpha, '.3f')}"
    ac1 = "" if isinstance(one.ac1, Undefined) else f", AC1 {one.ac1:.3f}"
    return f"{alpha}{ac1}, {one.questions} questions"


def _consensus(audit: Audit) -> str:
    found = audit.consensus
    if isinstance(found, Undefined):
        return found.reason
    return f"{found.pairs} pairs by several annotators, sure to {found.sure:.0%}; Dawid-Skene differs from the majority on {found.changed}"


def _side(found: SideBias | Undefined) -> str:
    if isinstance(found, Undefined):
        return found.reason
    odds = found.log_odds
    text = odds.reason if isinstance(odds, Undefined) else f"log-odds {_interval(odds, '.2f')}"
    return f"took what was shown first in {_interval(found.share, '.0%')} of {found.answers}; {text}"


def _repeats(found: Repeats | Undefined) -> str:
    if isinstance(found, Undefined):
        return found.reason
    swapped = found.swapped_bias
    text = swapped.reason if isinstance(swapped, Undefined) else f"side bias, log-odds {_interval(swapped, '.2f')}"
    return f"{_interval(found.same, '.0%')} of {found.pairs} the same; {text}"


def _ceiling(found: NoiseCeiling | Undefined) -> str:
    if isinstance(found, Undefined):
        return found.reason
    return (
        f"the best possible accuracy lies between {found.low:.0%} and {found.high:.0%} (at most {found.highest:.0%}); two answers "
        f"agree in {_interval(found.agreement, '.0%')} of {found.questions} questions"
    )


def _circles(found: Intransitivity | Undefined) -> str:
    if isinstance(found, Undefined):
        return found.reason
    zeta = "" if found.triads.zeta is None else f", zeta {found.triads.zeta:.3f}"
    return (
        f"{found.triads.circular} of {found.triads.closed} triangles go round (noise alone: {found.circular_null.mean():.1f}, "
        f"p {found.p_circular:.3f}){zeta}; {found.hodge.cyclic:.1%} of the preferences fit no single value, length "
        f"{found.hodge.length:.1f} (noise alone: {found.cyclic_null.mean():.1f}, p {found.p_cyclic:.3f})"
    )
