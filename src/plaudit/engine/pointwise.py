"""What is done to each token alone: norms, activations, embeddings. Few passes over memory, little kept for backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from plaudit.engine.gather import Gather
from plaudit.engine.weights import Matrix, Norm


def normalise(x: Tensor, norm: Norm) -> Tensor:
    """Root mean square norm (Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467) or layer norm, [..., d]."""
    if norm.bias is not None:
        return functional.layer_norm(x, x.shape[-1:], norm.weight.to(x.dtype), norm.bias.to(x.dtype), norm.eps)
    return _RootMeanSquare.apply(x, norm.weight, norm.eps)  # pyright: ignore[reportReturnType]


class _RootMeanSquare(torch.autograd.Function):
    """y = weight x / rms.  With g = weight dy and r = 1/rms:  dx = r g - x r^3 mean(g x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        accurate = torch.promote_types(x.dtype, torch.float32)
        square = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=accurate).square_()
        inverse = square.div_(x.shape[-1]).add_(eps).rsqrt_()  # rounded to bf16 it would shift a whole row
        ctx.save_for_backward(x, weight, inverse)
        return torch.mul(x, inverse).mul_(weight).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, inverse = ctx.saved_tensors
        dy = grads[0]
        g = dy * weight.to(x.dtype)
        slope = torch.linalg.vecdot(g, x).unsqueeze(-1).mul(inverse.pow(3)).div_(-x.shape[-1])
        dx = g.mul_(inverse).addcmul_(x, slope.to(x.dtype))
        if not ctx.needs_input_grad[1]:
            return dx, None, None
        whole = (dy * x).mul_(inverse).reshape(-1, x.shape[-1])
        return dx, whole.sum(0, dtype=weight.dtype), None


def gated(both: Tensor) -> Tensor:
    """silu(gate) * up of gate and up side by side, [S, 2 m] to [S, m]. Shazeer 2020, https://arxiv.org/abs/2002.05202."""
    return _Gated.apply(both)  # pyright: ignore[reportReturnType]


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        ctx.save_for_backward(both)
        gate, up = both.chunk(2, -1)
        return functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (both,) = ctx.saved_tensors
        gate, up = both.chunk(2, -1)
        found = torch.empty_like(both)
        d_gate, d_up = found.chunk(2, -1)
        torch.ops.aten.silu.out(gate, out=d_up)
        d_up.mul_(grads[0])
        torch.mul(grads[0], up, out=d_gate)
        torch.ops.aten.silu_backward.grad_input(d_gate, gate, grad_input=d_gate)
        return found


def activate(x: Tensor, name: str) -> Tensor:
    """silu, gelu, gelu_tanh or relu."""
    match name:
        case "silu":
            return functional.silu(x)
        case "gelu_tanh":
            return functional.gelu(x, approximate="tanh")
        case "gelu":
            return functional.gelu(x)
        case _:
            return functional.relu(x)


def embed(ids: Tensor, table: Matrix) -> Tensor:
    """Rows of the table in the compute dtype, [S] to [S, d]."""
    return _Embed.apply(ids, table.weight, table.parts[0].weight)  # pyright: ignore[reportReturnType]


class _Embed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, ids: Tensor, table: Tensor, parameter: Tensor) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.table = parameter
        return table.index_select(0, ids)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (ids,) = ctx.saved_tensors
        if not ctx.needs_input_grad[2]:
            return None, None, None
        grad = grads[0].to(ctx.table.dtype)
        return None, None, torch.ops.aten.embedding_dense_backward(grad, ids, len(ctx.table), -1, False)


def take(x: Tensor, rows: Gather) -> Tensor:
    """Rows of a table, [size, d] to [M, d]; repeated rows sum their gradients in the same order at every call."""
    return _Take.apply(x, rows)  # pyright: ignore[reportReturnType]


class _Take(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Gather) -> Tensor:
        ctx.rows = rows
        return x.index_select(0, rows.index)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.rows.back(grads[0]), None
