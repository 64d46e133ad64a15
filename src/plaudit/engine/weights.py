"""The matrices that the engine multiplies by: read from a module's parameters, fused, merged with an adapter.

The parameters stay the module's own. Matrices that belong to one product (queries, keys and values; gate and up) are
laid side by side once, and the module's parameters become views of that storage: training them in the compute dtype
needs no copy. Only what cannot be shared is copied: merged adapters, and a compute dtype that is not the parameters'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import torch
from torch import Tensor
from torch.nn import Parameter


class UnknownFamilyError(LookupError):
    """The fast path does not know this module; the reason is the message. Transformers' own forward serves it."""


@dataclass(frozen=True, slots=True)
class LowRank:
    """An adapter of one matrix: weight + scale * b @ a. Hu et al. 2021, https://arxiv.org/abs/2106.09685, equation 3."""

    a: Parameter
    """[rank, in]"""
    b: Parameter
    """[out, rank]"""
    scale: float


@dataclass(frozen=True, slots=True)
class Part:
    """One of the module's matrices."""

    weight: Parameter
    """[out, in]; [in, out] if transposed, as GPT-2 has it"""
    bias: Parameter | None = None
    low_rank: LowRank | None = None
    transposed: bool = False

    @property
    def rows(self) -> int:
        """How many outputs it has."""
        return self.weight.shape[1 if self.transposed else 0]

    def parameters(self) -> list[Parameter]:
        """All of its parameters."""
        low = [self.low_rank.a, self.low_rank.b] if self.low_rank else []
        return [self.weight, *([self.bias] if self.bias is not None else []), *low]


@dataclass(slots=True)
class Matrix:
    """One product y = x @ weight.T + bias, made of one part or several side by side."""

    parts: tuple[Part, ...]
    dtype: torch.dtype
    """of the product; may differ from the parameters'"""
    weight: Tensor = field(init=False)
    """[out, in] in `dtype`, merged with the adapter; shares the parameters' storage where it can; carries no gradient"""
    bias: Tensor | None = field(init=False, default=None)
    """[out] or None"""
    slices: tuple[slice, ...] = field(init=False)
    """the outputs of each part"""
    _seen: list[tuple[int, int]] = field(init=False, default_factory=list[tuple[int, int]])
    _copies: list[Tensor] = field(init=False, default_factory=list[Tensor])

    def __post_init__(self) -> None:
        if len({part.bias is None for part in self.parts}) > 1 or len({part.transposed for part in self.parts}) > 1:
            raise UnknownFamilyError("some matrices of one product have a bias or are transposed, others not")
        if len(self.parts) > 1 and self.parts[0].transposed:
            raise UnknownFamilyError("transposed matrices cannot be laid side by side")
        ends = list(accumulate((part.rows for part in self.parts), initial=0))
        self.slices = tuple(slice(start, end) for start, end in pairwise(ends))
        self.refresh()

    def parameters(self) -> list[Parameter]:
        """All parameters that the product depends on."""
        return [parameter for part in self.parts for parameter in part.parameters()]

    def stale(self) -> bool:
        """Have parameters been changed in place since the last refresh, beyond what shared storage shows by itself?

        Fused optimisers do not raise the version that torch counts, so low-rank parameters are compared with copies, and
        what is trained in another dtype is always read again.
        """
        plain = self._plain()
        if self._seen != _marks(plain):
            return True
        if plain[0].dtype != self.dtype and any(parameter.requires_grad for parameter in plain):
            return True
        return any(not torch.equal(a, b) for a, b in zip(self._low(), self._copies, strict=True))

    def _low(self) -> list[Parameter]:
        return [one for part in self.parts if part.low_rank for one in (part.low_rank.a, part.low_rank.b)]

    def _plain(self) -> list[Parameter]:
        return [one for part in self.parts for one in (part.weight, part.bias) if one is not None]

    @torch.no_grad()
    def refresh(self) -> None:
        """Read the parameters anew."""
        base = joined([part.weight for part in self.parts])
        base = base.t() if self.parts[0].transposed else base
        if any(part.low_rank for part in self.parts):
            self.weight = self._merged(base)
        else:
            self.weight = base.to(self.dtype)
        biases = [part.bias for part in self.parts if part.bias is not None]
        self.bias = joined(biases).to(self.dtype) if biases else None
        self._copies = [parameter.detach().clone() for parameter in self._low()]
        self._seen = _marks(self._plain())

    def _merged(self, base: Tensor) -> Tensor:
        merged = getattr(self, "weight", None)
        if merged is None or merged.device != base.device:
            merged = torch.empty(base.shape, dtype=self.dtype, device=base.device)
        for part, rows in zip(self.parts, self.slices, strict=True):
            low = part.low_rank
            if low is None:
                merged[rows].copy_(base[rows])
            elif low.a.dtype == base.dtype == self.dtype:
                torch.addmm(base[rows], low.b, low.a, alpha=low.scale, out=merged[rows])
            else:
                merged[rows].copy_(base[rows].to(low.a.dtype).addmm(low.b, low.a, alpha=low.scale))
        return merged


