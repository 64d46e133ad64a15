"""A language model that scores, differentiates and samples, on the parameters of a Transformers or PEFT model."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import EllipsisType
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from plaudit.engine import decode, fallback, head, packed
from plaudit.engine.batch import Batch, TokenScores
from plaudit.engine.borrowed import BorrowedSteps
from plaudit.engine.families import Cache, Reader
from plaudit.engine.layout import Layout, Read, arrange
from plaudit.engine.load import ModelConfig, load
from plaudit.engine.sampling import Rollout, Sampling
from plaudit.engine.stepping import FastSteps
from plaudit.engine.text import stop_ids
from plaudit.engine.weights import UnknownFamilyError, Weights
from plaudit.errors import ConfigError


class LanguageModel:
    """One policy, reference or reward's body: a module, and which of its adapters speaks.

    Without dropout, whatever the module's own configuration says: ratios and differences of log-probabilities need it.

    Args:
        module: a causal language model of Transformers, or a PeftModel around one. Its parameters stay its own.
        tokenizer: what belongs to it; None where nobody needs text.
        dtype: of the products. Parameters in another dtype are masters, of which copies are made.
        adapter: the adapter of PEFT that speaks; None for the base weights; by default (...) the module's active one.
        fast: None takes the engine's own forward where it knows the family, else Transformers'; False always
            Transformers'; True raises ConfigError where the family is unknown.
        shared: matrices that another view of the same module has made.
    """

    def __init__(
        self,
        module: Any,
        tokenizer: Any = None,
        *,
        dtype: torch.dtype = torch.float32,
        adapter: str | EllipsisType | None = ...,
        fast: bool | None = None,
        shared: Cache | None = None,
    ) -> None:
        module.eval()
        self.module, self.tokenizer, self.dtype, self.fast = module, tokenizer, dtype, fast
        self.adapter: str | None = _active(module) if isinstance(adapter, EllipsisType) else adapter
        self.why_slow: str | None = None
        """why Transformers' own forward is used; None on the fast path"""
        self.weights: Weights | None = None
        """all that the fast path reads; None where Transformers' own forward is used"""
        self._shared: Cache = {} if shared is None else shared
        self._read()

    def _read(self) -> None:
        names = getattr(self.module, "peft_config", {})
        if self.adapter is not None and self.adapter not in names:
            raise ConfigError("The model has no such adapter", got=self.adapter, expected=list(names) or "none at all")
        if self.adapter is not None and names[self.adapter].is_prompt_learning:
            raise ConfigError("Adapters that lengthen prompts are not served", got=self.adapter, expected="LoRA")
        for parameter in _of_adapter(self.module, self.adapter) if self.adapter is not None else []:
            parameter.requires_grad_(True)
        if self.fast is False:
            self.why_slow = "asked for"
            return
        try:
            self.weights = Reader(self.adapter, self.dtype, self._shared).read(self.causal)
        except UnknownFamilyError as reason:
            if self.fast:
                raise ConfigError(
                    "The engine's own forward pass does not serve this model",
                    got=str(reason),
                    expected="Llama, Qwen2, Qwen3 or GPT-2, with LoRA or none",
                    next_step="leave `fast` out, and Transformers' own forward is used",
                ) from reason
            self.why_slow = str(reason)

    @property
    def causal(self) -> Any:
        """The causal model of Transformers under PEFT's, or the module itself."""
        return self.module.get_base_model() if hasattr(self.module, "peft_config") else self.module

    @property
    def context(self) -> int:
        """The longest text, prompt and completion, in tokens; a very large number where the model sets no limit."""
        return int(getattr(self.causal.config.get_text_config(), "max_position_embeddings", None) or sys.maxsize)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.module.parameters()).device

    def view(self, adapter: str | None) -> LanguageModel:
        """The same base weights with another adapter; None for none at all: the reference.

        PEFT freezes adapters that are not active; a view's own adapter can be trained, whichever is active. A view of an
        adapter has merged weights of its own: make it once and keep it.
        """
        return LanguageModel(
            self.module, self.tokenizer, dtype=self.dtype, adapter=adapter, fast=self.fast, shared=self._shared
        )

    def logprobs(self, batch: Batch, *, temperature: float = 1.0, entropy: bool = False) -> TokenScores:
        """Log-probability of each response token under softmax(logits / temperature), and the entropies there.

        Gradients reach this view's parameters; under torch.no_grad() nothing is kept. Tensors lie on the model's device.
        Raises ConfigError if a text is longer than the model's context.
        """
        if not temperature > 0:
            raise ConfigError("A temperature must be positive", got=temperature, expected="above 0")
        batch = self._prepared(batch)
        if self.weights is None:
            with self._slowly() as causal:
                return fallback.padded_scores(causal, batch, temperature=temperature, entropy=entropy)
        states = packed.hidden(self.weights, self._layout(self.weights, batch, Read.BEFORE))
        targets = batch.tokens.to(self.device)
        return head.score(states, self.weights.head, targets, temperature=temperature, entropy=entropy)

    def hidden(self, batch: Batch, *, last: bool = False, before: bool = False) -> Tensor:
        """Hidden state behind the last norm, in the compute dtype.

        Args:
            batch: prompts and completions.
            last: only at each completion's last token, [N, d]: what a reward reads.
            before: at the position before each response token, [T, d]: what a baseline may know when the token is
                chosen. Otherwise at the token itself, [T, d].
        """
        read = Read.LAST if last else Read.BEFORE if before else Read.AT
        batch = self._prepared(batch)
        if self.weights is None:
            with self._slowly() as causal:
                return fallback.padded_hidden(causal, batch, read).to(self.dtype)
        return packed.hidden(self.weights, self._layout(self.weights, batch, read))

    def generate(
        self, prompts: Sequence[Sequence[int] | Tensor], *, samples: int, sampling: Sampling, seed: int
    ) -> Rollout:
        """`samples` completions of each prompt, on the same weights as `logprobs`.

        Every draw depends on (seed, prompt, which sample of it, position): neither on what else is in the call, nor on the order.
        The prompt is read once for all its samples; rows that have ended are let go.

        Raises:
            ConfigError: a prompt with its completion may be longer than the context; nothing is asked for.
            LearningError: the model's logits are no numbers.
        """
        request = self._request(prompts, samples, sampling, seed)
        size = decode.cost(self.causal.config, self.dtype, self.device)
        with self._steps() as begin:
            return decode.rollout(request, begin, size, context=self.context, device=self.device)

    def stream(
        self, prompt: Sequence[int] | Tensor, *, sampling: Sampling, seed: int, samples: int = 1
    ) -> Iterator[tuple[int, int]]:
        """The tokens of `generate` for one prompt as they are drawn: (which sample of it, token), position by position.

        Nothing else may be done with the module until the iterator ends or is closed. Raises as `generate`.
        """
        request = self._request([prompt], samples, sampling, seed)
        with self._steps() as begin:
            yield from decode.stream(request, begin, context=self.context, device=self.device)

    def _request(
        self, prompts: Sequence[Sequence[int] | Tensor], samples: int, sampling: Sampling, seed: int
    ) -> decode.Request:
        ids = tuple(torch.as_tensor(prompt, dtype=torch.long).cpu() for prompt in prompts)
        stop = stop_ids(self.causal, self.tokenizer) if sampling.stop is None else sampling.stop
        return decode.Request(ids, tuple(map(self._begun, ids)), samples, sampling, stop, seed)

    @contextmanager
    def _steps(self) -> Generator[decode.Begin]:
        """How completions are begun: by the engine's own decoding, or by Transformers'."""
        if self.weights is not None:
            self.weights.refresh()
            yield partial(FastSteps, self.weights)
            return
        with self._slowly() as causal:
            yield lambda texts, counts, _: BorrowedSteps(causal, texts, counts)

    def parameters(self) -> list[Parameter]:
        """What training this view changes: its adapter's parameters, or all of the base that require gradients."""
        if self.adapter is not None:
            return _of_adapter(self.module, self.adapter)
        names = getattr(self.module, "peft_config", {})
        others = {id(parameter) for name in names for parameter in _of_adapter(self.module, name)}
        return [one for one in self.module.parameters() if one.requires_grad and id(one) not in others]

    def refresh(self) -> None:
        """Read all parameters anew. Changes made in place, as optimisers make them, are noticed without this."""
        if self.weights is not None:
            self.weights.refresh(force=True)

    def save(self, folder: str | Path) -> None:
        """Write a Hugging Face directory, or a PEFT adapter directory if this view has an adapter; with the tokenizer."""
        if self.adapter is not None:
            state = _own_storage(self.module.state_dict())
            self.module.save_pretrained(folder, selected_adapters=[self.adapter], state_dict=state)
            named = Path(folder, self.adapter)  # where PEFT puts adapters that are not called "default"
            if self.adapter != "default":
                for file in named.iterdir():
                    file.replace(Path(folder, file.name))
                named.rmdir()
        else:
            self.causal.save_pretrained(folder, state_dict=_own_storage(_without_adapters(self.causal.state_dict())))
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(folder)

    def merged(self) -> dict[str, Tensor]:
        """The base model's state with this view's adapter added to it, by the names that Transformers knows."""
        causal = self.causal
        state = _own_storage(_without_adapters(causal.state_dict()))
        if self.adapter is not None:
            for name, inner in causal.named_modules():
                if self.adapter in getattr(inner, "lora_A", ()):
                    with torch.no_grad():
                        state[f"{name}.weight"] += inner.get_delta_weight(self.adapter)
        return state

    @classmethod
    def load(cls, folder: str | Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> LanguageModel:
        """Read a Hugging Face directory, or a PEFT adapter directory with the base model that it names. Raises as `load.load`."""
        there = load(ModelConfig(str(folder), device=device))
        return cls(there.module, there.tokenizer, dtype=dtype)

    @contextmanager
    def _slowly(self) -> Generator[Any]:
        """The causal model with this view's adapter, its products in this view's dtype."""
        lower = self.dtype.itemsize < next(self.module.parameters()).dtype.itemsize
        with (
            fallback.adapted(self.module, self.adapter) as causal,
            torch.autocast(self.device.type, self.dtype if lower else None, enabled=lower),
        ):
            yield causal

    def _layout(self, weights: Weights, batch: Batch, read: Read) -> Layout:
        weights.refresh()
        heads = (weights.heads, weights.kv_heads)
        return arrange(batch, read, heads=heads, dtype=weights.dtype, device=self.device)

    def _prepared(self, batch: Batch) -> Batch:
        """With the beginning-of-sequence token in place of empty prompts; lengths checked."""
        if not all(len(prompt) for prompt in batch.prompts):
            batch = Batch(tuple(map(self._begun, batch.prompts)), batch.completions)
        prompts = torch.tensor([len(prompt) for prompt in batch.prompts])
        longest = int((prompts[batch.group] + batch.lengths).max())
        if longest > self.context:
            raise ConfigError(
                "A prompt with its completion does not fit into the model's context", got=f"{longest} tokens",
                expected=f"at most {self.context}", next_step="shorten the prompt or ask for fewer new tokens",
            )  # fmt: skip
        return batch

    def _begun(self, prompt: Tensor) -> Tensor:
        """A prompt, or the beginning-of-sequence token in place of an empty one."""
        if len(prompt):
            return prompt
        bos = getattr(self.tokenizer, "bos_token_id", None)
        bos = self.causal.config.bos_token_id if bos is None else bos
        if bos is None:
            raise ConfigError(
                "A prompt is empty", got="no token", expected="a token to begin with",
                next_step="this model has no beginning-of-sequence token: give each prompt a token at least",
            )  # fmt: skip
        return torch.tensor([bos])


def _active(module: Any) -> str | None:
    return module.active_adapter if hasattr(module, "peft_config") else None


def _of_adapter(module: Any, adapter: str) -> list[Parameter]:
    """All parameters that PEFT made for this adapter, each once."""
    found: dict[int, Parameter] = {}
    for inner in module.modules():
        for name in getattr(inner, "adapter_layer_names", ()):
            made = getattr(inner, name)
            if adapter in made:
                own = [made[adapter]] if isinstance(made[adapter], Parameter) else list(made[adapter].parameters())
                found |= {id(parameter): parameter for parameter in own}
    return list(found.values())


def _own_storage(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Parameters are views of fused storage, and safetensors wants tensors of their own; tied ones stay tied."""
    copies: dict[tuple[int, torch.Size], Tensor] = {}
    for value in state.values():
        copies.setdefault((value.data_ptr(), value.shape), value.detach().clone())
    return {name: copies[value.data_ptr(), value.shape] for name, value in state.items()}


def _without_adapters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The base model's state under the names that it has without PEFT's wrappers."""
    plain = {name: value for name, value in state.items() if ".lora_" not in name and ".modules_to_save." not in name}
    return {name.replace(".base_layer.", ".").replace(".original_module.", "."): plain[name] for name in plain}
