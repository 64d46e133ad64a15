"""Rewards as people of some kind would judge: everybody's reward plus a shrunk low-rank part.

    r(x, annotator) = r(x) + sum over the annotator's trait values v of (loading_v directions) . h(x)

h are the features that networks are shown. Every value has `rank` loadings, on directions that all values share (low-rank
interactions, as in Rendle 2010, equation 1). Loadings and directions have standard normal priors, and are the penalised
maximum likelihood of all answers, whatever their kinds, given the reward of all. Loadings are centred over answers within
each trait: what all share belongs to everybody's reward. So where nobody says who they are, or all are alike, nothing is
left but everybody's reward.

The ensemble and the tastes are fitted in turn: tastes at every look at all answers, networks in the gradient steps
between, with tastes as they are (block coordinate ascent on one penalised likelihood).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from plaudit.errors import LearningError
from plaudit.ops import preference
from plaudit.reward.config import RewardConfig
from plaudit.reward.evidence import AnswerModel, Evidence
from plaudit.reward.heldout import Values, values_of

FloatArray = NDArray[np.float64]
Traits = Mapping[str, Mapping[str, str]]
"""annotator -> trait -> value"""
SWEEPS = 30
"""most iterations of a search for tastes; the next look goes on from there"""
STIR = 0.1
"""deviation of the directions that a search begins with: at zero it would see no slope"""


@dataclass(frozen=True, slots=True, eq=False)
class Tastes:
    """In what people of one kind differ from everybody."""

    values: tuple[tuple[str, str], ...]
    """trait and value, as far as people who answered have them"""
    loadings: FloatArray
    """[member, value, rank]"""
    directions: FloatArray
    """[member, rank, feature] of the reward of a step, in log-odds units"""

    def arrays(self) -> dict[str, FloatArray]:
        """The numbers by name."""
        return {"taste/loadings": self.loadings, "taste/directions": self.directions}

    @classmethod
    def from_arrays(cls, values: Sequence[Sequence[str]], arrays: Mapping[str, FloatArray]) -> Tastes:
        """Inverse of `values` and `arrays`. Raises KeyError or ValueError when they are not such."""
        pairs = tuple((name, value) for name, value in values)
        return cls(pairs, arrays["taste/loadings"], arrays["taste/directions"])

    def weights(self, traits: Mapping[str, str]) -> FloatArray:
        """[member, feature] what is added for people with these traits; 0 for values that nobody has."""
        known = [number for number, (name, value) in enumerate(self.values) if traits.get(name) == value]
        return (self.loadings[:, known].sum(axis=1)[:, None] @ self.directions)[:, 0]

    def added(self, features: Tensor, traits: Mapping[str, str]) -> FloatArray:
        """[item, step, feature] to [member, item, step] rewards to add."""
        return np.moveaxis(features.numpy().astype(np.float64) @ self.weights(traits).T, -1, 0)


def require_known(asked: Mapping[str, str], names: Sequence[str]) -> None:
    """Raises LearningError for a trait, or its misspelt name, that a reward was never meant to depend on."""
    if unknown := sorted(set(asked) - set(names)):
        raise LearningError(
            "The reward depends on no such trait",
            got=unknown,
            expected=f"some of {list(names)}",
            next_step="name the trait in reward.condition_on, and fit again",
        )


@dataclass(frozen=True, slots=True)
class Judges:
    """Who judged what: all that a search for tastes needs beside the values of the ensemble."""

    values: tuple[tuple[str, str], ...]
    """as in `Tastes`"""
    has: tuple[FloatArray, ...]
    """for each kind of answers, [answer, value] 1 where who answered has it"""
    features: tuple[FloatArray, ...]
    """for each kind of answers, [feature, answer, judgement] values of the features; 1 is typical"""
    unit: float
    """what `features` were divided by"""
    draws: FloatArray
    """[member, rank, feature] standard normal numbers"""

    @property
    def centre(self) -> FloatArray:
        """[value, value] takes from every trait's loadings their mean over answers."""
        counts = np.sum([part.sum(axis=0) for part in self.has], axis=0)
        same = np.array([[one == other for other, _ in self.values] for one, _ in self.values], dtype=np.float64)
        return np.eye(len(counts)) - same * counts / (same @ counts)[:, None]

    def shifts(self, tastes: Tastes) -> list[FloatArray]:
        """For each kind of answers, [member, answer, judgement] what taste adds to values."""
        found: list[FloatArray] = []
        for has, features in zip(self.has, self.features, strict=True):
            along = np.einsum("mrf,faj->mraj", tastes.directions * self.unit, features)
            found.append(np.einsum("mar,mraj->maj", has @ tastes.loadings, along))
        return found


