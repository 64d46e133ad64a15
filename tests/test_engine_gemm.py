"""The choice of how to multiply: plain data, exact, and undone after a probe."""

import pytest
import torch

from plaudit.engine.gemm import Gemm, probe
from plaudit.errors import ConfigError


@pytest.fixture(autouse=True)
def _as_before():
    threads, precision = torch.get_num_threads(), torch.backends.mkldnn.matmul.fp32_precision
    yield
    torch.set_num_threads(threads)
    torch.backends.mkldnn.matmul.fp32_precision = precision


def test_plain_data_and_back():
    choice = Gemm("bfloat16", threads=2)
    assert Gemm(**choice.plain()) == choice
    assert choice.torch_dtype == torch.bfloat16


@pytest.mark.parametrize("wrong", [{"dtype": "float16"}, {"backend": "blas"}, {"threads": 0}])
def test_what_cannot_be_chosen(wrong):
    with pytest.raises(ConfigError):
        Gemm(**wrong)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_probe_leaves_torch_as_it_was(dtype):
    before = torch.get_num_threads(), torch.backends.mkldnn.matmul.fp32_precision
    found = probe(dtype, repeats=1)
    assert found.dtype == dtype
    assert (torch.get_num_threads(), torch.backends.mkldnn.matmul.fp32_precision) == before
    assert dtype == "float32" or found.backend == "default"


def test_oneDNN_is_refused_where_it_is_not_exact(monkeypatch):  # noqa: N802
    errors = {"bf16": 1e-2, "none": 1e-5}
    monkeypatch.setattr("plaudit.engine.gemm._error", errors.__getitem__)
    assert probe(repeats=1).backend == "default"


def test_what_is_applied():
    Gemm("float32", "onednn", threads=1).apply()
    assert torch.get_num_threads() == 1
    assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    Gemm("float32", "default", threads=1).apply()
    assert torch.backends.mkldnn.matmul.fp32_precision == "none"
