"""The five stages of a round: act, ask, learn, improve, check. Each reads top to bottom and returns what it found out.

A stage may be killed anywhere and repeated: what it writes is named by content or by (round, stage, index), so writing it
again changes nothing. `plaudit.loop.run` commits the outcome with one row.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plaudit.ask.acquisition import propose
from plaudit.ask.annotator import Annotator
from plaudit.ask.schedule import schedule
from plaudit.control.learner import Learner, make_learner
from plaudit.loop.config import RunConfig
from plaudit.loop.journal import Journal
from plaudit.ops.aggregate import mean
from plaudit.records import Choice, Comparison, Feedback, Query, Segment, SegmentData, StepBatch, is_skip
from plaudit.reward.collate import collate
from plaudit.reward.fit import fit
from plaudit.reward.history import Remembering
from plaudit.reward.model import RewardModel
from plaudit.run import checkpoint
from plaudit.run.directory import RunDirectory
from plaudit.run.monitor import Signal
from plaudit.run.progress import Progress
from plaudit.run.seeds import derive, generator
from plaudit.worlds.evaluate import Evaluation, evaluate
from plaudit.worlds.vector import VectorWorld

STAGES = ("act", "ask", "learn", "improve", "check")
UNLABELLED = 1000
"""most segments that pseudo-labels are given to in a fit"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage found out; becomes the row that ends it."""

    metrics: dict[str, float]
    checkpoint: str | None = None
    artefacts: dict[str, str] = field(default_factory=dict)
    clips: dict[str, str] = field(default_factory=dict)
    """segments worth watching, by name"""


@dataclass(slots=True)
class Context:
    """All that the stages share."""

    config: RunConfig
    directory: RunDirectory
    journal: Journal
    progress: Progress
    world: VectorWorld
    learner: Learner
    annotator: Annotator | None
    """None when people answer"""
    reward: RewardModel | None = None
    learned_from: int = 0
    """answers that the reward model was fitted to"""
    asked_until: int = 0
    """log position that the last ask stage ended at"""
    recorded: dict[str, int] = field(default_factory=dict)
    """positions at which stages ended before; a stage that is repeated reads up to the same place"""

    def seed(self, round_: int, stage: str) -> int:
        """Seed of everything random in a stage."""
        return derive(self.config.seed, round_, stage)

    @property
    def env_steps(self) -> int:
        """Environment steps of the run so far."""
        return len(self.world.behaviour) * self.world.n_envs


def act(context: Context, round_: int) -> Outcome:
    """Produce behaviour. The first round acts at random; later rounds ask about what improving has produced."""
    config = context.config
    metrics: dict[str, float] = {}
    clips: dict[str, str] = {}
    name = None
    if round_ == 0:
        context.learner.explore(config.loop.warmup, context.seed(0, "act"))
        random = evaluate(config.world, _RandomPolicy(context.world, config.seed), config.check.episodes, config.seed)
        metrics["check/return_random"] = float(np.mean(random.returns))
        if config.check.videos:
            clips["before"] = _keep_clip(context, random, "random", "before")
        name = checkpoint.commit(context.directory.checkpoints, lambda folder: _save_policy(context, folder))
    metrics["act/env_steps"] = float(context.env_steps)
    return Outcome(metrics, name, clips=clips)


def labels_per_round(config: RunConfig) -> list[int]:
    """How many questions each round asks."""
    ask_, loop = config.ask, config.loop
    share_done = [(loop.warmup + r * (loop.steps - loop.warmup) / loop.rounds) / loop.steps for r in range(loop.rounds)]
    asking = max(1, sum(share <= ask_.last_at for share in share_done))
    counts = schedule(ask_.labels, asking, first_share=ask_.first_share)
    return counts + [0] * (loop.rounds - asking)


