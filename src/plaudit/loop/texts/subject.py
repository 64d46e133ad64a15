"""A run that teaches a language model."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plaudit.ask.teachers import Teacher
from plaudit.engine.gemm import Gemm, probe
from plaudit.engine.model import LanguageModel
from plaudit.errors import IntegrityError
from plaudit.language.group_config import with_preset
from plaudit.language.scorer import TextReward
from plaudit.loop.context import Outcome
from plaudit.loop.journal import Journal
from plaudit.loop.subject import Kind, Place
from plaudit.loop.texts import learning
from plaudit.loop.texts.acting import act
from plaudit.loop.texts.asking import ask
from plaudit.loop.texts.checking import check
from plaudit.loop.texts.config import Products, TextRunConfig
from plaudit.loop.texts.context import TextContext
from plaudit.loop.texts.estimate import estimate
from plaudit.loop.texts.gold import Gold, GoldTeacher, require_gold
from plaudit.loop.texts.improving import improve
from plaudit.loop.texts.models import Cast, digest_of, directory_of, version_of
from plaudit.loop.texts.training import FOLDER, tidy
from plaudit.loop.texts.world import prompts_of
from plaudit.run import checkpoint
from plaudit.run.directory import RunDirectory, writing
from plaudit.worlds.prompts import PromptSet

PLAIN = {
    "act": "the language model completes prompts",
    "ask": "choosing questions and collecting answers",
    "learn": "fitting the reward model to all answers",
    "improve": "training the language model on the learned reward",
    "check": "measuring the language model on held-out prompts",
}
"""what each stage does, in plain words"""
COLUMNS = (
    ("labels", "ask/labels_total", ".0f"),
    ("reward accuracy", "reward/accuracy_heldout", ".2f"),
    ("true reward", "check/gold_mean", ".2f"),
    ("wins over start", "check/win_rate_gold", ".2f"),
    ("wins by reward", "check/win_rate_reward", ".2f"),
    ("KL", "check/kl", ".2f"),
)
"""what progress shows of each round"""
EXECUTE = {"act": act, "ask": ask, "learn": learning.learn, "improve": improve, "check": check}
POLICY, REWARD = "policy", "reward"
"""directories that a finished run leaves"""


class Texts:
    """See the module; a `Subject`.

    Args:
        config: settings.
        place: where the run lives.
    """

    plain = PLAIN

    def __init__(self, config: TextRunConfig, place: Place) -> None:
        cast = Cast(config)
        prompts = prompts_of(config, lambda text: len(cast.tokeniser.prompt(text)))
        gold = Gold(prompts)
        teacher = _teacher(config, gold)
        annotators = () if teacher is None else (teacher,)
        own = frozenset(one.profile.id for one in annotators)
        self.shared = TextContext(
            config=config,
            directory=place.directory,
            journal=Journal(place.store, source=place.replay, own_annotators=own),
            progress=place.progress,
            annotators=annotators,
            teacher=teacher,
            cast=cast,
            prompts=prompts,
            gold=gold,
            version=version_of(cast.policy, "pol"),
        )

    @property
    def policy(self) -> LanguageModel:
        """The policy as it is now."""
        return self.shared.cast.policy

    @property
    def reward(self) -> TextReward | None:
        """The reward model as it is now."""
        return self.shared.reward

    @property
    def world(self) -> PromptSet:
        """The prompts, by part."""
        return self.shared.prompts

    def execute(self, stage: str, round_: int) -> Outcome:
        """Do a stage."""
        tidy(self.shared, round_, stage)
        return EXECUTE[stage](self.shared, round_)

    def versions(self) -> dict[str, str | None]:
        """Names of policy and reward."""
        return {"policy": self.shared.version, "reward": self.shared.reward_version}

    def restore(self, policy: Path | None, reward: Path | None) -> None:
        """Take up checkpoints."""
        if policy is not None:
            self.shared.cast.restore(policy)
            self.shared.version = version_of(self.policy, "pol")
        if reward is not None:
            learning.restore(self.shared, reward)

    def publish(self) -> None:
        """Write the policy as a directory of Hugging Face or PEFT, and the reward beside it."""
        path = self.shared.directory.path
        shutil.rmtree(path / FOLDER, ignore_errors=True)
        with writing(path / POLICY):
            self.policy.save(path / POLICY)
        if self.reward is not None:
            with writing(path / REWARD):
                (path / REWARD).mkdir(exist_ok=True)
                self.reward.save(path / REWARD)

    def close(self) -> None:
        """Nothing is open."""


def _teacher(config: TextRunConfig, gold: Gold) -> GoldTeacher | None:
    teacher = config.ask.teacher
    if config.ask.people or teacher is None or config.ask.labels == 0:
        return None
    return GoldTeacher(Teacher(teacher, config.seed), gold)


def _require(config: TextRunConfig, replayed: Mapping[str, Any] | None) -> dict[str, Any]:
    """Model and prompts are tried before anything is written. The first event names the weights, and how to multiply."""
    cast = Cast(config)
    prompts = prompts_of(config, lambda text: len(cast.tokeniser.prompt(text)))
    if not config.ask.people:
        require_gold(Gold(prompts), prompts)
    gemm = replayed["gemm"] if replayed else _gemm(config).plain()
    return {"model": digest_of(directory_of(config.model.path)), "gemm": gemm}


def _gemm(config: TextRunConfig) -> Gemm:
    dtype, threads = config.model.dtype.value, config.loop.threads
    match config.model.products:
        case Products.PROBED:
            return probe(dtype, threads=threads)
        case Products.DEFAULT:
            return Gemm(dtype, "default", threads)
        case Products.ONEDNN:
            return Gemm(dtype, "onednn", threads)


def _prepared(table: dict[str, Any]) -> dict[str, Any]:
    """With the settings of the algorithm that improve.preset names, where improve.group does not say otherwise."""
    improve = table.get("improve")
    return table | {"improve": with_preset(improve)} if isinstance(improve, dict) else table


def _begin(config: TextRunConfig, place: Place, created: Mapping[str, Any]) -> Texts:
    found = digest_of(directory_of(config.model.path))
    if found != created["model"]:
        raise IntegrityError(
            "The language model is not the one that the run began with",
            got=f"{config.model.path}: {found[:12]}",
            expected=created["model"][:12],
            next_step="put the directory back as it was, or start another run",
        )
    Gemm(**created["gemm"]).apply()
    return Texts(config, place)


def _is_whole(directory: RunDirectory, name: str) -> bool:
    return checkpoint.is_intact(directory.checkpoints, name)


TEXTS = Kind(
    settings=TextRunConfig,
    tables=("model", "prompts"),
    prepared=_prepared,
    require=_require,
    begin=_begin,
    is_whole=_is_whole,
    estimate=lambda config: estimate(config).text(),
    title=lambda config: config.model.path,
    columns=COLUMNS,
    policy=POLICY,
)
