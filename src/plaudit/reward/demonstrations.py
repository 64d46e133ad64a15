"""Reward from demonstrations by samples: maximum-entropy inverse reinforcement learning, as guided cost learning does it.

    find R that maximises   mean over demonstrations of (R - b(start))  -  log mean over trajectories of exp(R - b(start)) / q

R is a trajectory's sum of step rewards; the second term is the log-partition, estimated by importance weights from whatever
trajectories there are, with q the density by which they came about (Ziebart et al. 2008; Finn, Levine & Abbeel 2016,
https://arxiv.org/abs/1603.00448, equations 4 and 5). Demonstrations are among these trajectories (section 4.2), so the objective
is bounded. b(start), fitted as well, is each start's own log-partition: how well one can do from a start says nothing about
how often episodes begin there.

The textbook's  mean over demonstrations of R - mean over samples of R  is linear in R and has no maximum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plaudit.errors import LearningError
from plaudit.models.ensemble import Ensemble
from plaudit.models.kernels import Adam
from plaudit.records import StepBatch
from plaudit.reward.config import RewardConfig
from plaudit.reward.inputs import Inputs
from plaudit.reward.likelihood import AnswerModel
from plaudit.reward.model import RewardModel, normalisation
from plaudit.reward.trunks import Network, Shown, create, evaluate, from_arrays, look
from plaudit.run.seeds import generator

SAMPLES = 3
"""samples per demonstration in a gradient step"""
Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trajectories:
    """Whole episodes, and how likely they were."""

    batch: StepBatch
    """[episode, step]"""
    log_density: Float64
    """[episode] sum over steps of the log density of its actions, in the mixture of all who acted in any of them"""

    def __len__(self) -> int:
        return len(self.log_density)


@dataclass(frozen=True, slots=True)
class DemonstrationFit:
    """A fitted model, and what it takes to go on."""

    model: RewardModel
    """its `score` is in nats: two trajectories from one start are demonstrated in proportion to exp(score)"""
    starts: Ensemble
    """log-partition by what is seen first, up to a constant"""
    metrics: dict[str, float]
    """`demonstrations/...`"""


def objective(demonstrated: Tensor, sampled: Tensor) -> Tensor:
    """Mean log-likelihood of demonstrations, up to the constant of their own density.

    Args:
        demonstrated: [member, demonstration] R - b(start).
        sampled: [member, trajectory] R - b(start) - log q, of all trajectories that estimate the log-partition.

    Returns:
        [member].
    """
    return demonstrated.mean(1) - (torch.logsumexp(sampled, 1) - math.log(sampled.shape[1]))


def fit_demonstrations(
    demonstrated: Trajectories,
    sampled: Trajectories,
    *,
    config: RewardConfig,
    seed: int,
    go_on: DemonstrationFit | None = None,
) -> DemonstrationFit:
    """Fit an ensemble to demonstrations; every member leaves out its share of them, which tells how well it does.

    Of the settings, `members`, `hidden`, `trunk`, `squares`, `steps`, `learning_rate`, `weight_decay`, `return_penalty` and
    `batch` (demonstrations per gradient step) count.

    Args:
        demonstrated: the demonstrations.
        sampled: what others did: at first at random, then by the reward as it was.
        config: settings.
        seed: of everything random.
        go_on: an earlier fit to go on from, with its scaling of inputs.

    Raises:
        LearningError: there are no demonstrations or no samples, densities are not finite, the fit diverged, or the network
            reads pictures.
    """
    if config.trunk.sees:
        raise LearningError(
            "A reward that reads pictures cannot be learned from demonstrations yet",
            got=f"reward.trunk = {config.trunk.value}", next_step="set reward.trunk to mlp, linear, gru or transformer",
        )  # fmt: skip
    _require(demonstrated, sampled)
    fitter = _Fitter(demonstrated, sampled, config, seed)
    inputs = fitter.inputs if go_on is None else go_on.model.inputs
    shown = inputs.show(fitter.batch, config.trunk)
    network = create(config, shown, generator(seed, "weights")) if go_on is None else go_on.model.ensemble
    width = inputs.observations * (2 if inputs.squares else 1)
    starts = Ensemble.create(config.members, width, (), generator(seed, "starts")) if go_on is None else go_on.starts
    if go_on is None:
        starts.head.zero_()
    first = _beginnings(inputs, shown)
    network, starts = fitter.train(network, starts, shown, first)
    raw = evaluate(network, shown)[:, fitter.batch.mask].astype(np.float64)
    if not np.isfinite(raw).all():
        raise LearningError("The fit to demonstrations diverged", next_step="lower reward.learning_rate")
    arrays = from_arrays(config.trunk, network.arrays())
    model = RewardModel(
        config, inputs, arrays, *normalisation(raw), AnswerModel(lapse=config.lapse), fitter.held_out.any().item()
    )
    return DemonstrationFit(model, starts, fitter.metrics(model, starts, first))


class _Fitter:
    """Demonstrations first, then samples, as one batch; and gradient steps on some of them."""

    def __init__(self, demonstrated: Trajectories, sampled: Trajectories, config: RewardConfig, seed: int) -> None:
        self.batch = _joined(demonstrated.batch, sampled.batch)
        self.inputs = Inputs.of(self.batch, squares=config.squares)
        self._config, self._count = config, len(demonstrated)
        self._log_density = np.concatenate([demonstrated.log_density, sampled.log_density])
        self._rng = generator(seed, "order")
        leaves = config.members > 1 and len(demonstrated) > 1
        self.held_out = leaves & (np.arange(len(demonstrated)) % config.members == np.arange(config.members)[:, None])
        """[member, demonstration]"""

    def train(self, network: Network, starts: Ensemble, shown: Shown, first: Tensor) -> tuple[Network, Ensemble]:
        """Trained copies."""
        config = self._config
        network, values, gradients = network.trainable()
        starts, offsets, slopes = starts.trainable()
        adams = Adam(len(values), config.learning_rate), Adam(len(offsets), config.learning_rate)
        for _ in range(config.steps):
            gradients.fill(0.0)
            slopes.fill(0.0)
            self._loss(network, starts, shown, first).backward()
            values *= 1.0 - config.learning_rate * config.weight_decay
            adams[0].step(values, gradients)
            adams[1].step(offsets, slopes)
        return network, starts

    def _loss(self, network: Network, starts: Ensemble, shown: Shown, first: Tensor) -> Tensor:
        """Of some demonstrations and samples, drawn anew; the sum of the members' losses."""
        config, mask = self._config, self.batch.mask
        samples = np.arange(self._count, len(mask))
        shows = self._rng.permutation(self._count)[: config.batch]
        others = self._rng.permutation(samples)[: SAMPLES * config.batch]
        rows = np.concatenate([shows, others]).astype(np.intp)
        positions = np.tile(np.arange(mask.shape[1]), (len(rows), 1, 1))
        steps = look(network, shown, rows[:, None], positions)[:, :, 0] * torch.from_numpy(mask[rows])
        gains = steps.sum(2) - starts.forward(first[rows])
        # each trajectory stands for its share of all, since demonstrations are drawn more often
        share = np.where(rows < self._count, self._count / len(shows), len(samples) / len(others))
        weights = torch.from_numpy((np.log(share) - self._log_density[rows]).astype(np.float32))
        found = steps.new_zeros(())
        for member, out in enumerate(self.held_out[:, shows]):
            kept = torch.from_numpy(~np.concatenate([out, np.zeros(len(others), np.bool_)]))
            if kept[: len(shows)].any():
                gain = gains[member, kept][None]
                found = found - objective(gain[:, : -len(others)], gain + weights[kept]).sum()
        penalty = (steps**2).sum() / float(mask[rows].sum())
        return found + config.return_penalty * penalty

    def metrics(self, model: RewardModel, starts: Ensemble, first: Tensor) -> dict[str, float]:
        """Log-likelihoods, and how many samples the log-partition rests on."""
        scores = model.score(self.batch).members - starts.evaluate(first.numpy())
        logits = scores - self._log_density
        highest = logits.max(axis=1, keepdims=True)
        weights = np.exp(logits - highest)
        partition = np.log(weights.mean(axis=1)) + highest[:, 0]
        likely, out = scores[:, : self._count] - partition[:, None], self.held_out
        effective = weights.sum(axis=1) ** 2 / (weights**2).sum(axis=1)
        found = {
            "demonstrations/log_likelihood": float(likely[~out].mean()),
            "demonstrations/effective_samples": float(effective.mean()),
        }
        return found | ({"demonstrations/log_likelihood_heldout": float(likely[out].mean())} if out.any() else {})


