"""What comes before the first question: perhaps cloning, warm-up, perhaps seeking new states."""

from __future__ import annotations

from plaudit.control.cloning import clone
from plaudit.control.intrinsic import pretrain
from plaudit.control.learner import Learner
from plaudit.control.logged import Logged
from plaudit.loop.context import Context, ProgressMonitor


def begin(context: Context, learner: Learner, seed: int) -> dict[str, float]:
    """Let a fresh learner gather what the first questions are cut from. Returns what is worth reporting."""
    loop, cloning = context.config.loop, context.config.policy.clone
    metrics: dict[str, float] = {}
    if cloning is not None:
        steps = Logged.read(cloning.logged, learner.world.layout).steps()
        metrics |= clone(learner, *steps, cloning, seed=seed)
    learner.explore(loop.warmup, seed, by_policy=cloning is not None)
    if loop.pretrain:
        monitor, neighbours = ProgressMonitor(context.progress, loop.pretrain), context.config.explore.neighbours
        since = len(learner.world.behaviour)
        metrics |= pretrain(learner, loop.pretrain, seed, neighbours=neighbours, monitor=monitor)
        metrics["act/pretrain_steps"] = float((len(learner.world.behaviour) - since) * learner.world.n_envs)
    return metrics
