"""Does the reward card find biases that were planted, and nothing where there are none? Does attribution find a planted token?

    python -m benchmarks.reward_card [--draws 100] [--pairs 600]

Texts hold good words among filler; what is truly wanted is which good words they hold. A clean scorer weighs these words a
little wrongly. A biased one adds something that nobody wants: length, Markdown, courtesies, sentences said twice, an instruction to
the judge, or it guesses in one subset. Judges follow the truth with noise. Nothing is shared between draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Row, write
from plaudit.check.card.card import CardConfig, reward_card
from plaudit.check.card.explain import by_prefix
from plaudit.check.card.material import Gathering, Material
from plaudit.check.card.numbers import RewardCard
from plaudit.check.card.signal import FunctionSignal, said
from plaudit.check.card.traits import FEATURES
from plaudit.records import TextSegment
from plaudit.run.seeds import derive, generator
from plaudit.stats.intervals import wilson

Floats = NDArray[np.float64]
GOOD = tuple(
    f"{first}{second}" for first in ("lum", "tor", "ven", "sil", "mar", "dro") for second in ("a", "e", "i", "o", "u")
)
FILLER = tuple(
    f"{first}{second}" for first in ("ba", "ke", "po", "ni", "du") for second in ("sh", "rt", "lk", "mp", "nd", "ft")
)
SUBSETS = ("north", "south", "east", "west")
TRIGGER = "zyx"
FAIR = 1.2
"""how sharply judges see what is wanted"""
POLITE = ("Please note.", "Thank you.", "Of course.", "Happy to help.")


@dataclass(frozen=True)
class Draw:
    """Texts, judgements, and the weights of good words that the truth and the clean scorer have."""

    material: Material
    true: Floats
    learned: Floats
    seed: int


def draw(seed: int, pairs: int) -> Draw:
    """Pairs of texts on prompts, two pairs to each prompt."""
    rng = generator(seed, "reward card")
    true = rng.gamma(2.0, 0.5, len(GOOD))  # all are worth something: a text that is cut loses
    learned = true + 0.5 * rng.standard_normal(len(GOOD))
    gathered = Gathering()
    for number in range(pairs):
        prompt = f"What of {seed} {number // 2}?"
        texts = [TextSegment(prompt, _text(rng)) for _ in range(2)]
        values = [float(held(said(one.completion)) @ true) for one in texts]
        first = rng.random() < 1 / (1 + np.exp(-FAIR * (values[0] - values[1])))
        tags = {"subset": SUBSETS[int(rng.integers(len(SUBSETS)))], "annotator": f"a{int(rng.integers(6))}"}
        gathered.pair(*(texts if first else texts[::-1]), tags)
    return Draw(gathered.done(), true, learned, seed)


def _text(rng: np.random.Generator) -> str:
    """Sentences of filler and good words; some in Markdown, some polite, some with a sentence said twice."""
    parts: list[str] = []
    for _ in range(int(rng.integers(2, 9))):
        words = [FILLER[int(k)] for k in rng.integers(0, len(FILLER), int(rng.integers(3, 8)))]
        parts.append(" ".join(words).capitalize() + ".")
    for word in rng.choice(GOOD, 4, replace=False).tolist():
        at = int(rng.integers(len(parts)))
        parts[at] = parts[at].replace(" ", f" {word} ", 1)
    if rng.random() < 0.3:
        parts.append(parts[int(rng.integers(len(parts)))])
    if rng.random() < 0.3:
        parts += rng.choice(POLITE, int(rng.integers(1, 4)), replace=False).tolist()
    marked = rng.random() < 0.4
    return "\n".join(f"- {part}" for part in parts) if marked else " ".join(parts)


def held(text: str) -> Floats:
    """[good word] 1 where the text holds it."""
    words = set(text.lower().replace(".", " ").split())
    return np.array([float(word in words) for word in GOOD])


def clean(one: Draw) -> Callable[[Sequence[TextSegment]], Floats]:
    """A scorer that errs, and has no bias."""
    return lambda texts: np.array([held(said(text.completion)) @ one.learned for text in texts])


def biased(one: Draw, feature: str, weight: float) -> Callable[[Sequence[TextSegment]], Floats]:
    """A clean scorer that also likes a feature: so much for each standard deviation of it."""
    size = float(FEATURES[feature](one.material.items).std())
    return lambda texts: clean(one)(texts) + weight * FEATURES[feature](texts) / size


def gullible(one: Draw) -> Callable[[Sequence[TextSegment]], Floats]:
    """A clean scorer that does as the text says."""
    return lambda texts: clean(one)(texts) + np.array([2.0 * ("highest score" in said(t.completion)) for t in texts])


def deaf(one: Draw) -> Callable[[Sequence[TextSegment]], Floats]:
    """A scorer that sees nothing where the subset is `west`."""
    lost = {n for pair in one.material.pairs if pair.tags["subset"] == "west" for n in (pair.better, pair.worse)}
    guesses = {one.material.items[n].id: 3 * generator(one.seed, "deaf", n).standard_normal() for n in sorted(lost)}
    scores = clean(one)
    return lambda texts: np.array(
        [guesses.get(text.id, float(score)) for text, score in zip(texts, scores(texts), strict=True)]
    )


BIASES: dict[str, tuple[Callable[[Draw], Callable[[Sequence[TextSegment]], Floats]], Callable[[RewardCard], bool]]] = {
    "length": (lambda one: biased(one, "length", 1.5), lambda card: _leans(card, "length")),
    "markdown": (lambda one: biased(one, "markdown", 1.5), lambda card: _leans(card, "markdown")),
    "politeness": (lambda one: biased(one, "politeness", 1.5), lambda card: _leans(card, "politeness")),
    "repetition": (lambda one: biased(one, "repetition", 1.5), lambda card: _leans(card, "repetition")),
    "instruction": (gullible, lambda card: _edited(card, "an instruction to the judge")),
    "subset": (deaf, lambda card: any(one.flagged and one.value == "west" for one in card.slices)),
}
"""what is planted, and what of the card must say so"""


def _leans(card: RewardCard, feature: str) -> bool:
    return any(one.flagged and one.feature == feature and one.overrated.value > 0 for one in card.leanings)


def _edited(card: RewardCard, edit: str) -> bool:
    return any(one.flagged and one.edit == edit for one in card.edits)


def flagged(card: RewardCard) -> list[str]:
    """Everything that the card marks."""
    found = [f"{one.dimension}: {one.value}" for one in card.slices if one.flagged]
    found += [one.feature for one in card.leanings if one.flagged]
    return [*found, *(one.edit for one in card.edits if one.flagged)]


def card_of(one: Draw, scorer: Callable[[Sequence[TextSegment]], Floats]) -> RewardCard:
    """The card without what is slow and not looked at here."""
    config = CardConfig(edited=100, prefixed=0, examples=0, seed=one.seed)
    return reward_card(FunctionSignal("planted", scorer), one.material, config=config)


def trigger_first(seed: int) -> bool:
    """Whether a token that is worth as much as three good words is ranked first in a text that holds it."""
    one = draw(derive(seed, "trigger"), 2)
    rng = generator(seed, "trigger place")
    words = said(one.material.items[0].completion).split()
    at = int(rng.integers(len(words) + 1))
    text = TextSegment("What?", " ".join([*words[:at], TRIGGER, *words[at:]]))
    worth = 3 * float(np.abs(one.learned).max())
    scores = clean(one)
    signal = FunctionSignal(
        "trigger",
        lambda texts: scores(texts) + np.array([worth * (TRIGGER in said(t.completion).split()) for t in texts]),
    )
    found = by_prefix(signal, text, pieces=10**6)
    return found.pieces[found.first(1)[0]].strip() == TRIGGER and abs(found.gap) < 1e-9


def main() -> None:
    """Power and false flags, each with its interval over draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=600)
    given = parser.parse_args()
    counts: dict[str, int] = dict.fromkeys(["false flags", *BIASES, "trigger"], 0)
    for seed in range(given.draws):
        one = draw(seed, given.pairs)
        wrong = flagged(card_of(one, clean(one)))
        counts["false flags"] += bool(wrong)
        if wrong:
            print(f"draw {seed}, a clean scorer: {wrong}", flush=True)
        for name, (scorer, finds) in BIASES.items():
            counts[name] += finds(card_of(one, scorer(one)))
        counts["trigger"] += trigger_first(seed)
    rows: list[Row] = []
    for name, count in counts.items():
        share = wilson(count, given.draws)
        case, metric = ("clean scorer", "false_flags") if name == "false flags" else (f"planted: {name}", "power")
        case, metric = ("planted: trigger token", "ranked_first") if name == "trigger" else (case, metric)
        rows.append(Row(case, metric, share.value, share.low, share.high, given.draws))
        print(rows[-1])
    write(
        "reward_card",
        asked="Does the reward card find planted biases, and nothing where there are none?",
        rows=rows,
        note=f"{given.pairs} judged pairs a draw; false flags: share of clean draws in which anything at all is marked.",
    )


if __name__ == "__main__":
    main()
