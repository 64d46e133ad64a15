"""The sections of the reward card's page."""

from __future__ import annotations

from collections.abc import Sequence

from plaudit.check.card.explain import Attribution
from plaudit.check.card.numbers import RewardCard
from plaudit.report import charts
from plaudit.report.charts import Bin
from plaudit.report.facts import DASH, Paths
from plaudit.report.figures import figure
from plaudit.report.markup import Html, Style, join, tag
from plaudit.report.parts import facts_list, folded, table
from plaudit.stats.intervals import wilson


def right(card: RewardCard, paths: Paths) -> Html:
    """Section Right: accuracy, beside noise and scorers that do not read; benchmarks."""
    facts = [
        ("Right", _estimate(paths, "accuracy", Style.PERCENT)),
        ("Noise ceiling", _range(paths, "ceiling.low", "ceiling.high", "no question was answered twice")),
        ("Questions that were answered more than once", paths.number("ceiling.questions", Style.COUNT, absent=DASH)),
        ("Members", paths.number("members", Style.COUNT)),
        ("Texts or behaviours", paths.number("items", Style.COUNT)),
        ("Rows and answers left out", paths.number("left_out", Style.COUNT)),
        ("Usual difference of two scores", paths.number("spread", Style.DECIMAL)),
    ]
    if card.distance is not None:
        facts.append(("Distance to the true reward, 0 to 1", paths.number("distance.distance", Style.DECIMAL)))
        facts.append(("Pairs ordered as the true reward does", _estimate(paths, "distance.agreement", Style.PERCENT)))
    rows = [
        [paths.text(f"rivals.{k}.name"), *(_estimate(paths, f"rivals.{k}.{name}", Style.PERCENT) for name in ("accuracy", "ahead"))]
        for k in range(len(card.rivals))
    ]  # fmt: skip
    beside = table(
        ("Scorer that does not read", "Right", "This reward is ahead by"), rows, absent="None tells the texts apart."
    )
    return join(
        [
            tag("div", {"class": "columns"}, facts_list(facts), beside),
            _reward_bench(card, paths),
            _rm_bench(card, paths),
        ]
    )


def _reward_bench(card: RewardCard, paths: Paths) -> Html:
    if card.reward_bench is None:
        return Html("")
    rows = [
        [
            paths.text(f"reward_bench.subsets.{k}.name"),
            paths.number(f"reward_bench.subsets.{k}.score", Style.PERCENT),
            paths.number(f"reward_bench.subsets.{k}.rows", Style.COUNT),
        ]
        for k in range(len(card.reward_bench.subsets))
    ]
    rows.append([Html("Mean of subsets"), paths.number("reward_bench.overall", Style.PERCENT), Html(DASH)])
    return join([tag("h3", None, "RewardBench 2"), table(("Subset", "Score", "Rows"), rows, absent="No rows.")])


def _rm_bench(card: RewardCard, paths: Paths) -> Html:
    if card.rm_bench is None:
        return Html("")
    names = ("easy", "normal", "hard")
    rows = [
        [
            paths.text(f"rm_bench.domains.{k}.name"),
            *(paths.number(f"rm_bench.domains.{k}.{name}", Style.PERCENT) for name in names),
            paths.number(f"rm_bench.domains.{k}.rows", Style.COUNT),
        ]
        for k in range(len(card.rm_bench.domains))
    ]
    whole = [paths.number(f"rm_bench.{name}", Style.PERCENT) for name in (*names, "overall")]
    rows.append([Html("Mean of domains"), *whole])
    head = (
        "Domain",
        "Easy: richer style is right",
        "Normal: equal style",
        "Hard: plainer style is right",
        "Rows; last, mean of the three",
    )
    return join([tag("h3", None, "RM-Bench"), table(head, rows, absent="No rows.")])


def where(card: RewardCard, paths: Paths) -> Html:
    """Section Where not: slices and leanings."""
    slices = [
        [
            join([paths.text(f"slices.{k}.dimension"), ": ", paths.text(f"slices.{k}.value")]),
            paths.number(f"slices.{k}.pairs", Style.COUNT),
            _estimate(paths, f"slices.{k}.accuracy", Style.PERCENT),
            _estimate(paths, f"slices.{k}.difference", Style.PERCENT),
            *_believed(paths, f"slices.{k}"),
        ]
        for k in range(len(card.slices))
    ]
    leanings = [
        [
            paths.text(f"leanings.{k}.feature"),
            _estimate(paths, f"leanings.{k}.overrated", Style.DECIMAL),
            *_believed(paths, f"leanings.{k}"),
        ]
        for k in range(len(card.leanings))
    ]
    said = tag(
        "p", None,
        "At equal reward, which do judges take? Above 0 they take the one with less of it, so the reward overrates it; log-odds "
        "by standard deviation.",
    )  # fmt: skip
    columns = ("Slice", "Pairs", "Right", "Against elsewhere", "q", "")
    return join([
        table(columns, slices, absent="No slice has enough pairs, and enough outside of it."),
        tag("h3", None, "What it overrates"), said,
        table(("Feature", "Overrated by", "q", ""), leanings, absent="The texts do not differ, or there are too few."),
    ])  # fmt: skip


