"""The outcome of a run in plain words: one sentence for the top of the page, and what one should know beside it."""

from __future__ import annotations

from collections.abc import Sequence

from plaudit.check.diagnose import Finding, Severity
from plaudit.report.markup import Style, format_number
from plaudit.report.summary import AskSummary, CheckSummary, LearnSummary, TextsSummary
from plaudit.store.signoff import Standing, State

OPEN = {
    State.REJECTED: "REJECTED",
    State.OUTDATED: "signed for something older, not for this",
    State.UNSIGNED: "not signed",
}
"""checks that keep a result from being released, worst first"""
NOUNS = {"comparison": "comparison", "rating": "rating", "steps": "step judgement"}


def headline(ask: AskSummary, check: CheckSummary, *, rounds_done: int, rounds_planned: int | None) -> str:
    """What came out, after how many answers and how much human time."""
    cost = f"{_answers(ask)} {_human_time(ask)}".rstrip()
    running = rounds_planned is not None and rounds_done < rounds_planned
    so_far = f"After {rounds_done} of {rounds_planned} rounds: " if running else ""
    if check.returns is None:
        return f"{so_far}Nothing has been measured yet; {cost} so far."
    value = format_number(check.returns.value, Style.RETURN)
    if check.return_random is None:
        return f"{so_far}The agent's return is {value} after {cost}; no reference was measured."
    random = format_number(check.return_random, Style.RETURN)
    if check.returns.low is not None and check.returns.low <= check.return_random:
        return f"{so_far}The agent cannot be told from random actions after {cost}: return {value} against {random}."
    if check.fraction is not None:
        way = format_number(check.fraction.value, Style.PERCENT)
        return f"{so_far}The agent reached {way} of the way from random to the oracle after {cost}."
    return f"{so_far}The agent's return rose from {random} (random actions) to {value} after {cost}."


def headline_of_texts(ask: AskSummary, texts: TextsSummary, *, rounds_done: int, rounds_planned: int | None) -> str:
    """The same of a run that teaches a language model: the policy beside the model that it started from."""
    cost = f"{_answers(ask)} {_human_time(ask)}".rstrip()
    running = rounds_planned is not None and rounds_done < rounds_planned
    so_far = f"After {rounds_done} of {rounds_planned} rounds: " if running else ""
    start, last = (next(iter(some), None) for some in (texts.measures[:1], texts.measures[:0:-1]))
    if last is None or start is None:
        return f"{so_far}Nothing has been measured yet; {cost} so far."
    if last.gold is not None and start.gold is not None and last.win_rate_gold is not None:
        before, after, wins = (
            format_number(x, Style.PERCENT) for x in (start.gold.value, last.gold.value, last.win_rate_gold)
        )
        went = "rose" if last.gold.value > start.gold.value else "went"
        return f"{so_far}The true reward {went} from {before} to {after} after {cost}; the policy wins {wins} of comparisons with its start."
    if last.win_rate_reward is not None:
        wins = format_number(last.win_rate_reward, Style.PERCENT)
        return f"{so_far}The policy wins {wins} of comparisons with its start by the learned reward after {cost}; no true reward is known."
    return f"{so_far}The policy was measured after {cost}, and there is no reward to judge it by."


def details(
    learn: LearnSummary, check: CheckSummary, findings: Sequence[Finding], *, texts: bool = False
) -> tuple[str, ...]:
    """How well the reward model agrees with people, and what the doctor says."""
    found: list[str] = []
    if learn.accuracy is not None:
        agreement = format_number(learn.accuracy.value, Style.PERCENT)
        text = f"The reward model agrees with {agreement} of the answers that it never saw"
        if learn.noise_ceiling is not None:
            text += f"; the teacher's noise allows {format_number(learn.noise_ceiling, Style.PERCENT)}"
        found.append(text + ".")
    if check.return_oracle is None and not texts:
        found.append("The oracle was not trained, so how much better one could do is not known.")
    found.append(_doctor(findings))
    return tuple(found)


def open_checks(standings: Sequence[Standing]) -> list[Standing]:
    """Checks that nobody accepted for what there is now, worst first."""
    return [one for state in OPEN for one in standings if one.state is state]


def sign_off(standings: Sequence[Standing]) -> str:
    """Where the sign-off stands, in a sentence."""
    found = ", ".join(f"{one.check.name} ({OPEN[one.state]})" for one in open_checks(standings))
    return f"Sign-off is open: {found}." if found else "All checks were signed."


def _answers(ask: AskSummary) -> str:
    noun = NOUNS.get(ask.kind, "answer")
    return f"{ask.answered:,} {noun}" + ("" if ask.answered == 1 else "s")


def _human_time(ask: AskSummary) -> str:
    if ask.human_seconds is not None:
        return f"({_minutes(ask.human_seconds)} of human time)"
    if ask.simulated_seconds is not None:
        return f"by a simulated teacher (a person would need about {_minutes(ask.simulated_seconds)})"
    if ask.answered and not ask.people:
        return "by a simulated teacher"
    return ""


def _minutes(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _doctor(findings: Sequence[Finding]) -> str:
    problems = sum(one.severity is Severity.PROBLEM for one in findings)
    warnings = sum(one.severity is Severity.WARNING for one in findings)
    if not problems and not warnings:
        return "The doctor found nothing to worry about." if findings else "The doctor has not examined this run."
    parts = [
        f"{count} {noun}" + ("" if count == 1 else "s")
        for count, noun in ((problems, "problem"), (warnings, "warning"))
        if count
    ]
    return f"The doctor found {' and '.join(parts)}: see Check."
