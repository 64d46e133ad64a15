"""What can go wrong with learning from people, as small checks on arrays and counts that answer in plain words.

Each check returns one `Finding`, or None when there is too little to look at. None of them reads a store or a model:
`plaudit.report.doctor` gathers the evidence, and a notebook can call them one by one. Checks of the answers are here,
those of reward and policy in `plaudit.check.learned`. Thresholds are named, with the reason beside them.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.stats.intervals import wilson

FloatArray = NDArray[np.float64]


class Severity(enum.Enum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One number that a finding rests on."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, in words that need no paper to understand."""

    severity: Severity
    name: str
    """which check, for example `ties`"""
    message: str
    """what was found"""
    evidence: tuple[Evidence, ...] = ()
    """numbers that it rests on; only finite ones"""
    advice: str = ""
    """what to do about it; empty when nothing needs doing"""


TIES_WARN, TIES_BAD = 0.3, 0.6
"""a tie says little about order; above these shares most of the human time buys nothing"""


def too_many_ties(ties: int, answered: int) -> Finding | None:
    """Do the answers tell the clips apart? Judged by the lower end of a Wilson interval, so few answers never alarm."""
    if answered == 0:
        return None
    low = wilson(ties, answered).low
    evidence = (Evidence("ties", ties), Evidence("answers", answered), Evidence("at least this share", low))
    if low < TIES_WARN:
        return Finding(Severity.OK, "ties", "Most answers tell the two clips apart.", evidence)
    severity = Severity.PROBLEM if low >= TIES_BAD else Severity.WARNING
    return Finding(
        severity,
        "ties",
        "Many clips look alike to those who judge: ties teach the reward model little.",
        evidence,
        "Show longer segments, ask by disagreement rather than uniformly, or let rounds act more before they ask.",
    )


NEAR = 0.01
"""two clips closer than this share of the typical distance between clips show the same behaviour"""
SHARED = 0.8
"""two clips of one episode that share more of their steps than this show the same behaviour"""
CROWDED = 0.25
"""share of questions that repeat another one, or compare a clip with itself, above which human time is wasted"""


def look_alike(features: FloatArray) -> NDArray[np.bool_]:
    """Which clips nearly equal each other, [clip, clip], of `features` [clip, k]; independent of the features' units."""
    spread = features.std(axis=0)
    scaled = features[:, spread > 0] / spread[spread > 0]
    square = (scaled**2).sum(axis=1)
    distance = np.maximum(square[:, None] + square[None, :] - 2 * scaled @ scaled.T, 0.0)
    # scaled columns have variance 1, so the mean squared distance of two clips is twice their number
    typical = max(2.0 * scaled.shape[1], 1e-12)
    return distance <= NEAR**2 * typical


def overlapping(spans: Sequence[tuple[str, int, int]]) -> NDArray[np.bool_]:
    """Which stretches `(episode, start, length)` share most of their steps, [clip, clip]."""
    episode = np.array([name for name, _, _ in spans])
    start = np.array([begin for _, begin, _ in spans], dtype=np.int64)
    length = np.array([steps for _, _, steps in spans], dtype=np.int64)
    end = start + length
    common = np.minimum(end[:, None], end[None, :]) - np.maximum(start[:, None], start[None, :])
    return (episode[:, None] == episode[None, :]) & (common > SHARED * np.minimum(length[:, None], length[None, :]))


