"""How a next token is drawn, and what sampling gives back.

A draw takes one number in [0, 1) and finds where it falls among the probabilities laid end to end: first among blocks of 256,
then within the block. That needs one pass of exponentials, and the probability of what was drawn comes with it. The
numbers depend on (seed, prompt, sample, position) alone, so neither on what else is sampled with it nor on the device.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.errors import ConfigError
from plaudit.run.seeds import derive

BLOCK = 256
BELOW_ONE = 1.0 - 2.0**-40


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn."""

    max_tokens: int = 128
    """most tokens of a completion"""
    temperature: float = 1.0
    """logits are divided by it; 1 samples what the model believes"""
    greedy: bool = False
    """take the likeliest token and draw nothing"""
    stop: tuple[int, ...] | None = None
    """tokens that end a completion and belong to it; none: those that the model and its tokenizer name"""
    top_p: float = 1.0
    """draw from the likeliest tokens that have this much probability together; below 1 it biases what ratios learn from"""
    top_k: int = 0
    """draw from that many likeliest tokens; 0: from all; else it biases what ratios learn from"""

    def __post_init__(self) -> None:
        good = self.max_tokens >= 1 and self.temperature > 0 and 0 < self.top_p <= 1 and self.top_k >= 0
        if not good:
            raise ConfigError(
                "Nothing can be sampled with these settings",
                got=f"max_tokens {self.max_tokens}, temperature {self.temperature}, top_p {self.top_p}, top_k {self.top_k}",
                expected="max_tokens >= 1, temperature > 0, 0 < top_p <= 1, top_k >= 0",
                next_step="for the likeliest token set greedy, not temperature 0",
            )

    @property
    def cut(self) -> bool:
        """Whether some tokens can never be drawn."""
        return not self.greedy and (self.top_p < 1 or self.top_k > 0)


@dataclass(frozen=True, slots=True, eq=False)
class Rollout:
    """What was sampled, token by token as it came: nothing is decoded and tokenised again."""

    batch: Batch
    """the prompts with their completions; a stop token is part of its completion"""
    logprobs: Tensor
    """[T] log-probability with which each token was drawn, fp32, on the CPU; the behaviour policy of what learns from it.
    Greedy: the model's, at the temperature"""
    finished: Tensor
    """[N] whether a stop token ended the completion; else `max_tokens` did"""


class Sampler(Protocol):
    """Whatever completes prompts: a LanguageModel, or an engine of its own that was given the same weights."""

    def generate(
        self, prompts: Sequence[Sequence[int] | Tensor], *, samples: int, sampling: Sampling, seed: int
    ) -> Rollout:
        """`samples` completions of each prompt."""
        ...


def streams(prompts: Sequence[Tensor], samples: int, seed: int) -> NDArray[np.uint64]:
    """The key of each row's numbers, [prompts * samples]. It depends on the prompt's tokens and on which sample of it this is;
    a prompt that comes again goes on counting.
    """
    keys: list[int] = []
    again: Counter[str] = Counter()
    for prompt in prompts:
        name = hashlib.sha256(prompt.numpy().astype("<i8").tobytes()).hexdigest()
        keys += [derive(seed, "draw", name, again[name] + sample) for sample in range(samples)]
        again[name] += samples
    return np.array(keys, dtype=np.uint64)


def uniforms(keys: NDArray[np.uint64], positions: int) -> Tensor:
    """Numbers in [0, 1) for each row and position, [rows, positions] float64: SplitMix64 begun at the row's key.

    Steele, Lea and Flood 2014, https://doi.org/10.1145/2660193.2660195, figure 17 with their later constants.
    """
    steps = np.arange(1, positions + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = keys[:, None] + steps[None]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return torch.from_numpy(((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def draw(logits: Tensor, numbers: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Tokens [B] and their log-probabilities [B] under softmax(logits / temperature).

    Args:
        logits: [B, vocabulary]; is overwritten when it is fp32 already.
        numbers: [B] float64 in [0, 1), on the same device.
        sampling: settings.
    """
    z = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if sampling.temperature != 1.0:
        z = z.div_(sampling.temperature)
    if sampling.cut:
        z = _cut(z, sampling)
    likeliest = z.argmax(1) if sampling.greedy else None
    top = z.amax(1, keepdim=True)  # ten times as fast as max with places
    p, blocks = _blocks(z.sub_(top))
    masses = blocks.cumsum(1, dtype=torch.float64)
    total = masses[:, -1:]
    if likeliest is not None:
        return likeliest, -total.log().squeeze(1).to(z.dtype)
    chosen = _search(masses, numbers.unsqueeze(1) * total)
    mass = blocks.gather(1, chosen).double()
    within = ((numbers.unsqueeze(1) * total - masses.gather(1, chosen) + mass) / mass).clamp_(0, BELOW_ONE)
    inner = p.gather(1, chosen.unsqueeze(2).expand(-1, -1, BLOCK)).squeeze(1).cumsum(1, dtype=torch.float64)
    place = _search(inner, within * inner[:, -1:])
    tokens = (chosen * BLOCK + place).clamp_(max=logits.shape[1] - 1)  # only logits that are no numbers get there
    drawn = p.flatten(1).gather(1, tokens).double()
    return tokens.squeeze(1), (drawn / total).log().squeeze(1).to(z.dtype)


def _blocks(z: Tensor) -> tuple[Tensor, Tensor]:
    """exp(z) in blocks, [B, blocks, 256], and their sums."""
    rows, vocabulary = z.shape
    if short := -vocabulary % BLOCK:
        z = torch.nn.functional.pad(z, (0, short), value=-torch.inf)
    p = z.exp_().view(rows, -1, BLOCK)
    return p, p.sum(2)


def _search(ends: Tensor, value: Tensor) -> Tensor:
    """The first place whose end lies above the value, [B, 1]: never one without mass."""
    return torch.searchsorted(ends, value, right=True).clamp_(max=ends.shape[1] - 1)


def _cut(z: Tensor, sampling: Sampling) -> Tensor:
    """Logits with -inf for all that top_k and top_p leave out; the likeliest token always stays."""
    if 0 < sampling.top_k < z.shape[1]:
        lowest = z.topk(sampling.top_k, 1).values[:, -1:]
        z = z.masked_fill(z < lowest, -torch.inf)
    if sampling.top_p < 1:
        ordered, order = z.sort(1, descending=True)
        p = ordered.softmax(1)
        z = z.masked_fill(
            torch.zeros_like(z, dtype=torch.bool).scatter_(1, order, p.cumsum(1) - p >= sampling.top_p), -torch.inf
        )
    return z
