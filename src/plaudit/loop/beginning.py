"""What comes before the first question: perhaps cloning, warm-up, perhaps demonstrations, perhaps seeking new states."""

from __future__ import annotations

from plaudit.control.cloning import clone
from plaudit.control.demonstrated import Demonstrations, learn_from, whole_episodes
from plaudit.control.intrinsic import pretrain
from plaudit.control.learner import Learner, make_learner
from plaudit.control.logged import Logged
from plaudit.loop.context import Context, ProgressMonitor
from plaudit.run.directory import writing
from plaudit.run.seeds import derive

REWARD = "demonstrated.safetensors"
"""the reward that explains the demonstrations, in the run's directory"""


def begin(context: Context, learner: Learner, seed: int) -> dict[str, float]:
    """Let a fresh learner gather what the first questions are cut from. Returns what is worth reporting."""
    loop, cloning = context.config.loop, context.config.policy.clone
    metrics: dict[str, float] = {}
    if cloning is not None:
        steps = Logged.read(cloning.logged, learner.world.layout).steps()
        metrics |= clone(learner, *steps, cloning, seed=seed)
    learner.explore(loop.warmup, seed, by_policy=cloning is not None)
    if loop.demonstrations is not None:
        metrics |= _from_demonstrations(context, learner, derive(seed, "demonstrations"))
    if loop.pretrain:
        monitor, neighbours = ProgressMonitor(context.progress, loop.pretrain), context.config.explore.neighbours
        since = len(learner.world.behaviour)
        metrics |= pretrain(learner, loop.pretrain, seed, neighbours=neighbours, monitor=monitor)
        metrics["act/pretrain_steps"] = float((len(learner.world.behaviour) - since) * learner.world.n_envs)
    return metrics


def _from_demonstrations(context: Context, learner: Learner, seed: int) -> dict[str, float]:
    config, settings = context.config, context.config.loop.demonstrations
    assert settings is not None  # the caller has looked
    episodes = whole_episodes(Logged.read(settings.logged, learner.world.layout).behaviour)[-settings.episodes :]
    copy = make_learner(config.policy, learner.world, derive(seed, "copy"))
    shown = Demonstrations.of(episodes, copy, seed=seed)
    monitor = ProgressMonitor(context.progress, settings.steps)
    found = learn_from(learner, shown, settings, reward=config.reward, seed=seed, monitor=monitor)
    if learner is context.learner:  # and not the reference of the last check
        with writing(context.directory.path):
            found.model.save(context.directory.path / REWARD)
    return {name: value for name, value in found.metrics.items() if name.startswith("demonstrations/")}
