"""Any reward as the card sees it: texts (or behaviour) in, scores of every member out. Trivial rewards to be better than.

A reward of one's own is a function: `file.py:score` or `module:score`, called with a list of `TextSegment`, that returns a
score for each, or [member, text].
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ConfigError, LearningError
from plaudit.records import Message, Segment, Text, TextSegment

Floats = NDArray[np.float64]
Item = TextSegment | Segment
"""what is scored"""
MARKS = re.compile(r"^\s*(?:#{1,6}\s|[-*+]\s|\d+[.)]\s|\|)|\*\*|__|`+", re.MULTILINE)
"""headings, list items, rows of tables, bold and code"""


class RewardSignal(Protocol):
    """Whatever gives scores; differences are in log-odds where the signal was fitted so, else in units of its own."""

    @property
    def name(self) -> str:
        """What it is called on the card."""
        ...

    def score(self, items: Sequence[Item]) -> Floats:
        """[member, item] scores; higher is better. A signal without members has one."""
        ...


@dataclass(frozen=True, slots=True)
class FunctionSignal:
    """A Python function of texts."""

    name: str
    function: Callable[[Sequence[Any]], Any]

    def score(self, items: Sequence[Item]) -> Floats:
        """[member, item]. Raises LearningError where the function gives anything else than a finite number for each."""
        return checked(self.function(items), len(items), self.name)


def checked(found: Any, count: int, name: str) -> Floats:
    """Scores as [member, item]. Raises LearningError for other shapes, and for numbers that are not finite."""
    try:
        scores = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise LearningError("A reward gave no numbers", got=f"{name}: {error}") from error
    scores = scores[None] if scores.ndim == 1 else scores
    if scores.ndim != 2 or scores.shape[1] != count or not len(scores) or not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).sum())
        raise LearningError(
            "A reward gave scores that cannot be used",
            got=f"{name}: shape {scores.shape}, {bad} not finite",
            expected=f"finite numbers, [{count}] or [member, {count}]",
        )
    return scores


def said(text: Text) -> str:
    """What is said in a text: plain, or in all turns."""
    return text if isinstance(text, str) else "\n".join(message.content for message in text)


def resaid(text: TextSegment, words: str) -> TextSegment:
    """The same text with another completion; of a conversation, with another last turn."""
    if isinstance(text.completion, str):
        return TextSegment(text.prompt, words, text.policy)
    *before, last = text.completion
    return TextSegment(text.prompt, (*before, Message(last.role, words, last.extra)), text.policy)


def last_words(text: TextSegment) -> str:
    """The completion; of a conversation, its last turn."""
    return text.completion if isinstance(text.completion, str) else text.completion[-1].content


def characters(items: Sequence[Item]) -> Floats:
    """[item] length: characters of a completion, or steps of behaviour."""
    sizes = [one.characters if isinstance(one, TextSegment) else one.length for one in items]
    return np.array(sizes, dtype=np.float64)


def markdown(items: Sequence[Item]) -> Floats:
    """[item] marks of Markdown."""
    found = [len(MARKS.findall(said(one.completion))) if isinstance(one, TextSegment) else 0 for one in items]
    return np.array(found, dtype=np.float64)


TRIVIAL = {
    "longer": FunctionSignal("longer", characters),
    "shorter": FunctionSignal("shorter", lambda items: -characters(items)),
    "markdown": FunctionSignal("markdown", markdown),
}
"""scorers that know nothing of what is said: a reward that is no better has learned style"""


def of_function(path: str) -> FunctionSignal:
    """The function of `module:function` or `file.py:function`. Raises ConfigError where there is none."""
    place, _, name = path.rpartition(":")
    try:
        function = getattr(_module(place), name)
    except (ImportError, AttributeError, OSError, SyntaxError) as error:
        raise ConfigError(
            "There is no such function", got=f"{path}: {error}", expected="module:function or file.py:function"
        ) from error
    if not callable(function):
        raise ConfigError("A reward must be a function", got=f"{path} is {type(function).__name__}")
    return FunctionSignal(path, function)


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        return importlib.import_module(place)
    spec = importlib.util.spec_from_file_location(Path(place).stem, place)
    if spec is None or spec.loader is None:
        raise ImportError(f"{place} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
