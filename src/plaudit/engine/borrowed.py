"""One token at a time through Transformers' own forward, for families that the engine's decoding does not know."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


class BorrowedSteps:
    """The same as `FastSteps`, with the cache of Transformers; where a model has none that can be cut into rows, everything is
    read again for each token.

    Args:
        module: a causal language model of Transformers.
        prompts: token ids, none empty.
        counts: completions of each prompt.
    """

    def __init__(self, module: Any, prompts: Sequence[Tensor], counts: Sequence[int]) -> None:
        self._module = module
        self._knows = set(inspect.signature(module.forward).parameters)
        self._device = next(module.parameters()).device
        self._rows = torch.arange(len(prompts)).repeat_interleave(torch.tensor(counts)).to(self._device)
        self._texts = tuple(prompts)
        self._seen = torch.empty(0)
        self._cache: Any = None
        self._ids = torch.empty(0, dtype=torch.long)

    def start(self) -> Tensor:
        """Read the prompts; logits of every row's first token, [B, vocabulary]."""
        flipped = pad_sequence(
            [text.flip(0) for text in self._texts], batch_first=True
        )  # padded in front, as generate does
        ids, seen = (
            flipped.flip(1),
            pad_sequence([torch.ones_like(text) for text in self._texts], batch_first=True).flip(1),
        )
        self._ids, self._seen = ids.to(self._device), seen.to(self._device)
        out = self._forward(self._ids)
        cache: Any = getattr(out, "past_key_values", None)
        self._ids, self._seen = (x.index_select(0, self._rows) for x in (self._ids, self._seen))
        if hasattr(cache, "batch_select_indices"):
            self._cache = cache
            cache.batch_select_indices(self._rows)
        return out.logits[:, -1].index_select(0, self._rows)

    def step(self, tokens: Tensor) -> Tensor:
        """Logits behind one more token of each row, [B] to [B, vocabulary]."""
        self._ids = torch.cat((self._ids, tokens[:, None]), 1)
        self._seen = torch.cat((self._seen, torch.ones_like(tokens)[:, None]), 1)
        return self._forward(self._ids if self._cache is None else tokens[:, None]).logits[:, -1]

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, [B'] increasing."""
        self._ids, self._seen = (x.index_select(0, rows) for x in (self._ids, self._seen))
        if self._cache is not None:
            self._cache.batch_select_indices(rows)

    def _forward(self, ids: Tensor) -> Any:
        positions = (self._seen.cumsum(1) - 1).clamp_(min=0)[:, -ids.shape[1] :]
        offered = {
            "attention_mask": self._seen,
            "position_ids": positions,
            "past_key_values": self._cache,
            "use_cache": True,
            "logits_to_keep": 1,
        }
        return self._module(ids, **{name: value for name, value in offered.items() if name in self._knows})
