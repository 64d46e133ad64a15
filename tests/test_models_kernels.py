"""Networks and optimisers without autograd agree with torch's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.models.kernels import Activation, Adam, Shape, Tape, Tapes, clip_norm, with_ones

SIZES = st.lists(st.integers(1, 9), min_size=2, max_size=5).map(tuple)


def torch_forward(shape, blocks, inputs):
    """The same networks in torch: [member, row, output] and the leaves, weights and inputs."""
    leaves = [torch.tensor(block, requires_grad=True) for block in blocks]
    x = start = torch.tensor(inputs, requires_grad=True)
    for index, leaf in enumerate(leaves):
        x = x @ leaf[:, :-1] + leaf[:, -1:]
        if index < len(leaves) - 1:
            x = torch.tanh(x) if shape.activation is Activation.TANH else torch.relu(x)
    return x, leaves, start


@settings(deadline=None, max_examples=60)
@given(
    sizes=SIZES,
    members=st.integers(1, 3),
    rows=st.integers(1, 6),
    shared=st.booleans(),
    kind=st.sampled_from(Activation),
    seed=st.integers(0, 99),
)
def test_passes_agree_with_autograd(sizes, members, rows, shared, kind, seed):
    rng = np.random.default_rng(seed)
    shape = Shape(sizes, members, kind)
    flat, gradient = (rng.standard_normal(shape.parameters, dtype=np.float32) for _ in range(2))
    blocks, gradients = shape.blocks(flat), shape.blocks(gradient)
    inputs = with_ones(1 if shared else members, rows, sizes[0] + 1)
    inputs[..., :-1] = rng.standard_normal((*inputs.shape[:2], sizes[0]))
    used = int(rng.integers(1, rows + 1))
    d_output = rng.standard_normal((members, used, sizes[-1]), dtype=np.float32)

    tape = Tape(shape, rows)
    output = tape.forward(blocks, inputs).copy()
    d_input = tape.backward(blocks, d_output, gradients, columns=slice(0, sizes[0]))

    wanted, leaves, start = torch_forward(
        shape, blocks, np.broadcast_to(inputs[..., :-1], (members, rows, sizes[0])).copy()
    )
    (wanted[:, :used] * torch.from_numpy(d_output)).sum().backward()
    np.testing.assert_allclose(output, wanted.detach(), rtol=1e-4, atol=1e-4)
    for found, leaf in zip(gradients, leaves, strict=True):
        np.testing.assert_allclose(found, leaf.grad, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(d_input, start.grad[:, :used], rtol=1e-4, atol=1e-4)


def test_tapes_for_any_number_of_rows_give_what_one_row_gives():
    rng = np.random.default_rng(0)
    shape = Shape((3, 5, 2), members=2)
    blocks = shape.blocks(rng.standard_normal(shape.parameters, dtype=np.float32))
    observations = rng.standard_normal((2 * Tapes.KEPT, 3), dtype=np.float32)
    tapes = Tapes(shape)
    single = [tapes.forward(blocks, observations[row : row + 1])[:, 0].copy() for row in range(len(observations))]
    for rows in (*range(1, len(observations)), 1):  # more sizes than are kept
        found = tapes.forward(blocks, observations[:rows])
        np.testing.assert_allclose(found, np.stack(single[:rows], axis=1), rtol=1e-5, atol=1e-6)
        assert tapes.of(rows).output is found


def test_blocks_cover_the_vector_once():
    shape = Shape((3, 4, 2), members=2)
    flat = np.zeros(shape.parameters, np.float32)
    for block in shape.blocks(flat):
        block += 1
    assert shape.parameters == 2 * (4 * 4 + 5 * 2)
    np.testing.assert_array_equal(flat, 1)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-5])
def test_adam_steps_like_torch(epsilon):
    rng = np.random.default_rng(0)
    ours = rng.standard_normal(50, dtype=np.float32)
    theirs = torch.tensor(ours.copy(), requires_grad=True)
    adam, reference = Adam(50, 1e-2, epsilon=epsilon), torch.optim.Adam([theirs], lr=1e-2, eps=epsilon)
    for _ in range(30):
        gradient = (rng.standard_normal(50) * 10.0 ** rng.integers(-4, 4)).astype(np.float32)
        adam.step(ours, gradient)
        theirs.grad = torch.from_numpy(gradient)
        reference.step()
    np.testing.assert_allclose(ours, theirs.detach(), rtol=1e-5, atol=1e-6)
    state = reference.state[theirs]
    for moment, name in zip(adam.moments(), ("exp_avg", "exp_avg_sq"), strict=True):
        np.testing.assert_allclose(moment, state[name], rtol=1e-4, atol=1e-6)


def test_adam_first_step_has_the_length_of_the_learning_rate():
    weights = np.array([1.0, 1.0], np.float32)
    Adam(2, 0.1).step(weights, np.array([5.0, -0.01], np.float32))
    np.testing.assert_allclose(weights, [0.9, 1.1], rtol=1e-5)


@pytest.mark.parametrize(("longest", "wanted"), [(1.0, [0.6, 0.8]), (10.0, [3.0, 4.0])])
def test_clip_norm_shortens_only_what_is_too_long(longest, wanted):
    gradient = np.array([3.0, 4.0], np.float32)
    clip_norm(gradient, longest)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-5)
