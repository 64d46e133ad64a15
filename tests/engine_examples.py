"""Tiny language models with random weights, and ragged batches for them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel

VOCABULARY = 37
CONTEXT = 48
FAMILIES = ("llama", "qwen2", "qwen3", "gpt2")
GROUPS = ((5, (4, 1, 9)), (1, (2,)), (17, (6, 20)), (2, (1, 1)))
"""length of a prompt, lengths of its completions"""


def module(family: str, *, tied: bool = True, seed: int = 0, dtype: torch.dtype = torch.float64) -> Any:
    """A causal model of Transformers of a few thousand parameters, none of which is 0 or 1."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    ends = {"bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": tied, "vocab_size": VOCABULARY}
    llama = {
        "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 3, "num_attention_heads": 6,
        "num_key_value_heads": 2, "max_position_embeddings": CONTEXT, **ends,
    }  # fmt: skip
    match family:
        case "llama":
            made = transformers.LlamaForCausalLM(transformers.LlamaConfig(**llama))
        case "qwen2":
            made = transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**llama))
        case "qwen3":
            made = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**llama, head_dim=8))
        case "gpt_neox":
            shape = {name: value for name, value in llama.items() if name != "num_key_value_heads"}
            made = transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(**shape))
        case _:
            made = transformers.GPT2LMHeadModel(
                transformers.GPT2Config(n_positions=CONTEXT, n_embd=24, n_layer=3, n_head=4, **ends)
            )
    for parameter in made.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.3)
    return made.to(dtype).eval()


def adapt(made: Any, *names: str, rank: int = 3, fresh: bool = False, targets: Any = "all-linear") -> Any:
    """The module in PEFT's wrapper, with an adapter of each name; B is random unless it should be fresh."""
    peft = pytest.importorskip("peft")
    dtype = next(made.parameters()).dtype
    config = peft.LoraConfig(r=rank, lora_alpha=7, target_modules=targets, task_type="CAUSAL_LM")
    first, *others = names
    wrapped = peft.get_peft_model(made, config, adapter_name=first)
    for name in others:
        wrapped.add_adapter(name, config)
    for name, parameter in wrapped.named_parameters():
        if ".lora_" in name:
            parameter.data = parameter.data.to(dtype)
        if ".lora_B." in name and not fresh:
            parameter.data.normal_(0, 0.2)
    return wrapped.eval()


def ids(count: int, generator: torch.Generator) -> list[int]:
    """Random token ids."""
    return torch.randint(3, VOCABULARY, (count,), generator=generator).tolist()


def ragged(groups: Any = GROUPS, seed: int = 0) -> Batch:
    """A batch of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    prompts = [ids(length, generator) for length, _ in groups]
    return Batch.of(prompts, [[ids(length, generator) for length in lengths] for _, lengths in groups])


def twins(made: Any, dtype: torch.dtype = torch.float64) -> tuple[LanguageModel, LanguageModel]:
    """The fast path, and Transformers' own forward, of the same parameters."""
    return LanguageModel(made, dtype=dtype, fast=True), LanguageModel(made, dtype=dtype, fast=False)


def gradients(model: LanguageModel, loss: torch.Tensor) -> list[torch.Tensor]:
    """Of a loss, in all of the model's parameters."""
    parameters = model.parameters()
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [torch.zeros_like(p) if grad is None else grad for p, grad in zip(parameters, found, strict=True)]


def worst(found: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    """Largest relative error over tensors; what should be 0 must be 0."""
    assert len(found) == len(expected) > 0
    return max(float((a - b).norm() / (b.norm() + 1e-12)) for a, b in zip(found, expected, strict=True))


def exact_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transformers computes root mean squares in fp32, whatever the dtype: in float64 here, so that twins agree sharply."""
    from transformers.models.llama.modeling_llama import LlamaRMSNorm
    from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm
    from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

    def forward(self: Any, hidden_states: torch.Tensor) -> torch.Tensor:
        square = hidden_states.pow(2).mean(-1, keepdim=True)
        return self.weight * hidden_states * torch.rsqrt(square + self.variance_epsilon)

    for norm in (LlamaRMSNorm, Qwen2RMSNorm, Qwen3RMSNorm):
        monkeypatch.setattr(norm, "forward", forward)
