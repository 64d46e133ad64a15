"""What texts are like apart from what they say: length, marks, politeness, repetition, turns, language. Slices and leanings rest on it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from plaudit.check.card.material import Material, Pair
from plaudit.check.card.signal import Item, characters, markdown, said
from plaudit.records import TextSegment, sentences

Floats = NDArray[np.float64]
POLITE = re.compile(
    r"\b(?:please|thanks?|thank you|sorry|apologi[sz]e|great question|happy to|glad to|of course|certainly|hope this helps|"
    r"feel free|you're welcome|kindly)\b",
    re.IGNORECASE,
)
WORD = re.compile(r"[^\W\d_]+")
COMMON = {
    "en": "the and of to is in that it for with as was are this you be have not",
    "de": "der die und das ist nicht ein eine zu den mit sich auf für es auch im dem",
    "fr": "le la les et des est une que dans pour qui pas sur avec au ce il elle",
    "es": "el los las y una que es por con para como está pero más su se lo del",
    "it": "il gli che di è per una con non sono della nel anche come più questo alla dei",
    "pt": "os as uma que não para com por mais como dos das foi ao ele sua ou é",
    "nl": "het een van en ik niet dat die voor met zijn op aan er ook maar deze wordt",
}
"""words that hardly another language has so often"""
SCRIPTS = {"CJK": "zh", "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "CYRILLIC": "cyrillic", "ARABIC": "ar",
    "DEVANAGARI": "hi", "HEBREW": "he", "GREEK": "el", "THAI": "th"}  # fmt: skip
ALIKE, MUCH = 0.1, 0.5
"""differences of log length below which two texts are equally long, and above which one is much longer"""
SEEN = 400
"""characters that tell a language"""


def log_length(items: Sequence[Item]) -> Floats:
    """[item] log of 1 + characters or steps."""
    return np.log1p(characters(items))


def politeness(items: Sequence[Item]) -> Floats:
    """[item] how often courtesies are said (English)."""
    return np.array([len(POLITE.findall(_words(one))) for one in items], dtype=np.float64)


def repetition(items: Sequence[Item]) -> Floats:
    """[item] share of sentences that were said before in the same text."""
    found: list[float] = []
    for one in items:
        text = _words(one)
        parts = [text[start:end].strip().lower() for start, end in sentences(text)]
        found.append(1 - len(set(parts)) / len(parts) if parts else 0.0)
    return np.array(found)


FEATURES: Mapping[str, Callable[[Sequence[Item]], Floats]] = {
    "length": log_length,
    "markdown": lambda items: np.log1p(markdown(items)),
    "politeness": lambda items: np.log1p(politeness(items)),
    "repetition": repetition,
}
"""what a reward may take for merit"""


def language(text: str) -> str:
    """A guess from scripts and common words: en, de, ..., or `unknown`."""
    text = text[:SEEN]
    scripts = Counter(unicodedata.name(sign, "").partition(" ")[0] for sign in text if sign.isalpha())
    for script, name in sorted(SCRIPTS.items(), key=lambda pair: -scripts[pair[0]]):
        if scripts[script] > 0.3 * scripts.total():
            # Chinese has no kana, Japanese has both
            return "ja" if name == "zh" and scripts["HIRAGANA"] else name
    words = Counter(WORD.findall(text.lower()))
    votes = {name: sum(words[word] for word in known.split()) for name, known in COMMON.items()}
    best = max(votes, key=lambda name: votes[name])
    return best if votes[best] >= 2 else "unknown"


def slices(material: Material) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """By (dimension, value): [pair] which pairs belong to it; of names for the same pairs, the first."""
    size = log_length(material.items)
    marks = markdown(material.items)
    rows: list[dict[str, str]] = []
    for one in material.pairs:
        found = dict(one.tags)
        found["length"] = _longer(float(size[one.better] - size[one.worse]))
        if marks[one.better] or marks[one.worse]:
            found["markdown"] = _more(float(marks[one.better] - marks[one.worse]))
        rows.append(found | _of_prompt(material.items[one.better]))
    named: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(rows):
        for pair in row.items():
            named.setdefault(pair, []).append(number)
    masks: dict[tuple[str, str], NDArray[np.bool_]] = {}
    known: set[tuple[int, ...]] = set()
    for key in sorted(named):
        if tuple(named[key]) not in known:
            known.add(tuple(named[key]))
            masks[key] = np.zeros(len(rows), dtype=np.bool_)
            masks[key][named[key]] = True
    return masks


def _longer(difference: float) -> str:
    if abs(difference) < ALIKE:
        return "about equal"
    much = "much " if abs(difference) > MUCH else ""
    return f"the better one is {much}{'longer' if difference > 0 else 'shorter'}"


def _more(difference: float) -> str:
    return "equally many marks" if difference == 0 else f"the better one has {'more' if difference > 0 else 'fewer'}"


def _of_prompt(item: Item) -> dict[str, str]:
    if not isinstance(item, TextSegment):
        return {"policy": item.policy}
    turns = 1 if isinstance(item.prompt, str) else sum(turn.role != "system" for turn in item.prompt)
    spoken = language(said(item.prompt) + " " + said(item.completion))
    return {"turns": "1" if turns <= 1 else "2 to 3" if turns <= 3 else "4 or more", "language": spoken}


def differences(pairs: Sequence[Pair], values: Floats) -> Floats:
    """[..., pair] value of what was judged better minus value of the other, from values [..., item]."""
    better, worse = (np.array([getattr(one, name) for one in pairs], dtype=np.intp) for name in ("better", "worse"))
    return values[..., better] - values[..., worse]


def _words(item: Item) -> str:
    return said(item.completion) if isinstance(item, TextSegment) else ""
