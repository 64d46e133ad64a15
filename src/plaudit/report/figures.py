"""The report's figures: which numbers of a summary go into which chart, and what the caption says."""

from __future__ import annotations

import math
from collections.abc import Sequence

from plaudit.report import charts
from plaudit.report.charts import Axis, Bin, Frame, Mark, Series
from plaudit.report.facts import Facts
from plaudit.report.markup import Html, Style, format_number, tag
from plaudit.report.summary import RoundSummary


def figure(drawing: Html, *caption: str) -> Html:
    """A chart with its caption."""
    return tag("figure", None, drawing, tag("figcaption", None, *caption))


def empty(*caption: str, why: str = "not measured") -> Html:
    """The place of a chart that has no numbers."""
    return tag("figure", None, tag("div", {"class": "empty"}, why), tag("figcaption", None, *caption))


def fraction_ruler(facts: Facts) -> Html:
    """How far from random to the oracle."""
    check = facts.summary.check
    name = tag("b", None, "Way from random to the oracle.")
    if check.fraction is None or check.returns is None or check.return_random is None or check.return_oracle is None:
        return empty(name, " Needs the return of a random policy and of the same algorithm on the true reward.")
    low, high = check.fraction.low, check.fraction.high
    drawing = charts.ruler(
        Mark("of the way", check.fraction.value, format_number(check.fraction.value, Style.PERCENT)),
        (
            Mark("random", 0.0, f"return {format_number(check.return_random, Style.RETURN)}"),
            Mark("oracle", 1.0, f"return {format_number(check.return_oracle, Style.RETURN)}"),
        ),
        None if low is None or high is None else (low, high),
        title="Way from random to the oracle",
        description=f"The agent is {format_number(check.fraction.value, Style.PERCENT)} of the way.",
    )
    caption = [name, " The agent's return is ", facts.number("check.returns.value", Style.RETURN)]
    if low is not None:
        caption += ["; 95 % interval of the way ", facts.interval("check.fraction", Style.PERCENT)]
        caption.append(", over evaluation episodes of this one seed")
    return figure(drawing, *caption, ". The oracle is the same algorithm with as many steps on the true reward.")


def accuracy_ruler(facts: Facts) -> Html:
    """How often the reward model agrees with answers that it has not seen."""
    learn = facts.summary.learn
    name = tag("b", None, "Agreement with held-out answers.")
    if learn.accuracy is None:
        return empty(name, " No answers were held out, or there were none.")
    value, ceiling = learn.accuracy.value, learn.noise_ceiling
    top = 1.0 if ceiling is None else ceiling
    if top <= 0.5:
        top = 1.0
    end_name = "every answer" if ceiling is None or top != ceiling else "noise ceiling"
    low, high = learn.accuracy.low, learn.accuracy.high
    drawing = charts.ruler(
        Mark("of held-out answers", value, format_number(value, Style.PERCENT)),
        (
            Mark("guessing", 0.5, format_number(0.5, Style.PERCENT)),
            Mark(end_name, top, format_number(top, Style.PERCENT)),
        ),
        None if low is None or high is None else (low, high),
        title="Agreement with held-out answers",
        description=f"{format_number(value, Style.PERCENT)}, between guessing and {end_name}.",
    )
    caption: list[str] = [name, " ", facts.number("learn.accuracy.value", Style.PERCENT)]
    if learn.accuracy.n is not None:
        caption += [" of ", facts.number("learn.accuracy.n", Style.COUNT), " answers"]
    if low is not None:
        caption += [", 95 % Wilson interval ", facts.interval("learn.accuracy", Style.PERCENT)]
    if ceiling is None:
        caption.append(". How noisy these annotators are is not known, so neither is the best that one could reach.")
    else:
        caption += [". The teacher's own noise lets no model agree with more than "]
        caption += [facts.number("learn.noise_ceiling", Style.PERCENT), " on average."]
    return figure(drawing, *caption)


def return_chart(facts: Facts) -> Html:
    """True return over rounds: every episode, the mean with its interval, random and oracle."""
    check = facts.summary.check
    name = tag("b", None, "Return over rounds.")
    rounds = [one for one in facts.summary.rounds if one.return_mean is not None]
    if not rounds:
        return empty(name, " No round has been checked yet.")
    references = [("random", check.return_random), ("oracle", check.return_oracle)]
    known = [(text, value) for text, value in references if value is not None]
    dots = [(float(one.number), value) for one in rounds for value in one.returns]
    series = _mean_series("mean", rounds)
    heights = [*_reach(series), *(value for _, value in known), *(y for _, y in dots)]
    frame = Frame(_rounds_axis(rounds), charts.nice_axis("return per episode", heights), 330, bottom=60)
    drawing = charts.lines(
        [series],
        frame,
        title="Return over rounds",
        description=f"Mean return per round. {_from_to(series)}",
        dots=dots,
        references=known,
        under=_labels_under(rounds, frame.x),
    )
    caption = "Line: mean with 95 % interval. Dots: single evaluation episodes, from the same starts in every round. "
    return figure(
        drawing, name, " ", caption, "Small figures: labels so far." if _labels_under(rounds, frame.x) else ""
    )


