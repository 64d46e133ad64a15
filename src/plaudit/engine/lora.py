"""One product with the merged weight; gradients of all its parameters, low-rank or full, from its input and output."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from plaudit.engine.weights import Matrix


def project(x: Tensor, matrix: Matrix) -> Tensor:
    """x @ weight.T + bias, [S, in] to [S, out]; gradients reach whatever of the matrix's parameters is trained."""
    if not torch.is_grad_enabled():
        return functional.linear(x, matrix.weight, matrix.bias)
    return _Project.apply(x, matrix, *matrix.parameters())  # pyright: ignore[reportReturnType]


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Matrix, *parameters: Tensor) -> Tensor:
        ctx.matrix = matrix
        ctx.save_for_backward(x, matrix.weight, *parameters)
        return functional.linear(x, matrix.weight, matrix.bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *_ = ctx.saved_tensors
        dy, matrix = grads[0], ctx.matrix
        wanted = {id(p) for p, need in zip(matrix.parameters(), ctx.needs_input_grad[2:], strict=True) if need}
        found = _full(x, dy, matrix, wanted) | _low_rank(x, dy, matrix, wanted)
        dx = dy @ weight if ctx.needs_input_grad[0] else None
        return (dx, None, *(found.get(id(parameter)) for parameter in matrix.parameters()))


def _full(x: Tensor, dy: Tensor, matrix: Matrix, wanted: set[int]) -> dict[int, Tensor]:
    found: dict[int, Tensor] = {}
    weights = [part.weight for part in matrix.parts]
    together = dy.t() @ x if len(weights) > 1 and all(id(weight) in wanted for weight in weights) else None
    for part, rows in zip(matrix.parts, matrix.slices, strict=True):
        if id(part.weight) in wanted:
            whole = len(weights) == 1
            d = dy if whole else dy[:, rows]
            grad = together[rows] if together is not None else (x.t() @ d if part.transposed else d.t() @ x)
            found[id(part.weight)] = grad.to(part.weight.dtype)
        if part.bias is not None and id(part.bias) in wanted:
            found[id(part.bias)] = dy[:, rows].sum(0).to(part.bias.dtype)
    return found


def _low_rank(x: Tensor, dy: Tensor, matrix: Matrix, wanted: set[int]) -> dict[int, Tensor]:
    pairs = [(part.low_rank, rows) for part, rows in zip(matrix.parts, matrix.slices, strict=True)]
    some = [(low, rows) for low, rows in pairs if low is not None and {id(low.a), id(low.b)} & wanted]
    if not some:
        return {}
    found: dict[int, Tensor] = {}
    ranks = [len(low.a) for low, _ in some]
    narrow = functional.linear(x, torch.cat([low.a for low, _ in some]).to(x.dtype)).split(ranks, 1)
    ups = [dy[:, rows] @ (low.b * low.scale).to(dy.dtype) for low, rows in some]
    downs = (torch.cat(ups, 1).t() @ x).split(ranks)
    for (low, rows), inner, down in zip(some, narrow, downs, strict=True):
        found[id(low.a)] = down.to(low.a.dtype)
        found[id(low.b)] = (dy[:, rows].t() @ inner).to(low.b.dtype).mul_(low.scale)
    return found
