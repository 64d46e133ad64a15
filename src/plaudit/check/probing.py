"""Loads a language model as a training would, samples a little, and measures what `language_model` and `model_files` judge."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plaudit.check import language_model as checks
from plaudit.check import model_files
from plaudit.check.diagnose import Finding, Severity
from plaudit.engine.batch import Batch
from plaudit.engine.gemm import onednn_exact, probe
from plaudit.engine.load import Dtype, LoraConfig, ModelConfig
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Rollout, Sampling
from plaudit.engine.text import DATE, Ids, Tokeniser, stop_ids
from plaudit.errors import ConfigError, RecordError
from plaudit.language.training import policy
from plaudit.ops.kl import Estimator, estimate
from plaudit.records import Message, Text
from plaudit.run.seeds import derive

QUESTIONS = ("What is the sea?", "Say yes or no.", "Name a colour.", "Count to two.")
SAMPLES = 2
"""completions of each question"""
LONGEST = 64
"""tokens of a completion"""
MOVES = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)
"""sizes of B that are tried to move a policy by hand, until log-probabilities change by `MOVED` on average"""
MOVED = 0.3
ANSWER = "Yes."


def model_report(path: str, *, dtype: Dtype = Dtype.FLOAT32, seed: int = 0) -> list[Finding]:
    """All findings about a model's directory, with a fresh adapter on it. Raises ConfigError where it cannot be loaded.

    The process multiplies afterwards with what a training on this machine would choose.
    """
    choice = probe(dtype.value)
    choice.apply()
    model = policy(ModelConfig(path, dtype=dtype, lora=LoraConfig()), seed=seed)
    about = model_files.products(choice.dtype, choice.backend, choice.threads, onednn_exact())
    return [*examine_model(model, seed=seed), about]


def examine_model(model: LanguageModel, *, seed: int = 0) -> list[Finding]:
    """Findings about a model with a tokenizer and a fresh adapter; the adapter is moved and put back.

    What would have to be sampled is left out where weights, vocabulary, end or context make that impossible.
    """
    still = [*_of_files(model), model_files.fast_path(model.why_slow)]
    ends = _ends(model)
    still += [model_files.end_token(ends)]
    if not ends:
        return still
    words = Tokeniser(model.tokenizer, stop=ends)
    prompts = [words.prompt(_asked(question, model)) for question in QUESTIONS]
    still += _of_tokens(model, words, prompts)
    room = min(model.context - max(map(len, prompts)), sys.maxsize)
    still.append(model_files.context(None if model.context == sys.maxsize else model.context, room))
    if any(one.severity is Severity.PROBLEM and one.name in ("weights", "vocabulary", "context") for one in still):
        return still
    allowed = min(LONGEST, room)
    with torch.no_grad():
        return [*still, *_of_samples(model, prompts, allowed, seed)]


def _of_files(model: LanguageModel) -> list[Finding]:
    """What can be told without a forward pass."""
    broken = [name for name, one in model.module.named_parameters() if not bool(one.isfinite().all())]
    settings = getattr(model.causal, "generation_config", None)
    known = 1 + max(cast("dict[str, int]", model.tokenizer.get_vocab()).values(), default=-1)
    return [
        model_files.weights(broken),
        model_files.vocabulary(known, int(model.causal.get_input_embeddings().weight.shape[0])),
        model_files.cut_sampling({name: getattr(settings, name, None) for name in model_files.USUAL}),
    ]


def _ends(model: LanguageModel) -> Ids:
    try:
        return stop_ids(model.causal, model.tokenizer)
    except ConfigError:
        return ()


def _asked(question: str, model: LanguageModel) -> Text:
    return (Message("user", question),) if model.tokenizer.chat_template else question


def _of_tokens(model: LanguageModel, words: Tokeniser, prompts: Sequence[Ids]) -> list[Finding]:
    tokenizer = model.tokenizer
    after, naive = _behind_an_answer(tokenizer, words) if tokenizer.chat_template else (None, 0)
    return [
        model_files.pad_token(tokenizer.pad_token_id, tokenizer.eos_token_id, words.stop),
        model_files.turn_end(after, words.stop),
        model_files.begin_token(max(_leading(prompt, tokenizer) for prompt in prompts), naive),
    ]


def _behind_an_answer(tokenizer: Any, words: Tokeniser) -> tuple[Ids, int]:
    """What the template writes behind an answer, and how many begin tokens its text gets when it is tokenised as usual."""
    words.group(QUESTIONS[0], [(Message("assistant", ANSWER),)])  # says why, if the template refuses
    turns = [{"role": "user", "content": QUESTIONS[0]}, {"role": "assistant", "content": ANSWER}]
    filled: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False, date_string=DATE)
    _, found, behind = filled.rpartition(ANSWER)
    if not found:
        raise RecordError(
            "The chat template changes or leaves out what the assistant said",
            got=filled,
            expected=f"{ANSWER!r} in it",
            next_step="correct tokenizer.chat_template: as it is, no answer can be learned",
        )
    after = tuple(tokenizer(behind, add_special_tokens=False)["input_ids"]) if behind else ()
    return after, _leading(tokenizer(filled)["input_ids"], tokenizer)


def _leading(ids: Sequence[int], tokenizer: Any) -> int:
    """Begin tokens at the front."""
    return next((place for place, one in enumerate(ids) if one != tokenizer.bos_token_id), len(ids))


@dataclass(frozen=True, slots=True)
class _Both:
    """The policy and its reference, which are one before the first step."""

    model: LanguageModel
    reference: LanguageModel

    def scores(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return tuple(one.logprobs(batch).logprobs.cpu() for one in (self.model, self.reference))  # type: ignore[return-value]


def _of_samples(model: LanguageModel, prompts: Sequence[Ids], allowed: int, seed: int) -> list[Finding]:
    both, exact = _Both(model, model.view(None)), model.dtype.itemsize >= 4
    sampling = Sampling(max_tokens=allowed)
    rollout = model.generate(prompts, samples=SAMPLES, sampling=sampling, seed=derive(seed, "doctor"))
    together, reference = both.scores(rollout.batch)
    slow = LanguageModel(model.module, model.tokenizer, dtype=model.dtype, adapter=model.adapter, fast=False)
    alone = torch.cat([model.logprobs(rollout.batch.take([row])).logprobs.cpu() for row in range(len(rollout.batch))])
    padded = slow.logprobs(rollout.batch).logprobs
    return [
        checks.fresh_adapter(_plain(together), _plain(reference)),
        checks.sampler(_plain(rollout.logprobs), _plain(together), exact),
        checks.composition(_plain(alone), _plain(together), _plain(padded), exact),
        checks.stopping(int(rollout.finished.sum()), len(rollout.batch), allowed),
        *_of_move(both, rollout, prompts, sampling, seed),
    ]


def _of_move(
    both: _Both, rollout: Rollout, prompts: Sequence[Ids], sampling: Sampling, seed: int
) -> list[Finding]:  # fmt: skip
    """Estimates of KL for a policy whose B was drawn instead of 0; nothing where no B is 0. B is 0 again afterwards."""
    still = [one for one in both.model.parameters() if not bool(one.any())]
    if not still or both.model.adapter is None:
        return []
    noise = torch.Generator().manual_seed(derive(seed, "doctor", "move"))
    draws = [torch.randn(one.shape, generator=noise).to(one) for one in still]
    try:
        for size in MOVES:
            for one, draw in zip(still, draws, strict=True):
                one.copy_(size * draw)
            ours, reference = both.scores(rollout.batch)
            if float((ours - reference).abs().mean()) >= MOVED:
                break
        moved = both.model.generate(prompts, samples=SAMPLES, sampling=sampling, seed=derive(seed, "doctor", "moved"))
        ours, reference = both.scores(moved.batch)
        k1, k3 = (estimate(ours, reference, how) for how in (Estimator.K1, Estimator.K3))
        return [checks.divergence(_plain(k1), _plain(k3))]
    finally:
        for one in still:
            one.zero_()


def _plain(values: Tensor) -> NDArray[np.float64]:
    return values.detach().double().cpu().numpy()
