"""The same results through Transformers' own forward, with padding: for families that the fast path does not know.

It is also the slow twin that tests hold the fast path against. Texts are padded on the right, with their positions
given, so that absolute positions are those of the text.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from plaudit.engine.batch import Batch, TokenScores
from plaudit.engine.layout import Read

ROWS = 8
"""texts in one forward pass"""


@contextmanager
def adapted(module: Any, adapter: str | None) -> Generator[Any]:
    """The plain causal model with this adapter switched on, or all off; what was trained before stays trained."""
    if not hasattr(module, "peft_config"):
        yield module
        return
    trained = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    active = module.active_adapter
    module.set_adapter(adapter if adapter is not None else active)
    for parameter, before in trained:
        parameter.requires_grad_(before)
    try:
        if adapter is None:
            with module.disable_adapter():
                for parameter, before in trained:
                    parameter.requires_grad_(before)
                yield module.get_base_model()
        else:
            yield module.get_base_model()
    finally:
        module.set_adapter(active)
        for parameter, before in trained:
            parameter.requires_grad_(before)


def padded_scores(module: Any, batch: Batch, *, temperature: float, entropy: bool) -> TokenScores:
    """Log-probabilities and entropies of all response tokens; `module` is a causal model of Transformers."""
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for inputs, lengths in _padded(batch, module):
        logits = module(**inputs, use_cache=False).logits
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
        for row, (prompt, whole) in enumerate(lengths):
            logp = torch.log_softmax(logits[row, prompt - 1 : whole - 1], -1)
            chosen = logp.gather(1, inputs["input_ids"][row, prompt:whole, None]).squeeze(1)
            if entropy:
                found.append((chosen, -(logp.exp() * logp).sum(1), chosen >= logp.amax(1)))
            else:
                found.append((chosen, chosen.detach(), chosen.detach()))
    logprobs, entropies, likeliest = (torch.cat(one) for one in zip(*found, strict=True))
    return TokenScores(logprobs, entropies, likeliest) if entropy else TokenScores(logprobs)


def padded_hidden(module: Any, batch: Batch, read: Read) -> Tensor:
    """Hidden states behind the last norm, as `packed.hidden` has them."""
    found: list[Tensor] = []
    for inputs, lengths in _padded(batch, module):
        states = module.base_model(**inputs, use_cache=False).last_hidden_state
        for row, (prompt, whole) in enumerate(lengths):
            shift = 1 if read is Read.BEFORE else 0
            start = whole - 1 if read is Read.LAST else prompt - shift
            found.append(states[row, start : whole - shift])
    return torch.cat(found)


def _padded(batch: Batch, module: Any) -> Iterator[tuple[dict[str, Tensor], list[tuple[int, int]]]]:
    rows, group = batch.rows, batch.group.tolist()
    device = next(module.parameters()).device
    placed = "position_ids" in signature(module.forward).parameters
    for start in range(0, len(rows), ROWS):
        some = range(start, min(start + ROWS, len(rows)))
        texts = [torch.cat([batch.prompts[group[row]], rows[row]]) for row in some]
        ids = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
        seen = torch.nn.utils.rnn.pad_sequence([torch.ones_like(text) for text in texts], batch_first=True)
        positions = (seen.cumsum(1) - 1).clamp_(min=0)
        inputs = {"input_ids": ids, "attention_mask": seen} | ({"position_ids": positions} if placed else {})
        lengths = [(len(batch.prompts[group[row]]), len(text)) for row, text in zip(some, texts, strict=True)]
        yield {name: value.to(device) for name, value in inputs.items()}, lengths
