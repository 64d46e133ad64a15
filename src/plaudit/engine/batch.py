"""Prompts with groups of completions, ragged: nothing is padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from plaudit.errors import RecordError


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Prompts, each with its group of completions. Rows count completions, in order of prompt, then completion.

    Tensors stay where they are made (the CPU); models bring what they need to their device.
    """

    prompts: tuple[Tensor, ...]
    """token ids [P_i] of each of the n prompts; an empty one stands for the model's beginning-of-sequence token"""
    completions: tuple[tuple[Tensor, ...], ...]
    """per prompt its group; token ids [C_ij], at least one each"""
    lengths: Tensor = field(init=False)
    """[N] tokens in each row"""
    group: Tensor = field(init=False)
    """[N] the prompt that each row answers"""
    tokens: Tensor = field(init=False)
    """[T] all response tokens, in order of row and position"""
    row: Tensor = field(init=False)
    """[T] the row of each response token"""
    place: Tensor = field(init=False)
    """[T] the position of each response token within its completion, from 0"""

    def __post_init__(self) -> None:
        _check(self)
        rows = [completion for group in self.completions for completion in group]
        lengths = torch.tensor([len(completion) for completion in rows])
        starts = lengths.cumsum(0) - lengths
        numbers = torch.arange(len(rows)).repeat_interleave(lengths)
        sizes = torch.tensor([len(group) for group in self.completions])
        made = {
            "lengths": lengths,
            "group": torch.arange(len(self.prompts)).repeat_interleave(sizes),
            "tokens": torch.cat(rows),
            "row": numbers,
            "place": torch.arange(len(numbers)) - starts[numbers],
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[Sequence[int]]]) -> Batch:
        """A batch of token ids given as sequences of integers. Raises RecordError where something is empty or odd."""
        ids = tuple(torch.tensor(list(prompt), dtype=torch.long) for prompt in prompts)
        return cls(
            ids, tuple(tuple(torch.tensor(list(one), dtype=torch.long) for one in group) for group in completions)
        )

    @property
    def rows(self) -> tuple[Tensor, ...]:
        """The N completions, one after the other."""
        return tuple(completion for group in self.completions for completion in group)

    @property
    def starts(self) -> Tensor:
        """[N] where each row begins among the T response tokens."""
        return self.lengths.cumsum(0) - self.lengths

    @property
    def slices(self) -> tuple[slice, ...]:
        """Each row's place among the T response tokens."""
        starts = self.starts.tolist()
        return tuple(slice(start, start + length) for start, length in zip(starts, self.lengths.tolist(), strict=True))

    def __len__(self) -> int:
        return len(self.lengths)

    def where(self, rows: Sequence[int]) -> Tensor:
        """Which of the T response tokens belong to these rows, in the order in which `take(rows)` has them."""
        slices = self.slices
        return torch.cat([torch.arange(slices[row].start, slices[row].stop) for row in rows])

    def take(self, rows: Sequence[int]) -> Batch:
        """These rows alone, with the prompts that they answer. Rows must be given in increasing order."""
        if not rows or list(rows) != sorted(set(rows)) or rows[0] < 0 or rows[-1] >= len(self):
            raise RecordError(
                "These rows cannot be taken out of a batch",
                got=list(rows),
                expected=f"increasing, 0 to {len(self) - 1}",
            )
        chosen: dict[int, list[Tensor]] = {}
        everything, group = self.rows, self.group.tolist()
        for row in rows:
            chosen.setdefault(group[row], []).append(everything[row])
        return Batch(tuple(self.prompts[i] for i in chosen), tuple(tuple(ones) for ones in chosen.values()))

    def parts(self, max_tokens: int, *, whole: bool = False) -> Iterator[list[int]]:
        """Rows in micro-batches of at most `max_tokens` tokens, shared prompts counted once.

        Rows that answer the same prompt stay together where they fit, or with `whole` in any case; what is longer by itself
        stands alone.
        """
        part: list[int] = []
        spent, last = 0, -1
        for row, (group, length) in enumerate(zip(self.group.tolist(), self.lengths.tolist(), strict=True)):
            prompt = len(self.prompts[group])
            together = prompt + sum(len(one) for one in self.completions[group])
            cost = length if group == last else length + prompt
            begins_group = group != last and spent + together > max_tokens and (whole or together <= max_tokens)
            if part and (begins_group or (spent + cost > max_tokens and not whole)):
                yield part
                part, spent, cost = [], 0, length + prompt
            part.append(row)
            spent, last = spent + cost, group
        if part:
            yield part


@dataclass(frozen=True, slots=True, eq=False)
class TokenScores:
    """What a model makes of a batch's response tokens."""

    logprobs: Tensor
    """[T] natural logarithm of each token's probability given all before it, fp32 (float64 for float64 models)"""
    entropy: Tensor | None = None
    """[T] entropy in nats of the distribution that each token was drawn from"""
    likeliest: Tensor | None = None
    """[T] whether no token was likelier there (in low precision there may be several such); known where the entropy is"""


def _check(batch: Batch) -> None:
    def refuse(what: str, got: object, expected: str) -> RecordError:
        return RecordError(f"A batch needs {what}", got=got, expected=expected)

    if not batch.prompts or len(batch.prompts) != len(batch.completions):
        got = f"{len(batch.prompts)} prompts, {len(batch.completions)} groups"
        raise refuse("one group of completions per prompt", got, "as many groups as prompts, at least one")
    for number, group in enumerate(batch.completions):
        if not group or not all(len(one) for one in group):
            got = f"lengths {[len(one) for one in group]} at prompt {number}"
            raise refuse(
                "completions that are not empty", got, "at least one completion per prompt, of one token or more"
            )
    for ids in (*batch.prompts, *batch.rows):
        if ids.dtype != torch.long or ids.ndim != 1:
            raise refuse("token ids", f"{ids.dtype} of shape {tuple(ids.shape)}", "int64, one dimension")
