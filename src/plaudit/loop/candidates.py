"""Candidates for questions: which stretches of behaviour are looked at, where they lie, and what is known about them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plaudit.ask.acquisition import Background, Strategy
from plaudit.ask.cover import Space
from plaudit.loop.config import AskConfig
from plaudit.loop.context import Context
from plaudit.records import QueryKind, Segment, StepBatch
from plaudit.reward.collate import pack
from plaudit.reward.likelihood import AnswerModel
from plaudit.worlds.behaviour import Behaviour, Cut

COVERING = {Strategy.K_CENTRE, Strategy.DISAGREEMENT_K_CENTRE, Strategy.ENTROPY_K_CENTRE}


def candidates(context: Context, wanted: int, rng: np.random.Generator, *, least: int) -> list[Cut]:
    """Up to `wanted` different stretches in random order; the newest episodes alone make do when they hold `least`."""
    settings, behaviour = context.config.ask, context.world.behaviour
    if settings.newest_episodes is not None:
        found = newest_stretches(behaviour, settings.segment_length, settings.newest_episodes, least=least)
        if found:
            return [found[index] for index in rng.permutation(len(found))[:wanted]]
    return behaviour.cut(settings.segment_length, wanted, rng, newest=settings.newest)


def newest_stretches(behaviour: Behaviour, length: int, episodes: int, *, least: int) -> list[Cut]:
    """All stretches of the newest episodes: questions about what the policy does now (QPA, Hu et al. 2024, section 4.1).

    Args:
        behaviour: where they are cut from.
        length: steps of a stretch.
        episodes: how many episodes, of those that hold a stretch; the newest is the one that went on longest.
        least: older episodes follow, one by one, until there are so many stretches.
    """
    numbers = behaviour.episodes
    times, envs = np.nonzero(numbers[: max(0, len(numbers) - length + 1)] == numbers[length - 1 :])
    _, which = np.unique(np.stack([envs, numbers[times, envs]]), axis=1, return_inverse=True)
    last = np.zeros(which.max(initial=-1) + 1, dtype=np.intp)
    np.maximum.at(last, which, times)
    order = np.argsort(-last, kind="stable")
    held = np.cumsum(np.bincount(which)[order]) if len(order) else np.zeros(0, dtype=np.intp)
    kept = order[: max(episodes, int(np.searchsorted(held, least)) + 1)]
    return [Cut(env=int(envs[row]), time=int(times[row])) for row in np.flatnonzero(np.isin(which, kept))]


def segment_of(context: Context, cut: Cut) -> Segment:
    """The segment that a cut makes; its arrays are stored."""
    behaviour = context.world.behaviour
    data = behaviour.data(cut, context.config.ask.segment_length)
    return Segment(
        world=context.world.name_of(cut.env),
        policy=context.learner.version,
        episode=behaviour.episode_name(cut),
        start=behaviour.step_in_episode(cut),
        length=len(data),
        blob=context.journal.store.blobs.put_arrays(data.arrays()),
    )


def background(context: Context, round_: int, batch: StepBatch, kind: QueryKind) -> Background:
    """What the strategy is to know beside the members' opinions of the candidates in `batch`; empty for most of them."""
    settings, reward = context.config.ask, context.reward
    if reward is None:
        return Background()
    cuts = cut_points(reward.annotators, settings, kind)
    if settings.strategy not in COVERING:
        return Background(cuts)
    store = context.journal.store
    before = [query.segments for query in store.queries() if query.round < round_ and query.kind is kind]
    names = list(dict.fromkeys(segment for segments in before for segment in segments))
    found = store.segments(names)
    asked = pack([store.segment_data(found[name]) for name in names], batch.actions.shape[-1]) if names else None
    row = {name: number for number, name in enumerate(names)}
    index = np.array([[row[name] for name in segments] for segments in before], dtype=np.intp)
    if settings.space is Space.REWARD:
        return Background(cuts, None, None if asked is None else reward.score(asked).members.T[index])
    return Background(cuts, places_of(batch), None if asked is None else places_of(asked)[index])


def cut_points(annotators: AnswerModel, settings: AskConfig, kind: QueryKind | None = None) -> tuple[float, ...]:
    """Between which values answers of a kind (None: the run's) lie, as the reward model has fitted them."""
    match kind or settings.kind:
        case QueryKind.COMPARISON:
            tie = annotators.thresholds[0]
            return (-tie, tie) if tie > 0 else (0.0,)
        case QueryKind.RATING:
            return tuple(annotators.cuts.get(str(settings.levels), (0.0,)))
        case QueryKind.STEPS:
            return (annotators.step_cut,)
        case QueryKind.RANKING:
            return (0.0,)  # of each pair; ties of rankings have no threshold of their own
        case _:
            raise AssertionError(f"no strategy chooses {kind or settings.kind}")


def places_of(batch: StepBatch) -> NDArray[np.float32]:
    """[item, feature] mean and spread over time of what was seen, and mean of what was done."""
    weight = batch.mask[..., None] / batch.mask.sum(axis=1)[:, None, None]
    seen, done = ((steps * weight).sum(axis=1) for steps in (batch.observations, batch.actions))
    spread = np.sqrt(((batch.observations - seen[:, None]) ** 2 * weight).sum(axis=1))
    return np.concatenate([seen, spread, done], axis=1).astype(np.float32)
