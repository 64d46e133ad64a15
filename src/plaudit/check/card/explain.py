"""Why a text scores what it scores: what each piece added to the score of all that stands before it.

The score of the first k pieces minus that of the first k - 1 is what piece k added. These differences sum to the score of the
whole minus the score of nothing, whatever the reward: the sum is checked against the score of the whole, asked for by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from plaudit.check.card.accuracy import Estimate, clusters_of, estimate, right
from plaudit.check.card.material import Material
from plaudit.check.card.signal import Item, RewardSignal, last_words, resaid
from plaudit.check.card.traits import differences
from plaudit.records import TextSegment

Floats = NDArray[np.float64]
PIECES = 64
"""pieces of a text that are told apart; longer texts come in stretches of several words"""
NOTHING = "."
"""what stands for an answer that says nothing: rewards cannot score an empty one"""
SHARES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Attribution:
    """What pieces of a text are worth."""

    pieces: tuple[str, ...]
    values: tuple[float, ...]
    """[piece] what it added"""
    start: float
    """score of nothing"""
    total: float
    """score of the whole text, asked for by itself"""

    @property
    def gap(self) -> float:
        """What start and values leave unexplained of the total: 0 up to rounding, or the reward contradicts itself."""
        return self.total - self.start - float(np.sum(self.values))

    def first(self, count: int) -> tuple[int, ...]:
        """Places of the pieces that added or took most, largest first."""
        return tuple(np.argsort(-np.abs(self.values), kind="stable")[:count].tolist())


@runtime_checkable
class Explains(Protocol):
    """A signal that attributes its scores by itself: to tokens, to steps of behaviour."""

    def explain(self, item: Item) -> Attribution:
        """What its pieces are worth."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """A signal that shows what it makes of items before it scores them."""

    def states(self, items: Sequence[Item]) -> Floats:
        """[item, unit] what a score is read from."""
        ...


@dataclass(frozen=True, slots=True)
class Prefix:
    """How early a reward knows: scores of the first part of both answers."""

    share: float
    """of the words"""
    agrees: Estimate
    """share of pairs in which the prefix takes the side that the whole takes"""
    accuracy: Estimate
    """share of pairs in which the prefix of the better one scores higher"""


def words_of(text: str) -> list[str]:
    """Words with the space behind them; together they are the text."""
    return re.findall(r"\s*\S+(?:\s+\Z)?", text) or [text]


def explain(signal: RewardSignal, item: Item) -> Attribution | None:
    """What the pieces of an item are worth: by the signal itself where it can, else by scoring prefixes of a text."""
    if isinstance(signal, Explains):
        return signal.explain(item)
    return by_prefix(signal, item) if isinstance(item, TextSegment) else None


def nearest(states: Floats, row: int, count: int) -> list[tuple[int, float]]:
    """The items that a reward takes to be most like one of them, with their likeness: the cosine of states, from their mean.

    Args:
        states: [item, unit].
        row: which item.
        count: how many others.
    """
    centred = states - states.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    like = unit @ unit[row]
    order = [k for k in np.argsort(-like, kind="stable").tolist() if k != row][:count]
    return [(k, float(like[k])) for k in order]


def by_prefix(signal: RewardSignal, text: TextSegment, *, pieces: int = PIECES) -> Attribution:
    """Score every prefix by words; costs as many texts as there are pieces, and two.

    Args:
        signal: the reward.
        text: of a conversation, its last turn is taken apart.
        pieces: at most.
    """
    parts = _stretches(words_of(last_words(text)), pieces)
    ends = ["".join(parts[: k + 1]) for k in range(len(parts))]
    scores = signal.score([resaid(text, NOTHING), *(resaid(text, said) for said in ends)]).mean(axis=0)
    whole = float(signal.score([text]).mean(axis=0)[0])
    return Attribution(tuple(parts), tuple(np.diff(scores).tolist()), float(scores[0]), whole)


def prefixes(signal: RewardSignal, material: Material, *, margins: Floats, chosen: Sequence[int]) -> tuple[Prefix, ...]:
    """Whether the reward of the first words of two answers takes the side that it takes in the end.

    Needed before tokens are credited, or beams are searched, by a reward of prefixes.

    Args:
        signal: the reward.
        material: what is judged; pairs of texts.
        margins: [pair] score of the better one minus score of the other.
        chosen: which pairs to ask about.
    """
    pairs = [material.pairs[k] for k in chosen]
    whole, clusters = np.sign(margins[list(chosen)]), clusters_of(pairs)
    needed = sorted({number for one in pairs for number in (one.better, one.worse)})
    texts = [one for one in (material.items[number] for number in needed) if isinstance(one, TextSegment)]
    if len(texts) < len(needed) or not pairs:
        return ()
    found: list[Prefix] = []
    for share in SHARES:
        scores = np.zeros(len(material.items))
        scores[needed] = signal.score([resaid(one, _begun(last_words(one), share)) for one in texts]).mean(axis=0)
        part = differences(pairs, scores)
        same = np.where(part == 0, 0.5, (np.sign(part) == whole).astype(np.float64))
        found.append(Prefix(share, estimate(same, clusters), estimate(right(part), clusters)))
    return tuple(found)


def _begun(text: str, share: float) -> str:
    words = words_of(text)
    return "".join(words[: max(1, round(share * len(words)))])


def _stretches(words: Sequence[str], most: int) -> list[str]:
    size = -(-len(words) // most)
    return ["".join(words[start : start + size]) for start in range(0, len(words), size)]
