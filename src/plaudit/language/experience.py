"""What is common to learners that sample completions and are paid for them: prompts' order, passes, parts, checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Rollout
from plaudit.errors import ConfigError, LearningError, RunError
from plaudit.language.update import Kept, parts
from plaudit.ops.policy import Correction, sampler_weights
from plaudit.ops.tokens import Average, Totals, average, totals
from plaudit.records import canonical_json
from plaudit.run.seeds import generator

Prompts = Sequence[Sequence[int]]
"""token ids of prompts"""
Score = Callable[[Rollout], Tensor]
"""[N] how good the completions of a rollout are; NaN where nobody can say"""
STAGE = "stage.json"


@dataclass(frozen=True, slots=True, eq=False)
class Experience:
    """A rollout and what to learn from it. Tensors lie on the CPU; those of tokens are [T], those of completions [N]."""

    rollout: Rollout
    scores: Tensor
    """[N] as they were given"""
    rewards: Tensor
    """[N] what was learned from: scores after scale, limits and penalties; NaN where there was no score"""
    advantages: Tensor
    """[T]"""
    weights: Tensor
    """[T] 1 for tokens that are learned from, 0 for those of completions without a score (or cut off, where these are masked)"""
    old: Tensor | None
    """[T] log-probabilities under the policy before its first step; None: exactly one step, so the policy's own"""
    reference: Tensor | None
    """[T] log-probabilities under the reference; None without one"""
    metrics: Mapping[str, float]
    """of the rollout"""
    correction: Tensor | None = None
    """[T] importance weights of the policy against the sampler"""
    values: Tensor | None = None
    """[T] of the critic before each token was written"""
    returns: Tensor | None = None
    """[T] what the critic learns"""


