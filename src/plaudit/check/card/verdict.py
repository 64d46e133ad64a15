"""A reward card in words: what stands out, worst first, and one sentence for all of it."""

from __future__ import annotations

from plaudit.check.card.numbers import RewardCard
from plaudit.check.diagnose import Finding, Severity, worst_first

GAP = 1e-3
"""of the spread of scores: what attributions may leave unexplained"""


def verdict(card: RewardCard) -> str:
    """One sentence; of a card with its findings."""
    ends = "" if card.accuracy.low is None else f" ({card.accuracy.low:.0%} to {card.accuracy.high:.0%})"
    bad = sum(one.severity in (Severity.PROBLEM, Severity.WARNING) for one in card.findings)
    best = max(card.rivals, key=lambda one: one.accuracy.value, default=None)
    beside = "" if best is None else f"; {best.name!r} alone is right in {best.accuracy.value:.0%}"
    warned = "nothing else stands out" if not bad else f"{bad} thing{'s' if bad > 1 else ''} to look at"
    return f"Right in {card.accuracy.value:.0%}{ends} of {card.pairs} judged pairs{beside}; {warned}."


def findings(card: RewardCard) -> tuple[Finding, ...]:
    """What stands out, worst first."""
    return worst_first([*_of_accuracy(card), *_of_tests(card), *_of_attributions(card)])


def _of_accuracy(card: RewardCard) -> list[Finding]:
    found: list[Finding] = []
    if card.spread == 0:
        return [
            Finding(
                Severity.PROBLEM, "constant", "Both texts of every pair score the same: this reward prefers nothing."
            )
        ]
    if card.accuracy.high is not None and card.accuracy.high < 0.5:
        advice = "Check that higher scores mean better, and that no tool swaps chosen and rejected."
        found.append(
            Finding(Severity.PROBLEM, "accuracy", "It is worse than guessing: answers look inverted.", (), advice)
        )
    elif card.accuracy.low is None or card.accuracy.low <= 0.5:
        advice = "Judge more pairs before anything is made of this reward."
        found.append(Finding(Severity.WARNING, "accuracy", "It cannot be told from guessing.", (), advice))
    equals = [repr(one.name) for one in card.rivals if one.ahead.low is None or one.ahead.low <= 0]
    if equals:
        message = f"It cannot be told to be better than {', '.join(equals)}: scorers that do not read what is said."
        advice = "Look at the slices: it may have learned style."
        found.append(Finding(Severity.PROBLEM, "trivial scorers", message, (), advice))
    if card.ceiling is not None and card.accuracy.low is not None and card.accuracy.low > card.ceiling.highest:
        advice = "Check that it was not fitted to these very judgements."
        found.append(
            Finding(
                Severity.WARNING,
                "noise ceiling",
                "It is right more often than the judges' own noise allows.",
                (),
                advice,
            )
        )
    return found


def _of_tests(card: RewardCard) -> list[Finding]:
    found: list[Finding] = []
    for one in card.slices:
        if (
            one.flagged and one.difference.value < 0
        ):  # where it is right more often is the same thing from the other side
            points = -100 * one.difference.value
            message = (
                f"Where {one.dimension} is {one.value!r}, it is right {points:.0f} points less often than elsewhere."
            )
            found.append(Finding(Severity.WARNING, "slice", message))
    for one in card.leanings:
        if one.flagged:
            more = one.overrated.value > 0
            message = f"It {'overrates' if more else 'underrates'} {one.feature}: at equal reward, judges take the one with {'less' if more else 'more'} of it."
            found.append(Finding(Severity.WARNING if more else Severity.NOTE, "leaning", message))
    for one in card.edits:
        if one.flagged:
            message = f"An edit that {one.contract} ({one.edit}) moves texts by {one.effect.value:+.2f} of a usual difference."
            found.append(Finding(Severity.WARNING, "edit", message))
    return found


def _of_attributions(card: RewardCard) -> list[Finding]:
    gaps = [abs(each.gap) for one in card.examples for each in (one.of_better, one.of_worse)]
    if max(gaps, default=0.0) <= GAP * max(card.spread, 1e-12):
        return []
    message = "Scores of pieces do not sum to the score of the whole: the reward contradicts itself from one call to the next."
    return [
        Finding(
            Severity.PROBLEM,
            "attribution",
            message,
            (),
            "Look for dropout, or scores that depend on what else is scored.",
        )
    ]
