"""Is a language model fit to be trained? Checks on log-probabilities, before the first step.

Each takes what was measured and answers with one `Finding`; `plaudit.check.probing` loads the model and measures. Arrays hold
one number for each token of completions that the model sampled, in nats, unless it is said otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plaudit.check.diagnose import Evidence, Finding, Severity

FloatArray = NDArray[np.float64]

CLOSE = 1e-4
"""nats that two ways of computing the same fp32 log-probability may differ by: the order of sums"""
ROUGH = 0.1
"""mean nats that two ways may differ by in bfloat16; more, and ratios of probabilities tell of rounding rather than learning"""
SURE = 4.0
"""standard errors beyond which a mean is not below 0 by chance"""


def fresh_adapter(ours: FloatArray, reference: FloatArray) -> Finding:
    """Does a fresh adapter change nothing, so that KL to the reference is 0 before the first step?"""
    away = ours - reference
    largest, mean = float(np.abs(away).max()), float(away.mean())
    evidence = (Evidence("largest difference", largest), Evidence("k1 per token", mean))
    if largest == 0:
        return Finding(
            Severity.OK, "fresh adapter", "KL to the reference is exactly 0 before the first step.", evidence
        )
    return Finding(
        Severity.PROBLEM,
        "fresh adapter",
        f"The model with its adapter is not the reference: up to {largest:.2g} nats a token, {mean:.2g} on average.",
        evidence,
        "The adapter was trained before: merge it first, or give as reference a model that has it.",
    )


def divergence(k1: FloatArray, k3: FloatArray) -> Finding:
    """Has KL to the reference the right sign, for a policy that was moved by hand? `k1` and `k3` are its estimates."""
    mean, error = float(k1.mean()), float(k1.std() / len(k1) ** 0.5)
    evidence = (
        Evidence("k1 per token", mean),
        Evidence("standard error", error),
        Evidence("k3 per token", float(k3.mean())),
    )
    if k3.min() < -CLOSE or mean < -SURE * error:
        return Finding(
            Severity.PROBLEM,
            "sign of KL",
            f"A policy that was moved has KL {mean:.2g} (k1) and at least {k3.min():.2g} (k3) a token: the sign is wrong.",
            evidence,
            "Policy and reference are swapped, or completions were not drawn from the policy: a price on KL would drive it away.",
        )
    return Finding(
        Severity.OK,
        "sign of KL",
        f"For a policy that was moved by hand k1 gives {mean:.2g} and k3 {k3.mean():.2g} nats a token.",
        evidence,
    )


def sampler(recorded: FloatArray, trained: FloatArray, exact: bool) -> Finding:
    """Does the trainer give a token the log-probability with which it was drawn? `exact` for fp32."""
    mean, high, largest = _apart(recorded, trained)
    evidence = (Evidence("mean", mean), Evidence("99 %", high), Evidence("largest", largest))
    numbers = f"{mean:.2g} nats a token on average, 99 % within {high:.2g}, at most {largest:.2g}"
    if exact and not largest <= CLOSE:
        return Finding(
            Severity.PROBLEM,
            "sampler",
            f"Sampler and trainer disagree in float32: {numbers}.",
            evidence,
            "Ratios begin away from 1. Something cuts or changes the distribution while sampling, or the weights are stale.",
        )
    if not exact and not mean <= ROUGH:
        return Finding(
            Severity.WARNING,
            "sampler",
            f"Sampler and trainer are far apart for bfloat16: {numbers}.",
            evidence,
            "Train in float32, or weigh by the sampler's log-probabilities (the setting `correction`).",
        )
    return Finding(Severity.OK, "sampler", f"Recorded and trained log-probabilities differ by {numbers}.", evidence)


def composition(alone: FloatArray, together: FloatArray, padded: FloatArray, exact: bool) -> Finding:
    """Is a completion scored the same alone, in a batch and padded by Transformers? `exact` for fp32."""
    batch, padding = _apart(alone, together), _apart(alone, padded)
    evidence = (Evidence("largest in a batch", batch[2]), Evidence("largest when padded", padding[2]))
    numbers = (
        f"in a batch {batch[0]:.2g} nats a token on average and 99 % within {batch[1]:.2g}, "
        f"in Transformers' padded forward {padding[0]:.2g} and {padding[1]:.2g}"
    )
    if exact and not max(batch[2], padding[2]) <= CLOSE:
        return Finding(
            Severity.PROBLEM,
            "batch composition",
            f"What a completion scores depends on what else is scored: {numbers}.",
            evidence,
            "The attention mask or the positions of padding are wrong for this architecture: do not train it, and report it.",
        )
    if not exact and not max(batch[0], padding[0]) <= ROUGH:
        return Finding(
            Severity.WARNING,
            "batch composition",
            f"Scores depend on the batch by more than bfloat16 explains: {numbers}.",
            evidence,
            "Look whether the same holds in float32 (--dtype float32); if not, train in float32.",
        )
    return Finding(Severity.OK, "batch composition", f"Scored alone and otherwise, it differs {numbers}.", evidence)


def stopping(ended: int, sampled: int, max_tokens: int) -> Finding:
    """How many short completions end by themselves?"""
    evidence = (Evidence("ended", ended), Evidence("sampled", sampled), Evidence("tokens allowed", max_tokens))
    if ended:
        return Finding(
            Severity.OK, "stopping", f"{ended} of {sampled} completions ended within {max_tokens} tokens.", evidence
        )
    return Finding(
        Severity.WARNING,
        "stopping",
        f"None of {sampled} completions ended within {max_tokens} tokens.",
        evidence,
        "Allow more tokens (max_tokens), or teach it to end first: `plaudit train sft`. A score of cut answers says little.",
    )


def _apart(one: FloatArray, other: FloatArray) -> tuple[float, float, float]:
    """Mean, 99th percentile and maximum of the absolute difference."""
    difference = np.abs(one - other)
    return float(difference.mean()), float(np.quantile(difference, 0.99)), float(difference.max())
