"""The five stages of a round: act, ask, learn, improve, check. Each reads top to bottom and returns what it found out.

A stage may be killed anywhere and repeated: what it writes is named by content or by (round, stage, index), so writing it
again changes nothing. `plaudit.loop.run` commits the outcome with one row.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plaudit.control.intrinsic import explored
from plaudit.control.learner import Learner
from plaudit.control.rewards import RewardFn, agreed, paid_rows, paying
from plaudit.loop.asking import ask
from plaudit.loop.beginning import begin
from plaudit.loop.checking import check, keep_clip
from plaudit.loop.context import Context, Outcome, ProgressMonitor, steps_of_round
from plaudit.loop.opinions import keep_opinions
from plaudit.loop.panel import counted
from plaudit.ops.aggregate import mean
from plaudit.quality.population import answer_weights
from plaudit.records import SegmentData, StepBatch, is_skip
from plaudit.reward.collate import collate
from plaudit.reward.fit import fit
from plaudit.reward.model import RewardModel
from plaudit.run import checkpoint
from plaudit.run.seeds import derive, generator
from plaudit.worlds.chunks import BEHAVIOUR
from plaudit.worlds.evaluate import evaluate
from plaudit.worlds.vector import VectorWorld

STAGES = ("act", "ask", "learn", "improve", "check")
UNLABELLED = 1000
"""most segments that pseudo-labels are given to in a fit"""
REPRESENTED = 5000
"""steps of all behaviour, cut into segments, that networks first learn from without answers"""


def act(context: Context, round_: int) -> Outcome:
    """Produce behaviour. The first round acts at random; later rounds ask about what improving has produced."""
    config = context.config
    metrics: dict[str, float] = {}
    clips: dict[str, str] = {}
    name = None
    if round_ == 0:
        metrics |= begin(context, context.learner, context.seed(0, "act"))
        random = evaluate(config.world, _RandomPolicy(context.world, config.seed), config.check.episodes, config.seed)
        metrics["check/return_random"] = float(np.mean(random.returns))
        metrics |= {f"check/return_random/{task}": value for task, value in random.return_of_task().items()}
        if config.check.videos:
            clips["before"] = keep_clip(context, random, "random", "before")
        name = checkpoint.commit(context.directory.checkpoints, lambda folder: _save_policy(context, folder))
    metrics["act/env_steps"] = float(context.env_steps)
    return Outcome(metrics, name, clips=clips)


def learn(context: Context, round_: int) -> Outcome:
    """Fit the reward model on all answers up to the position at which the ask stage ended."""
    store, settings = context.journal.store, context.config
    given = [answer for _, answer in store.feedback(upto=context.asked_until) if not is_skip(answer)]
    answers = counted(context, given)
    left_out = {"reward/labels_left_out": float(len(given) - len(answers))} if settings.ask.checks else {}
    before = [answer.id for _, answer in store.feedback(upto=context.learned_until) if not is_skip(answer)]
    context.learned_until = context.asked_until
    if [answer.id for answer in given] == before:  # nothing new: fitting on would only overfit
        return Outcome({"reward/labels": float(len(answers)), **left_out})
    population, traits = settings.population, settings.reward.condition_on
    profiles = store.annotators(context.asked_until) if traits or population is not None else {}
    profiles = profiles if population is None else population.told(profiles)
    data = collate(
        answers,
        store,
        implied_weight=settings.ask.list_weight if settings.ask.lists else 0.0,
        people=profiles.values() if traits else (),
        weights={} if population is None or traits else answer_weights(answers, profiles, population),
    )
    behaviour = context.world.behaviour
    result = fit(
        data,
        config=settings.reward,
        seed=context.seed(round_, "learn"),
        reference=behaviour.reference(),
        warm_start=context.reward,
        unlabelled=_unlabelled(context, round_, len(answers)),
    )
    keep_opinions(context, round_, data, result.model)
    context.reward = result.model
    metrics = dict(result.metrics) | left_out
    artefacts = {"history": store.blobs.put_arrays(result.history)}
    if result.calibration:
        artefacts["calibration"] = store.blobs.put_arrays(result.calibration)
    learned, true = _learned_and_true(context, result.model, generator(context.seed(round_, "learn"), "scatter"))
    if np.std(true) > 0 and np.std(learned) > 0:
        metrics["reward/correlation_true"] = float(np.corrcoef(learned, true)[0, 1])
        artefacts["reward_scatter"] = store.blobs.put_arrays({"learned": learned, "true": true})
    name = checkpoint.commit(
        context.directory.checkpoints, lambda folder: result.model.save(folder / "reward.safetensors")
    )
    return Outcome(metrics, name, artefacts)


def _learned_and_true(
    context: Context, model: RewardModel, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Learned and true reward of up to 2,000 steps of the newest behaviour, for the report only."""
    behaviour = context.world.behaviour
    if model.config.trunk.remembers:
        first = int(0.65 * len(behaviour))
        learned = paid_rows(paying(model), behaviour, slice(first, len(behaviour)))
        steps = np.sort(rng.permutation(learned.size)[:2000])
        return learned.ravel()[steps], behaviour.rewards[first:].ravel()[steps]
    batch, true = behaviour.newest_steps(0.35, 2000, rng)
    return mean(model.per_step(batch))[:, 0], true