def judges(
    evidence: Sequence[Evidence], features: Tensor, traits: Traits, *, config: RewardConfig, rng: np.random.Generator
) -> Judges | None:
    """Who judged what; None where no annotator has any of the traits.

    Args:
        evidence: answers.
        features: [segment, step, feature] of the segments that answers are about.
        traits: of annotators.
        config: `condition_on` and `condition_rank` count.
        rng: for the directions that searches begin with.
    """
    named = [_named(part, traits, config.condition_on) for part in evidence]
    present = sorted({pair for rows in named for pairs in rows for pair in pairs})
    values = tuple(sorted(present, key=lambda pair: config.condition_on.index(pair[0])))
    if not values:
        return None
    has = tuple(np.array([[float(one in pairs) for one in values] for pairs in rows]) for rows in named)
    raw = [_judged(part, features) for part in evidence]
    count = sum(part[0].size for part in raw)
    unit = float(np.sqrt(sum(float((part**2).sum()) for part in raw) / max(count, 1))) or 1.0
    draws = rng.normal(size=(config.members, config.condition_rank, features.shape[-1]))
    return Judges(values, has, tuple(part / unit for part in raw), unit, draws)


def _named(part: Evidence, traits: Traits, which: Sequence[str]) -> list[set[tuple[str, str]]]:
    """[answer] trait and value of who answered."""
    if part.asked is None:
        return [set()] * len(part.segments)
    each = [{(name, of[name]) for name in which if name in of} for of in (traits.get(n, {}) for n in part.asked.names)]
    return [each[who] for who in part.asked.who.tolist()]


def _judged(part: Evidence, features: Tensor) -> FloatArray:
    """[feature, answer, judgement] values that an answer would be about if each feature were the reward."""
    rows = np.arange(len(part.segments))
    seen = part.look(rows, crop=0, rng=None)
    steps = features[torch.from_numpy(part.segments[..., None]), torch.from_numpy(seen.positions)]
    return part.values(steps.movedim(-1, 0), torch.from_numpy(seen.weights), rows).numpy().astype(np.float64)


def shifted(found: Sequence[Values], shifts: Sequence[FloatArray]) -> list[Values]:
    """Values as those who answered judge them."""
    return [values_of(v.evidence, v.members + more, v.trains) for v, more in zip(found, shifts, strict=True)]


def fit_tastes(
    known: Judges, found: Sequence[Values], annotators: AnswerModel, *, config: RewardConfig, start: Tastes | None
) -> Tastes:
    """The tastes at which answers are likeliest, each member's by the answers that it learns from.

    Minimises minus the log likelihood plus (|loadings|^2 + |directions|^2) / 2, where a taste is their product over
    `condition_shrinkage`. At the minimum this is `condition_shrinkage` times the nuclear norm of the matrix of tastes, of
    rank `condition_rank` or less, up to the centring (Srebro, Rennie & Jaakkola 2004, lemma 1).

    Args:
        known: who judged what.
        found: values by everybody's reward.
        annotators: how values become answers.
        config: settings.
        start: where to go on from.
    """
    loadings, directions = np.zeros((config.members, len(known.values), config.condition_rank)), STIR * known.draws
    if start is not None:
        loadings, directions = (
            start.loadings.copy(),
            directions + start.directions * known.unit * config.condition_shrinkage,
        )
    for member in range(config.members):
        loadings[member], directions[member] = _search(
            _Search(known, found, annotators, member, config.condition_shrinkage), loadings[member], directions[member]
        )
    return Tastes(known.values, loadings, directions / (known.unit * config.condition_shrinkage))


@dataclass(frozen=True, slots=True)
class _Search:
    """One member's search."""

    known: Judges
    found: Sequence[Values]
    annotators: AnswerModel
    member: int
    shrinkage: float

    def loss(self, raw: Tensor, directions: Tensor) -> Tensor:
        """What is minimised, for [value, rank] loadings before they are centred and [rank, feature] directions."""
        loadings = torch.from_numpy(self.known.centre) @ raw
        total = ((raw**2).sum() + (directions**2).sum()) / 2
        for v, has, features in zip(self.found, self.known.has, self.known.features, strict=True):
            rows = np.flatnonzero(v.trains[self.member])
            along = torch.einsum("rf,faj->raj", directions, torch.from_numpy(features[:, rows])) / self.shrinkage
            more = torch.einsum("ar,raj->aj", torch.from_numpy(has[rows]) @ loadings, along)
            values = torch.from_numpy(v.members[self.member, rows]) + more
            total = total - v.evidence.log_prob(values, rows, self.annotators, preference).sum()
        return total


def _search(search: _Search, loadings: FloatArray, directions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Centred loadings, and directions."""
    split, centre = loadings.size, search.known.centre

    def of(flat: FloatArray) -> tuple[float, FloatArray]:
        both = torch.from_numpy(flat).requires_grad_()
        total = search.loss(both[:split].view(loadings.shape), both[split:].view(directions.shape))
        (slope,) = torch.autograd.grad(total, both)
        return float(total.detach()), slope.numpy()

    flat = np.concatenate([loadings.ravel(), directions.ravel()])
    best = np.asarray(minimize(of, flat, jac=True, method="L-BFGS-B", options={"maxiter": SWEEPS}).x)
    return centre @ best[:split].reshape(loadings.shape), best[split:].reshape(directions.shape)
