"""The reward card: what a reward signal is worth on judged pairs, beside what noise allows and what trivial scorers reach.

card = reward_card(signal, material, CardConfig(), data="store")
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from plaudit.check.card import accuracy, edits, explain, panels
from plaudit.check.card.accuracy import Calibrated, Estimate, Leaning, Rival, Suspicion
from plaudit.check.card.edits import Effect
from plaudit.check.card.explain import Attribution, Prefix
from plaudit.check.card.material import Material
from plaudit.check.card.panels import RewardBench2, RMBench
from plaudit.check.card.signal import Item, RewardSignal, checked, said
from plaudit.check.card.traits import differences
from plaudit.check.diagnose import Finding, Severity, worst_first
from plaudit.errors import ConfigError
from plaudit.records import TextSegment
from plaudit.run.seeds import generator
from plaudit.stats.multiple import benjamini_hochberg
from plaudit.stats.reward_distance import answers_apart
from plaudit.stats.undefined import Undefined

Floats = NDArray[np.float64]
Tested = TypeVar("Tested", Suspicion, Leaning, Effect)
SHOWN = 600
"""characters of a text that an example shows"""
NEAR = 3
"""items that an example names as most alike"""
GAP = 1e-3
"""of the spread of scores: what attributions may leave unexplained"""


@dataclass(frozen=True, slots=True)
class CardConfig:
    """What a reward card looks at."""

    false_discoveries: float = 0.02
    """share of the findings that may be false on average (Benjamini-Hochberg over slices, leanings and edits together)"""
    edited: int = 200
    """texts that are edited, at most"""
    prefixed: int = 200
    """pairs whose prefixes are scored, at most"""
    examples: int = 3
    """mistakes that are shown and explained, the surest first"""
    seed: int = 0
    """of what is drawn: texts, halves for calibration, resamples"""

    def __post_init__(self) -> None:
        if not 0 < self.false_discoveries < 1 or min(self.edited, self.prefixed, self.examples) < 0:
            raise ConfigError(
                "The settings of a reward card are out of range", got=self,
                expected="0 < false_discoveries < 1, counts of at least 0",
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The best accuracy that disagreement of the judges allows."""

    low: float
    high: float
    highest: float
    """`high` at the upper end of the interval of agreement"""
    questions: int


@dataclass(frozen=True, slots=True)
class Distance:
    """How far the reward is from one that is taken for the truth."""

    gold: str
    distance: float
    """0 for the same preferences, 1 for the opposite: DARD's and STARC's where an answer ends the episode"""
    agreement: Estimate
    """share of the pairs that both order alike"""


@dataclass(frozen=True, slots=True)
class Near:
    """An item that the reward takes to be like another."""

    item: str
    likeness: float
    """cosine of what scores are read from, 1 at most"""
    better: int
    """pairs in which it was judged better"""
    worse: int


@dataclass(frozen=True, slots=True)
class Example:
    """A pair that the reward gets wrong."""

    prompt: str
    better: str
    worse: str
    margin: float
    """score of the better one minus score of the other"""
    of_better: Attribution
    of_worse: Attribution
    near: tuple[Near, ...] = ()
    """what the reward takes to be most like the one that it prefers; of rewards that show their states"""


@dataclass(frozen=True, slots=True)
class RewardCard:
    """All numbers of the card; what could not be measured is None or empty."""

    signal: str
    data: str
    verdict: str
    members: int
    items: int
    pairs: int
    prompts: int
    left_out: int
    accuracy: Estimate
    spread: float
    """root mean square of the difference of two answers' scores"""
    ceiling: Ceiling | None
    rivals: tuple[Rival, ...]
    reward_bench: RewardBench2 | None
    rm_bench: RMBench | None
    slices: tuple[Suspicion, ...]
    leanings: tuple[Leaning, ...]
    edits: tuple[Effect, ...]
    calibrated: Calibrated | None
    prefixes: tuple[Prefix, ...]
    distance: Distance | None
    examples: tuple[Example, ...]
    findings: tuple[Finding, ...]


def reward_card(
    signal: RewardSignal, material: Material, config: CardConfig, *, data: str = "", gold: RewardSignal | None = None
) -> RewardCard:
    """Measure all that the material allows.

    Args:
        signal: the reward.
        material: what it is held against.
        config: settings.
        data: what the material is called.
        gold: a reward that is taken for the truth, where there is one.

    Raises:
        LearningError: the signal gives no finite scores.
    """
    scores = checked(signal.score(material.items), len(material.items), signal.name)
    mean = scores.mean(axis=0)
    margins = differences(material.pairs, mean)
    clusters = accuracy.clusters_of(material.pairs)
    spread = float(np.sqrt((margins**2).mean()))
    drawn = _drawn(material, config)
    slices, leanings, effects = _believed(
        accuracy.suspicions(material, margins),
        accuracy.leanings(material, margins),
        edits.effects(signal, drawn, unit=spread, seed=config.seed) if spread > 0 and drawn else (),
        level=config.false_discoveries,
    )
    some = generator(config.seed, "prefixes").permutation(len(margins))[: config.prefixed]
    ceiling = material.ceiling(generator(config.seed, "ceiling"))
    card = RewardCard(
        signal=signal.name,
        data=data,
        verdict="",
        members=len(scores),
        items=len(material.items),
        pairs=len(margins),
        prompts=len(np.unique(clusters)),
        left_out=material.left_out,
        accuracy=accuracy.estimate(accuracy.right(margins), clusters),
        spread=spread,
        ceiling=None
        if isinstance(ceiling, Undefined)
        else Ceiling(ceiling.low, ceiling.high, ceiling.highest, ceiling.questions),
        rivals=accuracy.rivals(material, margins),
        reward_bench=panels.reward_bench(material.panels, mean) if material.panels else None,
        rm_bench=panels.rm_bench(material.squares, mean) if material.squares else None,
        slices=slices,
        leanings=leanings,
        edits=effects,
        calibrated=accuracy.calibrated(material.pairs, margins, config.seed),
        prefixes=explain.prefixes(signal, material, margins, np.sort(some).tolist()) if spread > 0 else (),
        distance=None if gold is None else _distance(material, mean, gold),
        examples=_examples(signal, material, margins, config.examples),
        findings=(),
    )
    card = dataclasses.replace(card, findings=worst_first(_findings(card)))
    return dataclasses.replace(card, verdict=_verdict(card))


