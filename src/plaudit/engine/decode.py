"""Sampling completions: the loop that draws token by token, lets finished rows go, and never holds more than its memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.sampling import Rollout, Sampling, draw, streams, uniforms
from plaudit.errors import ConfigError, LearningError

CACHE_BYTES = 1 << 31
"""of keys, values and logits at once on the CPU; on another device half of what is free"""
LOOK = {"cpu": 1}
"""tokens from one look at who has finished to the next; elsewhere than on the CPU a look waits for the device"""
ELSEWHERE = 16
RETIRE = 8
"""finished rows are let go when they are one in so many"""


class Steps(Protocol):
    """A model in the midst of completing some rows."""

    def start(self) -> Tensor:
        """Read the prompts; logits of every row's first token, [B, vocabulary]."""
        ...

    def step(self, tokens: Tensor) -> Tensor:
        """Logits behind one more token of each row, [B] to [B, vocabulary]."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, [B'] increasing."""
        ...


Begin = Callable[[Sequence[Tensor], Sequence[int], int], Steps]
"""of prompts, number of rows of each, and most tokens of a completion"""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What is to be sampled."""

    prompts: tuple[Tensor, ...]
    """token ids, on the CPU; may be empty where `begun` is not"""
    begun: tuple[Tensor, ...]
    """the same, with a begin token for those that are empty"""
    samples: int
    sampling: Sampling
    stop: tuple[int, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Bytes:
    """What memory rows take."""

    token: int
    """keys and values of one token"""
    row: int
    """a row besides: its logits"""
    most: int
    """all rows that are sampled at once"""


def rollout(request: Request, begin: Begin, size: Bytes, *, context: int, device: torch.device) -> Rollout:
    """Sample all that is asked for, in pieces that fit into memory. Results do not depend on the pieces.

    Raises:
        ConfigError: nothing is asked for, or a prompt with its completion is longer than the model's context.
        LearningError: the model's logits are no numbers.
    """
    _check(request, context)
    if request.sampling.cut:
        warnings.warn(
            "top_p and top_k leave tokens out that the policy may take: the recorded log-probabilities are those of what was "
            "drawn from, and ratios to the policy's own are biased",
            stacklevel=3,
        )
    numbers = uniforms(streams(request.prompts, request.samples, request.seed), request.sampling.max_tokens)
    tokens: list[Tensor] = []
    logprobs: list[Tensor] = []
    finished: list[bool] = []
    for rows in _pieces(request, size):
        asked = sorted({row // request.samples for row in rows})
        counts = [sum(row // request.samples == prompt for row in rows) for prompt in asked]
        steps = begin([request.begun[prompt] for prompt in asked], counts, request.sampling.max_tokens)
        found = _complete(steps, numbers[rows.start : rows.stop].to(device), request)
        for ids, scores, end in found:
            tokens.append(ids)
            logprobs.append(scores)
            finished.append(end)
    together = torch.cat(logprobs)
    if not bool(torch.isfinite(together).all()):
        raise LearningError(
            "The model's logits are no finite numbers",
            got=f"{int((~torch.isfinite(together)).sum())} of {len(together)} drawn tokens",
            next_step="go back to an earlier checkpoint, and train with a smaller learning rate or in float32",
        )
    ends = range(0, len(tokens), request.samples)
    groups = tuple(tuple(tokens[start : start + request.samples]) for start in ends)
    return Rollout(Batch(request.prompts, groups), together, torch.tensor(finished))


@torch.inference_mode()
def _complete(steps: Steps, numbers: Tensor, request: Request) -> Iterator[tuple[Tensor, Tensor, bool]]:
    """Tokens, log-probabilities and whether it ended, of each row."""
    device, (rows, most) = numbers.device, numbers.shape
    stop = torch.tensor(request.stop, dtype=torch.long, device=device)
    tokens = torch.zeros(rows, most, dtype=torch.long, device=device)
    logprobs = torch.zeros(rows, most, device=device)
    going = torch.arange(rows, device=device)
    done = torch.zeros(rows, dtype=torch.bool, device=device)
    logits = steps.start()
    look = LOOK.get(device.type, ELSEWHERE)
    for place in range(most):
        drawn, scores = draw(logits, numbers[:, place], request.sampling)
        tokens[going, place], logprobs[going, place] = drawn, scores.float()
        done |= torch.isin(drawn, stop)
        if place + 1 < most and (place + 1) % look == 0:
            gone = int(done.sum())
            if gone == len(going):
                break
            if gone * RETIRE >= len(going):
                left = (~done).nonzero().squeeze(1)
                steps.keep(left)
                going, drawn, numbers, done = going[left], drawn[left], numbers[left], done[left]
        if place + 1 < most:
            logits = steps.step(drawn)
    return _cut(tokens.cpu(), logprobs.cpu(), stop.cpu())


@torch.inference_mode()
def stream(request: Request, begin: Begin, *, context: int, device: torch.device) -> Iterator[tuple[int, int]]:
    """The tokens of `rollout` for one prompt as they are drawn: (which sample of it, token), position by position.

    Raises as `rollout`, and ConfigError for several prompts.
    """
    _check(request, context)
    if len(request.prompts) > 1:
        raise ConfigError("Prompts are streamed one by one", got=len(request.prompts), expected=1)
    most = request.sampling.max_tokens
    numbers = uniforms(streams(request.prompts, request.samples, request.seed), most).to(device)
    steps, stop = begin(request.begun, [request.samples], most), torch.tensor(request.stop, device=device)
    going, done = torch.arange(request.samples, device=device), torch.zeros(request.samples, dtype=torch.bool)
    logits = steps.start()
    for place in range(most):
        drawn, scores = draw(logits, numbers[:, place], request.sampling)
        if not bool(torch.isfinite(scores[~done]).all()):
            raise LearningError(
                "The model's logits are no finite numbers", next_step="go back to an earlier checkpoint"
            )
        for sample, token, over in zip(going.tolist(), drawn.tolist(), done.tolist(), strict=True):
            if not over:
                yield sample, token
        done = done | torch.isin(drawn, stop).cpu()
        if place + 1 == most or bool(done.all()):
            return
        if int(done.sum()) * RETIRE >= len(going):
            left = (~done).nonzero().squeeze(1).to(device)
            steps.keep(left)
            going, drawn, numbers, done = going[left], drawn[left], numbers[left], done[left.cpu()]
        logits = steps.step(drawn)


def _cut(tokens: Tensor, logprobs: Tensor, stop: Tensor) -> Iterator[tuple[Tensor, Tensor, bool]]:
    """Each row up to its first stop token; behind it stands what nobody asked for."""
    stops = torch.isin(tokens, stop)
    ended, first = stops.any(1).tolist(), stops.long().argmax(1).tolist()
    for row, (end, place) in enumerate(zip(ended, first, strict=True)):
        length = place + 1 if end else tokens.shape[1]
        yield tokens[row, :length].clone(), logprobs[row, :length].clone(), end


def _pieces(request: Request, size: Bytes) -> Iterator[range]:
    """Rows, one after the other, as many at once as memory allows, at least one."""
    rows = len(request.prompts) * request.samples
    start = spent = 0
    for row in range(rows):
        prompt, sample = divmod(row, request.samples)
        cost = size.row + size.token * request.sampling.max_tokens
        cost += size.token * len(request.begun[prompt]) if sample == 0 or row == start else 0
        if row > start and spent + cost > size.most:
            yield range(start, row)
            start, spent = row, 0
            cost = size.row + size.token * (request.sampling.max_tokens + len(request.begun[prompt]))
        spent += cost
    yield range(start, rows)


def _check(request: Request, context: int) -> None:
    if not request.prompts or request.samples < 1:
        raise ConfigError(
            "There is nothing to sample",
            got=f"{len(request.prompts)} prompts, {request.samples} samples of each",
            expected="at least one of each",
        )
    lengths = [len(prompt) for prompt in request.begun]
    longest = max(range(len(lengths)), key=lengths.__getitem__)
    if lengths[longest] + request.sampling.max_tokens > context:
        raise ConfigError(
            "A prompt with its completion may not fit into the model's context",
            got=f"prompt {longest} has {lengths[longest]} tokens, and completions up to {request.sampling.max_tokens}",
            expected=f"together at most {context}",
            next_step="leave out or shorten that prompt, or ask for fewer tokens",
        )


def memory(device: torch.device) -> int:
    """Bytes that sampling may take there."""
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else CACHE_BYTES


def cost(config: Any, dtype: torch.dtype, device: torch.device) -> Bytes:
    """What sampling from a model takes, by its configuration; a family without attention keeps no keys and values."""
    config = config.get_text_config()
    asking = getattr(config, "num_attention_heads", 0)
    heads = getattr(config, "num_key_value_heads", None) or asking
    size = getattr(config, "head_dim", None) or config.hidden_size // max(asking, 1)
    token = 2 * config.num_hidden_layers * heads * size * dtype.itemsize
    return Bytes(token=token, row=12 * config.vocab_size, most=memory(device))
