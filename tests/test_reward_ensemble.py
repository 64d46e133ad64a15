"""The stack of networks equals networks one by one."""

import numpy as np
import pytest
import torch

from plaudit.models.ensemble import CHUNK, Ensemble


@pytest.fixture
def ensemble():
    made = Ensemble.create(3, 4, (5, 6), np.random.default_rng(0))
    rng = np.random.default_rng(1)
    for tensor in made.parameters():  # also the biases and the linear part, which start at zero
        tensor += torch.from_numpy(0.3 * rng.normal(size=tuple(tensor.shape)).astype(np.float32))
    return made


def one_by_one(ensemble, rows):
    """[member, row] in double precision, a member and a row at a time."""

    def double(tensor):
        return tensor.detach().numpy().astype(np.float64)

    out = np.zeros((ensemble.members, len(rows)))
    for k in range(ensemble.members):
        for n, row in enumerate(rows.astype(np.float64)):
            activity = row
            for weight, bias in zip(ensemble.weights, ensemble.biases, strict=True):
                z = activity @ double(weight[k]) + double(bias[k, 0])
                activity = z / (1 + np.exp(-z))
            out[k, n] = activity @ double(ensemble.head[k, 0]) + row @ double(ensemble.skip[k])
    return out


def test_equals_a_slow_twin(ensemble):
    rows = np.random.default_rng(2).normal(size=(7, 4)).astype(np.float32)
    assert ensemble.evaluate(rows) == pytest.approx(one_by_one(ensemble, rows), abs=1e-5)


def test_chunks_do_not_show(ensemble):
    rows = np.random.default_rng(2).normal(size=(2 * CHUNK + 3, 4)).astype(np.float32)
    with torch.no_grad():
        whole = ensemble.forward(torch.from_numpy(rows)).numpy()
    assert ensemble.evaluate(rows) == pytest.approx(whole, abs=1e-5)


def test_gradients_equal_finite_differences(ensemble):
    def double(tensors):
        return tuple(t.detach().double().requires_grad_() for t in tensors)

    exact = Ensemble(double(ensemble.weights), double(ensemble.biases), *double([ensemble.head, ensemble.skip]))
    rows = torch.from_numpy(np.random.default_rng(3).normal(size=(3, 4)))
    assert torch.autograd.gradcheck(lambda *_: exact.forward(rows), tuple(exact.parameters()))


def test_members_differ_and_start_without_a_linear_part():
    fresh = Ensemble.create(3, 4, (5,), np.random.default_rng(0))
    found = fresh.evaluate(np.ones((1, 4), np.float32))[:, 0]
    assert len(set(found.tolist())) == 3
    assert fresh.skip.abs().sum() == 0


def test_a_trainable_copy_shares_its_vectors_and_nothing_else(ensemble):
    rows = np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32)
    before = ensemble.evaluate(rows)
    copy, parameters, gradients = ensemble.trainable()
    assert (copy.evaluate(rows) == before).all()
    copy.forward(torch.from_numpy(rows)).sum().backward()
    assert gradients.tolist() == torch.cat([p.grad.reshape(-1) for p in copy.parameters()]).tolist()
    assert np.abs(gradients).sum() > 0
    parameters *= 0.5
    halved = Ensemble.from_arrays({name: 0.5 * array for name, array in ensemble.arrays().items()})
    assert (copy.evaluate(rows) == halved.evaluate(rows)).all()
    assert (ensemble.evaluate(rows) == before).all()


def test_arrays_bring_it_back(ensemble):
    again = Ensemble.from_arrays(ensemble.arrays())
    rows = np.random.default_rng(2).normal(size=(7, 4)).astype(np.float32)
    assert (again.evaluate(rows) == ensemble.evaluate(rows)).all()
    assert again.inputs == 4
