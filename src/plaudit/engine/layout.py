"""Where every token of a ragged batch stands in one packed sequence, who attends to whom, and what is read at the end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.gather import Gather, Ints, rounds_of, slots_of

LARGEST_BLOCK = 1 << 21
"""queries times keys over all rows of one block; larger ones are cut"""


class Read(Enum):
    """At which positions the last hidden state is wanted."""

    BEFORE = "before"
    """before each response token: what predicts it [T]"""
    AT = "at"
    """at each response token: what has seen it [T]"""
    LAST = "last"
    """at each completion's last token [N]"""


@dataclass(frozen=True, slots=True)
class Block:
    """Queries and keys of equal padded lengths that are attended to in one call."""

    rows: int
    queries: int
    keys: int
    mask: Tensor | None
    """[1 or rows, 1, queries, keys] in the compute dtype, 0 or -inf; None: every query sees every key"""
    causal: bool = False
    """the mask is the one that sees all before and nothing after"""


@dataclass(frozen=True, slots=True)
class Attention:
    """One layer's attention over packed tokens. Rows of q, k and v are ordered by block, row, head, position."""

    q: Gather
    """from rows (token, head) of the rotated queries and keys"""
    k: Gather
    v: Gather
    blocks: tuple[Block, ...]
    out: Gather
    """back from padded rows to rows (kept token, head)"""


@dataclass(frozen=True, slots=True)
class Layout:
    """A packed batch: prompts first, then what is fed of the completions."""

    ids: Tensor
    """[S] token ids"""
    positions: Tensor
    """[S] position of each token in its own text, from 0"""
    inner: Attention
    """of all layers but the last"""
    last: Attention
    """of the last layer, whose queries are those that somebody reads"""
    keep: Gather
    """the positions that the last layer's second half works on"""
    read: Gather
    """from kept positions to what is returned"""


@dataclass(frozen=True, slots=True)
class _Grid:
    """A block before it becomes tensors: tokens or -1, and how many keys each row's first query sees beyond one."""

    queries: Ints
    keys: Ints
    reach: Ints