def _beginnings(inputs: Inputs, shown: Shown) -> Tensor:
    """[episode, entry] what is seen first, as networks read it, without actions."""
    kept = np.arange(shown.features.shape[2]) % (inputs.observations + inputs.actions) < inputs.observations
    return shown.features[:, 0, torch.from_numpy(kept)].contiguous()


def _joined(first: StepBatch, second: StepBatch) -> StepBatch:
    longest = max(first.mask.shape[1], second.mask.shape[1])

    def both(one: NDArray[np.generic], other: NDArray[np.generic]) -> NDArray[np.generic]:
        padded = [np.pad(a, [(0, 0), (0, longest - a.shape[1]), *[(0, 0)] * (a.ndim - 2)]) for a in (one, other)]
        return np.concatenate(padded)

    return StepBatch(
        both(first.observations, second.observations).astype(np.float32),
        both(first.actions, second.actions).astype(np.float32),
        both(first.mask, second.mask).astype(np.bool_),
    )


def _require(demonstrated: Trajectories, sampled: Trajectories) -> None:
    densities = np.concatenate([demonstrated.log_density, sampled.log_density])
    if not len(demonstrated) or not len(sampled) or not np.isfinite(densities).all():
        raise LearningError(
            "A reward cannot be learned from these demonstrations",
            got=f"{len(demonstrated)} demonstrations, {len(sampled)} samples, "
            f"{np.count_nonzero(~np.isfinite(densities))} densities that are not finite",
            expected="at least one of each, with finite densities",
        )


__all__ = ["DemonstrationFit", "Trajectories", "fit_demonstrations", "objective"]