def repeated(questions: Sequence[tuple[int, ...]], alike: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which questions, as clips by index, repeat another one in either order, or show the same thing twice."""
    found = np.array([len(set(one)) < len(one) or (len(one) == 2 and alike[one]) for one in questions], dtype=np.bool_)
    for size in {len(one) for one in questions}:
        rows = np.array([row for row, one in enumerate(questions) if len(one) == size])
        shown = np.array([questions[row] for row in rows], dtype=np.intp)
        same = alike[shown[:, None, :], shown[None, :, :]].all(axis=2)
        turned = alike[shown[:, None, :], shown[None, :, ::-1]].all(axis=2)
        earlier = np.tril(same | turned, -1)
        found[rows] |= earlier.any(axis=0) | earlier.any(axis=1)
    return found


def crowding(again: NDArray[np.bool_]) -> Finding | None:
    """Does every question ask something new? `again` [question], from `repeated`."""
    if len(again) < 8:
        return None
    share = float(again.mean())
    evidence = (Evidence("questions", len(again)), Evidence("share that repeats", share))
    if share <= CROWDED:
        return Finding(Severity.OK, "crowding", "Questions differ from each other.", evidence)
    return Finding(
        Severity.WARNING,
        "crowding",
        "Many questions show nearly the same clips as another question, or the same clip twice.",
        evidence,
        "Raise ask.pool, draw candidates from more of the behaviour (ask.newest), or let rounds act more before they ask.",
    )


def side_bias(chose_first_shown: int, decided: int) -> Finding | None:
    """Do annotators favour the clip that stands first on the screen, whatever it shows?

    Which clip stands first is drawn at random, so without a bias half of the choices go to it.
    """
    if decided < 10:
        return None
    found = wilson(chose_first_shown, decided, level=SIDE_LEVEL)
    share = chose_first_shown / decided
    evidence = (
        Evidence("share that chose what stood first", share),
        Evidence("low", found.low),
        Evidence("high", found.high),
    )
    if found.low <= 0.5 <= found.high:
        return Finding(Severity.OK, "side bias", "Choices do not depend on the side of the screen.", evidence)
    side = "first" if share > 0.5 else "second"
    return Finding(
        Severity.WARNING,
        "side bias",
        f"Annotators favour the clip that stands {side} on the screen, more than chance would.",
        evidence,
        "Look at who does it in the table of annotators; ask again with sides swapped, or leave out those answers.",
    )


SIDE_LEVEL = 0.99
"""the check runs in every report, so it may cry wolf in one of a hundred, not in one of twenty"""


def balanced_sides(shown_in_order: int, asked: int) -> Finding | None:
    """Are sides swapped at random? If not, a preference for one side cannot be told from a preference for behaviour."""
    if asked < 10:
        return None
    found = wilson(shown_in_order, asked, level=SIDE_LEVEL)
    evidence = (Evidence("share shown in the query's order", shown_in_order / asked), Evidence("questions", asked))
    if found.low <= 0.5 <= found.high:
        return Finding(Severity.OK, "sides", "Which clip stands first on the screen is balanced.", evidence)
    return Finding(
        Severity.WARNING,
        "sides",
        "Which clip stands first on the screen is not balanced: a habit of choosing one side looks like a wish.",
        evidence,
        "Draw the order on the screen at random for every question (Query.shown).",
    )


def starvation(asked: int, answered: int, waiting: int) -> Finding | None:
    """Does the loop get its answers, or does it run ahead of people?"""
    evidence = (Evidence("asked", asked), Evidence("answered", answered), Evidence("waiting", waiting))
    if asked == 0:
        return None
    if answered == 0:
        return Finding(
            Severity.PROBLEM,
            "labels",
            "No question has been answered, so there is nothing to learn from.",
            evidence,
            "Open the labelling page with `plaudit studio RUN` and answer, or let a teacher answer ([ask.teacher]).",
        )
    if waiting <= 0.5 * asked:
        return Finding(Severity.OK, "labels", "Answers keep up with questions.", evidence)
    return Finding(
        Severity.WARNING,
        "labels",
        "More than half of the questions still wait for an answer: the loop waits for people, or went on without them.",
        evidence,
        "Answer in the studio, invite more annotators, ask less per round, or raise ask.patience_seconds.",
    )


FEW_HELD_OUT = 20
"""below this a Wilson interval around 85 % is wider than 30 points"""


def few_held_out(held_out: int) -> Finding:
    """Are there enough held-out answers to say how good the reward model is?"""
    evidence = (Evidence("held-out answers", held_out),)
    if held_out >= FEW_HELD_OUT:
        return Finding(
            Severity.OK, "held-out answers", "There are enough held-out answers to judge the reward model.", evidence
        )
    if held_out == 0:
        message = "No answers were held out, so nothing says how well the reward model agrees with people."
    else:
        message = "So few answers were held out that the measured agreement can be off by more than fifteen points."
    return Finding(
        Severity.NOTE,
        "held-out answers",
        message,
        evidence,
        "Read the interval, not the number, or ask for more labels.",
    )


ORDER = (Severity.PROBLEM, Severity.WARNING, Severity.NOTE, Severity.OK)


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings by severity, else in the order given."""
    return tuple(sorted(findings, key=lambda one: ORDER.index(one.severity)))


def as_text(findings: Sequence[Finding]) -> str:
    """Findings as plain lines, for a log or a terminal without colours."""
    lines: list[str] = []
    for one in findings:
        numbers = ", ".join(f"{each.name} {each.value:.4g}" for each in one.evidence)
        lines.append(f"{one.severity.value:<8} {one.name}: {one.message}" + (f" ({numbers})" if numbers else ""))
        if one.advice:
            lines.append(f"{'':<8} {one.advice}")
    return "\n".join(lines)
