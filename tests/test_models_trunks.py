"""Networks with memory, with a look back, and with eyes, against torch's own and against formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.models.attention import BUCKETS, FARTHEST, Attention, distances
from plaudit.models.convolution import Convolutions
from plaudit.models.nets import ROWS
from plaudit.models.recurrent import Recurrent

MEMBERS, FEATURES = 3, 4


def moved(net):
    """The net away from its start, where biases and linear parts are zero."""
    rng = np.random.default_rng(1)
    return type(net).from_arrays(
        {n: a + 0.3 * rng.normal(size=a.shape).astype(np.float32) for n, a in net.arrays().items()}
    )


def recurrent(hidden=(5, 6)):
    return moved(Recurrent.create(MEMBERS, FEATURES, hidden, np.random.default_rng(0)))


def attention():
    return moved(Attention.create(MEMBERS, FEATURES, (8, 8), heads=2, rng=np.random.default_rng(0)))


def convolutions(picture=(20, 24, 3)):
    return moved(Convolutions.create(MEMBERS, picture, 2, hidden=(5,), rng=np.random.default_rng(0)))


def steps(*shape, seed=2):
    return np.random.default_rng(seed).normal(size=(*shape, FEATURES)).astype(np.float32)


def double(net):
    return {name: array.astype(np.float64) for name, array in net.arrays().items()}


def silu(x):
    return x / (1 + np.exp(-x))


def test_memory_equals_torch_gru():
    net, features = recurrent(), steps(2, 7)
    found = net.evaluate(features)
    own = double(net)
    for k in range(MEMBERS):
        twin = torch.nn.GRU(5, 6, batch_first=True).double()
        with torch.no_grad():
            for name, part in (("ih", "input"), ("hh", "state")):
                getattr(twin, f"weight_{name}_l0").copy_(torch.from_numpy(own[f"{part}/weight"][k].T))
                getattr(twin, f"bias_{name}_l0").copy_(torch.from_numpy(own[f"{part}/bias"][k, 0]))
            encoded = silu(features @ own["encode/weight/0"][k] + own["encode/bias/0"][k])
            states = twin(torch.from_numpy(encoded))[0].numpy()
        assert found[k] == pytest.approx(states @ own["head"][k, 0] + features @ own["skip"][k], abs=1e-5)


def test_one_step_of_memory_by_hand():
    """One unit, one input: z = sigmoid(2 x), r = sigmoid(x), n = tanh(x + r (3 h + 1)), h' = (1 - z) n + z h."""
    net = Recurrent(
        {
            "state/weight": torch.tensor([[[0.0, 0.0, 3.0]]]),
            "state/bias": torch.tensor([[[0.0, 0.0, 1.0]]]),
        }
    )
    state, expected = 0.0, []
    for x in (0.5, -1.0):
        r, z = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(-2 * x))
        state = (1 - z) * np.tanh(x + r * (3 * state + 1)) + z * state
        expected.append(state)
    given_ = torch.tensor([[[[0.5, 1.0, 0.5], [-1.0, -2.0, -1.0]]]])
    assert net.states(given_).flatten().tolist() == pytest.approx(expected, abs=1e-6)


def slow_attention(own, k, features):
    """[step] of one item, step by step, from the formulas."""

    def normal(row):
        return (row - row.mean()) / np.sqrt(row.var() + 1e-5)

    kinds = [*range(16), *(int(np.ceil(16 * 8 ** (i / 15) - 1e-9)) for i in range(16))]
    rows = [feature @ own["encode/weight"][k] + own["encode/bias"][k, 0] for feature in features]
    for block in range(2):
        three = [np.split(normal(row) @ own[f"{block}/attend"][k], 3) for row in rows]
        after = []
        for now in range(len(rows)):
            looked = []
            for head in range(2):
                part = slice(4 * head, 4 * head + 4)
                score = [
                    three[now][0][part] @ three[then][1][part] / 2
                    + own[f"{block}/distance"][k, head, max(i for i, s in enumerate(kinds) if s <= now - then)]
                    for then in range(now + 1)
                ]
                share = np.exp(score) / np.exp(score).sum()
                looked.append(sum(s * three[then][2][part] for then, s in enumerate(share)))
            row = rows[now] + np.concatenate(looked) @ own[f"{block}/mix"][k]
            wide = silu(normal(row) @ own[f"{block}/widen"][k] + own[f"{block}/widen/bias"][k, 0])
            after.append(row + wide @ own[f"{block}/narrow"][k])
        rows = after
    return [normal(row) @ own["head"][k, 0] + f @ own["skip"][k] for row, f in zip(rows, features, strict=True)]


def test_attention_equals_the_slow_twin():
    net, features = attention(), steps(2, 24)
    found, own = net.evaluate(features), double(net)
    for k in range(MEMBERS):
        for item in range(2):
            assert found[k, item] == pytest.approx(slow_attention(own, k, features[item]), abs=1e-4)


def test_attention_equals_torch():
    rng = np.random.default_rng(0)
    queries = torch.from_numpy(rng.normal(size=(MEMBERS, 2, 5, 3 * 8)))
    bias = torch.from_numpy(rng.normal(size=(MEMBERS, 2, 5, 5))).masked_fill(distances(5)[1], -torch.inf)
    found = Attention.attend(queries, bias)
    for k in range(MEMBERS):
        for head in range(2):
            q, key, v = (queries[k, ..., 8 * part + 4 * head : 8 * part + 4 * head + 4] for part in range(3))
            one = torch.nn.functional.scaled_dot_product_attention(q, key, v, attn_mask=bias[k, head])
            assert found[k, ..., 4 * head : 4 * head + 4].numpy() == pytest.approx(one.numpy())


