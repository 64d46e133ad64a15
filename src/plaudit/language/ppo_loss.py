"""The losses of PPO on completions: of the policy, and of its critic."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from plaudit.engine.model import LanguageModel
from plaudit.language.critic import Critic
from plaudit.language.experience import Experience, Piece
from plaudit.language.ppo_config import PPOConfig
from plaudit.ops.policy import (
    Clip,
    Level,
    clipped_high,
    clipped_low,
    entropy_bonus,
    log_ratios,
    surrogate,
    value_loss,
)
from plaudit.ops.tokens import Average, average


def policy_loss(
    model: LanguageModel, config: PPOConfig, experience: Experience, piece: Piece
) -> tuple[Tensor, dict[str, Tensor]]:
    """A micro-batch's share of the policy's loss in its optimiser step, and of the step's metrics; shares add up."""
    found = model.logprobs(piece.batch, temperature=config.temperature, entropy=True)
    logprobs, entropy, row = found.logprobs, found.entropy, piece.batch.row.to(found.logprobs.device)
    assert entropy is not None
    old = logprobs.detach() if experience.old is None else piece.of(experience.old, logprobs)
    advantages = piece.of(experience.advantages, logprobs)
    weights = piece.of(experience.weights, logprobs)
    share = partial(average, row=row, how=Average.TOKENS, whole=piece.whole, weights=weights)
    ratios = log_ratios(logprobs, old, row, count=len(piece.batch), level=Level.TOKEN)
    clip = Clip(config.clip, config.clip, dual=config.dual_clip)
    losses = surrogate(ratios, advantages, clip)
    if experience.correction is not None:
        losses = losses * piece.of(experience.correction, logprobs)
    loss, moved = share(losses), ratios.detach()
    metrics = {
        "loss/policy_avg": loss,
        "policy/approxkl_avg": share(moved**2 / 2),
        "policy/clipfrac_avg": share(clipped_low(moved, advantages, clip) + clipped_high(moved, advantages, clip)),
        "policy/entropy_avg": share(entropy.detach()),
        "val/ratio": share(moved.exp()),
        "val/ratio_square": share((2 * moved).exp()),
    }
    if config.entropy:
        loss = loss + share(entropy_bonus(entropy, config.entropy))
    return loss, metrics


def critic_loss(
    critic: Critic, config: PPOConfig, experience: Experience, piece: Piece
) -> tuple[Tensor, dict[str, Tensor]]:
    """A micro-batch's share of the critic's loss in its optimiser step, and of the step's metrics; shares add up."""
    values = critic.values(piece.batch)
    assert experience.returns is not None
    assert experience.values is not None
    returns, before = piece.of(experience.returns, values), piece.of(experience.values, values)
    weights, row = piece.of(experience.weights, values), piece.batch.row.to(values.device)
    share = partial(average, row=row, how=Average.TOKENS, whole=piece.whole, weights=weights)
    losses = value_loss(values, returns, before, clip=config.value_clip)
    held = (losses > value_loss(values, returns, before)).to(values)
    loss = share(losses)
    return loss, {"loss/value_avg": loss, "val/clipfrac_avg": share(held)}
