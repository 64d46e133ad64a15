"""PPO from a reward: policy, reward, critic and reference, as language models have been aligned since 2019.

Ziegler et al. 2019, https://arxiv.org/abs/1909.08593; Stiennon et al. 2020, https://arxiv.org/abs/2009.01325; Ouyang et al.
2022, https://arxiv.org/abs/2203.02155. Details: Huang et al. 2024, https://arxiv.org/abs/2403.17031.

ppo = PPO(model, Critic.from_reward(reward, model.view("critic")), PPOConfig(), seed=0)
train(ppo, prompts, paid_by(reward), folder=Path("runs/ppo"))

Step by step, where the reward is any function from a rollout to [N] numbers, NaN where it cannot say:

rollout = ppo.generate(prompts)
experience = ppo.experience(rollout, score(rollout))
metrics = ppo.step(experience)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Rollout, Sampler, Sampling
from plaudit.errors import ConfigError
from plaudit.language.critic import Critic
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
    corrected,
    mean_of,
    order,
    per_completion,
    pieces,
    read_facts,
    reference_of,
    scored,
    write_facts,
)
from plaudit.language.mixture import Mixture, mixed
from plaudit.language.ppo_config import PPOConfig
from plaudit.language.ppo_loss import critic_loss, policy_loss
from plaudit.language.process import Process, earned_by
from plaudit.language.update import Update, keep, named, parts, resume
from plaudit.ops.advantages import gae, whiten
from plaudit.ops.kl import Controller, Estimator, estimate
from plaudit.ops.policy import explained_variance
from plaudit.ops.scores import RunningScale, clipped, token_rewards, without_end
from plaudit.ops.tokens import totals
from plaudit.run.seeds import derive


class PPO:
    """Policy and critic under training. Everything random is drawn from the seed and the number of the rollout.

    Args:
        model: the policy; its view's parameters are trained.
        critic: its model must share no trained parameter with the policy.
        config: settings.
        seed: of completions, of the order of prompts and of minibatches.
        reference: what the policy is held close to; by default the model without its adapter. An adapter that was trained
            before is part of what the policy begins with: give a view of a frozen copy of it.
        sampler: what completes prompts, if not the model itself.
        mixture: examples that the policy imitates in every step, beside what the reward teaches.
        process: what of scores is earned on the way (`plaudit.language.process`).

    Attributes:
        rollouts: learned from so far.
        controller: the price of a nat.
        scale: deviation of scores so far.
        update: the policy's optimiser.
        critic_update: the critic's.

    Raises ConfigError if the policy has no adapter and there is no reference, or if the critic is trained with the policy.
    """

    def __init__(
        self,
        model: LanguageModel,
        critic: Critic,
        config: PPOConfig,
        seed: int,
        *,
        reference: LanguageModel | None = None,
        sampler: Sampler | None = None,
        mixture: Mixture | None = None,
        process: Process | None = None,
    ) -> None:
        if {id(one) for one in model.parameters()} & {id(one) for one in critic.parameters()}:
            raise ConfigError(
                "Policy and critic would pull at the same weights", got="shared parameters", expected="an adapter for each"
            )  # fmt: skip
        self.model, self.critic, self.config, self.seed, self.mixture = model, critic, config, seed, mixture
        self.process = process
        self.reference = reference_of(model, reference, needed=True)
        self.sampler = model if sampler is None else sampler
        self.rollouts = 0
        self.controller = Controller(config.kl, config.kl_target or math.inf, config.kl_horizon)
        self.scale = RunningScale()
        each, name = config.epochs * config.minibatches, named(config, seed, *mixed(mixture))
        steps = each * max(1, config.steps - config.critic_warmup)
        self.update = Update(model.parameters(), config.update, steps=steps, training=name)
        self.critic_update = Update(critic.parameters(), config.critic_update, steps=each * config.steps, training=name)

    def generate(self, prompts: Prompts) -> Rollout:
        """Completions of each prompt, drawn from (seed, number of the rollout) and the prompt."""
        sampling = Sampling(max_tokens=self.config.max_tokens, temperature=self.config.temperature)
        seed = derive(self.seed, self.rollouts, "rollout", 0)
        return self.sampler.generate(prompts, samples=self.config.samples, sampling=sampling, seed=seed)

    def experience(self, rollout: Rollout, scores: Tensor) -> Experience:
        """What a rollout teaches; nothing is changed by asking.

        A token's reward is -kl k1, and at the end of its completion the score as well. Advantages (GAE) are shifted and
        scaled over all tokens of the rollout; what the critic learns, advantages + values, is not.

        Raises LearningError for scores that do not fit.
        """
        config, batch = self.config, rollout.batch
        scores = checked(scores, batch)
        rewards = self._rewards(scores, rollout)
        assert self.reference is not None
        old = rollout.logprobs.cpu() if config.trust_sampler else self._logprobs(self.model, batch)
        reference = self._logprobs(self.reference, batch)
        values = self._values(batch)
        weights = (~rewards.isnan()).double()[batch.row]
        distance = estimate(old, reference, Estimator.K1).double()
        earned = None if self.process is None else earned_by(self.process, rollout)
        paid = token_rewards(rewards, distance, batch.lengths, beta=self.controller.coefficient, earned=earned)
        if config.whiten_rewards:
            paid = whiten(paid, weights=weights, shift=False)
        advantages = gae(paid, values.double(), batch.lengths, trace=config.trace, discount=config.discount)
        returns = advantages + values
        whitened = whiten(advantages, weights=weights)
        correction = corrected(old, rollout, config.correction)
        whole = totals(batch.row, len(batch), weights=weights)
        per = partial(per_completion, row=batch.row, whole=whole, weights=weights)
        metrics = (
            about_completions(rollout)
            | about_sampler(old, rollout, correction)
            | self._about(scores, rewards, float(per(distance)))
        )
        known, found = weights > 0, values.double()
        metrics["objective/entropy"] = float(per(-old.double()))
        metrics["val/num_eos_tokens"] = float(rollout.finished.sum())
        metrics["critic/vf_explained_var"] = float(explained_variance(found[known], returns[known]))
        if earned is not None:
            metrics["rewards/steps"] = float((~earned.isnan()).double().sum() / len(batch))
        before = None if config.single else old
        return Experience(
            rollout, scores, rewards, whitened, weights, before, reference, metrics, correction, values, returns
        )  # fmt: skip

    def _about(self, scores: Tensor, rewards: Tensor, kl: float) -> dict[str, float]:
        """Named as TRL's PPO did; KL in nats per completion."""
        price = self.controller.coefficient
        return {
            "objective/kl": kl,
            "objective/kl_coef": price,
            "objective/non_score_reward": -price * kl,
            "objective/rlhf_reward": float(rewards.nanmean()) - price * kl,
            "objective/scores": float(scores.nanmean()),
        }

    def _logprobs(self, model: LanguageModel, batch: Batch) -> Tensor:
        return scored(
            model, batch, temperature=self.config.temperature, max_tokens=self.config.update.tokens(self.model.device)
        )

    def _values(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            return torch.cat(
                [
                    self.critic.values(part.batch).cpu()
                    for part in parts(batch, self.config.update.tokens(self.model.device))
                ]
            )

    def _rewards(self, scores: Tensor, rollout: Rollout) -> Tensor:
        config = self.config
        if config.score_scale:
            scores = self.scale.after(scores).scaled(scores)
        if config.score_limit is not None:
            scores = clipped(scores, config.score_limit)
        return without_end(scores, rollout.finished.cpu(), penalty=config.missing_end)

    def step(self, experience: Experience) -> dict[str, float]:
        """Learn from a rollout: `epochs` times `minibatches` optimiser steps of the critic and, after its warm-up, of the policy.

        Returns mean metrics of these, and the rollout's. A step whose loss or gradient is not finite changes nothing
        (`skipped_steps`). Raises LearningError after many in a row.
        """
        config, sums = self.config, Sums()
        moved: list[dict[str, float]] = []
        valued: list[dict[str, float]] = []
        for epoch in range(config.epochs):
            names, tokens = (self.rollouts, epoch), config.update.tokens(self.model.device)
            for step in pieces(experience, config.minibatches, self.seed, names=names, max_tokens=tokens):
                if self.rollouts >= config.critic_warmup:
                    shares = self._policy_shares(experience, step, sums)
                    if self.mixture is not None:
                        shares = chain(shares, self.mixture.shares(self.model, self.update, sums))
                    moved.append(self.update.step(shares))
                valued.append(self.critic_update.step(self._value_shares(experience, step, sums)))
        metrics = {**experience.metrics, **sums.means(max(1, len(valued)))}
        metrics |= {_NAMES.get(name, f"policy/{name}"): value for name, value in mean_of(moved).items()}
        metrics |= {f"critic/{name}": value for name, value in mean_of(valued).items()}
        if "val/ratio" in metrics:
            metrics["val/ratio_var"] = metrics.pop("val/ratio_square") - metrics["val/ratio"] ** 2
        self.rollouts += 1
        metrics["episode"] = float(self.rollouts * len(experience.scores))
        self.scale = self.scale.after(experience.scores)
        if config.kl_target is not None:
            self.controller = self.controller.after(metrics["objective/kl"], len(experience.scores))
        return metrics

    def _policy_shares(self, experience: Experience, step: Sequence[Piece], sums: Sums) -> Iterator[Tensor]:
        for piece in step:
            loss, metrics = policy_loss(self.model, self.config, experience, piece)
            sums.add(metrics)
            yield loss

    def _value_shares(self, experience: Experience, step: Sequence[Piece], sums: Sums) -> Iterator[Tensor]:
        for piece in step:
            loss, metrics = critic_loss(self.critic, self.config, experience, piece)
            sums.add(metrics)
            yield loss

    def save(self, folder: Path) -> None:
        """Write weights, moments, place, price and scale into a folder that exists; `load` goes on with equal bits."""
        for name, update in (("policy", self.update), ("critic", self.critic_update)):
            (folder / name).mkdir()
            update.save(folder / name)
        scale = [one.hex() for one in (self.scale.count, self.scale.mean, self.scale.squares)]
        write_facts(folder, {"rollouts": self.rollouts, "kl": self.controller.coefficient.hex(), "scale": scale})

    def load(self, folder: Path) -> None:
        """Inverse of `save`. Raises RunError where it does not fit."""
        facts = read_facts(folder)
        self.update.load(folder / "policy")
        self.critic_update.load(folder / "critic")
        self.rollouts, self.scale = facts["rollouts"], RunningScale(*map(float.fromhex, facts["scale"]))
        self.controller = Controller(float.fromhex(facts["kl"]), self.controller.target, self.controller.horizon)


_NAMES = {"learning_rate": "lr"}


def train(
    ppo: PPO,
    prompts: Prompts,
    score: Score,
    *,
    folder: Path | None = None,
    each: Callable[[Told], None] = lambda told: None,
    guard: Watch | None = None,
) -> None:
    """Learn from rollouts until there were `config.steps`; with a folder, from its newest checkpoint on with equal bits.

    Args:
        ppo: policy and critic under training.
        prompts: asked in an order of their own, each once before any comes again.
        score: what the completions of a rollout are worth.
        folder: for checkpoints.
        each: is told of every rollout, its completions, scores, advantages and metrics.
        guard: looks at the policy after each rollout, and may end the training (`plaudit.language.guard`).
    """
    config = ppo.config
    watched = Watched(ppo, guard)
    if folder is not None:
        resume(watched, folder)
    while ppo.rollouts < config.steps and not watched.ended:
        places = order(ppo.seed, len(prompts), start=ppo.rollouts * config.prompts, size=config.prompts)
        rollout = ppo.generate([prompts[place] for place in places])
        experience = ppo.experience(rollout, score(rollout))
        metrics = watched.after(ppo.step(experience))
        each(Told(ppo.rollouts, tuple(places), experience, metrics))
        last = ppo.rollouts == config.steps or watched.ended
        if folder is not None and (ppo.rollouts % config.checkpoint_every == 0 or last):
            keep(watched, folder)