def _believed(
    slices: Sequence[Suspicion], leanings: Sequence[Leaning], effects: Sequence[Effect], *, level: float
) -> tuple[tuple[Suspicion, ...], tuple[Leaning, ...], tuple[Effect, ...]]:
    """All tests of the card together, so that their number is paid for once."""
    tests = [*slices, *leanings, *effects]
    found = benjamini_hochberg(np.array([one.p for one in tests], dtype=np.float64)).tolist()

    def judged(ones: Sequence[Tested], first: int) -> tuple[Tested, ...]:
        values = found[first : first + len(ones)]
        return tuple(dataclasses.replace(one, q=q, flagged=q <= level) for one, q in zip(ones, values, strict=True))

    return judged(slices, 0), judged(leanings, len(slices)), judged(effects, len(slices) + len(leanings))


def _drawn(material: Material, config: CardConfig) -> list[TextSegment]:
    """Texts to edit."""
    texts = [one for one in material.items if isinstance(one, TextSegment)]
    order = generator(config.seed, "edits").permutation(len(texts))[: config.edited]
    return [texts[k] for k in np.sort(order).tolist()]


def _distance(material: Material, scores: Floats, gold: RewardSignal) -> Distance:
    true = checked(gold.score(material.items), len(material.items), gold.name).mean(axis=0)
    names: dict[str, int] = {}
    keys = [str(one.prompt) if isinstance(one, TextSegment) else "" for one in material.items]
    prompts = np.array([names.setdefault(key, len(names)) for key in keys], dtype=np.int64)
    signs = [np.sign(differences(material.pairs, values)) for values in (scores, true)]
    alike = (signs[0] == signs[1]).astype(np.float64)
    return Distance(
        gold.name, answers_apart(scores, true, prompts), accuracy.estimate(alike, accuracy.clusters_of(material.pairs))
    )


def _examples(signal: RewardSignal, material: Material, margins: Floats, count: int) -> tuple[Example, ...]:
    wrong = [number for number in np.argsort(margins, kind="stable")[:count].tolist() if margins[number] < 0]
    states = signal.states(material.items) if wrong and isinstance(signal, explain.Embeds) else None
    found: list[Example] = []
    for number in wrong:
        pair = material.pairs[number]
        better, worse = material.items[pair.better], material.items[pair.worse]
        of = [explain.explain(signal, one) for one in (better, worse)]
        if of[0] is None or of[1] is None:
            continue
        prompt = said(better.prompt)[:SHOWN] if isinstance(better, TextSegment) else ""
        near = () if states is None else _near(material, explain.nearest(states, pair.worse, NEAR))
        found.append(Example(prompt, _named(better), _named(worse), float(margins[number]), of[0], of[1], near))
    return tuple(found)


def _near(material: Material, found: Sequence[tuple[int, float]]) -> tuple[Near, ...]:
    counts = [(sum(p.better == k for p in material.pairs), sum(p.worse == k for p in material.pairs)) for k, _ in found]
    return tuple(Near(_named(material.items[k]), like, *count) for (k, like), count in zip(found, counts, strict=True))


def _named(item: Item) -> str:
    """What is said, or which behaviour it is."""
    if isinstance(item, TextSegment):
        return said(item.completion)[:SHOWN]
    return f"{item.episode}, steps {item.start} to {item.start + item.length - 1}"


def _verdict(card: RewardCard) -> str:
    ends = "" if card.accuracy.low is None else f" ({card.accuracy.low:.0%} to {card.accuracy.high:.0%})"
    bad = sum(one.severity in (Severity.PROBLEM, Severity.WARNING) for one in card.findings)
    best = max(card.rivals, key=lambda one: one.accuracy.value, default=None)
    beside = "" if best is None else f"; {best.name!r} alone is right in {best.accuracy.value:.0%}"
    warned = "nothing else stands out" if not bad else f"{bad} thing{'s' if bad > 1 else ''} to look at"
    return f"Right in {card.accuracy.value:.0%}{ends} of {card.pairs} judged pairs{beside}; {warned}."


def _findings(card: RewardCard) -> list[Finding]:
    """What the card says in words, worst first."""
    return [*_of_accuracy(card), *_of_tests(card), *_of_attributions(card)]


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
            message = (
                f"Texts with {one.edit} move by {one.effect.value:+.2f} of a usual difference; that {one.contract}."
            )
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
