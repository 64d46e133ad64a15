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
"""On the CPU, plain products of queries and keys beat the fused kernel several times over, up to this many of them a row"""


def rotation(rotary: Rotary, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every token's angles, [S, 1, head / 2]; angles in fp32, as Transformers has them."""
    angles = positions[:, None].float() * rotary.frequencies.to(positions.device)
    cos, sin = angles.cos() * rotary.scaling, angles.sin() * rotary.scaling
    return cos.to(dtype).unsqueeze(1), sin.to(dtype).unsqueeze(1)


def attend(y: Tensor, weights: Weights, layer: Layer, turn: tuple[Tensor, Tensor] | None, plan: Attention) -> Tensor:
    """Attention of packed tokens, [S, (heads + 2 kv_heads) * head] to [kept, heads * head]."""
    heads, size = weights.heads, weights.head_dim
    shaped = y.view(len(y), -1, size)
    if layer.query_norm is not None and layer.key_norm is not None:
        asks, keys, values = shaped.split((heads, weights.kv_heads, weights.kv_heads), 1)
        shaped = torch.cat((normalise(asks, layer.query_norm), normalise(keys, layer.key_norm), values), 1)
    q, k, v = _Spread.apply(shaped, turn, plan, heads)  # pyright: ignore[reportGeneralTypeIssues]
    share = heads // weights.kv_heads
    if y.device.type == "cpu" and all(block.queries * block.keys * heads <= PRODUCTS for block in plan.blocks):
        found = _Products.apply(q, k, v, plan.blocks, (weights.kv_heads, share), layer.scale)
    else:
        found = _fused(q, k, v, plan.blocks, (weights.kv_heads, share), layer.scale)
    return _Back.apply(found, plan, heads)  # pyright: ignore[reportReturnType]


def _rotate(x: Tensor, turn: tuple[Tensor, Tensor], out: Tensor, *, backwards: bool = False) -> None:
    """Write rotated halves of x [S, heads, head] to `out`."""
    cos, sin = turn
    (a, b), (c, d) = x.chunk(2, -1), out.chunk(2, -1)
    torch.mul(a, cos, out=c)
    torch.mul(b, cos, out=d)
    c.addcmul_(b, sin, value=1 if backwards else -1)
    d.addcmul_(a, sin, value=-1 if backwards else 1)


class _Spread(torch.autograd.Function):
    """Rotated queries and keys, and values, as rows ordered by block, row, head, position: [M, head] each."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, turn: tuple[Tensor, Tensor] | None, plan: Attention, heads: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.turn, ctx.plan, ctx.heads, ctx.shape = turn, plan, heads, y.shape
        size = y.shape[-1]
        both = (y.shape[1] + heads) // 2
        if turn is None:
            turned = y[:, :both].reshape(-1, size)
        else:
            turned = y.new_empty(len(y), both, size)
            _rotate(y[:, :both], turn, turned)
            turned = turned.view(-1, size)
        flat = y.reshape(-1, size)
        return (
            turned.index_select(0, plan.q.index),
            turned.index_select(0, plan.k.index),
            flat.index_select(0, plan.v.index),
        )

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        plan, heads = ctx.plan, ctx.heads
        tokens, total, size = ctx.shape
        both = (total + heads) // 2
        found = grads[0].new_empty(ctx.shape)
        q, k = plan.q.back(grads[0]).view(tokens, heads, size), plan.k.back(grads[1]).view(tokens, -1, size)
        if ctx.turn is None:
            found[:, :heads], found[:, heads:both] = q, k
        else:
            _rotate(q, ctx.turn, found[:, :heads], backwards=True)
            _rotate(k, ctx.turn, found[:, heads:both], backwards=True)
        found[:, both:] = plan.v.back(grads[2]).view(tokens, -1, size)
        return found, None, None, None


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
    """softmax(scale q k^T + mask) v by plain products, all query heads of one key head in one product."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, blocks: tuple[Block, ...], heads: tuple[int, int], scale: float
    ) -> Tensor:
        out = torch.empty_like(q)
        kept: list[Tensor] = []
        for block, (a, b, c, o) in zip(blocks, _views((q, k, v, out), blocks, heads), strict=True):
            scores = torch.bmm(a, b.transpose(1, 2)).mul_(scale).view(block.rows, -1, block.queries, block.keys)
            if block.mask is not None:
                scores.add_(block.mask)
            p = torch.softmax(scores, -1).view(len(a), -1, block.keys)
            torch.bmm(p, c, out=o)
            kept.append(p)
        ctx.blocks, ctx.heads, ctx.scale = blocks, heads, scale
        ctx.save_for_backward(q, k, v, *kept)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, *kept = ctx.saved_tensors
        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        views = _views((q, k, v, grads[0].contiguous(), dq, dk, dv), ctx.blocks, ctx.heads)
        for p, (a, b, c, do, da, db, dc) in zip(kept, views, strict=True):
            torch.bmm(p.transpose(1, 2), do, out=dc)
            dp = torch.bmm(do, c.transpose(1, 2))
            ds = torch.ops.aten._softmax_backward_data(dp, p, -1, p.dtype).mul_(ctx.scale)
            torch.bmm(ds, b, out=da)
            torch.bmm(ds.transpose(1, 2), a, out=db)
        return dq, dk, dv, None, None, None


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


def _fused(q: Tensor, k: Tensor, v: Tensor, blocks: tuple[Block, ...], heads: tuple[int, int], scale: float) -> Tensor:
    """The same by torch's fused kernels."""
    found: list[Tensor] = []
    kv, share = heads
    for block, (a, b, c) in zip(blocks, _views((q, k, v), blocks, heads), strict=True):
        size = a.shape[-1]
        asks = a.view(block.rows, kv * share, block.queries, size)
        keys, values = (x.view(block.rows, kv, block.keys, size) for x in (b, c))
        mixed = functional.scaled_dot_product_attention(
            asks, keys, values, attn_mask=block.mask, scale=scale, enable_gqa=share > 1
        )
        found.append(mixed.reshape(-1, size))
    return torch.cat(found) if len(found) > 1 else found[0]