def _marks(parameters: list[Parameter]) -> list[tuple[int, int]]:
    """Where each lies, and how often torch has seen it change."""
    return [(one.data_ptr(), one._version) for one in parameters]  # pyright: ignore[reportPrivateUsage]


def joined(parameters: Sequence[Parameter]) -> Tensor:
    """One tensor over parameters stacked along their first axis; afterwards they are views of it."""
    first = parameters[0].detach()
    if len(parameters) == 1:
        return first
    rows = sum(len(parameter) for parameter in parameters)
    if _side_by_side(parameters):
        return first.as_strided((rows, *first.shape[1:]), first.stride(), first.storage_offset())
    if len({(parameter.dtype, parameter.device) for parameter in parameters}) > 1:
        raise UnknownFamilyError("parameters of one product differ in dtype or device")
    together = torch.cat([parameter.detach() for parameter in parameters])
    for parameter, view in zip(parameters, together.split([len(p) for p in parameters]), strict=True):
        parameter.data = view
    return together


def _side_by_side(parameters: Sequence[Parameter]) -> bool:
    storage = parameters[0].untyped_storage().data_ptr()
    follows = parameters[0].storage_offset()
    for parameter in parameters:
        other = parameter.untyped_storage().data_ptr() != storage or parameter.storage_offset() != follows
        if other or not parameter.is_contiguous() or parameter.dtype != parameters[0].dtype:
            return False
        follows += parameter.numel()
    return True


@dataclass(frozen=True, slots=True)
class Norm:
    """Root mean square (no bias) or layer normalisation."""

    weight: Parameter
    bias: Parameter | None
    eps: float


@dataclass(frozen=True, slots=True)
class Layer:
    """One block: attention, then a network applied to each token, each behind a norm and added to its input."""

    attention_norm: Norm
    qkv: Matrix
    query_norm: Norm | None
    key_norm: Norm | None
    out: Matrix
    mlp_norm: Norm
    up: Matrix
    """gate and up side by side if gated"""
    down: Matrix
    scale: float
    """of the products of queries and keys"""


@dataclass(frozen=True, slots=True)
class Rotary:
    """Rotary positions. Su et al. 2021, https://arxiv.org/abs/2104.09864; halves rotated, as Llama has it."""

    frequencies: Tensor
    """[head / 2], fp32"""
    scaling: float


@dataclass(frozen=True, slots=True)
class Weights:
    """All that a forward pass reads, for one adapter or none."""

    embedding: Matrix
    """[vocabulary, d]"""
    positions: Parameter | None
    """[context, d] learned positions, added to the embedding"""
    rotary: Rotary | None
    layers: tuple[Layer, ...]
    norm: Norm
    """the last one"""
    head: Matrix
    """[vocabulary, d]; the same object as `embedding` where they are tied"""
    heads: int
    kv_heads: int
    head_dim: int
    gated: bool
    activation: str
    """silu, gelu, gelu_tanh or relu"""
    context: int
    """longest text in tokens"""
    dtype: torch.dtype

    def matrices(self) -> list[Matrix]:
        """All matrices, each once."""
        inner = [matrix for layer in self.layers for matrix in (layer.qkv, layer.out, layer.up, layer.down)]
        return [self.embedding, *inner, *([] if self.head is self.embedding else [self.head])]

    def parameters(self) -> list[Parameter]:
        """All parameters that a forward pass depends on, each once."""
        norms = [self.norm]
        for layer in self.layers:
            norms += [layer.attention_norm, layer.mlp_norm]
            norms += [norm for norm in (layer.query_norm, layer.key_norm) if norm is not None]
        found = [parameter for matrix in self.matrices() for parameter in matrix.parameters()]
        found += [parameter for norm in norms for parameter in (norm.weight, norm.bias) if parameter is not None]
        found += [] if self.positions is None else [self.positions]
        return list({id(parameter): parameter for parameter in found}.values())

    def refresh(self, *, force: bool = False) -> None:
        """Read again what was changed in place since the last time; everything if `force`."""
        for matrix in self.matrices():
            if force or matrix.stale():
                matrix.refresh()
