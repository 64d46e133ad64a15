"""Ragged examples for tests of ops, and the one way in which these cut a step into micro-batches."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=7)
SEEDS = st.integers(0, 9999)


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rows(lengths):
    return torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))


def cuts(lengths, seed):
    """Micro-batches of whole completions: (tokens as a slice, rows counted from 0)."""
    generator = torch.Generator().manual_seed(seed)
    start, first = 0, 0
    while first < len(lengths):
        size = int(torch.randint(1, len(lengths) - first + 1, (), generator=generator))
        tokens = sum(lengths[first : first + size])
        yield slice(start, start + tokens), rows(lengths[first : first + size])
        start, first = start + tokens, first + size


def examples(*strategies):
    """As hypothesis's `given`; without deadline, as the first call of an operation in torch takes long."""
    return lambda test: settings(deadline=None, max_examples=50)(given(*strategies)(test))
