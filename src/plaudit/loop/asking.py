"""The stage `ask`: choose questions, put them to the annotator, take the answers that come in time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from plaudit.ask.acquisition import Proposal, opening, propose
from plaudit.ask.annotator import Annotator
from plaudit.ask.schedule import schedule
from plaudit.ask.sharing import within_tasks
from plaudit.loop.config import RunConfig
from plaudit.loop.context import Context, Outcome, stage_key
from plaudit.records import Choice, Comparison, Feedback, Query, Segment, is_skip
from plaudit.run.seeds import generator
from plaudit.worlds.behaviour import Cut


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
    tasks = [context.world.task_of(cut.env) for cut in cuts]
    proposals: list[Proposal] = []
    for among, share in within_tasks(tasks, count, settings.kind.segments, first=round_):
        found = _proposals(context, [cuts[index] for index in among], share, rng)
        proposals += [replace(one, indices=tuple(int(among[i]) for i in one.indices)) for one in found]
    store, policy = context.journal.store, context.learner.version
    segments: dict[int, Segment] = {}
    for index in sorted({index for proposal in proposals for index in proposal.indices}):
        data = behaviour.data(cuts[index], settings.segment_length)
        segments[index] = Segment(
            world=context.world.name_of(cuts[index].env),
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


def _proposals(context: Context, cuts: Sequence[Cut], count: int, rng: np.random.Generator) -> list[Proposal]:
    """Questions about some of the candidates: the first know nothing yet, later ones what the reward model thinks."""
    settings = context.config.ask
    batch = context.world.behaviour.batch(cuts, settings.segment_length)
    if context.reward is None and settings.first_spread:
        places = [batch.observations.mean(axis=1), batch.observations.std(axis=1), batch.actions.mean(axis=1)]
        return opening(np.hstack(places), kind=settings.kind, count=count, spread=settings.first_spread, rng=rng)
    members = None if context.reward is None else context.reward.score(batch).members
    return propose(settings.strategy, len(cuts), members, kind=settings.kind, count=count, rng=rng)


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
