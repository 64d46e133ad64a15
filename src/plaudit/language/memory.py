"""What is said where memory runs out, instead of an allocator's own words."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch

from plaudit.errors import LearningError

SIGNS = (
    "out of memory",
    "not enough memory",
    "t allocate memory",
    "cannot allocate memory",
    "failed to allocate",
    "alloc_failed",
)
"""what allocators of the CPU, of CUDA and of their libraries say"""


@contextmanager
def enough_memory(most: int | None = None) -> Generator[None]:
    """Turn an allocator's error into a LearningError that says what to change; every other error goes through.

    Args:
        most: tokens of a micro-batch, where that is what ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _tells_of_memory(error):
            raise
        now = "" if most is None else f" (now {most})"
        raise LearningError(
            "Memory has run out" if most is None else "Memory has run out in a micro-batch",
            got=str(error).strip().partition("\n")[0] or type(error).__name__,
            next_step=f"free memory, or set `max_tokens` of [update] lower{now}, which changes nothing else, and go on: nothing "
            "was lost, the step is made again from the newest checkpoint",
        ) from error


def _tells_of_memory(error: Exception) -> bool:
    said = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in said for sign in SIGNS)
