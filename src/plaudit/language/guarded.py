"""The guard of `plaudit train group` and `plaudit train ppo`: who judges, from settings; and people, through a store's queue."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Rollout
from plaudit.engine.text import Ids, Tokeniser
from plaudit.errors import ConfigError
from plaudit.language.critic import paid_by
from plaudit.language.experience import Score
from plaudit.language.group import Group
from plaudit.language.guard import Judge, Pairs, TextGuard, judged_by
from plaudit.language.ppo import PPO
from plaudit.language.scorer import TextReward
from plaudit.language.texts import Asked
from plaudit.records import Choice, Comparison, Query, QueryKind, Text, TextSegment, is_skip
from plaudit.run.directory import RunDirectory
from plaudit.run.guard_config import GuardConfig
from plaudit.run.seeds import generator
from plaudit.store.store import Store

STRATEGY = "guard"
"""of questions that the guard asks"""
CHECKED = "guard.checked"
LOOK_SECONDS = 0.5
"""between two looks for answers of people"""


@dataclass(frozen=True, slots=True)
class TextGuardConfig(GuardConfig):
    """Have the policy judged while it trains, and stop a training that fools itself. Exactly one of panel, gold and store judges."""

    panel: str = ""
    """folder of a reward that the policy is not paid by, fitted to other people's answers"""
    gold: str = ""
    """MODULE:FUNCTION, from a prompt and a completion (texts, or turns of a conversation) to a number, NaN where it cannot say"""
    store: str = ""
    """directory of a run or of imports whose studio asks people; the training waits for them"""
    right: float = 1.0
    """answers of panel and gold are right with this probability: below 1, they stand for people"""
    patience_seconds: float = 86_400.0
    """how long a check waits for people; pairs without an answer by then do not count"""

    def __post_init__(self) -> None:
        GuardConfig.__post_init__(self)
        judges = [name for name in ("panel", "gold", "store") if getattr(self, name)]
        if len(judges) != 1 or not 0.5 < self.right <= 1 or not self.patience_seconds > 0:
            raise ConfigError(
                "The guard needs somebody who judges", got=f"{judges or 'nobody'}, right {self.right}",
                expected="one of panel, gold and store; right above 0.5; patience above 0",
                next_step="give guard.store = DIRECTORY and open it in the studio, or guard.gold = MODULE:FUNCTION",
            )  # fmt: skip


@contextmanager
def guarding(
    config: TextGuardConfig | None, learner: Group | PPO, asked: Asked, score: Score
) -> Generator[TextGuard | None]:
    """The guard that settings ask for; none without settings. The store of people is open as long as it is used."""
    if config is None:
        yield None
        return
    with _judging(config, learner, asked) as judge:
        yield TextGuard(learner, asked.ids, config=config, score=score, judge=judge)


@contextmanager
def _judging(config: TextGuardConfig, learner: Group | PPO, asked: Asked) -> Generator[Judge]:
    model, seed = learner.model, learner.seed
    if config.store:
        directory = RunDirectory(config.store)
        directory.require()
        with Store.open(directory.store) as store:
            texts = tuple(one.text for one in asked.prompts)
            yield PeopleJudge(store, texts, asked.words, learner.update.training, seed, config.patience_seconds)
    elif config.gold:
        texts = {tuple(ids): one.text for ids, one in zip(asked.ids, asked.prompts, strict=True)}
        gold = gold_score(gold_function(config.gold), texts, asked.words)
        yield judged_by(gold, seed=seed, right=config.right)
    else:
        folder = Path(config.panel)
        panel = TextReward.load(folder, LanguageModel.load(folder, dtype=model.dtype, device=str(model.device)))
        yield judged_by(paid_by(panel), seed=seed, right=config.right)


