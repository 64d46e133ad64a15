"""The stage `improve` of a run on texts: the policy learns from the reward, rollout by rollout."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from plaudit.engine.decode import Rollout
from plaudit.language import update as kept
from plaudit.language.experience import Prompts, Score, Told, order
from plaudit.language.group import Group
from plaudit.language.ppo import PPO
from plaudit.language.rollouts import FloatArray, judged, samples_of
from plaudit.loop.context import Outcome
from plaudit.loop.texts.context import TextContext
from plaudit.loop.texts.judging import golden
from plaudit.loop.texts.models import version_of
from plaudit.loop.texts.training import folder_of
from plaudit.records import canonical_json
from plaudit.report.samples import keep
from plaudit.run import checkpoint
from plaudit.worlds.prompts import Part, Prompt

DIARY = "diary.json"


def improve(context: TextContext, round_: int) -> Outcome:
    """Optimise the policy against the learned reward; every rollout is kept with its scores."""
    metrics: dict[str, float] = {}
    artefacts: dict[str, str] = {}
    if context.reward is not None or context.config.ask.labels == 0:
        diary = _train(context, round_)
        metrics, artefacts = diary.means(), diary.artefacts(context)
        context.version = version_of(context.cast.policy, "pol")
    name = checkpoint.commit(context.directory.checkpoints, context.cast.save)
    return Outcome(metrics, name, artefacts)


def _train(context: TextContext, round_: int) -> Diary:
    """All rollouts of the stage, from where a run that was killed in it had got to."""
    prompts = context.prompts[Part.POLICY]
    ids, folder = context.ids(prompts), folder_of(context, round_, "improve")
    learner = _learner(context, context.seed(round_, "improve"))
    config, paid = learner.config, _Paid(context, dict(zip(ids, prompts, strict=True)))
    diary = Diary(learner)
    kept.resume(diary, folder)
    while learner.rollouts < config.steps:
        places, rollout, scores = _collect(learner, ids, paid.scores)
        experience = learner.experience(rollout, scores)
        metrics = learner.step(experience)
        asked = tuple(prompts[place] for place in places)
        diary.note(metrics, _keep(context, asked, Told(learner.rollouts, places, experience, metrics)))
        context.progress.advance(learner.rollouts, config.steps, "rollouts")
        if learner.rollouts % config.checkpoint_every == 0 and learner.rollouts < config.steps:
            kept.keep(diary, folder)
    return diary


def _learner(context: TextContext, seed: int) -> Group | PPO:
    """The algorithm that the run file asks for; its optimiser begins anew in each round."""
    settings, cast = context.config.improve, context.cast
    if settings.ppo is None:
        return Group(cast.policy, settings.group, seed, reference=cast.start)
    return PPO(cast.policy, cast.critic_of(context.reward), settings.ppo, seed, reference=cast.start)


def _collect(learner: Group | PPO, ids: Prompts, score: Score) -> tuple[tuple[int, ...], Rollout, Tensor]:
    """Which prompts were asked next, what was said, and what it was worth."""
    if isinstance(learner, Group):
        return learner.collect(ids, score)
    size = learner.config.prompts
    places = tuple(order(learner.seed, len(ids), start=learner.rollouts * size, size=size))
    rollout = learner.generate([ids[place] for place in places])
    return places, rollout, score(rollout)


@dataclass(frozen=True, slots=True)
class _Paid:
    """What completions are paid."""

    context: TextContext
    prompts: dict[tuple[int, ...], Prompt]

    def scores(self, rollout: Rollout) -> Tensor:
        """[N] by the learned reward, or by the programs that check constraints where nobody is asked."""
        context = self.context
        if context.reward is None:
            asked = [self.prompts[tuple(prompt.tolist())] for prompt in rollout.batch.prompts]
            return torch.from_numpy(golden(context, asked, rollout, context.texts(asked, rollout)))
        members = context.reward.normalised(rollout.batch)
        return torch.from_numpy(members.mean(axis=0) - context.config.improve.pessimism * members.std(axis=0))


def _keep(context: TextContext, prompts: tuple[Prompt, ...], told: Told) -> str:
    """Store a rollout with what was thought of it."""
    found, rollout = told.experience, told.experience.rollout
    texts = context.texts(prompts, rollout)
    known = judged(found, gold=golden(context, prompts, rollout, texts))
    return keep(context.journal.store.blobs, samples_of(prompts, rollout, texts, known))


@dataclass
class Diary:
    """A stage's learner and what its rollouts came to; kept together, so that a run that is killed loses neither."""

    learner: Group | PPO
    metrics: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    rollouts: list[str] = field(default_factory=list[str])
    """digests of what was sampled"""

    def note(self, metrics: dict[str, float], rollout: str) -> None:
        """A rollout was learned from."""
        self.metrics.append(metrics)
        self.rollouts.append(rollout)

    def means(self) -> dict[str, float]:
        """`train/...`, over the stage's rollouts; what one of them does not have, it does not count for."""
        table = self._table()
        return {
            f"train/{name}": float(np.nanmean(column)) for name, column in table.items() if not np.isnan(column).all()
        }

    def artefacts(self, context: TextContext) -> dict[str, str]:
        """Digests by name: each rollout, and the course of all metrics."""
        table = {name.replace("/", "."): column for name, column in self._table().items()}
        steps = np.arange(1, len(self.metrics) + 1, dtype=np.float64)
        course = context.journal.store.blobs.put_arrays({"step": steps, **table})
        return {"course": course} | {f"rollout/{number}": one for number, one in enumerate(self.rollouts, 1)}

    def save(self, folder: Path) -> None:
        """Write everything into a folder that exists."""
        self.learner.save(folder)
        rows = [{name: value.hex() for name, value in one.items()} for one in self.metrics]
        (folder / DIARY).write_bytes(canonical_json({"metrics": rows, "rollouts": self.rollouts}))

    def load(self, folder: Path) -> None:
        """Inverse of `save`."""
        self.learner.load(folder)
        said = json.loads((folder / DIARY).read_bytes())
        self.metrics = [{name: float.fromhex(value) for name, value in one.items()} for one in said["metrics"]]
        self.rollouts = list(said["rollouts"])

    def _table(self) -> dict[str, FloatArray]:
        """[rollout] of each metric, NaN where a rollout lacks it."""
        names = list(dict.fromkeys(name for one in self.metrics for name in one))
        return {name: np.array([one.get(name, np.nan) for one in self.metrics], dtype=np.float64) for name in names}
