"""The vocabulary head: log-probabilities and entropies of response tokens, in chunks, never [T, vocabulary] at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from plaudit.engine.batch import TokenScores
from plaudit.engine.weights import Matrix

ELEMENTS = {"cpu": 3 << 21, "cuda": 1 << 27}
"""logits that may lie in memory at once; on the CPU they should stay in its cache"""


def score(hidden: Tensor, head: Matrix, targets: Tensor, *, temperature: float, entropy: bool) -> TokenScores:
    """Scores of targets [T] under softmax(hidden @ head.T / temperature), hidden [T, d].

    With a frozen head, the gradient of each log-probability in the hidden state is kept from the forward pass and only
    scaled in the backward pass: two products in all. A head that is trained, or a loss that uses the entropy, makes the
    chunks once more.
    """
    logprobs, entropies, likeliest = _Score.apply(  # pyright: ignore[reportGeneralTypeIssues]
        hidden, head.weight, head.parts[0].weight, targets, temperature, entropy
    )
    return TokenScores(logprobs, entropies, likeliest)


def chunks(rows: int, vocabulary: int, device: torch.device) -> list[slice]:
    """Pieces of rows whose logits fit into memory together."""
    step = max(16, ELEMENTS.get(device.type, ELEMENTS["cpu"]) // vocabulary)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


class _Score(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, parameter: Tensor, targets: Tensor, temperature: float, entropy: bool
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        accurate = torch.promote_types(hidden.dtype, torch.float32)
        ctx.set_materialize_grads(False)
        ctx.temperature, ctx.parameter_dtype = temperature, parameter.dtype
        unit = torch.empty_like(hidden) if ctx.needs_input_grad[0] and not ctx.needs_input_grad[2] else None
        logprobs = hidden.new_empty(len(hidden), dtype=accurate)
        entropies = torch.empty_like(logprobs) if entropy else None
        likeliest = torch.empty_like(targets, dtype=torch.bool) if entropy else None
        for piece in chunks(len(hidden), len(weight), hidden.device):
            p, norm, below = _softmax(hidden[piece], weight, targets[piece], temperature, entropies, piece)
            logprobs[piece] = below - norm.log()
            if likeliest is not None:
                likeliest[piece] = below >= 0
            if unit is not None:  # (onehot - p / norm) @ weight / temperature, without a pass over the logits
                slope = torch.mm(p.to(weight.dtype), weight, out=unit[piece])
                slope.mul_((-1 / (norm * temperature)).unsqueeze(1).to(slope.dtype))
                slope.add_(weight.index_select(0, targets[piece]), alpha=1 / temperature)
        ctx.save_for_backward(hidden, weight, targets, unit, parameter)
        if likeliest is not None:
            ctx.mark_non_differentiable(likeliest)
        return logprobs, entropies, likeliest

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        hidden, weight, targets, unit, _ = ctx.saved_tensors
        d_logprobs, d_entropies, _ = grads
        if d_entropies is None and unit is not None:
            scaled = None if d_logprobs is None else unit * d_logprobs.to(unit.dtype).unsqueeze(1)
            return scaled, None, None, None, None, None
        dh = torch.empty_like(hidden)
        dw = torch.zeros_like(weight, dtype=ctx.parameter_dtype) if ctx.needs_input_grad[2] else None
        for piece in chunks(len(hidden), len(weight), hidden.device):
            dz = _slope(hidden[piece], weight, targets[piece], ctx.temperature, (d_logprobs, d_entropies), piece)
            torch.mm(dz, weight, out=dh[piece])
            if dw is not None and dw.dtype == dz.dtype:
                dw.addmm_(dz.t(), hidden[piece])
            elif dw is not None:
                dw.add_(dz.t() @ hidden[piece])
        return dh, None, dw, None, None, None


def _softmax(
    hidden: Tensor, weight: Tensor, targets: Tensor, temperature: float, entropies: Tensor | None, piece: slice
) -> tuple[Tensor, Tensor, Tensor]:
    """exp(z - max), its sum, and the targets' z - max; fills in the entropies."""
    z = _logits(hidden, weight, temperature)
    top = z.amax(1, keepdim=True)
    chosen = (z.gather(1, targets.unsqueeze(1)) - top).squeeze(1)
    z.sub_(top)
    p = z.exp() if entropies is not None else z.exp_()
    norm = p.sum(1)
    if entropies is not None:
        entropies[piece] = norm.log() - torch.linalg.vecdot(p, z) / norm
    return p, norm, chosen


def _slope(
    hidden: Tensor, weight: Tensor, targets: Tensor, temperature: float, grads: tuple[Tensor | None, ...], piece: slice
) -> Tensor:
    """Gradient in the logits before the temperature: of log p it is onehot - p, of the entropy -p (log p + H)."""
    logp = torch.log_softmax(_logits(hidden, weight, temperature), 1)
    p = logp.exp()
    d_logprobs, d_entropies = grads
    if d_entropies is not None:
        entropy = -torch.linalg.vecdot(p, logp).unsqueeze(1)
        dz = logp.add_(entropy).mul_(p).mul_(-d_entropies[piece].unsqueeze(1))
    else:
        dz = torch.zeros_like(p)
    if d_logprobs is not None:
        given = d_logprobs[piece].unsqueeze(1)
        dz.addcmul_(p, given, value=-1).scatter_add_(1, targets.unsqueeze(1), given)
    return dz.div_(temperature).to(weight.dtype)


def _logits(hidden: Tensor, weight: Tensor, temperature: float) -> Tensor:
    z = functional.linear(hidden, weight)
    z = z.to(torch.promote_types(z.dtype, torch.float32))
    return z if temperature == 1.0 else z.div_(temperature)
