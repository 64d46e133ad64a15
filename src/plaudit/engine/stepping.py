"""One token at a time over the engine's weights: prompts are read once per group, and their keys and values are shared.

Rows of the same group ask the prompt's keys together, [groups, kv_heads, rows in the group * share, prompt], and each row its
own, which lie in a cache that is as long as a completion may become. One softmax goes over both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from plaudit.engine.attention import rotation
from plaudit.engine.pointwise import activate
from plaudit.engine.weights import Layer, Norm, Weights

PREFILL = 8192
"""tokens of prompts that are read in one pass, padding included"""


@dataclass(slots=True)
class _Seats:
    """Which rows ask which prompt: rows of a group side by side, as many places per group as the largest has rows."""

    group: Tensor
    """[B] the prompt of each row, numbered from 0"""
    prompts: int
    order: Tensor | None = None
    """[prompts * most] the row in each place; None where rows already stand so"""
    back: Tensor | None = None
    """[B] the place of each row"""

    def __post_init__(self) -> None:
        sizes = torch.bincount(self.group, minlength=self.prompts).tolist()
        most = max(sizes)
        if all(size == most for size in sizes):
            return
        places = [group * most + place for group, size in enumerate(sizes) for place in range(size)]
        order = torch.zeros(self.prompts * most, dtype=torch.long)
        order[places] = torch.arange(len(places))
        self.order, self.back = order.to(self.group.device), torch.tensor(places, device=self.group.device)

    def sit(self, x: Tensor) -> Tensor:
        """[B, kv, share, d] to [prompts, kv, most * share, d]."""
        x = x if self.order is None else x.index_select(0, self.order)
        return x.view(self.prompts, -1, *x.shape[1:]).transpose(1, 2).flatten(2, 3)

    def rise(self, x: Tensor, share: int) -> Tensor:
        """[prompts, kv, most * share, d] to [B, kv, share, d]."""
        x = x.view(self.prompts, x.shape[1], -1, share, x.shape[3]).transpose(1, 2).flatten(0, 1)
        return x if self.back is None else x.index_select(0, self.back)


class FastSteps:
    """The engine's own decoding. Made for prompts and the number of rows that each has.

    Args:
        weights: of the view that speaks.
        prompts: token ids, none empty.
        counts: completions of each prompt.
        longest: most tokens of a completion.
    """

    def __init__(self, weights: Weights, prompts: Sequence[Tensor], counts: Sequence[int], longest: int) -> None:
        self.weights = weights
        device = weights.embedding.weight.device
        like = torch.empty(0, dtype=weights.dtype, device=device)
        n, rows, width = len(prompts), sum(counts), max(len(prompt) for prompt in prompts)
        kv, size = weights.kv_heads, weights.head_dim
        # keys lie with positions last: products with a few queries are up to twice as fast so
        self._far = [(like.new_empty(n, kv, size, width), like.new_empty(n, kv, width, size)) for _ in weights.layers]
        self._own = [
            (like.new_empty(rows, kv, size, longest), like.new_empty(rows, kv, longest, size)) for _ in weights.layers
        ]
        self._norms = [(_cast(one.attention_norm, weights), _cast(one.mlp_norm, weights)) for one in weights.layers]
        self._heads = [
            None
            if one.query_norm is None or one.key_norm is None
            else (_cast(one.query_norm, weights), _cast(one.key_norm, weights))
            for one in weights.layers
        ]
        self._last = _cast(weights.norm, weights)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        self._hidden_tail = None
        if int(lengths.min()) < width:
            tail = torch.arange(width, device=device) >= lengths[:, None]
            self._hidden_tail = like.new_zeros(n, 1, 1, width).masked_fill_(tail[:, None, None], -torch.inf)
        self._seats = _Seats(torch.arange(n).repeat_interleave(torch.tensor(counts)).to(device), n)
        self._at, self._positions = 0, lengths.index_select(0, self._seats.group)
        self._prompts = tuple(prompts)

    def start(self) -> Tensor:
        """Read the prompts; logits of every row's first token, [B, vocabulary]."""
        found: list[Tensor] = []
        first = 0
        while first < len(self._prompts):
            end, width = first, 0
            while end < len(self._prompts):
                width = max(width, len(self._prompts[end]))
                if end > first and width * (end + 1 - first) > PREFILL:
                    break
                end += 1
            found.append(self._prefill(slice(first, end)))
            first = end
        return self._logits(torch.cat(found)).index_select(0, self._seats.group)

    def step(self, tokens: Tensor) -> Tensor:
        """Logits behind one more token of each row, [B] to [B, vocabulary]."""
        weights, at = self.weights, self._at
        x = functional.embedding(tokens, weights.embedding.weight)
        if weights.positions is not None:
            x = x + functional.embedding(self._positions, weights.positions).to(x.dtype)
        turn = None if weights.rotary is None else rotation(weights.rotary, self._positions, x.dtype)
        for number, layer in enumerate(weights.layers):
            norms = self._norms[number]
            q, k, v = self._split(functional.linear(_norm(x, norms[0]), layer.qkv.weight, layer.qkv.bias), number, turn)
            keys, values = self._own[number]
            keys[: len(x), :, :, at], values[: len(x), :, at] = k, v
            mixed = self._attend(q, number, layer.scale)
            x = x + functional.linear(mixed, layer.out.weight, layer.out.bias)
            x = x + _network(_norm(x, norms[1]), layer, weights)
        self._at, self._positions = at + 1, self._positions + 1
        return self._logits(x)

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, [B'] increasing. Prompts that nobody asks any more are let go."""
        groups, numbers = self._seats.group.index_select(0, rows).unique(return_inverse=True)
        if len(groups) < self._seats.prompts:
            self._far = [(keys.index_select(0, groups), values.index_select(0, groups)) for keys, values in self._far]
            self._hidden_tail = None if self._hidden_tail is None else self._hidden_tail.index_select(0, groups)
        left, at = len(rows), self._at
        for keys, values in self._own:  # in place, and no more than is filled
            keys[:left, ..., :at] = keys[..., :at].index_select(0, rows)
            values[:left, :, :at] = values[:, :, :at].index_select(0, rows)
        self._seats = _Seats(numbers, len(groups))
        self._positions = self._positions.index_select(0, rows)

    def _split(self, y: Tensor, number: int, turn: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries and keys, and values, [S, heads, head] each."""
        weights, norms = self.weights, self._heads[number]
        heads, kv = weights.heads, weights.kv_heads
        shaped = y.view(len(y), -1, weights.head_dim)
        if norms is not None:
            q, k = _norm(shaped[:, :heads], norms[0]), _norm(shaped[:, heads : heads + kv], norms[1])
            both = torch.cat((q, k), 1)
        else:
            both = shaped[:, : heads + kv]
        if turn is not None:
            both = _turned(both, turn)
        return both[:, :heads], both[:, heads:], shaped[:, heads + kv :]

    def _attend(self, q: Tensor, number: int, scale: float) -> Tensor:
        """[B, heads, head] to [B, heads * head]: over the prompt's keys and the row's own, in one softmax."""
        weights, filled = self.weights, self._at + 1
        rows, kv, size = len(q), weights.kv_heads, weights.head_dim
        share = weights.heads // kv
        q = q.reshape(rows, kv, share, size).mul(scale)
        keys, values = self._far[number]
        own_keys, own_values = self._own[number]
        own_keys, own_values = own_keys[:rows, ..., :filled].flatten(0, 1), own_values[:rows, :, :filled].flatten(0, 1)
        far = torch.matmul(self._seats.sit(q), keys)
        if self._hidden_tail is not None:
            far = far + self._hidden_tail
        width = far.shape[3]
        near = torch.bmm(q.view(rows * kv, share, size), own_keys).view(rows, kv, share, filled)
        p = torch.cat((self._seats.rise(far, share), near), 3).softmax(3)
        mixed = self._seats.rise(torch.matmul(self._seats.sit(p[..., :width]), values), share)
        close = torch.bmm(p[..., width:].flatten(0, 1), own_values)
        return (mixed.reshape(rows * kv, share, size) + close).view(rows, -1)

    def _prefill(self, part: slice) -> Tensor:
        """Read some prompts, padded at their ends, into the shared cache. Returns each one's last hidden state [n, d]."""
        weights = self.weights
        device = weights.embedding.weight.device
        prompts = self._prompts[part]
        n, width = len(prompts), max(len(prompt) for prompt in prompts)
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        places = torch.cat([torch.arange(len(prompt)) for prompt in prompts])
        seats = torch.arange(n).repeat_interleave(lengths) * width + places
        seats, positions, last = (x.to(device) for x in (seats, places, lengths.cumsum(0) - 1))
        x = functional.embedding(torch.cat(prompts).to(device), weights.embedding.weight)
        if weights.positions is not None:
            x = x + functional.embedding(positions, weights.positions).to(x.dtype)
        turn = None if weights.rotary is None else rotation(weights.rotary, positions, x.dtype)
        for number, layer in enumerate(weights.layers):
            norms = self._norms[number]
            parts = self._split(functional.linear(_norm(x, norms[0]), layer.qkv.weight, layer.qkv.bias), number, turn)
            q, k, v = (_seated(one, seats, n, width) for one in parts)
            keys, values = self._far[number]
            keys[part, ..., :width], values[part, :, :width] = k.transpose(2, 3), v
            keys[part, ..., width:], values[part, :, width:] = 0, 0  # hidden later, but must be numbers
            mixed = functional.scaled_dot_product_attention(
                q, k, v, is_causal=True, scale=layer.scale, enable_gqa=weights.heads > weights.kv_heads
            )
            mixed = mixed.transpose(1, 2).reshape(n * width, -1).index_select(0, seats)
            if number == len(weights.layers) - 1:  # only the last token of each prompt goes on
                mixed, x = mixed.index_select(0, last), x.index_select(0, last)
            x = x + functional.linear(mixed, layer.out.weight, layer.out.bias)
            x = x + _network(_norm(x, norms[1]), layer, weights)
        return x

    def _logits(self, x: Tensor) -> Tensor:
        return functional.linear(_norm(x, self._last), self.weights.head.weight)


Cast = tuple[Tensor, Tensor | None, float]


def _cast(norm: Norm, weights: Weights) -> Cast:
    weight, bias = norm.weight.detach(), None if norm.bias is None else norm.bias.detach()
    return weight.to(weights.dtype), None if bias is None else bias.to(weights.dtype), norm.eps


def _norm(x: Tensor, norm: Cast) -> Tensor:
    weight, bias, eps = norm
    return (
        functional.rms_norm(x, x.shape[-1:], weight, eps)
        if bias is None
        else functional.layer_norm(x, x.shape[-1:], weight, bias, eps)
    )


def _network(x: Tensor, layer: Layer, weights: Weights) -> Tensor:
    up = functional.linear(x, layer.up.weight, layer.up.bias)
    if weights.gated:
        gate, up = up.chunk(2, -1)
        inner = activate(gate, weights.activation).mul_(up)
    else:
        inner = activate(up, weights.activation)
    return functional.linear(inner, layer.down.weight, layer.down.bias)


def _turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Halves rotated, [S, heads, head]."""
    cos, sin = turn
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def _seated(x: Tensor, seats: Tensor, n: int, width: int) -> Tensor:
    """Packed rows [S, heads, head] to padded [n, heads, width, head]; zeros where nothing is."""
    if len(x) == n * width:
        return x.view(n, width, *x.shape[1:]).transpose(1, 2)
    padded = x.new_zeros(n * width, *x.shape[1:])
    padded[seats] = x
    return padded.view(n, width, *x.shape[1:]).transpose(1, 2)
