"""The vocabulary head: chunks never hold all logits, and their order does not matter."""

import math

import pytest
import torch

from plaudit.engine import head
from plaudit.engine.weights import Matrix, Part


def scored(rows: int = 70, vocabulary: int = 50, *, trained: bool = False, temperature: float = 1.0):
    """Hidden states, the head's matrix, targets."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(rows, 8, generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.nn.Parameter(torch.randn(vocabulary, 8, generator=generator, dtype=torch.float64), trained)
    targets = torch.randint(0, vocabulary, (rows,), generator=generator)
    return hidden, Matrix((Part(weight),), torch.float64), targets


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("entropy", [False, True])
@pytest.mark.parametrize("rows", [1, 16, 70])
def test_equals_log_softmax(trained, entropy, rows, monkeypatch):
    monkeypatch.setitem(head.ELEMENTS, "cpu", 50 * 16)
    hidden, matrix, targets = scored(rows, trained=trained)
    weight = matrix.parts[0].weight
    found = head.score(hidden, matrix, targets, temperature=1.3, entropy=entropy)
    logp = (hidden @ weight.t() / 1.3).log_softmax(-1)
    chosen, spread = logp.gather(1, targets[:, None])[:, 0], -(logp.exp() * logp).sum(1)
    assert torch.allclose(found.logprobs, chosen, atol=1e-12)
    mix = torch.arange(rows, dtype=torch.float64).cos()
    loss, expected = (found.logprobs * mix).sum(), (chosen * mix).sum()
    if entropy:
        assert found.entropy is not None
        assert found.likeliest is not None
        assert torch.allclose(found.entropy, spread, atol=1e-12)
        assert torch.equal(found.likeliest, logp.argmax(1) == targets)
        assert not found.likeliest.requires_grad
        loss, expected = loss + (found.entropy**2).sum(), expected + (spread**2).sum()
    else:
        assert found.likeliest is None
    wanted = [hidden, weight] if trained else [hidden]
    for a, b in zip(torch.autograd.grad(loss, wanted), torch.autograd.grad(expected, wanted), strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_by_hand():
    """Two tokens with logits 0 and ln 3: probabilities 1/4 and 3/4."""
    matrix = Matrix(
        (Part(torch.nn.Parameter(torch.tensor([[0.0], [math.log(3)]]), requires_grad=False)),), torch.float32
    )
    hidden = torch.ones(2, 1, requires_grad=True)
    found = head.score(hidden, matrix, torch.tensor([0, 1]), temperature=1.0, entropy=True)
    assert found.logprobs.tolist() == pytest.approx([math.log(0.25), math.log(0.75)])
    assert found.entropy is not None
    assert found.entropy.tolist() == pytest.approx([-0.25 * math.log(0.25) - 0.75 * math.log(0.75)] * 2)
    assert found.likeliest is not None
    assert found.likeliest.tolist() == [False, True]
    found.logprobs.sum().backward()
    assert hidden.grad is not None
    assert hidden.grad[:, 0].tolist() == pytest.approx([-0.75 * math.log(3), 0.25 * math.log(3)])


@pytest.mark.parametrize("trained", [False, True])
def test_never_all_logits_at_once(trained, monkeypatch):
    """The largest tensor that any operation makes is a chunk, forwards and backwards."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Spy(TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            made = func(*args, **(kwargs or {}))
            for one in made if isinstance(made, tuple | list) else (made,):
                if isinstance(one, torch.Tensor):
                    Spy.largest = max(Spy.largest, one.numel())
            return made

    monkeypatch.setitem(head.ELEMENTS, "cpu", 20 * 400)
    hidden, matrix, targets = scored(1000, 400, trained=trained)
    with Spy():
        found = head.score(hidden, matrix, targets, temperature=1.0, entropy=True)
        assert found.entropy is not None
        (found.logprobs.sum() + found.entropy.sum()).backward()
    assert 20 * 400 <= Spy.largest < 1000 * 400 / 10


def test_a_frozen_head_makes_two_products_and_a_trained_one_four():
    from torch.utils._python_dispatch import TorchDispatchMode

    class Spy(TorchDispatchMode):
        products = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            Spy.products += any(name in str(func) for name in ("mm.", "addmm", "linear"))
            return func(*args, **(kwargs or {}))

    counts: list[int] = []
    for trained in (False, True):
        Spy.products = 0
        hidden, matrix, targets = scored(10, trained=trained)
        with Spy():
            head.score(hidden, matrix, targets, temperature=1.0, entropy=False).logprobs.sum().backward()
        counts.append(Spy.products)
    assert counts == [2, 4]
