"""The forward pass over one packed sequence: every product over all tokens at once, nothing padded but attention."""

from __future__ import annotations

from torch import Tensor

from plaudit.engine.attention import attend, rotation
from plaudit.engine.layout import Layout
from plaudit.engine.lora import project
from plaudit.engine.pointwise import activate, embed, gated, normalise, take
from plaudit.engine.weights import Layer, Weights


def hidden(weights: Weights, layout: Layout) -> Tensor:
    """Hidden state behind the last norm at the positions that the layout reads, [T or N, d]."""
    x = embed(layout.ids, weights.embedding)
    if weights.positions is not None:
        x = x + weights.positions[layout.positions].to(x.dtype)
    turn = None if weights.rotary is None else rotation(weights.rotary, layout.positions, x.dtype)
    for layer in weights.layers:
        last = layer is weights.layers[-1]
        y = project(normalise(x, layer.attention_norm), layer.qkv)
        mixed = attend(y, weights, layer, turn, layout.last if last else layout.inner)
        x = take(x, layout.keep) if last else x
        x = project(mixed, layer.out).add_(x)
        x = _network(normalise(x, layer.mlp_norm), layer, weights).add_(x)
    return take(normalise(x, weights.norm), layout.read)


def _network(x: Tensor, layer: Layer, weights: Weights) -> Tensor:
    up = project(x, layer.up)
    inner = gated(up) if weights.gated and weights.activation == "silu" else _other(up, weights)
    return project(inner, layer.down)


def _other(up: Tensor, weights: Weights) -> Tensor:
    if not weights.gated:
        return activate(up, weights.activation)
    gate, up = up.chunk(2, -1)
    return activate(gate, weights.activation) * up