def ask(context: Context, round_: int) -> Outcome:
    """Choose questions, put them to the annotator, and take the answers that come in time."""
    key = stage_key(round_, "ask")
    count = labels_per_round(context.config)[round_]
    queries = _choose_queries(context, round_, count) if count else []
    if queries and context.annotator is not None:
        _answer(context, context.annotator, queries)
    elif queries and not context.journal.replaying and key not in context.recorded:
        _wait_for_people(context, queries)
    context.journal.catch_up(key)
    context.asked_until = context.recorded.get(key, context.journal.store.head()[0])
    answers = context.journal.store.feedback(upto=context.asked_until)
    here = {query.id for query in queries}
    given = [answer for _, answer in answers if answer.query in here]
    return Outcome(
        {
            "ask/asked": float(len(queries)),
            "ask/answered": float(sum(not is_skip(answer) for answer in given)),
            "ask/skipped": float(sum(is_skip(answer) for answer in given)),
            "ask/ties": float(sum(isinstance(a, Comparison) and a.choice is Choice.TIE for a in given)),
            "ask/human_seconds": float(sum(answer.response_seconds or 0.0 for answer in given)),
            "ask/labels_total": float(sum(not is_skip(answer) for _, answer in answers)),
        }
    )


def _choose_queries(context: Context, round_: int, count: int) -> list[Query]:
    """Cut candidates, let the members disagree about them, and log the chosen questions."""
    settings, behaviour = context.config.ask, context.world.behaviour
    rng = generator(context.seed(round_, "ask"), "choose")
    wanted = count * settings.kind.segments * settings.pool
    cuts = behaviour.cut(settings.segment_length, wanted, rng, newest=settings.newest)
    members = None
    if context.reward is not None:
        members = context.reward.score(behaviour.batch(cuts, settings.segment_length)).members
    proposals = propose(settings.strategy, len(cuts), members, kind=settings.kind, count=count, rng=rng)
    store, policy = context.journal.store, context.learner.version
    segments: dict[int, Segment] = {}
    for index in sorted({index for proposal in proposals for index in proposal.indices}):
        data = behaviour.data(cuts[index], settings.segment_length)
        segments[index] = Segment(
            world=context.world.name,
            policy=policy,
            episode=behaviour.episode_name(cuts[index]),
            start=behaviour.step_in_episode(cuts[index]),
            length=len(data),
            blob=store.blobs.put_arrays(data.arrays()),
        )
    queries = [
        Query(
            kind=settings.kind,
            segments=tuple(segments[index].id for index in proposal.indices),
            shown=tuple(int(i) for i in rng.permutation(len(proposal.indices))),
            round=round_,
            index=number,
            strategy=proposal.strategy,
            score=proposal.score,
            propensity=proposal.propensity,
            reward=None if context.reward is None else context.reward.version,
            levels=settings.levels if settings.kind.value == "rating" else None,
        )
        for number, proposal in enumerate(proposals)
    ]
    context.journal.segments(list(segments.values()))
    context.journal.queries(queries)
    return queries


def _answer(context: Context, annotator: Annotator, queries: Sequence[Query]) -> None:
    """Let a simulated annotator answer at once."""
    store = context.journal.store
    context.journal.annotator(annotator.profile)
    found = store.segments([segment for query in queries for segment in query.segments])
    answers: list[Feedback] = []
    for query in queries:
        answer = annotator.answer(query, [store.segment_data(found[segment]) for segment in query.segments])
        if answer is not None:
            answers.append(answer)
    context.journal.feedback(answers)


def _wait_for_people(context: Context, queries: Sequence[Query]) -> None:
    """Wait until people have answered, or until patience ends; the first round needs two answers to begin with."""
    patience = context.config.ask.patience_seconds
    here, since = {query.id for query in queries}, time.monotonic()
    while True:
        answered = [answer for _, answer in context.journal.store.feedback()]
        left = len(here) - len(here & {answer.query for answer in answered})
        enough = sum(not is_skip(answer) for answer in answered) >= 2
        waited = time.monotonic() - since
        if left == 0 or (waited >= patience and enough):
            return
        context.progress.advance(len(here) - left, len(here), "answers")
        context.progress.waiting(
            f"{left} of {len(here)} questions wait for people in the studio; "
            + (
                f"going on with what is there in {max(0, patience - waited):.0f} s"
                if enough
                else "at least two answers are needed"
            )
        )
        time.sleep(0.5)