def test_distances_are_told_apart_near_by_and_not_far_away():
    kind, future = (part.numpy() for part in distances(300))
    assert kind[20, 20 - np.arange(16)].tolist() == list(range(16))
    assert (np.diff(kind[299, ::-1]) >= 0).all()
    assert set(kind[299, : 300 - FARTHEST]) == {BUCKETS - 1}
    assert kind[299, 300 - FARTHEST] < BUCKETS - 1
    assert (future == (np.arange(300) > np.arange(300)[:, None])).all()


@pytest.mark.parametrize("make", [recurrent, attention])
@settings(deadline=None, max_examples=15)
@given(st.integers(1, 9), st.integers(0, 8), st.integers(0, 2**31))
def test_the_future_and_other_items_do_not_matter(make, length, change, seed):
    net, features = make(), steps(2, length, seed=seed)
    changed = features.copy()
    changed[0, change:] += 1.0
    before, after = net.evaluate(features), net.evaluate(changed)
    assert after[:, 0, :change] == pytest.approx(before[:, 0, :change], abs=1e-5)
    assert after[:, 1] == pytest.approx(before[:, 1], abs=1e-5)


@pytest.mark.parametrize("make", [recurrent, attention])
def test_the_past_matters(make):
    features = steps(1, 6)
    changed = features.copy()
    changed[0, 0] += 1.0
    net = make()
    assert (np.abs(net.evaluate(changed) - net.evaluate(features))[:, 0, 5] > 1e-6).all()


@pytest.mark.parametrize("make", [recurrent, attention])
def test_groups_of_items_do_not_show(make):
    net, features = make(), steps(ROWS // 64 + 3, 64)
    with torch.no_grad():
        whole = net.forward(torch.from_numpy(features)).numpy()
    assert net.evaluate(features) == pytest.approx(whole, abs=1e-4)


def test_a_memory_without_hidden_layers():
    assert recurrent(hidden=(4,)).evaluate(steps(2, 3)).shape == (MEMBERS, 2, 3)


def test_convolutions_equal_torch():
    net, rng = convolutions(), np.random.default_rng(2)
    frames = rng.integers(0, 256, (5, 20, 24, 3), dtype=np.uint8)
    features = rng.normal(size=(5, 2)).astype(np.float32)
    found, own = net.evaluate(frames, features), {n: torch.from_numpy(a) for n, a in double(net).items()}
    conv = torch.nn.functional.conv2d
    for k in range(MEMBERS):
        seen = torch.from_numpy(frames / 255 - 0.5).permute(0, 3, 1, 2)
        for number, (stride, padding) in enumerate(((4, 0), (2, 1), (2, 1))):
            z = conv(seen, own[f"see/{number}"][k], own[f"see/bias/{number}"][k], stride=stride, padding=padding)
            seen = z * torch.sigmoid(z)
        rows = np.concatenate([seen.flatten(1).numpy(), features], 1)
        hidden = silu(rows @ own["hidden/weight/0"][k].numpy() + own["hidden/bias/0"][k].numpy())
        expected = hidden @ own["head"][k, 0].numpy() + features @ own["skip"][k].numpy()
        assert found[k] == pytest.approx(expected, abs=1e-5)


def test_pictures_of_another_size_do_not_fit():
    net = convolutions()
    assert net.fits((20, 24, 3))
    assert not net.fits((20, 24, 1))
    assert not net.fits((64, 64, 3))


NETS = {
    "recurrent": (recurrent, lambda net: net.evaluate(steps(2, 5))),
    "attention": (attention, lambda net: net.evaluate(steps(2, 5))),
    "convolutions": (
        convolutions,
        lambda net: net.evaluate(
            np.random.default_rng(0).integers(0, 256, (4, 20, 24, 3), dtype=np.uint8), steps(4)[:, :2]
        ),
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_arrays_bring_it_back_and_a_trainable_copy_shares_nothing(name):
    make, look = NETS[name]
    net = make()
    before = look(net)
    again = type(net).from_arrays(dict(reversed(net.arrays().items())))
    assert (look(again) == before).all()
    assert [tuple(p.shape) for p in again.parameters()] == [tuple(p.shape) for p in net.parameters()]
    copy, parameters, gradients = net.trainable()
    assert look(copy) == pytest.approx(before, abs=1e-6)
    sum(p.square().sum() for p in copy.parameters()).backward()
    assert gradients == pytest.approx(2 * parameters)
    parameters *= 0.5
    halved = type(net).from_arrays({n: 0.5 * array for n, array in net.arrays().items()})
    assert look(copy) == pytest.approx(look(halved), abs=1e-6)  # where weights begin in memory may show in the last bit
    assert (look(net) == before).all()


@pytest.mark.parametrize("name", NETS)
def test_members_differ_and_do_not_touch(name):
    make, look = NETS[name]
    net = make()
    before = look(net)
    changed = net.arrays() | {"head": net.arrays()["head"] + np.array([1, 0, 0], np.float32)[:, None, None]}
    after = look(type(net).from_arrays(changed))
    assert (after[1:] == before[1:]).all()
    assert not (after[0] == before[0]).all()
    assert not (before[0] == before[1]).all()
