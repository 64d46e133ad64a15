"""Loads a reward of texts and measures what the checks of `text_reward` judge, on a few probes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from plaudit.check import text_reward as checks
from plaudit.check.diagnose import Finding
from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.text import Tokeniser
from plaudit.errors import ConfigError
from plaudit.language.scorer import TextReward, side_by_side
from plaudit.records import Message, Text
from plaudit.reward.dispatch import OVERALL

QUESTIONS = ("What is the sea?", "How do I boil an egg?", "Say something kind.")
ANSWERS = (
    "Of course.",
    "Yes. Here is one way to do it, step by step, and why each step is needed.",
    "It is good to ask. First look at what is there. Then try the small thing before the big one, and say what you see.",
    "I do not know.",
    "no no no no no no no no no no no no no no no no no no no no no no no no no no no no no no",
    "You are bad, and so is what you ask. Go away and do not come back, it is no use to say it once more.",
    "bad bad",
    "the the sea it is two red say one no what the blue so it",
)  # fmt: skip
"""sense and nonsense, kind and rude, each short and long, so that length and sense are unrelated"""


def reward_report(folder: Path) -> list[Finding]:
    """All findings about a reward that was saved. Raises ConfigError or IntegrityError where the files are none."""
    return examine_reward(TextReward.load(folder, LanguageModel.load(folder)))


def examine_reward(reward: TextReward) -> list[Finding]:
    """Findings about the overall reward. Raises ConfigError if it has none, or if no probe fits into its context."""
    if OVERALL not in reward.names:
        raise ConfigError("There is no overall reward to look at", got=list(reward.names), expected=OVERALL)
    number, batch = reward.names.index(OVERALL), _probes(reward.model)
    first, second = reward.members(batch), reward.members(batch)
    alone = torch.cat([reward.members(batch.take([row])) for row in range(len(batch))], dim=1)
    scores, again, single = (one.double().cpu().numpy() for one in (first, second, alone))
    offset, scale = (one[number].double().cpu().numpy() for one in (reward.offset, reward.scale))
    findings = [
        checks.repeated(scores, again),
        checks.random_start(reward.heads[number].detach().double().cpu().numpy(), _moved(reward.model)),
        checks.normalisation(offset, scale),
    ]
    if not (np.isfinite(scores).all() and np.isfinite(scale).all() and (scale > 0).all()):
        return findings
    normal = (scores - offset[:, None]) / scale[:, None]
    judged = [
        checks.reward_composition(single, scores, exact=reward.model.dtype.itemsize >= 4),
        checks.flat_scores(normal.mean(0)),
        checks.member_spread(normal),
        checks.length_of_answers(normal.mean(0), batch.lengths.double().numpy()),
    ]
    return [*findings, *(one for one in judged if one is not None)]


def _probes(model: LanguageModel) -> Batch:
    """All answers to all questions, but for those that the context has no room for."""
    words = Tokeniser(model.tokenizer)
    chat = bool(model.tokenizer.chat_template)
    asked: list[tuple[Text, Text]] = [
        ((Message("user", question),), (Message("assistant", answer),)) if chat else (f"{question} ", answer)
        for question in QUESTIONS
        for answer in ANSWERS
    ]
    groups = [words.group(prompt, [answer]) for prompt, answer in asked]
    fitting = [one for one in groups if len(one.prompt) + len(one.completions[0]) <= model.context]
    if not fitting:
        raise ConfigError("No probe fits into the context of the reward's model", got=f"{model.context} tokens")
    return side_by_side(fitting)[0]


def _moved(model: LanguageModel) -> bool | None:
    """Whether the adapter changes the model; of fresh ones, half of the matrices are 0."""
    if model.adapter is None:
        return None
    parameters = model.parameters()
    return sum(not bool(one.any()) for one in parameters) < len(parameters) / 4
