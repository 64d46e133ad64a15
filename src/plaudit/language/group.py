"""Policy gradients on groups of completions of the same prompt: GRPO, Dr. GRPO, DAPO, RLOO, REINFORCE++, GSPO, CISPO.

They differ in settings: what a score is compared with, what the probability ratio is one of, where it stops to pay, what the
loss is averaged over, and where the distance to the reference is paid. `preset` has each as it was published.

train(model, prompts, score, preset("grpo"), seed=0, folder=Path("runs/grpo"))

Step by step, where `score` is any function from a rollout to [N] numbers, NaN where it cannot say:

group = Group(model, preset("grpo"), seed=0)
rollout = group.generate(prompts)
experience = group.experience(rollout, score(rollout))
metrics = group.step(experience)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import assert_never

import torch
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Rollout, Sampler, Sampling
from plaudit.errors import ConfigError
from plaudit.language.experience import (
    Experience,
    Piece,
    Prompts,
    Score,
    Sums,
    Told,
    Watch,
    Watched,
    about_completions,
    about_sampler,
    checked,
    chosen,
    corrected,
    mean_of,
    order,
    per_completion,
    pieces,
    read_facts,
    reference_of,
    scored,
    together,
    write_facts,
)
from plaudit.language.group_config import Baseline, GroupConfig, Paid
from plaudit.language.group_loss import group_loss
from plaudit.language.mixture import Mixture, mixed
from plaudit.language.process import Process, earned_by
from plaudit.language.update import Update, keep, named, resume
from plaudit.ops.advantages import from_group_means, from_steps, groups_of, leave_one_out, reinforce_plus_plus
from plaudit.ops.kl import Controller, Estimator, estimate
from plaudit.ops.scores import clipped, in_steps, informative, overlong, token_rewards, without_end
from plaudit.ops.tokens import segment_sum, totals
from plaudit.run.seeds import derive

Asked = tuple[tuple[int, ...], Rollout, Tensor]
"""which prompt each group answers, the completions, and their scores [N]"""


class Group:
    """A policy under training. Everything random is drawn from the seed and the number of the rollout.

    Args:
        model: the policy; its view's parameters are trained.
        config: settings.
        seed: of completions, of the order of prompts and of minibatches.
        reference: what the policy is held close to. By default the model without its adapter where `kl` has a price, and
            none otherwise; one that is given is measured against even where that costs nothing. An adapter that was trained
            before is part of what the policy begins with: give a view of a frozen copy of it.
        sampler: what completes prompts, if not the model itself; its log-probabilities may differ from the model's, see
            `GroupConfig.correction`.
        mixture: examples that are imitated in every step, beside what the reward teaches.
        process: what of scores is earned on the way (`plaudit.language.process`), for the baselines `group` and `whitened`.

    Attributes:
        rollouts: learned from so far.
        asked: prompts that `collect` asked so far.
        controller: the price of a nat.
        update: the optimiser.

    Raises ConfigError if `kl` has a price and the policy no adapter: it would be compared with itself; or for a process with
    another baseline.
    """

    def __init__(
        self,
        model: LanguageModel,
        config: GroupConfig,
        seed: int,
        *,
        reference: LanguageModel | None = None,
        sampler: Sampler | None = None,
        mixture: Mixture | None = None,
        process: Process | None = None,
    ) -> None:
        if process is not None and config.baseline not in (Baseline.GROUP, Baseline.WHITENED):
            raise ConfigError(
                "Steps have nothing to be compared with",
                got=f"baseline {config.baseline.value}",
                expected="group or whitened",
            )
        self.process = process
        self.model, self.config, self.seed, self.mixture = model, config, seed, mixture
        self.reference = reference_of(model, reference, needed=config.kl > 0)
        self.sampler = model if sampler is None else sampler
        self.rollouts, self.asked = 0, 0
        self.controller = Controller(config.kl, config.kl_target or math.inf, config.kl_horizon)
        steps = config.steps * config.epochs * config.minibatches
        self.update = Update(
            model.parameters(), config.update, steps=steps, training=named(config, seed, *mixed(mixture))
        )

    def collect(self, prompts: Prompts, score: Score) -> Asked:
        """Ask the next prompts, and more in place of those whose scores are all the same, as often as `redraws` says.

        What is missing then is not made up for. If no prompt tells anything, the last ones are returned as they are.
        """
        kept: list[Asked] = []
        missing, attempt = self.config.prompts, 0
        while True:
            places = tuple(order(self.seed, len(prompts), start=self.asked, size=missing))
            self.asked += missing
            rollout = self.generate([prompts[place] for place in places], attempt=attempt)
            scores = checked(score(rollout), rollout.batch)
            if not self.config.redraws:
                return places, rollout, scores
            kept += _telling(places, rollout, scores)
            missing, attempt = self.config.prompts - sum(len(one[0]) for one in kept), attempt + 1
            if not missing or attempt > self.config.redraws:
                break
        if not kept:
            return places, rollout, scores
        everywhere = tuple(place for one in kept for place in one[0])
        return everywhere, together([one[1] for one in kept]), torch.cat([one[2] for one in kept])

    def generate(self, prompts: Prompts, *, attempt: int = 0) -> Rollout:
        """A group of completions for each prompt, drawn from (seed, number of the rollout, attempt) and the prompt."""
        sampling = Sampling(max_tokens=self.config.max_tokens, temperature=self.config.temperature)
        seed = derive(self.seed, self.rollouts, "rollout", attempt)
        return self.sampler.generate(prompts, samples=self.config.samples, sampling=sampling, seed=seed)

    def experience(self, rollout: Rollout, scores: Tensor) -> Experience:
        """What a rollout teaches; nothing is changed by asking.

        Log-probabilities before the first step come from the forward pass that is trained (or from the sampler, where it is
        trusted). Where there is exactly one step, ratios take the step's own. The sampler's stay in the rollout.

        Raises LearningError for scores that do not fit.
        """
        config, batch = self.config, rollout.batch
        scores = checked(scores, batch)
        paid = self.reference is not None and config.kl_paid is Paid.REWARD
        needed = paid or config.correction is not None or not config.single
        old = self._before(rollout) if needed else None
        reference = None if self.reference is None else self._logprobs(self.reference, batch)
        rewards = self._rewards(scores, rollout)
        counted = ~rewards.isnan() & (rollout.finished.cpu() | (not config.mask_truncated))
        weights = counted.double()[batch.row]
        metrics = about_completions(rollout) | _about_scores(scores, rewards, batch.group)
        distance = torch.zeros(len(batch.row), dtype=torch.float64)
        if old is not None and reference is not None:
            distance = estimate(old, reference, Estimator.K1).double()
            whole = totals(batch.row, len(batch), weights=weights)
            metrics["objective/kl"] = float(per_completion(distance, batch.row, whole, weights))
        correction: Tensor | None = None
        if old is not None:
            correction = corrected(old, rollout, config.correction)
            metrics |= about_sampler(old, rollout, correction)
        price = self.controller.coefficient if paid else 0.0
        earned = None if self.process is None else earned_by(self.process, rollout)
        if earned is not None:
            metrics["rewards/steps"] = float((~earned.isnan()).double().sum() / len(batch))
        advantages = self._advantages(rewards, earned, price * distance, batch, weights)
        old = None if config.single else old
        return Experience(rollout, scores, rewards, advantages, weights, old, reference, metrics, correction)

    def _before(self, rollout: Rollout) -> Tensor:
        return rollout.logprobs.cpu() if self.config.trust_sampler else self._logprobs(self.model, rollout.batch)

    def _logprobs(self, model: LanguageModel, batch: Batch) -> Tensor:
        return scored(
            model, batch, temperature=self.config.temperature, max_tokens=self.config.update.tokens(self.model.device)
        )

    def _rewards(self, scores: Tensor, rollout: Rollout) -> Tensor:
        config = self.config
        if config.score_limit is not None:
            scores = clipped(scores, config.score_limit)
        if config.overlong:
            buffer = max(1, round(config.overlong * config.max_tokens))
            scores = scores + overlong(rollout.batch.lengths.double(), longest=config.max_tokens, buffer=buffer)
        return without_end(scores, rollout.finished.cpu(), penalty=config.missing_end)

    def _advantages(
        self, rewards: Tensor, earned: Tensor | None, costs: Tensor, batch: Batch, weights: Tensor
    ) -> Tensor:  # fmt: skip
        """[T] from what completions are paid [N], of that what was earned on the way [T], less what their tokens cost [T]."""
        row, scale = batch.row, self.config.scale
        match self.config.baseline:
            case Baseline.GROUP:
                whole = rewards - segment_sum(costs, row, len(batch))
                if earned is not None:
                    return from_steps(in_steps(whole, earned, batch.lengths), batch.lengths, batch.group, scale=scale)
                return from_group_means(whole, batch.group, scale=scale)[row]
            case Baseline.OTHERS:
                whole = rewards - segment_sum(costs, row, len(batch))
                return leave_one_out(whole, batch.group)[row]
            case Baseline.WHITENED:
                tokens = token_rewards(rewards, costs, batch.lengths, beta=1.0, earned=earned)
                return reinforce_plus_plus(tokens, batch.lengths, weights=weights)
            case Baseline.GROUP_WHITENED:
                tokens = token_rewards(rewards, costs, batch.lengths, beta=1.0)
                means = groups_of(rewards, batch.group).mean[batch.group]
                return reinforce_plus_plus(tokens, batch.lengths, baseline=means, weights=weights)
            case _:
                assert_never(self.config.baseline)

    def step(self, experience: Experience) -> dict[str, float]:
        """Learn from a rollout: `epochs` times `minibatches` optimiser steps. Returns their mean metrics, and the rollout's.

        A step whose loss or gradient is not finite changes nothing (`skipped_steps`). Raises LearningError after many in a row.
        """
        config, sums = self.config, Sums()
        moved: list[dict[str, float]] = []
        for epoch in range(config.epochs):
            for step in pieces(
                experience,
                config.minibatches,
                self.seed,
                names=(self.rollouts, epoch),
                max_tokens=config.update.tokens(self.model.device),
            ):
                shares = self._shares(experience, step, sums)
                if self.mixture is not None:
                    shares = chain(shares, self.mixture.shares(self.model, self.update, sums))
                moved.append(self.update.step(shares))
        metrics = {"kl_coef": self.controller.coefficient, **experience.metrics, **mean_of(moved)}
        metrics |= sums.means(max(1, len(moved)))
        if config.kl_target is not None:
            kl = metrics.get("objective/kl", math.nan)
            self.controller = self.controller.after(kl, len(experience.scores))
        self.rollouts += 1
        return metrics

    def _shares(self, experience: Experience, step: Sequence[Piece], sums: Sums) -> Iterator[Tensor]:
        for piece in step:
            loss, metrics = group_loss(self.model, self.config, self.controller.coefficient, experience, piece)
            sums.add(metrics)
            yield loss

    def save(self, folder: Path) -> None:
        """Write weights, moments, place and price into a folder that exists; `load` goes on from them with equal bits."""
        self.update.save(folder)
        price = self.controller.coefficient
        write_facts(folder, {"rollouts": self.rollouts, "asked": self.asked, "kl": price.hex()})

    def load(self, folder: Path) -> None:
        """Inverse of `save`. Raises RunError where it does not fit."""
        facts = read_facts(folder)
        self.update.load(folder)
        self.rollouts, self.asked = facts["rollouts"], facts["asked"]
        self.controller = Controller(float.fromhex(facts["kl"]), self.controller.target, self.controller.horizon)


def train(
    group: Group,
    prompts: Prompts,
    score: Score,
    *,
    folder: Path | None = None,
    each: Callable[[Told], None] = lambda told: None,
    guard: Watch | None = None,
) -> None:
    """Learn from rollouts until there were `config.steps`; with a folder, from its newest checkpoint on with equal bits.

    Args:
        group: the policy under training.
        prompts: asked in an order of their own, each once before any comes again.
        score: what the completions of a rollout are worth.
        folder: for checkpoints.
        each: is told of every rollout, its completions, scores, advantages and metrics.
        guard: looks at the policy after each rollout, and may end the training (`plaudit.language.guard`).
    """
    config = group.config
    watched = Watched(group, guard)
    if folder is not None:
        resume(watched, folder)
    while group.rollouts < config.steps and not watched.ended:
        places, rollout, scores = group.collect(prompts, score)
        experience = group.experience(rollout, scores)
        metrics = watched.after(group.step(experience))
        each(Told(group.rollouts, places, experience, metrics))
        last = group.rollouts == config.steps or watched.ended
        if folder is not None and (group.rollouts % config.checkpoint_every == 0 or last):
            keep(watched, folder)


def _telling(places: Sequence[int], rollout: Rollout, scores: Tensor) -> list[Asked]:
    """The groups whose scores differ; nothing where there is none."""
    telling, group = informative(scores, rollout.batch.group).tolist(), rollout.batch.group.tolist()
    rows = [row for row, prompt in enumerate(group) if telling[prompt]]
    if not rows:
        return []
    return [
        (tuple(one for one, tells in zip(places, telling, strict=True) if tells), chosen(rollout, rows), scores[rows])
    ]


def _about_scores(scores: Tensor, rewards: Tensor, group: Tensor) -> dict[str, float]:
    """Scores and rewards, named as TRL does."""
    known = scores[~scores.isnan()]
    return {
        "reward": float(rewards.nanmean()),
        "reward_std": float(groups_of(rewards, group).deviation.mean()),
        "frac_reward_zero_std": float((~informative(rewards, group)).double().mean()),
        "rewards/score/mean": float(scores.nanmean()),
        "rewards/score/std": float(known.std(correction=0)) if len(known) else math.nan,
        "rewards/unscored": float(scores.isnan().double().mean()),
    }