def learn(context: Context, round_: int) -> Outcome:
    """Fit the reward model on all answers up to the position at which the ask stage ended."""
    store, settings = context.journal.store, context.config
    answers = [answer for _, answer in store.feedback(upto=context.asked_until) if not is_skip(answer)]
    if len(answers) == context.learned_from:
        return Outcome({"reward/labels": float(len(answers))})  # nothing new: fitting on would only overfit
    data = collate(answers, store)
    behaviour = context.world.behaviour
    result = fit(
        data,
        config=settings.reward,
        seed=context.seed(round_, "learn"),
        reference=behaviour.reference(),
        warm_start=context.reward,
        unlabelled=_unlabelled(context, round_, len(answers)) if settings.reward.pseudo_weight else (),
    )
    context.reward, context.learned_from = result.model, len(answers)
    metrics = dict(result.metrics)
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
        reward = Remembering(lambda batch: mean(model.per_step(batch)))
        learned = reward.by_episode(behaviour.batch(slice(first, None)), behaviour.episodes[first:].T)
        rows = np.sort(rng.permutation(learned.size)[:2000])
        return learned.T.ravel()[rows], behaviour.rewards[first:].ravel()[rows]
    batch, true = behaviour.newest_steps(0.35)
    rows = np.sort(rng.permutation(len(true))[:2000])
    pixels = None if batch.pixels is None else batch.pixels[rows]
    picked = StepBatch(batch.observations[rows], batch.actions[rows], batch.mask[rows], pixels)
    return mean(model.per_step(picked))[:, 0], true[rows]


def _unlabelled(context: Context, round_: int, answers: int) -> list[SegmentData]:
    """Segments that nobody was asked about, for pseudo-labels: twice as many as a round through the answers takes."""
    length, behaviour = context.config.ask.segment_length, context.world.behaviour
    count = min(UNLABELLED, 2 * answers * context.config.reward.pseudo_pairs)
    cuts = behaviour.cut(length, count, generator(context.seed(round_, "learn"), "unlabelled"))
    return [behaviour.data(cut, length) for cut in cuts]


def steps_of_round(config: RunConfig, round_: int) -> int:
    """Environment steps that improving takes in a round; all rounds and the warm-up add up to `loop.steps`."""
    loop, envs = config.loop, config.world.envs
    edges = [round(k * (loop.steps - loop.warmup) / loop.rounds / envs) * envs for k in range(loop.rounds + 1)]
    return edges[round_ + 1] - edges[round_]


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

    def learned(batch: StepBatch) -> NDArray[np.float64]:
        return np.zeros(batch.mask.shape) if reward is None else mean(reward.per_step(batch))

    remembers = reward is not None and reward.config.trunk.remembers
    learner.set_reward(Remembering(learned) if remembers else learned, environment_weight=weight)
    return learner.improve(steps, seed, ProgressMonitor(context.progress, steps))


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
        clips[label] = _keep_clip(context, found, context.learner.version, label)
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
    oracle.explore(config.loop.warmup, derive(seed, "act"))
    oracle.set_reward(lambda batch: np.zeros(batch.mask.shape), environment_weight=1.0)
    for round_ in range(config.loop.rounds):
        steps = steps_of_round(config, round_)
        oracle.improve(steps, derive(seed, round_), ProgressMonitor(context.progress, steps))
    returns = evaluate(config.world, oracle, config.check.episodes, config.seed).returns
    world.close()
    return float(np.mean(returns))


def _keep_clip(context: Context, found: Evaluation, policy: str, label: str) -> str:
    """Log the first evaluated episode as a segment, so that it can be rendered and judged like any other."""
    store = context.journal.store
    data = found.first
    segment = Segment(
        world=context.world.name,
        policy=policy,
        episode=f"check/{label}",
        start=0,
        length=len(data),
        blob=store.blobs.put_arrays(data.arrays()),
    )
    context.journal.segments([segment])
    return segment.id


def _save_policy(context: Context, folder: Path) -> None:
    context.learner.save(folder)
    context.world.behaviour.save(folder / "behaviour.safetensors")


def restore_policy(context: Context, folder: Path) -> None:
    """Take learner and behaviour from a checkpoint folder."""
    context.world.behaviour.load(folder / "behaviour.safetensors")
    context.learner.restore(folder)


def stage_key(round_: int, stage: str) -> str:
    """Key of the row that ends a stage."""
    return f"stage/{round_}/{stage}"


class ProgressMonitor:
    """Passes a learner's reports on to the person who watches."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total

    def report(self, step: int, metrics: Mapping[str, float]) -> Signal:
        """Show the step and say go."""
        del metrics
        self._progress.advance(step, self._total, "environment steps")
        return Signal.GO


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

__all__ = ["EXECUTE", "STAGES", "Context", "Outcome", "labels_per_round", "restore_policy", "stage_key"]
