"""The stage `check`: measure the policy, and keep clips worth watching."""

from __future__ import annotations

import numpy as np

from plaudit.control.learner import make_learner
from plaudit.loop.beginning import begin
from plaudit.loop.context import Context, Outcome, ProgressMonitor, steps_of_round
from plaudit.ops.aggregate import mean
from plaudit.records import Segment
from plaudit.run.seeds import derive
from plaudit.worlds.evaluate import Evaluation, evaluate
from plaudit.worlds.vector import VectorWorld


def check(context: Context, round_: int) -> Outcome:
    """Measure the policy on starts that are the same in every check."""
    settings, last = context.config.check, round_ == context.config.loop.rounds - 1
    episodes = settings.episodes if last else min(settings.episodes, settings.episodes_between)
    found = evaluate(context.config.world, context.learner, episodes, context.config.seed)
    metrics = {
        "act/env_steps": float(context.env_steps),
        "check/return_mean": float(np.mean(found.returns)),
        "check/return_std": float(np.std(found.returns)),
    }
    metrics |= {f"check/return_mean/{task}": value for task, value in found.return_of_task().items()}
    store = context.journal.store
    per_episode = {"returns": found.returns, "lengths": found.lengths.astype(np.float64)}
    if context.reward is not None:
        learned = (mean(context.reward.per_step(found.batch)) * found.batch.mask).sum(axis=1)
        metrics["check/learned_return_mean"] = float(learned.mean())
        per_episode["learned"] = learned
    artefacts = {"returns": store.blobs.put_arrays(per_episode)}
    if last and settings.oracle:
        metrics["check/return_oracle"] = _oracle_return(context)
    clips: dict[str, str] = {}
    if settings.videos and (last or round_ == context.config.loop.rounds // 2):
        label = "after" if last else "during"
        clips[label] = keep_clip(context, found, context.learner.version, label)
    return Outcome(metrics, None, artefacts, clips)


def _oracle_return(context: Context) -> float:
    """Return of the same algorithm, with as many steps, on the true reward."""
    config = context.config
    context.progress.stage(
        config.loop.rounds - 1, "check", "training the same algorithm on the true reward, as a reference"
    )
    seed = derive(config.seed, "oracle")
    world = VectorWorld(config.world, seed)
    oracle = make_learner(config.policy, world, seed)
    begin(context, oracle, derive(seed, "act"))
    oracle.set_reward(lambda batch: np.zeros(batch.mask.shape), environment_weight=1.0)
    for round_ in range(config.loop.rounds):
        steps = steps_of_round(config, round_)
        oracle.improve(steps, derive(seed, round_), ProgressMonitor(context.progress, steps))
    returns = evaluate(config.world, oracle, config.check.episodes, config.seed).returns
    world.close()
    return float(np.mean(returns))


def keep_clip(context: Context, found: Evaluation, policy: str, label: str) -> str:
    """Log the first evaluated episode as a segment, so that it can be rendered and judged like any other."""
    store = context.journal.store
    data = found.first
    segment = Segment(
        world=context.world.name_of(0),
        policy=policy,
        episode=f"check/{label}",
        start=0,
        length=len(data),
        blob=store.blobs.put_arrays(data.arrays()),
    )
    context.journal.segments([segment])
    return segment.id
