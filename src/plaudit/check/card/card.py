"""The reward card: what a reward signal is worth on judged pairs, beside what noise allows and what trivial scorers reach.

card = reward_card(signal, material, config=CardConfig(), data="store")
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from plaudit.check.card import accuracy, edits, explain, panels
from plaudit.check.card.accuracy import Leaning, Suspicion
from plaudit.check.card.edits import Effect
from plaudit.check.card.explain import Prefix
from plaudit.check.card.material import Material
from plaudit.check.card.numbers import Ceiling, Distance, Example, Near, RewardCard
from plaudit.check.card.signal import Item, RewardSignal, checked, said
from plaudit.check.card.traits import differences
from plaudit.check.card.verdict import findings, verdict
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


def reward_card(
    signal: RewardSignal, material: Material, *, config: CardConfig, data: str = "", gold: RewardSignal | None = None
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
    slices, leanings, effects = _believed(
        accuracy.suspicions(material, margins),
        accuracy.leanings(material, margins),
        _effects(signal, material, margins, config),
        level=config.false_discoveries,
    )
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
        spread=_spread(margins),
        ceiling=_ceiling(material, config),
        rivals=accuracy.rivals(material, margins),
        reward_bench=panels.reward_bench(material.panels, mean) if material.panels else None,
        rm_bench=panels.rm_bench(material.squares, mean) if material.squares else None,
        slices=slices,
        leanings=leanings,
        edits=effects,
        calibrated=accuracy.calibrated(material.pairs, margins, config.seed),
        prefixes=_prefixes(signal, material, margins, config),
        distance=None if gold is None else _distance(material, mean, gold),
        examples=_examples(signal, material, margins, config.examples),
        findings=(),
    )
    card = dataclasses.replace(card, findings=findings(card))
    return dataclasses.replace(card, verdict=verdict(card))


def _spread(margins: Floats) -> float:
    return float(np.sqrt((margins**2).mean()))


def _ceiling(material: Material, config: CardConfig) -> Ceiling | None:
    found = material.ceiling(generator(config.seed, "ceiling"))
    return None if isinstance(found, Undefined) else Ceiling(found.low, found.high, found.highest, found.questions)


def _effects(signal: RewardSignal, material: Material, margins: Floats, config: CardConfig) -> tuple[Effect, ...]:
    """Of edits of texts that are drawn; none where there are none, or nothing to measure by."""
    unit, texts = _spread(margins), [one for one in material.items if isinstance(one, TextSegment)]
    order = generator(config.seed, "edits").permutation(len(texts))[: config.edited]
    if unit == 0 or not len(order):
        return ()
    return edits.effects(signal, [texts[k] for k in np.sort(order).tolist()], unit=unit, seed=config.seed)


def _prefixes(signal: RewardSignal, material: Material, margins: Floats, config: CardConfig) -> tuple[Prefix, ...]:
    some = generator(config.seed, "prefixes").permutation(len(margins))[: config.prefixed]
    if not margins.any():
        return ()
    return explain.prefixes(signal, material, margins=margins, chosen=np.sort(some).tolist())


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


def _distance(material: Material, scores: Floats, gold: RewardSignal) -> Distance:
    true = checked(gold.score(material.items), len(material.items), gold.name).mean(axis=0)
    names: dict[str, int] = {}
    keys = [str(one.prompt) if isinstance(one, TextSegment) else "" for one in material.items]
    prompts = np.array([names.setdefault(key, len(names)) for key in keys], dtype=np.int64)
    signs = [np.sign(differences(material.pairs, values)) for values in (scores, true)]
    alike = (signs[0] == signs[1]).astype(np.float64)
    return Distance(
        gold.name,
        answers_apart(scores, true, prompt=prompts),
        accuracy.estimate(alike, accuracy.clusters_of(material.pairs)),
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