def _unlabelled(context: Context, round_: int, answers: int) -> list[SegmentData]:
    """Segments that nobody was asked about: for pseudo-labels twice as many as a round through the answers takes."""
    length, behaviour, reward = context.config.ask.segment_length, context.world.behaviour, context.config.reward
    count = min(UNLABELLED, 2 * answers * reward.pseudo_pairs) if reward.pseudo_weight else 0
    if reward.represent_steps:
        count = max(count, -(-REPRESENTED // length))
    if count == 0:
        return []
    cuts = behaviour.cut(length, count, generator(context.seed(round_, "learn"), "unlabelled"))
    return [behaviour.data(cut, length) for cut in cuts]


def improve(context: Context, round_: int) -> Outcome:
    """Optimise the policy against the learned reward."""
    steps = steps_of_round(context.config, round_)
    metrics = train_policy(context, context.learner, context.reward, steps, context.seed(round_, "improve"))
    name = checkpoint.commit(context.directory.checkpoints, lambda folder: _save_policy(context, folder))
    return Outcome(metrics, name)


def train_policy(
    context: Context, learner: Learner, reward: RewardModel | None, steps: int, seed: int
) -> dict[str, float]:
    """Give a learner its reward and let it train; without a learned reward only the environment's counts."""
    weight = context.config.loop.environment_weight if context.config.ask.labels else 1.0

    exploring = context.config.explore
    population = context.config.population
    if reward is None:
        pays: RewardFn = _nothing
    elif population is not None and context.config.reward.condition_on:
        ((trait, shares),) = population.margins.items()
        pays = agreed(reward, trait, shares, population.combine, context.world.behaviour.reference())
    elif exploring.uncertainty or exploring.entropy:
        pays = explored(reward, exploring, context.world.behaviour, context.env_steps)
    else:
        pays = paying(reward)
    learner.set_reward(pays, environment_weight=weight)
    return learner.improve(steps, seed, ProgressMonitor(context.progress, steps))


def _nothing(batch: StepBatch) -> NDArray[np.float64]:
    return np.zeros(batch.mask.shape)


def _save_policy(context: Context, folder: Path) -> None:
    context.learner.save(folder)
    context.world.behaviour.save(folder / BEHAVIOUR, context.directory.pieces)


def restore_policy(context: Context, folder: Path) -> None:
    """Take learner and behaviour from a checkpoint folder."""
    context.world.behaviour.load(folder / BEHAVIOUR, context.directory.pieces)
    context.learner.restore(folder)


class _RandomPolicy:
    """Uniform actions, as a reference that every policy must beat."""

    version = "random"

    def __init__(self, world: VectorWorld, seed: int) -> None:
        self._space = world.action_space
        self._space.seed(derive(seed, "random policy"))

    def act(self, observations: NDArray[np.float32], deterministic: bool = True) -> NDArray[np.generic]:
        del deterministic
        return np.stack([np.asarray(self._space.sample()) for _ in range(len(observations))])


EXECUTE = {"act": act, "ask": ask, "learn": learn, "improve": improve, "check": check}
"""what each stage does"""

__all__ = ["EXECUTE", "STAGES", "restore_policy"]
