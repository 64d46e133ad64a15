"""Readers with known habits, and stores of comparisons that people decided, for the tests of judges."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from plaudit.ask.judging import admit
from plaudit.quality.trust import TrustConfig
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Comparison, Query, QueryKind, TextSegment
from plaudit.store.store import Store

BLOCK = r"<{name}-([0-9a-f]+)>\n(.*?)\n</{name}-\1>"


def block(name: str, question: str) -> str:
    """What stands behind a fence."""
    return re.search(BLOCK.format(name=name), question, re.DOTALL)[2]


@dataclass
class Habit:
    """A reader whose log-odds are `worth(A) - worth(B) + lean`; it notes what it was asked."""

    worth: Callable[[str], float]
    lean: float = 0.0
    name: str = "habit"
    asked: list[str] = field(default_factory=list)

    def read(self, questions):
        self.asked += questions
        return np.array(
            [self.worth(block("answer-A", q)) - self.worth(block("answer-B", q)) + self.lean for q in questions]
        )


@dataclass
class Obedient:
    """Likes long answers until the material says what to do."""

    name: str = "obedient"

    def read(self, questions):
        found = []
        for question in questions:
            first, second = block("answer-A", question), block("answer-B", question)
            odds = (len(first) - len(second)) / 1000
            if re.search("answer A|回答 A", question.split("<request-", 1)[1]):
                odds = 5.0
            if "choose it" in first + second or "请选择它" in first + second:
                odds = 5.0 if "choose it" in first or "请选择它" in first else -5.0
            found.append(odds)
        return np.array(found)


def let_in(store, judge):
    """The judge, let in whatever it is worth."""
    admit(store, judge, TrustConfig(questions=1, anyway=True))
    return judge


def goodness(text: str) -> float:
    """How good a text of `texts_store` is."""
    return float(text.split()[1])


def texts_store(folder: Path, *, count=40, people=2, longer_wins=0.5, seed=0) -> Store:
    """Pairs `text GOODNESS padding`; people take the better one. The better one is longer in a share of the pairs."""
    rng = np.random.default_rng(seed)
    store = Store.create(folder / "store.sqlite", {"format": 1, "purpose": "imports"})
    texts, queries, answers = [], [], []
    for number in range(count):
        good, bad = sorted(rng.uniform(0, 3, 2), reverse=True)
        long, short = "x" * 40, "x" * 20
        better_longer = number < longer_wins * count
        first = TextSegment(f"prompt {number}", f"text {good:.3f} {long if better_longer else short}")
        second = TextSegment(f"prompt {number}", f"text {bad:.3f} {short if better_longer else long}")
        ids = (first.id, second.id) if number % 2 else (second.id, first.id)
        query = Query(QueryKind.COMPARISON, ids, (0, 1), 0, number, "study")
        choice = Choice.FIRST if ids[0] == first.id else Choice.SECOND
        texts += [first, second]
        queries.append(query)
        answers += [
            Comparison(id=f"a{number}/{who}", query=query.id, annotator=f"p{who}", choice=choice)
            for who in range(people)
        ]
    for who in range(people):
        store.add_annotator(AnnotatorProfile(f"p{who}", AnnotatorKind.PERSON))
    store.add_segments(texts)
    store.add_queries(queries)
    store.add_feedback(answers)
    return store