def learned_return_chart(facts: Facts) -> Html:
    """What the policy is trained on beside what is wanted: they should rise together."""
    name = tag("b", None, "What is trained on, and what is wanted.")
    rounds = [one for one in facts.summary.rounds if one.learned_return_mean is not None]
    if not rounds:
        return empty(name, " The learned return needs a reward model and a check.")
    learned = _rounds_series("learned", rounds, [one.learned_return_mean for one in rounds], colour=2)
    measured = [one for one in rounds if one.return_mean is not None]
    panels = [("learned return", learned, rounds, [("behaviour so far", 0.0)])]
    panels += [("true return", _mean_series("true", measured), measured, [])] if measured else []
    heights = [
        charts.nice_axis(title, [*_reach(one), *(v for _, v in marks)], count=3) for title, one, _, marks in panels
    ]
    widest = max(charts.longest_tick(axis) for axis in heights)
    drawn = [
        charts.lines(
            [series],
            Frame(_rounds_axis(among), axis, 180, widest=widest),
            title=f"{title} over rounds",
            description=_from_to(series),
            references=marks,
        )
        for (title, series, among, marks), axis in zip(panels, heights, strict=True)
    ]
    caption = (
        " Above: mean return under each round's own reward model; it is normalised anew every round, so that zero is the "
        "average of the behaviour so far. Below: true return. Praise above while it falls below is over-optimisation."
    )
    return tag("figure", None, *drawn, tag("figcaption", None, name, caption))


def _from_to(series: Series, style: Style = Style.RETURN) -> str:
    return f"From {format_number(series.y[0], style)} to {format_number(series.y[-1], style)}."


def _rounds_series(name: str, rounds: list[RoundSummary], values: Sequence[float | None], *, colour: int) -> Series:
    numbers = tuple(float(one.number) for one in rounds)
    return Series(name, numbers, tuple(_not_none(value) for value in values), colour=colour)


def _reach(series: Series) -> list[float]:
    """All heights that a series and its intervals touch."""
    return [*series.y, *(value for value in (*series.low, *series.high) if value is not None)]


def reliability_chart(facts: Facts) -> Html:
    """Is the reward model as often right as it thinks?"""
    name = tag("b", None, "Calibration.")
    found = facts.summary.learn.reliability
    if not found:
        return empty(name, " Too few held-out answers.")
    bins = [
        Bin(
            one.confidence,
            one.right.value,
            _or(one.right.low, one.right.value),
            _or(one.right.high, one.right.value),
            one.right.n or 0,
        )
        for one in found
    ]
    drawing = charts.reliability(
        bins,
        title="Reliability diagram",
        description="; ".join(
            f"sure {format_number(b.confidence, Style.PERCENT)}, right {format_number(b.right, Style.PERCENT)}"
            for b in bins
        ),
    )
    error = facts.number("learn.calibration_error", Style.PERCENT)
    head = ("of its answers", "sure", "right", "95 % interval")
    rows = [
        tag(
            "tr",
            None,
            tag("td", None, facts.number(f"learn.reliability.{i}.right.n", Style.COUNT)),
            tag("td", None, facts.number(f"learn.reliability.{i}.confidence", Style.PERCENT)),
            tag("td", None, facts.number(f"learn.reliability.{i}.right.value", Style.PERCENT)),
            tag("td", None, facts.interval(f"learn.reliability.{i}.right", Style.PERCENT)),
        )
        for i in range(len(found))
    ]
    table = tag(
        "table",
        None,
        tag("thead", None, tag("tr", None, *(tag("th", {"scope": "col"}, h) for h in head))),
        tag("tbody", None, *rows),
    )
    caption = [
        name,
        " Held-out answers in groups of about equal size; bars are 95 % Wilson intervals. Expected calibration error ",
        error,
        ".",
    ]
    return tag(
        "figure",
        None,
        drawing,
        tag("figcaption", None, *caption),
        tag("details", None, tag("summary", None, "The numbers"), tag("div", {"class": "scroll"}, table)),
    )