def arrange(batch: Batch, read: Read, *, heads: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Layout:
    """Pack a batch. `heads`: of queries, and of keys and values."""
    prompts = np.array([len(prompt) for prompt in batch.prompts])
    fed = batch.lengths.numpy() - (read is Read.BEFORE)
    group = batch.group.numpy()
    prompt_at = np.cumsum(prompts) - prompts
    fed_at = np.cumsum(fed) - fed + prompts.sum()
    size = int(prompts.sum() + fed.sum())
    positions = np.concatenate([np.arange(length) for length in prompts] + [
        prompts[g] + np.arange(length) for g, length in zip(group, fed, strict=True)
    ])  # fmt: skip
    asking = [_grid(prompt_at[some], prompts[some]) for some in _classes(prompts, prompts)]
    inner = [_Grid(grid, grid, np.zeros(len(grid), np.int64)) for grid in asking]
    answers = _answers(prompt_at, prompts, fed_at, fed, group)
    match read:
        case Read.BEFORE:
            last = [_Grid(_ends(grid), grid, (grid >= 0).sum(1) - 1) for grid in asking] + answers
            keep = np.concatenate([prompt_at + prompts - 1, np.arange(prompts.sum(), size)])
            rows, places = batch.row.numpy(), batch.place.numpy()
            found = np.where(places == 0, group[rows], len(prompts) + fed_at[rows] - prompts.sum() + places - 1)
        case Read.AT:
            last, keep = answers, np.arange(prompts.sum(), size)
            found = np.arange(len(keep))
        case Read.LAST:
            last = [_Grid(_ends(one.queries), one.keys, one.reach + (one.queries >= 0).sum(1) - 1) for one in answers]
            keep = fed_at + fed - 1
            found = np.arange(len(keep))
    make = _Maker(size, heads, dtype, device)
    ids = torch.cat([*batch.prompts, *(one[:length] for one, length in zip(batch.rows, fed.tolist(), strict=True))])
    return Layout(
        ids.to(device), make.tensor(positions), make.attention(inner + answers, np.arange(size)),
        make.attention(last, keep), make.gather(keep, size), make.gather(found, len(keep)),
    )  # fmt: skip


def _answers(prompt_at: Ints, prompts: Ints, fed_at: Ints, fed: Ints, group: Ints) -> list[_Grid]:
    """Blocks in which completions attend to their prompt and to themselves."""
    found: list[_Grid] = []
    for some in _classes(fed, prompts[group]):
        if not fed[some].any():
            continue
        of = group[some]
        queries = _grid(fed_at[some], fed[some])
        width = np.arange((prompts[of] + fed[some]).max())
        here, there = prompts[of][:, None], fed[some][:, None]
        own = np.where(width < here + there, fed_at[some][:, None] + width - here, -1)
        keys = np.where(width < here, prompt_at[of][:, None] + width, own)
        rows = max(1, LARGEST_BLOCK // (queries.shape[1] * keys.shape[1]))
        cuts = range(0, len(some), rows)
        found += [_Grid(queries[i : i + rows], keys[i : i + rows], prompts[of][i : i + rows]) for i in cuts]
    return found


def _classes(first: Ints, second: Ints) -> list[Ints]:
    """Rows of similar lengths together: padding inside a class at most doubles the short ones."""

    def step(length: int) -> int:
        return math.ceil(math.log(max(1, length) + 15, 1.5)) if length else -1

    found: dict[tuple[int, int], list[int]] = {}
    for row, (one, other) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        found.setdefault((step(one), step(other)), []).append(row)
    return [np.array(rows) for _, rows in sorted(found.items())]


def _grid(starts: Ints, lengths: Ints) -> Ints:
    """[rows, longest] token numbers, -1 where a row has ended."""
    columns = np.arange(lengths.max())
    return np.where(columns < lengths[:, None], starts[:, None] + columns, -1)


def _ends(grid: Ints) -> Ints:
    """[rows, 1] the last token of each row."""
    return grid[np.arange(len(grid)), (grid >= 0).sum(1) - 1][:, None]


@dataclass(frozen=True, slots=True)
class _Maker:
    size: int
    heads: tuple[int, int]
    dtype: torch.dtype
    device: torch.device

    def tensor(self, values: Ints) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def gather(self, index: Ints, size: int) -> Gather:
        return self._gathered(np.maximum(index, 0), size, rounds_of(index, np.arange(len(index)), size))

    def _gathered(self, index: Ints, size: int, rounds: list[tuple[Ints | None, Ints]]) -> Gather:
        sent = tuple((None if to is None else self.tensor(to), self.tensor(source)) for to, source in rounds)
        return Gather(self.tensor(index), size, sent)

    def attention(self, grids: list[_Grid], kept: Ints) -> Attention:
        asks, answers = self.heads
        query, key = [one.queries for one in grids], [one.keys for one in grids]
        q = self._heads(query, asks, first=0, width=asks + answers)
        k = self._heads(key, answers, first=asks, width=asks + answers)
        v = self._heads(key, answers, first=asks + answers, width=asks + 2 * answers)
        slots = slots_of(query, asks)
        tokens = np.concatenate([grid.reshape(-1) for grid in query])
        slot_of = np.zeros((self.size, asks), dtype=np.int64)
        slot_of[tokens[tokens >= 0]] = slots[tokens >= 0]
        back = slot_of[kept].reshape(-1)
        rounds = rounds_of(back, np.arange(len(back)), slots.size)
        return Attention(q, k, v, tuple(map(self._block, grids)), self._gathered(back, slots.size, rounds))

    def _heads(self, grids: list[Ints], heads: int, *, first: int, width: int) -> Gather:
        """Rows (token, head) of a table with `width` heads a token; gradients go to a table with `heads` a token."""
        each = np.arange(heads)
        index = [(np.maximum(grid, 0)[:, None, :] * width + first + each[:, None]).reshape(-1) for grid in grids]
        tokens = np.concatenate([grid.reshape(-1) for grid in grids])
        rounds = rounds_of(tokens, np.arange(len(tokens)), self.size)
        slots = slots_of(grids, heads)
        spread = [
            (None if to is None else (to[:, None] * heads + each).reshape(-1), slots[source].reshape(-1))
            for to, source in rounds
        ]
        return self._gathered(np.concatenate(index), self.size * heads, spread)

    def _block(self, grid: _Grid) -> Block:
        (rows, queries), keys = grid.queries.shape, grid.keys.shape[1]
        reach = grid.reach[:1] if (grid.reach == grid.reach[0]).all() else grid.reach
        seen = np.arange(keys) <= reach[:, None, None] + np.arange(queries)[None, :, None]
        if seen.all():
            return Block(rows, queries, keys, None)
        causal = queries == keys and len(reach) == 1 and not reach.any()
        mask = torch.zeros(seen.shape, dtype=self.dtype, device=self.device)
        return Block(rows, queries, keys, mask.masked_fill_(~self.tensor(seen), -math.inf)[:, None], causal)
