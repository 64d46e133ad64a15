"""Fit the reward model to all answers, whatever their kinds: stochastic gradient on the sum of their log likelihoods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from plaudit.errors import LearningError
from plaudit.models.kernels import Adam
from plaudit.ops.aggregate import spread
from plaudit.records import SegmentData, StepBatch
from plaudit.reward.collate import FeedbackData, pack
from plaudit.reward.config import RewardConfig
from plaudit.reward.heldout import Values, estimate, leave_out, losses, measures, reliability, understood
from plaudit.reward.implied import Implied, implied
from plaudit.reward.inputs import Inputs
from plaudit.reward.likelihood import AnswerModel, Comparisons
from plaudit.reward.model import RewardModel, normalisation
from plaudit.reward.objective import Problem, batches_of, loss, unanswered
from plaudit.reward.represent import represent
from plaudit.reward.tastes import Judges, Tastes, fit_tastes, judges, shifted
from plaudit.reward.trunks import Network, Shown, create, evaluate, from_arrays
from plaudit.run.seeds import derive, generator
from plaudit.stats.choice import Noise

CHECK_EVERY = 10
"""gradient steps between looks at all answers; more where going through all answers takes more"""


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model, and how the fit went."""

    model: RewardModel
    metrics: dict[str, float]
    """`reward/...`; those on held-out answers are missing while there are none"""
    history: dict[str, NDArray[np.generic]]
    """[check] `step`, and the mean negative log likelihood of an answer: `train`, and `heldout` where answers are held out"""
    calibration: dict[str, NDArray[np.generic]]
    """held-out answers grouped by confidence: `confidence`, `right` and `count` [group]; empty while there are none"""
    heads: dict[str, Fit] = field(default_factory=dict[str, "Fit"])
    """how the fits of other rewards went: `cost/<constraint>`, `aspect/<name>`"""


def fit(
    data: FeedbackData,
    *,
    config: RewardConfig,
    seed: int,
    reference: StepBatch,
    warm_start: RewardModel | None = None,
    unlabelled: Sequence[SegmentData] = (),
) -> Fit:
    """Fit an ensemble to answers, and one of equal form for each further reward that answers are about.

    The result is a function of the arguments, bit for bit, on one thread.

    Args:
        data: answers in the order of the log, and their segments.
        config: settings.
        seed: of the starting weights and of the order of answers.
        reference: behaviour by which inputs and rewards are standardised.
        warm_start: model of the previous round, to go on from if `config.warm_start` says so; its weights are then read
            on inputs as standardised now.
        unlabelled: further segments that nobody was asked about; with `config.pseudo_weight`, pairs without an answer
            are made of them and of the segments that answers are about, and with `config.represent_steps` networks first
            learn from both without answers (`plaudit.reward.represent`), unless they go on from `warm_start`.

    Raises:
        LearningError: there is nothing to learn from, `warm_start` has another form, a symmetry does not fit the world,
            or the fit diverged.
        RecordError: segments and reference behaviour have different shapes, or lack the pictures that the network reads.
    """
    if data.answers == 0:
        raise LearningError("There are no answers to learn from", next_step="ask for some, or count fewer as skipped")
    inputs = Inputs.of(reference, squares=config.squares)
    batch = pack(data.segments, inputs.actions, pixels=config.trunk.sees)
    if not data.evidence:
        raise LearningError(
            "No answer is about the overall reward",
            got=sorted(data.heads),
            next_step="ask for some, or fit one of the others alone: fit(data.of(head), ...)",
        )
    questions = 1 + max(int(part.question.max()) for part in data.evidence)
    held_out = config.members > 1 and questions > 1
    shown = _shown(data, batch, inputs, config=config, unlabelled=unlabelled)
    lengths, views = np.array([len(one) for one in (*data.segments, *unlabelled)]), 1 + len(config.symmetries)
    ensemble, told = create(config, shown, generator(seed, "weights")), dict[str, float]()
    noise = None if config.noise is Noise.LOGISTIC else config.noise
    annotators = AnswerModel(lapse=config.lapse, noise=noise)
    # a model that learned from every question has nothing left to be measured by: begin anew
    if config.warm_start and warm_start is not None and (warm_start.held_out or not held_out):
        ensemble, annotators = (
            _same_form(warm_start, ensemble),
            replace(warm_start.annotators, noise=noise, timing=None),
        )
    elif config.represent_steps:
        ensemble, told = represent(
            ensemble, shown, np.tile(lengths, views), config=config, rng=generator(seed, "represent")
        )
    trains = tuple(leave_out(part, config.members, held_out) for part in data.evidence)
    pairs = lengths if config.pseudo_weight else None
    problem = Problem(
        data.evidence, trains, held_out, shown.features, shown.pixels, views, pairs, _implied(data, trains)
    )
    known = None
    if config.condition_on:
        views_apart, draws = shown.features[: len(data.segments)], generator(seed, "tastes")
        known = judges(data.evidence, views_apart, data.traits, config=config, rng=draws)
    problem = replace(problem, weights=_weights(data))
    rng = generator(seed, "order")
    ensemble, annotators, tastes, history = _train(ensemble, problem, annotators, known, config=config, rng=rng)
    found = problem.values(ensemble)
    found = found if known is None or tastes is None else shifted(found, known.shifts(tastes))
    # the reference is made of single steps without pictures, which say little to a network that remembers or sees
    usual = batch if config.trunk.remembers or config.trunk.sees else reference
    raw = evaluate(ensemble, inputs.show(usual, config.trunk))[:, usual.mask].astype(np.float64)
    offset, scale = normalisation(raw)
    heads = _heads(data, unlabelled, config=config, seed=seed, reference=reference, warm_start=warm_start)
    network, others = from_arrays(config.trunk, ensemble.arrays()), {name: one.model for name, one in heads.items()}
    model = RewardModel(config, inputs, network, offset, scale, annotators, held_out, others, tastes)
    metrics = measures(found, annotators) | told
    groups = reliability(found, annotators)
    calibration = {} if groups is None else {name: getattr(groups, name) for name in ("confidence", "right", "count")}
    metrics["reward/spread"] = float(spread((raw - offset[:, None]) / scale[:, None]).mean())
    return Fit(model, metrics, history, calibration, heads)


