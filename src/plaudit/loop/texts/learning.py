"""The stage `learn` of a run on texts: fit the reward model to all answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from plaudit.language import update as kept
from plaudit.language.reward import RewardFitting
from plaudit.language.rollouts import FloatArray
from plaudit.language.scorer import FACTS, HEADS, TextReward, side_by_side
from plaudit.loop.context import Outcome, stage_key
from plaudit.loop.texts.context import TextContext
from plaudit.loop.texts.models import keep, take, version_of
from plaudit.loop.texts.training import folder_of
from plaudit.records import Feedback, TextSegment, brought, canonical_json, is_skip
from plaudit.report.samples import load
from plaudit.report.scores import When
from plaudit.report.scores import keep as keep_scores
from plaudit.run import checkpoint

BODY = "reward.safetensors"
"""what was trained of the reward's model, in a checkpoint"""
COURSE = "course.json"
KEEP_EVERY = 50
"""steps of the fit between checkpoints inside the stage"""


def learn(context: TextContext, round_: int) -> Outcome:
    """Fit the reward model on all answers up to the position at which the ask stage ended."""
    store = context.journal.store
    answers = [answer for _, answer in store.feedback(upto=context.asked_until) if not is_skip(answer)]
    before = [answer.id for _, answer in store.feedback(upto=context.learned_until) if not is_skip(answer)]
    context.learned_until = context.asked_until
    if [answer.id for answer in answers] == before:  # nothing new: the same fit would come to the same
        return Outcome({"reward/labels": float(len(answers))})
    _keep_opinions(context, round_, When.BEFORE, _asked(context, round_))
    context.cast.forget_reward()
    fit = _Fit(RewardFitting(context.cast.reward, answers, store, context.config.reward, context.seed(round_, "learn")))
    fit.train(context, folder_of(context, round_, "learn"))
    fitting, losses = fit.fitting, fit.losses
    metrics = fitting.measures() | {"reward/labels": float(len(answers)), "reward/steps": float(fitting.update.steps)}
    context.reward = fitting.reward
    context.reward_version = _version(fitting.reward)
    _keep_opinions(context, round_, When.AFTER, _about(context, answers))
    steps = np.arange(1, len(losses) + 1, dtype=np.float64)
    artefacts = {"history": store.blobs.put_arrays({"step": steps, "train": np.array(losses)})}
    learned, true = _learned_and_true(context, round_)
    if len(true) and np.std(true) > 0 and np.std(learned) > 0:
        metrics["reward/correlation_true"] = float(np.corrcoef(learned, true)[0, 1])
        artefacts["reward_scatter"] = store.blobs.put_arrays({"learned": learned, "true": true})
    name = checkpoint.commit(context.directory.checkpoints, partial(save, context))
    return Outcome(metrics, name, artefacts)


@dataclass
class _Fit:
    """A fit and its course; kept together, so that a run that is killed in it goes on from there."""

    fitting: RewardFitting
    losses: list[float] = field(default_factory=list[float])

    def train(self, context: TextContext, folder: Path) -> None:
        """All steps that are left."""
        kept.resume(self, folder)
        update = self.fitting.update
        while (metrics := self.fitting.step()) is not None:
            self.losses.append(metrics["loss"])
            context.progress.advance(update.done, update.steps, "steps of the fit")
            if update.done % KEEP_EVERY == 0 and update.done < update.steps:
                kept.keep(self, folder)

    def save(self, folder: Path) -> None:
        """Write everything into a folder that exists."""
        self.fitting.save(folder)
        (folder / COURSE).write_bytes(canonical_json([loss.hex() for loss in self.losses]))

    def load(self, folder: Path) -> None:
        """Inverse of `save`."""
        self.fitting.load(folder)
        self.losses = [float.fromhex(loss) for loss in json.loads((folder / COURSE).read_bytes())]


def save(context: TextContext, folder: Path) -> None:
    """Write the reward, and what was trained of its model, into a folder that exists."""
    assert context.reward is not None  # it was fitted just now
    with TemporaryDirectory() as whole:  # what it writes for other tools beside the heads need not be equal to the bit
        context.reward.save(Path(whole))
        for name in (HEADS, FACTS):
            shutil.copyfile(Path(whole, name), folder / name)
    keep(context.cast.reward, folder / BODY)


def restore(context: TextContext, folder: Path) -> None:
    """Take up what `save` wrote. Raises IntegrityError where it does not fit."""
    take(context.cast.reward, folder / BODY)
    reward = TextReward.load(folder, context.cast.reward)
    # what lies in a file's memory may lie across the borders that products like, and come to other last bits
    context.reward = replace(reward, heads=reward.heads.clone())
    context.reward_version = _version(context.reward)


def _version(reward: TextReward) -> str:
    return version_of(reward.model, "rew", reward.heads)


def _about(context: TextContext, answers: Sequence[Feedback]) -> list[TextSegment]:
    """All texts that answers are about, in the order of the log."""
    store = context.journal.store
    queries = {query.id: query for query in store.queries()}
    names = [name for one in answers for name in (*queries[one.query].segments, *brought(one))]
    return list(store.texts(list(dict.fromkeys(names))).values())


def _asked(context: TextContext, round_: int) -> list[TextSegment]:
    """Texts that this round asked about."""
    store = context.journal.store
    names = list(dict.fromkeys(name for query in store.queries(round_) for name in query.segments))
    return list(store.texts(names).values())


def _keep_opinions(context: TextContext, round_: int, when: When, texts: Sequence[TextSegment]) -> None:
    """Keep what the reward model as it is thinks of texts, for those who watch; nothing in the run depends on it."""
    reward, version = context.reward, context.reward_version
    if reward is None or version is None:
        return
    short = [one for one in texts if fits(context, one)]
    if not short:
        return
    batch, place = side_by_side([context.group(text) for text in short])
    members = reward.score(batch).members[:, place]
    keep_scores(
        context.journal.store, round_, when, reward=version, segments=[one.id for one in short], members=members
    )


def fits(context: TextContext, text: TextSegment) -> bool:
    """Whether a text is within the model's context; people may write what is not."""
    group = context.group(text)
    return len(group.prompt) + len(group.completions[0]) <= context.cast.reward.context


def _learned_and_true(context: TextContext, round_: int) -> tuple[FloatArray, FloatArray]:
    """Learned and true reward of what this round's `act` sampled, for the report only."""
    store, reward = context.journal.store, context.reward
    event = next(event for event in store.events(kinds={"stage.completed"}) if event.key == stage_key(round_, "act"))
    digest = event.payload["artefacts"].get("samples")
    known = [one for one in ([] if digest is None else load(store.blobs, digest)) if one.gold is not None]
    if reward is None or not known:
        return np.zeros(0), np.zeros(0)
    batch, place = side_by_side([context.group(TextSegment(one.prompt, one.completion)) for one in known])
    learned = reward.normalised(batch)[:, place].mean(axis=0)
    return learned, np.array([one.gold for one in known], dtype=np.float64)
