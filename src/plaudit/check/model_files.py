"""Does the directory of a language model say what training needs? Ends, padding, chat template, vocabulary, context.

Each check takes what was found and answers with one `Finding`; `plaudit.check.probing` loads the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plaudit.check.diagnose import Evidence, Finding, Severity

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
