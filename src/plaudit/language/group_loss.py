"""The loss of policy gradients on groups: ratio, limits, correction, distance to the reference, average."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from plaudit.engine.model import LanguageModel
from plaudit.language.experience import Experience, Piece
from plaudit.language.group_config import GroupConfig, Paid
from plaudit.ops.kl import Estimator, estimate, penalty
from plaudit.ops.policy import (
    Clip,
    Level,
    clipped_high,
    clipped_low,
    entropy_bonus,
    log_ratios,
    surrogate,
    weighted_gradient,
)
from plaudit.ops.tokens import Average, average

Metrics = dict[str, Tensor]


def group_loss(
    model: LanguageModel, config: GroupConfig, price: float, experience: Experience, piece: Piece
) -> tuple[Tensor, Metrics]:
    """A micro-batch's share of the loss of its optimiser step, and of the step's metrics; shares add up.

    Args:
        model: the policy.
        config: settings.
        price: of a nat of distance to the reference, now.
        experience: of the rollout.
        piece: the micro-batch.
    """
    found = model.logprobs(piece.batch, temperature=config.temperature, entropy=True)
    logprobs, entropy, row = found.logprobs, found.entropy, piece.batch.row.to(found.logprobs.device)
    assert entropy is not None
    old = logprobs.detach() if experience.old is None else piece.of(experience.old, logprobs)
    share = partial(average, row=row, whole=piece.whole, weights=piece.of(experience.weights, logprobs))
    ratios = log_ratios(logprobs, old, row, count=len(piece.batch), level=config.level)
    ratios = ratios if config.level is Level.TOKEN else ratios[row]
    losses, metrics = _surrogate(config, logprobs, ratios, piece.of(experience.advantages, logprobs), share)
    if experience.correction is not None:
        losses = losses * piece.of(experience.correction, logprobs)
    metrics["policy_loss"] = share(losses, how=config.average, longest=config.max_tokens)
    metrics["entropy"] = share(entropy.detach(), how=Average.TOKENS)
    apart = (old - piece.of(experience.rollout.logprobs, logprobs)).abs().nan_to_num(0.0)
    metrics["sampling/sampling_logp_difference/mean"] = share(apart, how=Average.TOKENS)
    if experience.reference is not None:
        reference = piece.of(experience.reference, logprobs)
        metrics["kl"] = share(estimate(logprobs.detach(), reference, Estimator.K3), how=Average.TOKENS)
        if experience.old is None:
            metrics["objective/kl"] = share(estimate(old, reference, Estimator.K1), how=Average.SUMS)
        if config.kl_paid is Paid.LOSS and price:
            losses = losses + price * penalty(logprobs, reference, config.kl_penalty, old=old)
    loss = share(losses, how=config.average, longest=config.max_tokens)
    if config.entropy:
        loss = loss + share(entropy_bonus(entropy, config.entropy), how=Average.TOKENS)
    return loss, metrics


def _surrogate(
    config: GroupConfig, logprobs: Tensor, ratios: Tensor, advantages: Tensor, share: Callable[..., Tensor]
) -> tuple[Tensor, Metrics]:
    """[T] losses, and how many tokens the limits hold back."""
    if config.cispo is None:
        clip = Clip(config.clip_low, config.clip_high, delta=config.clip_negative)
        losses = surrogate(ratios, advantages, clip)
    else:
        clip = Clip(low=1.0, high=config.cispo - 1.0)
        losses = weighted_gradient(logprobs, ratios, advantages, highest=config.cispo)
    low, high = (count(ratios.detach(), advantages, clip) for count in (clipped_low, clipped_high))
    held = {"low_mean": low, "high_mean": high, "region_mean": low + high}
    return losses, {f"clip_ratio/{name}": share(one, how=Average.TOKENS) for name, one in held.items()}
