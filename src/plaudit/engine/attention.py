"""Attention over packed tokens: rotate, gather rows head by head, attend block by block, put back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from plaudit.engine.layout import Attention, Block
from plaudit.engine.pointwise import normalise
from plaudit.engine.weights import Layer, Rotary, Weights

PRODUCTS = 1 << 22
"""On the CPU, plain products of queries and keys beat the fused kernel several times over; up to this many a row"""
KEPT = 1 << 22
"""a block's attention weights are kept for the backward pass up to this many, and made once more beyond"""


Turn = tuple[Tensor, Tensor]
"""cosine and sine"""


def rotation(rotary: Rotary, positions: Tensor, dtype: torch.dtype) -> Turn:
    """Cosine and sine of every token's angles, [S, 1, head / 2]; angles in fp32, as Transformers has them."""
    angles = positions[:, None].float() * rotary.frequencies.to(positions.device)
    cos, sin = angles.cos() * rotary.scaling, angles.sin() * rotary.scaling
    return cos.to(dtype).unsqueeze(1), sin.to(dtype).unsqueeze(1)


def attend(y: Tensor, weights: Weights, layer: Layer, turn: Turn | None, plan: Attention) -> Tensor:
    """Attention of packed tokens, [S, (heads + 2 kv_heads) * head] to [kept, heads * head]."""
    heads, size = weights.heads, weights.head_dim
    shaped = y.view(len(y), -1, size)
    if layer.query_norm is not None and layer.key_norm is not None:
        asks, keys, values = shaped.split((heads, weights.kv_heads, weights.kv_heads), 1)
        shaped = torch.cat((normalise(asks, layer.query_norm), normalise(keys, layer.key_norm), values), 1)
    q, k, v = _Spread.apply(shaped, turn, plan, heads, layer.scale)  # pyright: ignore[reportGeneralTypeIssues]
    share = heads // weights.kv_heads
    if y.device.type == "cpu" and all(block.queries * block.keys * heads <= PRODUCTS for block in plan.blocks):
        found = _Products.apply(q, k, v, plan.blocks, (weights.kv_heads, share))
    else:
        found = _fused(q, k, v, plan.blocks, (weights.kv_heads, share))
    return _Back.apply(found, plan, heads)  # pyright: ignore[reportReturnType]


def _rotate(x: Tensor, turn: Turn, out: Tensor, *, backwards: bool = False) -> None:
    """Write rotated halves of x [S, heads, head] to `out`."""
    cos, sin = turn
    (a, b), (c, d) = x.chunk(2, -1), out.chunk(2, -1)
    torch.mul(a, cos, out=c)
    torch.mul(b, cos, out=d)
    c.addcmul_(b, sin, value=1 if backwards else -1)
    d.addcmul_(a, sin, value=-1 if backwards else 1)


