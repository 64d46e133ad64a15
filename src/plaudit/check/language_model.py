"""Is a language model fit to be trained? Checks on tokens and log-probabilities, before the first step.

Each takes what was measured and answers with one `Finding`; `plaudit.check.probing` loads the model and measures. Arrays hold
one number for each token of completions that the model sampled, in nats, unless it is said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
USUAL = {"top_p": 1.0, "top_k": 0, "temperature": 1.0, "repetition_penalty": 1.0, "min_p": 0.0, "typical_p": 1.0}
"""settings of generation that leave a model's distribution as it is"""


def weights(broken: Sequence[str]) -> Finding:
    """Are all weights numbers? `broken` names those that are not."""
    if not broken:
        return Finding(Severity.OK, "weights", "All weights are finite.")
    return Finding(
        Severity.PROBLEM,
        "weights",
        f"Weights are not finite: {', '.join(broken[:3])}{' and others' if len(broken) > 3 else ''}.",
        (Evidence("matrices", len(broken)),),
        "Take an earlier checkpoint, or get the file again.",
    )


def vocabulary(known: int, rows: int) -> Finding:
    """Has every token a vector? `known` ids the tokenizer may give, `rows` the embedding has."""
    evidence = (Evidence("tokens", known), Evidence("vectors", rows))
    if known <= rows:
        return Finding(Severity.OK, "vocabulary", f"{known} tokens, {rows} vectors.", evidence)
    return Finding(
        Severity.PROBLEM,
        "vocabulary",
        f"The tokenizer has {known} tokens and the model vectors for {rows} only: the last ones cannot be read.",
        evidence,
        "Take the tokenizer that belongs to the model, or call model.resize_token_embeddings and save it.",
    )


def end_token(ends: Sequence[int]) -> Finding:
    """Can a completion end? `ends` are the ids that stop sampling."""
    if ends:
        return Finding(Severity.OK, "end token", f"Completions end with token {' or '.join(map(str, ends))}.")
    return Finding(
        Severity.PROBLEM,
        "end token",
        "No token ends a completion: all would be cut off.",
        advice="Set tokenizer.eos_token, or eos_token_id in generation_config.json, and save.",
    )


def pad_token(pad: int | None, end: int | None, ends: Sequence[int]) -> Finding:
    """Is padding told from an end? `end` is the tokenizer's own, `ends` are all that stop sampling."""
    if pad is None:
        return Finding(
            Severity.NOTE,
            "pad token",
            "The tokenizer has no pad token. plaudit pads nothing, but a classifier that others load needs one.",
            advice="Set tokenizer.pad_token to a special token that ends nothing, and save the tokenizer.",
        )
    if pad == end:
        return Finding(
            Severity.PROBLEM,
            "pad token",
            f"Pad and end are one token, {pad}: whoever masks by pad masks every end too, and the model never learns to stop.",
            advice="Set tokenizer.pad_token to a special token that ends nothing; `plaudit model import` does.",
        )
    if pad in ends:
        return Finding(
            Severity.WARNING,
            "pad token",
            f"Token {pad} pads, and it is one of those that stop sampling; the tokenizer's own end is another.",
            advice="Leave it out of eos_token_id in generation_config.json if turns end with the tokenizer's end token.",
        )
    return Finding(Severity.OK, "pad token", f"Token {pad} pads and ends nothing.")


def turn_end(after: Sequence[int] | None, ends: Sequence[int]) -> Finding:
    """Does the chat template end a turn with a token that stops sampling? `after` are the tokens behind an answer."""
    if after is None:
        return Finding(
            Severity.NOTE,
            "end of a turn",
            "The model has no chat template: it takes plain prompts, no conversations.",
            advice="For conversations set tokenizer.chat_template and save the tokenizer.",
        )
    if set(after) & set(ends):
        return Finding(Severity.OK, "end of a turn", "The chat template ends a turn with a token that stops sampling.")
    written = f"tokens {list(after)}" if after else "nothing"
    return Finding(
        Severity.PROBLEM,
        "end of a turn",
        f"The chat template writes {written} behind an answer, none of which stops sampling: a model that learned from it goes on "
        "for the other side.",
        advice="Add the token that ends a turn to eos_token_id in generation_config.json, or write the end token in the template.",
    )