def gold_function(name: str) -> Callable[[Text, Text], float]:
    """The function of that name. Raises ConfigError where there is none."""
    module, _, attribute = name.partition(":")
    try:
        found: Callable[[Text, Text], Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError("There is no such function", got=f"{name}: {error}", expected="MODULE:FUNCTION") from error
    if not callable(found):
        raise ConfigError("This is no function", got=name, expected="MODULE:FUNCTION")
    return lambda prompt, completion: float(found(prompt, completion))


def gold_score(gold: Callable[[Text, Text], float], prompts: dict[Ids, Text], tokeniser: Tokeniser) -> Score:
    """Completions scored by a function of texts."""

    def score(rollout: Rollout) -> Tensor:
        batch = rollout.batch
        asked = [prompts[tuple(prompt.tolist())] for prompt in batch.prompts]
        texts = [(asked[at], row.tolist()) for at, row in zip(batch.group.tolist(), batch.rows, strict=True)]
        return torch.tensor([gold(prompt, tokeniser.answer(prompt, ids)) for prompt, ids in texts], dtype=torch.float64)

    return score


@dataclass(frozen=True, slots=True)
class PeopleJudge:
    """People who compare pairs in the studio, each question once, without knowing which side is the policy's.

    Attributes:
        store: whose questions the studio shows.
        prompts: texts of the guard's prompts.
        tokeniser: from tokens to text.
        name: of the training; questions of others in the same store are not mixed up with its own.
        seed: of sides.
        patience: seconds that a check waits.
    """

    store: Store
    prompts: Sequence[Text]
    tokeniser: Tokeniser
    name: str
    seed: int
    patience: float

    def __call__(self, pairs: Pairs) -> list[bool | None]:
        """Ask, wait, and read. A check that was concluded reads up to the same place of the log when it is repeated."""
        texts, queries = self._questions(pairs)
        self.store.add_segments([text for pair in texts for text in pair])
        asked = [query for query in queries if query is not None]
        self.store.add_queries(asked)
        upto = self._concluded(pairs, {query.id for query in asked})
        said: dict[str, list[bool]] = {}
        for _, answer in self.store.feedback(upto=upto):
            if isinstance(answer, Comparison) and not is_skip(answer) and answer.choice is not Choice.TIE:
                said.setdefault(answer.query, []).append(answer.choice is Choice.FIRST)
        return [None if query is None else _majority(said.get(query.id, [])) for query in queries]

    def _questions(self, pairs: Pairs) -> tuple[list[tuple[TextSegment, TextSegment]], list[Query | None]]:
        """The texts of each pair, the policy's first, and the question about them; none where they read the same."""
        sides = generator(self.seed, "guard", "sides", pairs.check).integers(0, 2, 1 + max(pairs.numbers)).tolist()
        texts: list[tuple[TextSegment, TextSegment]] = []
        queries: list[Query | None] = []
        rows = zip(pairs.numbers, pairs.prompts, pairs.newest.batch.rows, pairs.best.batch.rows, strict=True)
        for number, place, newest, best in rows:
            prompt = self.prompts[place]
            pair = tuple(TextSegment(prompt, self.tokeniser.answer(prompt, ids.tolist())) for ids in (newest, best))
            texts.append((pair[0], pair[1]))
            shown = (1, 0) if sides[number] else (0, 1)
            ids = (pair[0].id, pair[1].id)
            same = ids[0] == ids[1]
            queries.append(
                None if same else Query(QueryKind.COMPARISON, ids, shown, pairs.check, number, f"{STRATEGY}/{self.name[:16]}")
            )  # fmt: skip
        return texts, queries

    def _concluded(self, pairs: Pairs, asked: set[str]) -> int:
        """Wait until all is answered or patience ends; the place of the log up to which answers count."""
        key = f"guard/{self.name}/{pairs.check}/{pairs.numbers[0]}"
        for event in self.store.events(kinds={CHECKED}):
            if event.key == key:
                return int(event.payload["log_position"])
        begun = time.monotonic()
        while True:
            position = self.store.head()[0]
            left = asked - {answer.query for _, answer in self.store.feedback(upto=position)}
            if not left or time.monotonic() - begun >= self.patience:
                break
            time.sleep(LOOK_SECONDS)
        self.store.append(CHECKED, {"check": pairs.check, "training": self.name, "log_position": position}, key)
        return position


def _majority(said: Sequence[bool]) -> bool | None:
    """What most say; None for nobody and for as many on either side."""
    votes = int(np.sum([1 if one else -1 for one in said]))
    return None if votes == 0 else votes > 0