class _Spread(torch.autograd.Function):
    """Rotated and scaled queries, rotated keys, and values, as rows (block, row, head, position): [M, head] each."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, turn: Turn | None, plan: Attention, heads: int, scale: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.turn, ctx.plan, ctx.heads, ctx.scale, ctx.shape = turn, plan, heads, scale, y.shape
        size, both = y.shape[-1], (y.shape[1] + heads) // 2
        turned = y.new_empty(len(y), both, size)
        if turn is None:
            torch.mul(y[:, :heads], scale, out=turned[:, :heads])
            turned[:, heads:] = y[:, heads:both]
        else:
            _rotate(y[:, :heads], (turn[0] * scale, turn[1] * scale), turned[:, :heads])
            _rotate(y[:, heads:both], turn, turned[:, heads:])
        turned, flat = turned.view(-1, size), y.reshape(-1, size)
        tables = ((turned, plan.q), (turned, plan.k), (flat, plan.v))
        q, k, v = (table.index_select(0, rows.index) for table, rows in tables)
        return q, k, v

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        plan, heads, turn, scale = ctx.plan, ctx.heads, ctx.turn, ctx.scale
        tokens, total, size = ctx.shape
        both = (total + heads) // 2
        found = grads[0].new_empty(ctx.shape)
        q, k = plan.q.back(grads[0]).view(tokens, heads, size), plan.k.back(grads[1]).view(tokens, -1, size)
        if turn is None:
            torch.mul(q, scale, out=found[:, :heads])
            found[:, heads:both] = k
        else:
            _rotate(q, (turn[0] * scale, turn[1] * scale), found[:, :heads], backwards=True)
            _rotate(k, turn, found[:, heads:both], backwards=True)
        found[:, both:] = plan.v.back(grads[2]).view(tokens, -1, size)
        return found, None, None, None, None


class _Back(torch.autograd.Function):
    """From rows (block, row, head, position) to [kept, heads * head]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, plan: Attention, heads: int) -> Tensor:
        ctx.plan = plan
        return x.index_select(0, plan.out.index).view(-1, heads * x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        plan = ctx.plan
        size = grads[0].numel() // len(plan.out.index)
        return plan.out.back(grads[0].reshape(-1, size)), None, None


class _Products(torch.autograd.Function):
    """softmax(q k^T + mask) v by plain products, all query heads of one key head in one product."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, blocks: tuple[Block, ...], heads: tuple[int, int]) -> Tensor:
        out = torch.empty_like(q)
        kept: list[Tensor] = []
        for block, (a, b, c, o) in zip(blocks, _views((q, k, v, out), blocks, heads), strict=True):
            p = _shares(a, b, block)
            torch.bmm(p, c, out=o)
            kept.append(p if p.numel() <= KEPT else p.new_empty(0))
        ctx.blocks, ctx.heads = blocks, heads
        ctx.save_for_backward(q, k, v, *kept)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, *kept = ctx.saved_tensors
        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        views = _views((q, k, v, grads[0].contiguous(), dq, dk, dv), ctx.blocks, ctx.heads)
        for block, before, (a, b, c, do, da, db, dc) in zip(ctx.blocks, kept, views, strict=True):
            p = before if before.numel() else _shares(a, b, block)
            torch.bmm(p.transpose(1, 2), do, out=dc)
            dp = torch.bmm(do, c.transpose(1, 2))
            ds = torch.ops.aten._softmax_backward_data(dp, p, -1, p.dtype)
            torch.bmm(ds, b, out=da)
            torch.bmm(ds.transpose(1, 2), a, out=db)
        return dq, dk, dv, None, None


def _shares(a: Tensor, b: Tensor, block: Block) -> Tensor:
    """How much of each key every query takes, [rows * kv_heads, queries of its heads, keys]."""
    scores = torch.bmm(a, b.transpose(1, 2)).view(block.rows, -1, block.queries, block.keys)
    if block.mask is not None:
        scores.add_(block.mask)
    return torch.softmax(scores, -1).view(len(a), -1, block.keys)


def _views(flat: tuple[Tensor, ...], blocks: tuple[Block, ...], heads: tuple[int, int]) -> list[list[Tensor]]:
    """Per block, each tensor as [rows * kv_heads, queries of its heads or keys, head]; k and v stand second and third."""
    kv, share = heads
    found: list[list[Tensor]] = []
    asked = answered = 0
    for block in blocks:
        queries, keys = block.rows * kv * share * block.queries, block.rows * kv * block.keys
        views: list[Tensor] = []
        for place, tensor in enumerate(flat):
            of_keys = place in (1, 2, 5, 6)
            start, length = (answered, keys) if of_keys else (asked, queries)
            views.append(tensor[start : start + length].view(block.rows * kv, -1, tensor.shape[1]))
        found.append(views)
        asked, answered = asked + queries, answered + keys
    return found


def _fused(q: Tensor, k: Tensor, v: Tensor, blocks: tuple[Block, ...], heads: tuple[int, int]) -> Tensor:
    """The same by torch's fused kernels."""
    found: list[Tensor] = []
    kv, share = heads
    for block, (a, b, c) in zip(blocks, _views((q, k, v), blocks, heads), strict=True):
        size = a.shape[-1]
        asks = a.view(block.rows, kv * share, block.queries, size)
        keys, values = (x.view(block.rows, kv, block.keys, size) for x in (b, c))
        mixed = functional.scaled_dot_product_attention(
            asks, keys, values, attn_mask=None if block.causal else block.mask, is_causal=block.causal, scale=1.0,
            enable_gqa=share > 1,
        )  # fmt: skip
        found.append(mixed.reshape(-1, size))
    return torch.cat(found) if len(found) > 1 else found[0]