def scatter_chart(facts: Facts) -> Html:
    """Learned reward against the environment's own."""
    learn = facts.summary.learn
    name = tag("b", None, "Learned against true reward.")
    if not learn.scatter_true:
        return empty(name, " Only where the environment's own reward is known and varies.")
    x = charts.nice_axis("true reward per step", learn.scatter_true)
    y = charts.nice_axis("learned reward per step", learn.scatter_learned)
    drawing = charts.scatter(
        learn.scatter_true,
        learn.scatter_learned,
        Frame(x, y, 320),
        title="Learned against true reward",
        description="Each dot is one step of recent behaviour.",
    )
    caption = [name, " Each dot is one step of recent behaviour. Pearson correlation "]
    caption += [
        facts.number("learn.correlation", Style.DECIMAL),
        ". The scale of a learned reward is arbitrary; its order is not.",
    ]
    return figure(drawing, *caption)


def agreement_chart(facts: Facts) -> Html:
    """Agreement with answers over rounds: more answers should help."""
    name = tag("b", None, "Agreement over rounds.")
    rounds = [one for one in facts.summary.rounds if one.accuracy_heldout is not None]
    if not rounds:
        return empty(name, " No reward model was tested on held-out answers.")
    trained = [one for one in rounds if one.accuracy_train is not None]
    series = [_rounds_series("training answers", trained, [one.accuracy_train for one in trained], colour=2)]
    series.append(_rounds_series("held-out answers", rounds, [one.accuracy_heldout for one in rounds], colour=1))
    ceiling = facts.summary.learn.noise_ceiling
    low = math.floor(10 * min(0.5, *(value for one in series for value in one.y)) + 1e-9) / 10
    ticks = tuple(k / 10 for k in range(round(10 * low), 11))
    y = Axis("agreement", low, 1.02, ticks, lambda value: format_number(value, Style.PERCENT))
    x = _rounds_axis(rounds)
    drawing = charts.lines(
        [one for one in series if one.x],
        Frame(x, y, 330, bottom=60, top=30),
        title="Agreement with answers over rounds",
        description=f"Held-out: {_from_to(series[1], Style.PERCENT)}",
        references=[] if ceiling is None else [("noise ceiling", ceiling)],
        under=_labels_under(rounds, x),
    )
    return figure(drawing, name, " Share of answers that the reward model agrees with. Small figures: labels so far.")


def history_chart(facts: Facts) -> Html:
    """Loss of the last fit."""
    learn = facts.summary.learn
    name = tag("b", None, "Loss of the last fit.")
    if not learn.history_train:
        return empty(
            name, " The fit was looked at less than twice: it agreed with the answers at once, or there was none."
        )
    series = [Series("training", learn.history_step, learn.history_train, colour=2)]
    if learn.history_heldout:
        series.append(Series("held-out", learn.history_step, learn.history_heldout, colour=1))
    values = [value for one in series for value in one.y]
    x, y = charts.nice_axis("gradient step", learn.history_step), charts.nice_axis("negative log-likelihood", values)
    frame = Frame(x, y, 320, top=30)
    drawing = charts.lines(
        series, frame, title="Loss of the last fit", description="Loss per answer over gradient steps."
    )
    return figure(drawing, name, " Loss per answer on the answers it trains on, and on those held out.")


def outcomes_chart(facts: Facts) -> Html:
    """What became of the questions of every round."""
    name = tag("b", None, "Questions per round.")
    rows = [
        (one.number, (answered - ties, ties, skipped, max(0, asked - answered - skipped)))
        for one in facts.summary.rounds
        if (asked := one.asked)
        and (answered := one.answered or 0) >= (ties := one.ties or 0)
        and (skipped := one.skipped or 0) >= 0
    ]
    if not rows:
        return empty(name, " Nothing was asked.")
    drawing = charts.outcomes(
        rows,
        title="Questions per round",
        description=f"{sum(sum(counts) for _, counts in rows)} questions over {len(rows)} rounds.",
    )
    keys = [tag("span", None, tag("i", {"class": f"key {kind}"}), kind) for kind in charts.OUTCOMES]
    return tag("figure", None, drawing, tag("figcaption", {"class": "keys"}, name, " ", *keys))


def _mean_series(name: str, rounds: list[RoundSummary]) -> Series:
    means = [one.return_mean for one in rounds if one.return_mean is not None]
    return Series(
        name,
        tuple(float(one.number) for one in rounds),
        tuple(mean.value for mean in means),
        tuple(mean.low for mean in means),
        tuple(mean.high for mean in means),
    )


def _rounds_axis(rounds: list[RoundSummary]) -> Axis:
    return charts.round_axis("round", [float(one.number) for one in rounds])


def _labels_under(rounds: list[RoundSummary], axis: Axis) -> list[tuple[float, str]]:
    totals = {float(one.number): one.labels_total for one in rounds}
    return [(tick, format_number(total, Style.COUNT)) for tick in axis.ticks if (total := totals.get(tick)) is not None]


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _not_none(value: float | None) -> float:
    if value is None:
        raise TypeError("a round without this number should have been left out")
    return value