def edits(card: RewardCard, paths: Paths) -> Html:
    """Section Edits."""
    rows = [
        [
            paths.text(f"edits.{k}.edit"),
            paths.text(f"edits.{k}.contract"),
            paths.number(f"edits.{k}.texts", Style.COUNT),
            _estimate(paths, f"edits.{k}.effect", Style.DECIMAL),
            *_believed(paths, f"edits.{k}"),
        ]
        for k in range(len(card.edits))
    ]
    head = ("Edit", "Contract", "Texts", "Effect, in usual differences of two scores", "q", "")
    return table(head, rows, absent="Nothing was edited: these are no texts, or all score alike.", words=True)


def sure(card: RewardCard, paths: Paths) -> Html:
    """Section How sure: calibration and prefixes."""
    rows = [
        [
            paths.number(f"prefixes.{k}.share", Style.PERCENT),
            _estimate(paths, f"prefixes.{k}.agrees", Style.PERCENT),
            _estimate(paths, f"prefixes.{k}.accuracy", Style.PERCENT),
        ]
        for k in range(len(card.prefixes))
    ]
    head = ("First words", "Takes the side that it takes in the end", "Right")
    early = join([tag("h3", None, "How early it knows"), table(head, rows, absent="These are no texts.")])
    found = card.calibrated
    if found is None:
        return join([tag("p", {"class": "absent"}, "Too few pairs to say how sure it should be."), early])
    facts = [
        ("Calibration error as it is", paths.number("calibrated.error", Style.PERCENT)),
        ("With the temperature", paths.number("calibrated.error_after", Style.PERCENT)),
        ("Temperature (above 1: too sure)", paths.number("calibrated.temperature", Style.DECIMAL)),
        ("Loss as it is, nats", paths.number("calibrated.loss", Style.DECIMAL)),
        ("With the temperature", paths.number("calibrated.loss_after", Style.DECIMAL)),
    ]
    bins = [Bin(one.confidence, one.right, *_ends(one.right, one.count), one.count) for one in found.bins]
    drawing = charts.reliability(bins, title="Reliability", description="How often it is right, by how sure it is.")
    caption = "With a temperature that was fitted on the other half of the prompts; 95 % intervals."
    return join([tag("div", {"class": "columns"}, facts_list(facts), figure(drawing, caption)), early])


def _ends(share: float, count: int) -> tuple[float, float]:
    found = wilson(round(share * count), count)
    return min(found.low, share), max(found.high, share)


def mistakes(card: RewardCard, paths: Paths) -> Html:
    """Section Mistakes, each taken apart."""
    items: list[Html] = []
    for k, one in enumerate(card.examples):
        path = f"examples.{k}"
        sides = [
            join([tag("p", None, tag("b", None, title), *where), _pieces(of), _sums(paths, f"{path}.of_{name}")])
            for title, name, of in (
                ("Judged better", "better", one.of_better),
                ("Scored higher", "worse", one.of_worse),
            )
            for where in [[": ", paths.text(f"{path}.{name}")] if not one.prompt else []]
        ]
        prompt = tag("p", {"class": "prompt"}, paths.text(f"{path}.prompt", absent="no prompt"))
        items.append(tag("li", {"class": "text"}, prompt, *sides, *_near(paths, path, len(one.near))))
    if not items:
        return tag("p", {"class": "absent"}, "None to show: it is wrong about none of these, or cannot be taken apart.")
    return tag("ul", {"class": "questions"}, *items)


def _near(paths: Paths, path: str, count: int) -> list[Html]:
    """What the reward takes the one that it prefers for."""
    rows = [
        [
            paths.text(f"{path}.near.{k}.item", absent="nothing is said"),
            *(paths.number(f"{path}.near.{k}.{name}", Style.COUNT) for name in ("better", "worse")),
            paths.number(f"{path}.near.{k}.likeness", Style.DECIMAL),
        ]
        for k in range(count)
    ]
    head = ("To this reward most like what it prefers", "Judged better", "Judged worse", "Likeness")
    return [folded("What it is taken for", table(head, rows, absent=""))] if rows else []


def _pieces(found: Attribution) -> Html:
    """A text whose pieces are shaded by what they added: one colour for more, the other for less."""
    most = max((abs(value) for value in found.values), default=0.0) or 1.0
    parts = [
        tag("span", {"style": _shade(value / most), "title": f"{value:+.3g}"}, piece)
        for piece, value in zip(found.pieces, found.values, strict=True)
    ]
    return tag("p", {"class": "completion"}, *parts)


def _shade(share: float) -> str:
    colour = "--three" if share > 0 else "--two"
    return f"background: color-mix(in srgb, var({colour}) {round(60 * abs(share))}%, transparent)"


def _sums(paths: Paths, path: str) -> Html:
    score, start = (paths.number(f"{path}.{name}", Style.DECIMAL) for name in ("total", "start"))
    return tag("p", {"class": "numbers"}, "score ", score, "; of nothing ", start)


def _estimate(paths: Paths, path: str, style: Style) -> Html:
    ends = paths.interval(path, style)
    value = paths.number(f"{path}.value", style)
    return join([value, " (", ends, ")"]) if ends else value


def _range(paths: Paths, low: str, high: str, absent: str) -> Html:
    if paths.get(high) is None:
        return tag("span", {"class": "absent"}, absent)
    return join([paths.number(low, Style.PERCENT), " to ", paths.number(high, Style.PERCENT)])


def _believed(paths: Paths, path: str) -> Sequence[Html]:
    marked = tag("span", {"class": "severity warning"}, "flagged") if paths.get(f"{path}.flagged") else Html("")
    return paths.number(f"{path}.q", Style.DECIMAL), marked
