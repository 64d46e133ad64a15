"""Which module is which: Llama, Qwen2, Qwen3 and GPT-2 of Transformers, with or without adapters of PEFT.

Modules are read by their attributes, so that neither library is imported here. What is not known for certain raises
UnknownFamilyError, and Transformers' own forward takes over (`fallback.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch.nn import Parameter

from plaudit.engine.weights import Layer, LowRank, Matrix, Norm, Part, Rotary, UnknownFamilyError, Weights

ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}
STILL = {"default", "linear", "llama3", "yarn"}
"""kinds of rotary positions whose frequencies do not depend on the text's length"""

Cache = dict[tuple[int, ...], Matrix]


@dataclass(slots=True)
class Reader:
    """Reads one module for one adapter. Matrices without an adapter come from `cache`, which all views share."""

    adapter: str | None
    dtype: torch.dtype
    cache: Cache = field(default_factory=dict)

    def read(self, module: Any) -> Weights:
        """All weights of a causal language model. Raises UnknownFamilyError."""
        config = module.config
        if getattr(module, "hf_quantizer", None) is not None:
            raise UnknownFamilyError("quantised weights")
        match config.model_type:
            case "llama" | "qwen2" | "qwen3":
                return self._llama(module, config)
            case "gpt2":
                return self._gpt2(module, config)
            case other:
                raise UnknownFamilyError(f"model type {other!r}")

    def _llama(self, module: Any, config: Any) -> Weights:
        body = module.model
        if "sliding_attention" in (getattr(config, "layer_types", None) or []):
            raise UnknownFamilyError("sliding windows")
        kind = body.rotary_emb.rope_type
        rotary = Rotary(body.rotary_emb.inv_freq.float(), float(body.rotary_emb.attention_scaling))
        head_dim = body.layers[0].self_attn.head_dim
        if kind not in STILL or 2 * len(rotary.frequencies) != head_dim:
            raise UnknownFamilyError(f"rotary positions of kind {kind!r}")
        embedding, head = self._ends(body.embed_tokens, module.lm_head)
        return Weights(
            embedding=embedding, positions=None, rotary=rotary,
            layers=tuple(self._llama_layer(layer) for layer in body.layers), norm=self.norm(body.norm), head=head,
            heads=config.num_attention_heads, kv_heads=config.num_key_value_heads, head_dim=head_dim, gated=True,
            activation=_activation(config.hidden_act), context=config.max_position_embeddings, dtype=self.dtype,
        )  # fmt: skip

    def _llama_layer(self, layer: Any) -> Layer:
        attention, mlp = layer.self_attn, layer.mlp
        norms = [getattr(attention, name, None) for name in ("q_norm", "k_norm")]
        query_norm, key_norm = [None if norm is None else self.norm(norm) for norm in norms]
        return Layer(
            attention_norm=self.norm(layer.input_layernorm), query_norm=query_norm, key_norm=key_norm,
            qkv=self.matrix(attention.q_proj, attention.k_proj, attention.v_proj), out=self.matrix(attention.o_proj),
            mlp_norm=self.norm(layer.post_attention_layernorm), up=self.matrix(mlp.gate_proj, mlp.up_proj),
            down=self.matrix(mlp.down_proj), scale=float(attention.scaling),
        )  # fmt: skip

    def _gpt2(self, module: Any, config: Any) -> Weights:
        body = module.transformer
        if config.add_cross_attention or config.reorder_and_upcast_attn:
            raise UnknownFamilyError("GPT-2 with cross attention or reordered attention")
        embedding, head = self._ends(body.wte, module.lm_head)
        positions, low = self.resolve(body.wpe)
        if low is not None:
            raise UnknownFamilyError("an adapter of positions")
        layers = tuple(
            Layer(
                attention_norm=self.norm(block.ln_1), qkv=self.matrix(block.attn.c_attn), query_norm=None,
                key_norm=None, out=self.matrix(block.attn.c_proj), mlp_norm=self.norm(block.ln_2),
                up=self.matrix(block.mlp.c_fc), down=self.matrix(block.mlp.c_proj), scale=float(block.attn.scaling),
            )
            for block in body.h
        )  # fmt: skip
        return Weights(
            embedding=embedding, positions=positions.weight, rotary=None, layers=layers, norm=self.norm(body.ln_f),
            head=head, heads=config.n_head, kv_heads=config.n_head, head_dim=config.n_embd // config.n_head,
            gated=False, activation=_activation(config.activation_function), context=config.n_positions,
            dtype=self.dtype,
        )  # fmt: skip

    def _ends(self, embedding: Any, head: Any) -> tuple[Matrix, Matrix]:
        found = self.matrix(embedding), self.matrix(head)
        if any(matrix.parts[0].low_rank for matrix in found) or found[1].bias is not None:
            raise UnknownFamilyError("an adapter of the embedding or the head, or a head with a bias")
        return found

    def matrix(self, *modules: Any) -> Matrix:
        """One product out of linear modules side by side."""
        parts = tuple(self.part(module) for module in modules)
        if any(part.low_rank for part in parts):
            return Matrix(parts, self.dtype)
        key = tuple(id(parameter) for part in parts for parameter in part.parameters())
        if key not in self.cache:
            self.cache[key] = Matrix(parts, self.dtype)
        return self.cache[key]

    def part(self, module: Any) -> Part:
        """One linear module or embedding."""
        plain, low = self.resolve(module)
        transposed = type(plain).__name__ == "Conv1D"
        if not transposed and not isinstance(plain, torch.nn.Linear | torch.nn.Embedding):
            raise UnknownFamilyError(f"matrices of type {type(plain).__name__}")
        return Part(cast(Parameter, plain.weight), getattr(plain, "bias", None), low, transposed)

    def norm(self, module: Any) -> Norm:
        """One normalising module."""
        plain, _ = self.resolve(module)
        layered = isinstance(plain, torch.nn.LayerNorm)
        if not layered and not type(plain).__name__.endswith("RMSNorm"):
            raise UnknownFamilyError(f"norms of type {type(plain).__name__}")
        return (
            Norm(plain.weight, plain.bias, plain.eps) if layered else Norm(plain.weight, None, plain.variance_epsilon)
        )

    def resolve(self, module: Any) -> tuple[Any, LowRank | None]:
        """What stands under PEFT's wrappers for this adapter."""
        if hasattr(module, "modules_to_save") and hasattr(module, "original_module"):
            saved = module.modules_to_save
            return (saved[self.adapter], None) if self.adapter in saved else (module.original_module, None)
        if not hasattr(module, "base_layer"):
            return module, None
        if getattr(module, "merged", False):
            raise UnknownFamilyError("an adapter that is merged into the module's own weights")
        plain = module.base_layer
        if self.adapter is not None and not hasattr(module, "lora_A"):
            raise UnknownFamilyError("an adapter that is not LoRA")
        if self.adapter is None or self.adapter not in module.lora_A:
            if self.adapter is not None and self.adapter in getattr(module, "lora_embedding_A", {}):
                raise UnknownFamilyError("an adapter of an embedding")
            return plain, None
        down, up = module.lora_A[self.adapter], module.lora_B[self.adapter]
        if self.adapter in getattr(module, "lora_variant", {}) or getattr(up, "bias", None) is not None:
            raise UnknownFamilyError("a variant of LoRA")
        return plain, LowRank(down.weight, up.weight, float(module.scaling[self.adapter]))


def _activation(name: str) -> str:
    if name not in ACTIVATIONS:
        raise UnknownFamilyError(f"activation {name!r}")
    return ACTIVATIONS[name]