def _heads(
    data: FeedbackData,
    unlabelled: Sequence[SegmentData],
    *,
    config: RewardConfig,
    seed: int,
    reference: StepBatch,
    warm_start: RewardModel | None,
) -> dict[str, Fit]:
    """Fits of the other rewards, to what is said about them; pairs without an answer are for the overall one only."""
    alone = replace(config, pseudo_weight=0.0)
    return {
        head: fit(
            data.of(head),
            config=alone,
            seed=derive(seed, "head", head),
            reference=reference,
            warm_start=None if warm_start is None else warm_start.heads.get(head),
            unlabelled=unlabelled,
        )
        for head in sorted(data.heads)
    }


def _weights(data: FeedbackData) -> tuple[torch.Tensor, ...] | None:
    """[answer] for each kind, of mean 1 over all answers about this reward."""
    if not data.weights:
        return None
    each = [
        np.ones(len(part.segments))
        if part.asked is None
        else part.asked.of(data.weights, 1.0, np.arange(len(part.segments)))
        for part in data.evidence
    ]
    usual = float(np.concatenate(each).mean())
    return tuple(torch.from_numpy((one / usual).astype(np.float32)) for one in each)


def _implied(data: FeedbackData, trains: tuple[NDArray[np.bool_], ...]) -> Implied | None:
    for part, learns in zip(data.evidence, trains, strict=True):
        if data.chained is not None and isinstance(part, Comparisons):
            return implied(part, data.chained, learns, weight=data.implied_weight)
    return None


def _shown(
    data: FeedbackData, batch: StepBatch, inputs: Inputs, *, config: RewardConfig, unlabelled: Sequence[SegmentData]
) -> Shown:
    """What networks are shown: all segments, with further ones where they are used, and then in every mirror."""
    if (config.pseudo_weight or config.represent_steps) and unlabelled:
        batch = pack([*data.segments, *unlabelled], inputs.actions, pixels=config.trunk.sees)
    views = [inputs.show(seen, config.trunk) for seen in (batch, *(one.mirror(batch) for one in config.symmetries))]
    if len(views) == 1:
        return views[0]
    pixels = [view.pixels for view in views if view.pixels is not None]
    return Shown(torch.cat([view.features for view in views]), torch.cat(pixels) if pixels else None)


def _same_form(previous: RewardModel, fresh: Network) -> Network:
    """The previous ensemble, if its form is that of a fresh one. Raises LearningError otherwise."""
    here, there = ([tuple(p.shape) for p in e.parameters()] for e in (fresh, previous.ensemble))
    if here != there:
        raise LearningError(
            "A fit cannot go on from a model of another form",
            got=there,
            expected=here,
            next_step="keep reward.trunk, members, hidden and squares through a run, or set reward.warm_start = false",
        )
    return previous.ensemble


def _train(
    start: Network,
    problem: Problem,
    annotators: AnswerModel,
    known: Judges | None,
    *,
    config: RewardConfig,
    rng: np.random.Generator,
) -> tuple[Network, AnswerModel, Tastes | None, dict[str, NDArray[np.generic]]]:
    """A trained copy of `start`, how annotators answer, in what their tastes differ, and the course of the fit."""
    tastes: Tastes | None = None
    ensemble, parameters, gradients = start.trainable()
    adam = Adam(len(parameters), config.learning_rate)
    every = max(CHECK_EVERY, -(-problem.answers // config.batch))
    batches = batches_of(problem.answers, config.batch, rng)
    course: list[tuple[int, float, float]] = []
    for step in range(config.steps + 1):
        if step % every == 0 or step == config.steps:
            found = problem.values(ensemble)
            if known is not None:
                annotators = annotators if tastes else _estimate(found, annotators, config, problem.held_out)
                tastes = fit_tastes(known, found, annotators, config=config, start=tastes)
                shifts = known.shifts(tastes)
                found = shifted(found, shifts)
                problem = replace(problem, shifts=tuple(torch.from_numpy(one.astype(np.float32)) for one in shifts))
            annotators = _estimate(found, annotators, config, problem.held_out)
            course.append((step, *losses(found, annotators)))
            best = np.argmin([heldout for _, _, heldout in course])
            stale = problem.held_out and len(course) > best + config.patience
            if step == config.steps or stale or understood(found, annotators) >= config.stop_accuracy:
                break
        gradients.fill(0.0)
        found = loss(ensemble, problem, next(batches), annotators, config=config, rng=rng)
        if config.pseudo_weight:
            found = found + unanswered(ensemble, problem, annotators, config=config, rng=rng)
        found.backward()
        parameters *= 1.0 - config.learning_rate * config.weight_decay
        adam.step(parameters, gradients)
    steps, train, heldout = zip(*course, strict=True)
    history = {"step": np.array(steps), "train": np.array(train), "heldout": np.array(heldout)}
    kept = history if problem.held_out else {name: history[name] for name in ("step", "train")}
    return ensemble, annotators, tastes, kept


def _estimate(found: list[Values], annotators: AnswerModel, config: RewardConfig, held_out: bool) -> AnswerModel:
    lapse, timing = config.fit_lapse and held_out, config.response_time
    return estimate(found, annotators, lapse=lapse, nuisance=config.nuisance, traits=config.traits, timing=timing)
