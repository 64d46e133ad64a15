"""Which library multiplies, in which dtype, on how many threads: chosen once per run, kept as plain data."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch.nn import functional

from plaudit.errors import ConfigError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
Backend = Literal["default", "onednn"]
SHAPE = (512, 576, 1536)
"""rows, inner and outer size of the product that is tried"""
SAME = 8
"""by how much sums in another order may err more; bf16 would err a thousand times as much, TF32 a hundred times"""


@dataclass(frozen=True, slots=True)
class Gemm:
    """A choice of how to multiply. A run writes it down, so that it resumes with the same."""

    dtype: str = "float32"
    """of the products: float32, bfloat16 or float64"""
    backend: Backend = "default"
    """of fp32 products on the CPU: torch's default, or oneDNN, where a probe showed that it is as exact and faster"""
    threads: int = 1
    """that one product uses on the CPU"""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES or self.backend not in ("default", "onednn") or self.threads < 1:
            raise ConfigError(
                "This choice of products cannot be used", got=asdict(self), expected=f"one of {list(DTYPES)}"
            )

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype as torch names it."""
        return DTYPES[self.dtype]

    def plain(self) -> dict[str, Any]:
        """As plain data: `Gemm(**plain)` is equal."""
        return asdict(self)

    def apply(self) -> None:
        """Set it for this process, once, before the first product. Backward passes run under it as well."""
        torch.set_num_threads(self.threads)
        _switch("bf16" if self.backend == "onednn" else "none")


def probe(dtype: str = "float32", *, threads: int | None = None, repeats: int = 5) -> Gemm:
    """Try the ways to multiply and keep the fastest; takes a fraction of a second.

    oneDNN computes fp32 products in full AVX-512 where torch's default takes a slower path on some processors; it is
    switched on by allowing bf16, which processors with bf16 tiles then really use. So it is only kept where the error
    against float64 is the default's, but for the order of sums.

    Args:
        dtype: of the products.
        threads: fixed number, or None to try 1 and all that torch has: with other work on the machine, 1 may win.
        repeats: of each trial; the fastest counts.
    """
    counts = [threads] if threads is not None else sorted({1, torch.get_num_threads()})
    before, count_before = _switched(), torch.get_num_threads()
    try:
        backends: list[Backend] = ["default", "onednn"] if dtype == "float32" and onednn_exact() else ["default"]
        choices = [Gemm(dtype, backend, count) for count in counts for backend in backends]
        return min(choices, key=lambda choice: _seconds(choice, repeats))
    finally:
        torch.set_num_threads(count_before)
        _switch(before)


def onednn_exact() -> bool:
    """Whether oneDNN's fp32 products err no more than torch's default on this machine, but for the order of sums."""
    before = _switched()
    try:
        return torch.backends.mkldnn.is_available() and _error("bf16") <= SAME * _error("none")
    finally:
        _switch(before)


def _seconds(choice: Gemm, repeats: int) -> float:
    choice.apply()
    rows, inner, outer = SHAPE
    x, w = (torch.ones(size, inner, dtype=choice.torch_dtype) for size in (rows, outer))
    functional.linear(x, w)
    found: list[float] = []
    for _ in range(repeats):
        begun = time.perf_counter()
        functional.linear(x, w)
        found.append(time.perf_counter() - begun)
    return min(found)


def _error(precision: str) -> float:
    _switch(precision)
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(size, SHAPE[1], generator=generator) for size in (64, 256))
    return float((functional.linear(x, w).double() - functional.linear(x.double(), w.double())).abs().max())


def _switched() -> str:
    return str(torch.backends.mkldnn.matmul.fp32_precision)  # pyright: ignore[reportAttributeAccessIssue]


def _switch(precision: str) -> None:
    torch.backends.mkldnn.matmul.fp32_precision = precision  # pyright: ignore[reportAttributeAccessIssue]
