"""Fit the reward model to all answers, whatever their kinds: stochastic gradient on the sum of their log likelihoods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plaudit.errors import LearningError
from plaudit.models.ensemble import Ensemble
from plaudit.ops import preference
from plaudit.ops.aggregate import spread
from plaudit.records import StepBatch
from plaudit.reward.collate import FeedbackData, pack
from plaudit.reward.config import RewardConfig
from plaudit.reward.heldout import Values, estimate, leave_out, losses, measures, reliability, understood, values_of
from plaudit.reward.likelihood import AnswerModel, Evidence
from plaudit.reward.model import Inputs, RewardModel, normalisation
from plaudit.run.seeds import generator

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


@dataclass(frozen=True, slots=True)
class _Problem:
    """What is fitted to."""

    evidence: tuple[Evidence, ...]
    trains: tuple[NDArray[np.bool_], ...]
    """[member, answer] for each kind"""
    held_out: bool
    """whether there are answers that some member leaves out"""
    features: Tensor
    """[segment, step, feature]"""

    @property
    def answers(self) -> int:
        return sum(len(part.segments) for part in self.evidence)

    def values(self, ensemble: Ensemble) -> list[Values]:
        """Values of all answers, from all steps of their segments."""
        segments, steps, width = self.features.shape
        rewards = torch.from_numpy(ensemble.evaluate(self.features.view(-1, width).numpy())).view(-1, segments, steps)
        found: list[Values] = []
        for part, trains in zip(self.evidence, self.trains, strict=True):
            rows = np.arange(len(part.segments))
            look = part.look(rows, crop=0, rng=None)
            seen = rewards[:, torch.from_numpy(part.segments[..., None]), torch.from_numpy(look.positions)]
            values = part.values(seen, torch.from_numpy(look.weights), rows)
            found.append(values_of(part, values.numpy().astype(np.float64), trains))
        return found


def fit(
    data: FeedbackData,
    *,
    config: RewardConfig,
    seed: int,
    reference: StepBatch,
    warm_start: RewardModel | None = None,
) -> Fit:
    """Fit an ensemble to answers.

    The result is a function of the arguments, bit for bit, on one thread.

    Args:
        data: answers in the order of the log, and their segments.
        config: settings.
        seed: of the starting weights and of the order of answers.
        reference: behaviour by which inputs and rewards are standardised.
        warm_start: model of the previous round, to go on from if `config.warm_start` says so; its weights are then read
            on inputs as standardised now.

    Raises:
        LearningError: there is nothing to learn from, `warm_start` has another form, or the fit diverged.
        RecordError: segments and reference behaviour have different shapes.
    """
    if data.answers == 0:
        raise LearningError("There are no answers to learn from", next_step="ask for some, or count fewer as skipped")
    inputs = Inputs.of(reference, squares=config.squares)
    batch = pack(data.segments, inputs.actions)
    features = torch.from_numpy(inputs.rows(batch)).view(*batch.mask.shape, -1)
    questions = 1 + max(int(part.question.max()) for part in data.evidence)
    held_out = config.members > 1 and questions > 1
    ensemble = Ensemble.create(config.members, inputs.features, config.hidden, generator(seed, "weights"))
    annotators = AnswerModel(lapse=config.lapse)
    # a model that learned from every question has nothing left to be measured by: begin anew
    if config.warm_start and warm_start is not None and (warm_start.held_out or not held_out):
        ensemble, annotators = _same_form(warm_start, ensemble), warm_start.annotators
    ensemble = ensemble.copy()
    trains = tuple(leave_out(part, config.members, held_out) for part in data.evidence)
    problem = _Problem(data.evidence, trains, held_out, features)
    annotators, history = _train(ensemble, problem, annotators, config=config, rng=generator(seed, "order"))
    found = problem.values(ensemble)
    if not all(np.isfinite(v.members).all() for v in found):
        raise LearningError("The reward model diverged", next_step="lower reward.learning_rate")
    offset, scale = normalisation(
        ensemble.evaluate(inputs.rows(reference))[:, reference.mask.reshape(-1)].astype(np.float64)
    )
    model = RewardModel(config, inputs, _frozen(ensemble), offset, scale, annotators, held_out)
    metrics = measures(found, annotators)
    groups = reliability(found, annotators)
    calibration = {} if groups is None else {name: getattr(groups, name) for name in ("confidence", "right", "count")}
    metrics["reward/spread"] = float(spread(model.per_step(reference))[reference.mask].mean())
    return Fit(model, metrics, history, calibration)


def _same_form(previous: RewardModel, fresh: Ensemble) -> Ensemble:
    """The previous ensemble, if its form is that of a fresh one. Raises LearningError otherwise."""
    here, there = ([tuple(p.shape) for p in e.parameters()] for e in (fresh, previous.ensemble))
    if here != there:
        raise LearningError(
            "A fit cannot go on from a model of another form",
            got=there,
            expected=here,
            next_step="keep reward.members, hidden and squares through a run, or set reward.warm_start = false",
        )
    return previous.ensemble


def _train(
    ensemble: Ensemble,
    problem: _Problem,
    annotators: AnswerModel,
    *,
    config: RewardConfig,
    rng: np.random.Generator,
) -> tuple[AnswerModel, dict[str, NDArray[np.generic]]]:
    """Change `ensemble` in place. Returns how annotators answer, and the course of the fit."""
    parameters = ensemble.parameters()
    optimiser = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    every = max(CHECK_EVERY, -(-problem.answers // config.batch))
    batches = _batches(problem.answers, config.batch, rng)
    course: list[tuple[int, float, float]] = []
    for step in range(config.steps + 1):
        if step % every == 0 or step == config.steps:
            found = problem.values(ensemble)
            annotators = estimate(found, annotators, lapse=config.fit_lapse)
            course.append((step, *losses(found, annotators)))
            stale = problem.held_out and len(course) > config.patience + np.argmin(
                [heldout for _, _, heldout in course]
            )
            if step == config.steps or stale or understood(found, annotators) >= config.stop_accuracy:
                break
        loss = _loss(ensemble, problem, next(batches), annotators, config=config, rng=rng)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    steps, train, heldout = zip(*course, strict=True)
    history = {"step": np.array(steps), "train": np.array(train), "heldout": np.array(heldout)}
    return annotators, history if problem.held_out else {name: history[name] for name in ("step", "train")}


def _loss(
    ensemble: Ensemble,
    problem: _Problem,
    chosen: NDArray[np.intp],
    annotators: AnswerModel,
    *,
    config: RewardConfig,
    rng: np.random.Generator,
) -> Tensor:
    """Sum over members of the mean negative log likelihood of chosen answers, plus the penalty on returns."""
    width = problem.features.shape[-1]
    likelihood, count = torch.zeros(ensemble.members), torch.zeros(ensemble.members)
    penalty = torch.zeros(())
    first = 0
    for part, trains in zip(problem.evidence, problem.trains, strict=True):
        rows = chosen[(chosen >= first) & (chosen < first + len(part.segments))] - first
        first += len(part.segments)
        if len(rows) == 0:
            continue
        look = part.look(rows, config.crop, rng)
        seen = problem.features[torch.from_numpy(part.segments[rows][..., None]), torch.from_numpy(look.positions)]
        rewards = ensemble.forward(seen.view(-1, width)).view(-1, *look.positions.shape)
        weights = torch.from_numpy(look.weights)
        log_prob = part.log_prob(part.values(rewards, weights, rows), rows, annotators, preference)
        learns = torch.from_numpy(trains[:, rows].astype(np.float32))
        likelihood = likelihood + (log_prob * learns).sum(-1)
        count = count + learns.sum(-1)
        penalty = penalty + ((rewards * weights).sum(-1) ** 2 / weights.sum(-1)).mean((1, 2)).sum() * (
            len(rows) / len(chosen)
        )
    return config.return_penalty * penalty - (likelihood / count.clamp(min=1)).sum()


def _batches(answers: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Endless batches that go through all answers in ever new orders."""
    waiting = np.arange(0)
    while True:
        while len(waiting) < min(size, answers):
            waiting = np.concatenate([waiting, rng.permutation(answers)])
        yield waiting[:size]
        waiting = waiting[size:]


def _frozen(ensemble: Ensemble) -> Ensemble:
    return Ensemble.from_arrays({name: array.copy() for name, array in ensemble.arrays().items()})