class Watch(Protocol):
    """Looks at a policy after each rollout and may end the training: `TextGuard`."""

    @property
    def ended(self) -> bool:
        """Whether the training is over."""
        ...

    def after(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """A rollout was learned from. Returns its metrics, with what was found added."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything into a folder that exists."""
        ...

    def load(self, folder: Path) -> None:
        """Inverse of `save`."""
        ...


@dataclass(frozen=True, slots=True)
class Watched:
    """A learner with the one who watches it, in one checkpoint."""

    learner: Kept
    watch: Watch | None

    @property
    def ended(self) -> bool:
        """Whether the watch ended the training."""
        return self.watch is not None and self.watch.ended

    def after(self, metrics: Mapping[str, float]) -> Mapping[str, float]:
        """Of a rollout that was learned from."""
        return metrics if self.watch is None else self.watch.after(metrics)

    def save(self, folder: Path) -> None:
        """Both."""
        self.learner.save(folder)
        if self.watch is not None:
            self.watch.save(folder)

    def load(self, folder: Path) -> None:
        """Inverse of `save`."""
        self.learner.load(folder)
        if self.watch is not None:
            self.watch.load(folder)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A micro-batch of an experience, and what the loss of its optimiser step is divided by."""

    batch: Batch
    tokens: Tensor
    """[T'] which tokens of the experience it holds"""
    whole: Totals

    def of(self, values: Tensor, like: Tensor) -> Tensor:
        """[T'] of these [T], on the device and in the dtype of `like`."""
        return values[self.tokens].to(like)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What is told of a rollout that was learned from."""

    number: int
    """of the rollout, from 1"""
    prompts: tuple[int, ...]
    """which prompt each group answers, as a place in the prompts given to `train`"""
    experience: Experience
    metrics: Mapping[str, float]


def order(seed: int, count: int, *, start: int, size: int) -> list[int]:
    """`size` places of prompts from the `start`-th on, in permutations one after the other: each prompt comes once in each.

    A function of its arguments, so that a training that is resumed asks on where it stopped.
    """
    found: list[int] = []
    while len(found) < size:
        epoch, at = divmod(start + len(found), count)
        turns = generator(seed, epoch, "prompts").permutation(count)[at : at + size - len(found)]
        found += [int(place) for place in turns]
    return found


def pieces(
    experience: Experience, count: int, seed: int, *, names: tuple[int, int], max_tokens: int
) -> list[list[Piece]]:
    """The optimiser steps of an epoch, each in micro-batches; steps without a token to learn from are left out.

    Args:
        experience: whose groups stay whole.
        count: of steps.
        seed: from which groups are dealt out to several steps.
        names: of this rollout and epoch.
        max_tokens: of a micro-batch.
    """
    batch = experience.rollout.batch
    groups = torch.arange(len(batch.prompts))
    if count > 1:
        groups = torch.from_numpy(generator(seed, *names, "minibatches").permutation(len(groups)))
    found: list[list[Piece]] = []
    for some in groups.tensor_split(count):
        rows = torch.isin(batch.group, some).nonzero().flatten().tolist()
        if not rows:
            continue
        step, where = batch.take(rows), batch.where(rows)
        whole = totals(step.row, len(step), weights=experience.weights[where])
        if whole.tokens:
            found.append([Piece(part.batch, where[part.tokens], whole) for part in parts(step, max_tokens)])
    return found


def scored(model: LanguageModel, batch: Batch, *, temperature: float, max_tokens: int) -> Tensor:
    """[T] log-probabilities without gradients, on the CPU."""
    with torch.no_grad():
        found = [model.logprobs(part.batch, temperature=temperature).logprobs for part in parts(batch, max_tokens)]
    return torch.cat(found).cpu()


def checked(scores: Tensor, batch: Batch) -> Tensor:
    """Scores on the CPU in double precision. Raises LearningError where they do not fit the rollout or are infinite."""
    found = scores.detach().double().cpu()
    if found.shape != (len(batch),) or found.isinf().any():
        raise LearningError(
            "The scores do not fit the completions",
            got=f"shape {tuple(found.shape)}, {int(found.isinf().sum())} infinite",
            expected=f"{len(batch)} numbers, NaN where a completion could not be scored",
        )
    return found


def together(rollouts: Sequence[Rollout]) -> Rollout:
    """Several rollouts one after the other."""
    prompts = tuple(prompt for one in rollouts for prompt in one.batch.prompts)
    completions = tuple(group for one in rollouts for group in one.batch.completions)
    logprobs, finished = torch.cat([one.logprobs for one in rollouts]), torch.cat([one.finished for one in rollouts])
    return Rollout(Batch(prompts, completions), logprobs, finished)


def chosen(rollout: Rollout, rows: Sequence[int]) -> Rollout:
    """Some completions of a rollout, in increasing order."""
    batch = rollout.batch
    return Rollout(batch.take(rows), rollout.logprobs[batch.where(rows)], rollout.finished[list(rows)])


def reference_of(model: LanguageModel, reference: LanguageModel | None, *, needed: bool) -> LanguageModel | None:
    """What a policy is held close to: what is given, else the model without its adapter if one is needed.

    Raises ConfigError where that is the policy itself.
    """
    if reference is None and not needed:
        return None
    if reference is None and model.adapter is not None:
        return model.view(None)
    if reference is None or (reference.module is model.module and reference.adapter == model.adapter):
        raise ConfigError(
            "The reference is the policy itself, which it would follow wherever that goes",
            got="no adapter" if model.adapter is None else f"adapter {model.adapter}",
            expected="other weights",
            next_step="train an adapter, or load the model a second time and give that as `reference`",
        )
    return reference


def about_completions(rollout: Rollout) -> dict[str, float]:
    """Lengths and ends of completions, named as TRL does."""
    lengths, finished = rollout.batch.lengths.double(), rollout.finished.cpu()
    ended = lengths[finished] if finished.any() else torch.zeros(1)
    metrics = {"num_tokens": float(lengths.sum()), "completions/clipped_ratio": float((~finished).double().mean())}
    for name, some in (("length", lengths), ("terminated_length", ended)):
        found = {"mean": some.mean(), "min": some.min(), "max": some.max()}
        metrics |= {f"completions/{kind}_{name}": float(value) for kind, value in found.items()}
    return metrics


def corrected(old: Tensor, rollout: Rollout, correction: Correction | None) -> Tensor | None:
    """[T] importance weights of the policy before its first step against the sampler, where they are asked for."""
    if correction is None:
        return None
    batch = rollout.batch
    return sampler_weights(old, rollout.logprobs.to(old), batch.row, count=len(batch), correction=correction)


def about_sampler(old: Tensor, rollout: Rollout, correction: Tensor | None) -> dict[str, float]:
    """How far the sampler's log-probabilities are from the policy's before its first step, and what is made of it; as TRL names it."""
    apart = (old - rollout.logprobs.to(old)).abs().nan_to_num(0.0)
    weights = (
        {} if correction is None else {"min": correction.min(), "mean": correction.mean(), "max": correction.max()}
    )
    return {
        "sampling/sampling_logp_difference/mean": float(apart.mean()),
        "sampling/sampling_logp_difference/max": float(apart.max()),
        **{f"sampling/importance_sampling_ratio/{name}": float(value) for name, value in weights.items()},
    }


def per_completion(k1: Tensor, row: Tensor, whole: Totals, weights: Tensor) -> Tensor:
    """KL(policy || reference) in nats per completion, from k1 of tokens: what `kl_target` is about."""
    return average(k1, row, how=Average.SUMS, whole=whole, weights=weights)


class Sums:
    """Adds up what micro-batches contribute to metrics; several optimiser steps are averaged."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, shares: Mapping[str, Tensor]) -> None:
        """Scalars of one micro-batch, each divided by what the whole step averages over."""
        for name, share in shares.items():
            self._sums[name] = self._sums.get(name, torch.zeros((), device=share.device)) + share.detach()

    def means(self, steps: int) -> dict[str, float]:
        """Means over so many optimiser steps."""
        return {name: float(total) / steps for name, total in self._sums.items()}


def mean_of(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means of what several optimiser steps returned."""
    return {name: sum(one[name] for one in found) / len(found) for name in (found[0] if found else ())}


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write a stage's place and numbers."""
    (folder / STAGE).write_bytes(canonical_json({"format": 1, **facts}) + b"\n")


def read_facts(folder: Path) -> dict[str, Any]:
    """Inverse of `write_facts`. Raises RunError when they cannot be read."""
    try:
        facts = json.loads((folder / STAGE).read_bytes())
    except (OSError, ValueError) as error:
        raise RunError("A checkpoint of a stage cannot be read", got=f"{folder}: {error}") from error
    if facts.get("format") != 1:
        raise RunError("A checkpoint of a stage has another format", got=facts.get("format"), expected=1)
    return facts