def begin_token(begun: int, naive: int) -> Finding:
    """Is the begin token there at most once? `begun` in a prompt as plaudit makes it, `naive` when the template's text is tokenised."""
    if begun > 1:
        return Finding(
            Severity.PROBLEM,
            "begin token",
            f"A prompt begins with {begun} begin tokens: the model has never seen that.",
            (Evidence("begin tokens", begun),),
            "Let the chat template write the begin token once.",
        )
    if naive > 1:
        return Finding(
            Severity.NOTE,
            "begin token",
            f"Once, as plaudit makes prompts. But the template writes it too: tokenising its text as usual gives {naive}.",
            (Evidence("begin tokens", begun),),
            "In other tools tokenise what the template wrote with add_special_tokens=False.",
        )
    message = (
        "A prompt begins with one begin token." if begun else "Prompts have no begin token, and the model adds none."
    )
    return Finding(Severity.OK, "begin token", message, (Evidence("begin tokens", begun),))


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


def cut_sampling(settings: Mapping[str, float | None]) -> Finding:
    """Does the model's directory ask for sampling that leaves tokens out? `settings` of generation_config.json."""
    found = {name: value for name, value in settings.items() if value is not None and value != USUAL.get(name, value)}
    if not found:
        return Finding(Severity.OK, "cut sampling", "generation_config.json leaves the distribution as it is.")
    named = ", ".join(f"{name} {value:g}" for name, value in found.items())
    return Finding(
        Severity.NOTE,
        "cut sampling",
        f"generation_config.json asks for {named}. plaudit ignores it when it learns; others sample with it without being asked.",
        tuple(Evidence(name, value) for name, value in found.items()),
        "Samples of other tools look better than what is trained: compare with the same settings.",
    )


def context(length: int | None, room: int) -> Finding:
    """Is there room for an answer? `length` of the context if the model has a limit, `room` left behind a short question; tokens."""
    if room < 1:
        return Finding(
            Severity.PROBLEM,
            "context",
            f"A short question fills the context of {length} tokens: there is no room for an answer.",
            (Evidence("room", room),),
            "Take a model with a longer context, or a chat template that says less.",
        )
    if length is None:
        return Finding(Severity.OK, "context", "The model sets no limit to the length of a text.")
    message = f"{length} tokens for prompt and completion; {room} are left behind a short question."
    return Finding(Severity.OK, "context", message, (Evidence("tokens", length), Evidence("room", room)))


def products(dtype: str, backend: str, threads: int, exact: bool) -> Finding:
    """What multiplies here? `backend` won a short trial, `exact` says whether oneDNN is as exact as torch's default in fp32."""
    also = (
        "as exact as torch's default here"
        if exact
        else "not as exact as torch's default here, so it is not used for float32"
    )
    return Finding(
        Severity.OK,
        "products",
        f"{dtype} by {'oneDNN' if backend == 'onednn' else 'torch'} on {threads} thread{'' if threads == 1 else 's'} is the fastest; "
        f"oneDNN's float32 is {also}.",
        (Evidence("threads", threads),),
    )


def fast_path(why_slow: str | None) -> Finding:
    """Does the engine's own forward serve the model?"""
    if why_slow is None:
        return Finding(Severity.OK, "fast path", "The engine's own forward serves this model.")
    return Finding(
        Severity.NOTE,
        "fast path",
        f"Transformers' own forward is used, with the same results and several times slower: {why_slow}.",
        advice="Llama, Qwen2, Qwen3 and GPT-2 are served, with LoRA or none, unquantised.",
    )


def _apart(one: FloatArray, other: FloatArray) -> tuple[float, float, float]:
    """Mean, 99th percentile and maximum of the absolute difference."""
    difference = np.abs(one - other)
    return float(difference.mean()), float(np.quantile(difference, 0.99)), float(difference.max())
