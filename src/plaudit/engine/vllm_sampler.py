"""Rollouts by vLLM on a GPU, in the place of a LanguageModel's own. Never run on its hardware here: tested against a fake of it.

vLLM's kernels are not the trainer's, so what it records is the behaviour policy, and what learns from it must weigh by
exp(log p - recorded log p), cut off above (truncated importance sampling). vLLM is no dependency: it pins its own torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Rollout, Sampling, streams
from plaudit.errors import ConfigError, MissingExtra
from plaudit.run.optional import require


class VllmSampler:
    """A Sampler over an engine of vLLM that has the same weights as the policy, once `refresh` was called.

    Args:
        engine: `vllm.LLM`, made with `logprobs_mode="processed_logprobs"`: others record what the temperature did not touch.
        settings: `vllm.SamplingParams`.
        stop: tokens that end a completion where `Sampling.stop` is none.
        begin: token that an empty prompt begins with.
    """

    def __init__(self, engine: Any, settings: Any, *, stop: Sequence[int], begin: int | None = None) -> None:
        self._engine, self._settings = engine, settings
        self._stop, self._begin = tuple(stop), begin

    @classmethod
    def open(
        cls, folder: str | Path, *, stop: Sequence[int], begin: int | None = None, share: float = 0.4
    ) -> VllmSampler:
        """Start vLLM in this process on a directory of a model; `share` is what it may take of the GPU's memory.

        Raises MissingExtra when vLLM is not installed.
        """
        try:
            vllm: Any = require("vllm", "language")
        except MissingExtra as error:
            raise MissingExtra(
                "Sampling with vLLM needs vLLM and a GPU",
                got=error.got,
                next_step="install it into an environment of its own: pip install vllm",
            ) from error
        engine = vllm.LLM(
            model=str(folder),
            gpu_memory_utilization=share,
            enable_prefix_caching=True,
            logprobs_mode="processed_logprobs",
        )
        return cls(engine, vllm.SamplingParams, stop=stop, begin=begin)

    def generate(
        self, prompts: Sequence[Sequence[int] | Tensor], *, samples: int, sampling: Sampling, seed: int
    ) -> Rollout:
        """As `Sampler` says. Draws are repeatable, but not those of a LanguageModel."""
        ids = tuple(torch.as_tensor(prompt, dtype=torch.long).cpu() for prompt in prompts)
        if self._begin is None and not all(len(prompt) for prompt in ids):
            raise ConfigError("A prompt is empty", got="no token", expected="a token to begin with")
        begun = [prompt.tolist() or [self._begin] for prompt in ids]
        stop = self._stop if sampling.stop is None else sampling.stop
        keys = [int(key) >> 1 for key in streams(ids, samples, seed)]
        asked = [{"prompt_token_ids": prompt} for prompt in begun for _ in range(samples)]
        # one request a sample: a request of many seeds its samples by their order
        outputs = self._engine.generate(asked, [self._setting(sampling, stop, key) for key in keys], use_tqdm=False)
        found = [output.outputs[0] for output in outputs]
        rows = [torch.tensor(list(one.token_ids), dtype=torch.long) for one in found]
        logprobs = [
            place[token].logprob for one in found for token, place in zip(one.token_ids, one.logprobs, strict=True)
        ]
        groups = tuple(tuple(rows[start : start + samples]) for start in range(0, len(rows), samples))
        ended = torch.tensor([int(row[-1]) in stop for row in rows])
        return Rollout(Batch(ids, groups), torch.tensor(logprobs, dtype=torch.float32), ended)

    def refresh(self, model: LanguageModel) -> None:
        """Give vLLM the policy's weights, adapter merged, and let it forget what it cached with older ones."""
        inner = self._engine.llm_engine.model_executor.driver_worker.model_runner.model
        inner.load_weights(model.merged().items())
        self._engine.reset_prefix_cache()

    def _setting(self, sampling: Sampling, stop: Iterable[int], key: int) -> Any:
        return self._settings(
            n=1,
            temperature=0.0 if sampling.greedy else sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k or -1,
            max_tokens=sampling.max_tokens,
            stop_token_ids=list(stop),
            ignore_eos=True,  # only what was named ends a completion
            logprobs=0,  # of the drawn token alone
            seed=key,
            detokenize=False,
        )
