"""A language model of a few thousand weights, and runs that teach it in seconds."""

from __future__ import annotations

import functools
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from plaudit.loop.texts.config import TextRunConfig
from plaudit.run.config import from_table
from tests.text_examples import VOCABULARY, tokenizer


def write_model(folder: Path) -> Path:
    """A random model with its tokenizer, as a directory."""
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "max_position_embeddings": 256}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    ids = {"vocab_size": VOCABULARY, "bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0}
    model = LlamaForCausalLM(LlamaConfig(**shape, **heads, **ids))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4.0)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


@functools.cache
def tiny() -> Path:
    """The same for all tests of a process."""
    return write_model(Path(mkdtemp(prefix="plaudit-tiny-")) / "model")


def small(model: Path | None = None, **tables: Any) -> TextRunConfig:
    """Two rounds of a few completions."""
    plain: dict[str, Any] = {
        "name": "small",
        "seed": 5,
        "model": {"path": str(tiny() if model is None else model), "lora": {"rank": 2}, "products": "default"},
        "prompts": {"instructions": 60},
        "ask": {"labels": 12, "samples": 3, "pool": 2, "max_tokens": 8, "ranking_size": 3},
        "reward": {"members": 2, "batch_size": 4},
        "improve": {"group": {"steps": 3, "prompts": 2, "samples": 3, "max_tokens": 8, "checkpoint_every": 1}},
        "loop": {"rounds": 2},
        "check": {"prompts": 4, "prompts_between": 2, "samples": 2, "max_tokens": 8, "shown": 3},
    }
    for name, table in tables.items():
        plain[name] = plain.get(name, {}) | table if isinstance(table, dict) else table
    return from_table(TextRunConfig, plain)
