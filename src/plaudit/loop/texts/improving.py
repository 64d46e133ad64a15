"""The stage `improve` of a run on texts: the policy learns from the reward, rollout by rollout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from plaudit.engine.decode import Rollout
from plaudit.language.experience import Experience
from plaudit.language.group import Group
from plaudit.loop.context import Outcome
from plaudit.loop.texts.context import TextContext
from plaudit.loop.texts.judging import Judged, golden, samples_of
from plaudit.loop.texts.models import version_of
from plaudit.loop.texts.samples import keep
from plaudit.loop.texts.training import folder_of
from plaudit.records import canonical_json
from plaudit.run import checkpoint
from plaudit.worlds.prompts import Part, Prompt

DIARY, LATEST = "diary.json", "latest"


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
    config, cast = context.config.improve.group, context.cast
    prompts = context.prompts[Part.POLICY]
    ids, folder = context.ids(prompts), folder_of(context, round_, "improve")
    group = Group(cast.policy, config, context.seed(round_, "improve"), reference=cast.start)
    diary = Diary()
    diary.resume(group, folder)
    score = _score(context, prompts)
    while group.rollouts < config.steps:
        places, rollout, scores = group.collect(ids, score([prompts[0]]))
    return diary
