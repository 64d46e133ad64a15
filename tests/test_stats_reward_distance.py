"""Distances of rewards: by hand, by slow twins, and what shaping and scale do to them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.run.seeds import generator
from plaudit.stats.reward_distance import (
    Transitions,
    answers_apart,
    canonical_dard,
    canonical_epic,
    canonical_starc,
    dard,
    dard_sampled,
    epic,
    epic_sampled,
    starc,
)

DISCOUNT = 0.9


def world(seed, states=5, actions=3):
    rng = generator(seed, "distance")
    return rng.dirichlet(np.ones(states), (states, actions)), rng


def tables(rng, shape):
    return rng.standard_normal(shape)


def shaped(reward, potential, scale):
    return scale * (reward + DISCOUNT * potential[None, None, :] - potential[:, None, None])


def every(first, second, transitions):
    """All three distances."""
    uniform = np.ones_like(transitions) / transitions.size
    return (
        epic(first, second, coverage=uniform, discount=DISCOUNT),
        dard(first, second, transitions=transitions, discount=DISCOUNT),
        starc(first, second, transitions=transitions, discount=DISCOUNT),
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_shaping_and_scale_change_nothing(seed, scale, size):
    transitions, rng = world(seed)
    first, second = tables(rng, transitions.shape), tables(rng, transitions.shape)
    copy = shaped(first, size * rng.standard_normal(len(first)), scale)
    assert max(every(first, copy, transitions)) <= 1e-6
    np.testing.assert_allclose(every(copy, second, transitions), every(first, second, transitions), atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6))
def test_they_are_distances(seed):
    transitions, rng = world(seed)
    rewards = [tables(rng, transitions.shape) for _ in range(3)]
    far = {(i, j): np.array(every(rewards[i], rewards[j], transitions)) for i, j in itertools.permutations(range(3), 2)}
    for i, j, k in itertools.permutations(range(3)):
        np.testing.assert_allclose(far[i, j], far[j, i])
        assert (far[i, j] <= far[i, k] + far[k, j] + 1e-12).all()
        assert ((far[i, j] >= 0) & (far[i, j] <= 1)).all()
    np.testing.assert_allclose(every(rewards[0], -rewards[0], transitions), 1)


def test_only_starc_sees_that_equal_expectations_are_equal():
    transitions, rng = world(3)
    first = tables(rng, transitions.shape)
    luck = tables(rng, transitions.shape)
    luck -= (luck * transitions).sum(-1, keepdims=True)
    by_epic, by_dard, by_starc = every(first, first + luck, transitions)
    assert by_starc <= 1e-6
    assert min(by_epic, by_dard) > 0.1


def test_a_reward_that_prefers_nothing():
    transitions, rng = world(4)
    first = tables(rng, transitions.shape)
    nothing = shaped(np.zeros_like(first), rng.standard_normal(5), 3.0)
    np.testing.assert_allclose(every(first, nothing, transitions), 0.5)
    np.testing.assert_allclose(every(nothing, np.zeros_like(first), transitions), 0)


def test_canonical_forms_are_their_definitions():
    """Sums over every outcome, as the papers write them."""
    transitions, rng = world(5, states=3, actions=2)
    reward, coverage = tables(rng, transitions.shape), rng.dirichlet(np.ones(18)).reshape(3, 2, 3)
    states, actions = coverage.sum((1, 2)), coverage.sum((0, 2))
    s, a, t = 1, 0, 2
    slow = reward[s, a, t]
    for first, action, after in itertools.product(range(3), range(2), range(3)):
        chance = states[first] * actions[action] * states[after]
        one = DISCOUNT * reward[t, action, after] - reward[s, action, after] - DISCOUNT * reward[first, action, after]
        slow += chance * one
    assert canonical_epic(reward, coverage, discount=DISCOUNT)[s, a, t] == pytest.approx(slow)
    slow = reward[s, a, t]
    for b in range(2):
        slow += DISCOUNT * transitions[t, b] @ reward[t, b] / 2 - transitions[s, b] @ reward[s, b] / 2
        for c, d, u, v in itertools.product(range(2), range(2), range(3), range(3)):
            slow -= DISCOUNT * transitions[s, c, u] * transitions[t, d, v] * reward[u, b, v] / 8
    assert canonical_dard(reward, transitions, discount=DISCOUNT)[s, a, t] == pytest.approx(slow)


def test_levelling_by_hand():
    """One state, two actions paid 1 and 0: V = 0.5 / (1 - g), so the levelled reward is +- 0.5."""
    transitions = np.ones((1, 2, 1))
    found = canonical_starc(np.array([[1.0, 0.0]]), transitions, discount=DISCOUNT)
    np.testing.assert_allclose(found, [[0.5, -0.5]])
    first = canonical_starc(np.array([[1.0, 0.0]]), transitions, discount=DISCOUNT, policy=np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(first, [[0.0, -1.0]], atol=1e-12)


def test_a_right_angle_by_hand():
    """Levelled rewards (1, -1) and the like in two states that lead to themselves: orthogonal rewards are sqrt(1/2) apart."""
    stay = np.repeat(np.eye(2)[:, None], 2, axis=1)
    first, second = np.array([[1.0, -1.0], [0.0, 0.0]]), np.array([[0.0, 0.0], [1.0, -1.0]])
    assert starc(first, second, transitions=stay, discount=DISCOUNT) == pytest.approx(0.5**0.5)


def of_table(reward):
    return lambda steps: reward[steps.states, steps.actions, steps.after]


def test_samples_of_everything_are_the_tables():
    """With every transition seen and drawn once, EPIC's estimate is EPIC; DARD's is close when much is drawn."""
    transitions, rng = world(6, states=4, actions=2)
    first, second = tables(rng, transitions.shape), tables(rng, transitions.shape)
    grid = Transitions(*(one.ravel() for one in np.meshgrid(range(4), range(2), range(4), indexing="ij")))
    uniform = np.ones_like(transitions) / transitions.size
    exact = epic(first, second, coverage=uniform, discount=DISCOUNT)
    assert epic_sampled(of_table(first), of_table(second), seen=grid, drawn=grid, discount=DISCOUNT) == pytest.approx(
        exact
    )
    seen, beside, beyond = walked(transitions, rng, 2000, 200)
    near = dard_sampled(of_table(first), of_table(second), seen=seen, around=(beside, beyond), discount=DISCOUNT)
    assert near == pytest.approx(dard(first, second, transitions=transitions, discount=DISCOUNT), abs=0.03)


def walked(transitions, rng, count, around):
    """Transitions with states and actions alike, and what may happen around them."""
    size, actions, _ = transitions.shape

    def go(states):
        chosen = rng.integers(0, actions, states.shape)
        sums = transitions.cumsum(-1)[states, chosen]
        return Transitions(states, chosen, (rng.random((*states.shape, 1)) > sums).sum(-1).clip(max=size - 1))

    seen = go(rng.integers(0, size, count))
    return seen, *(go(np.repeat(one[:, None], around, axis=1)) for one in (seen.states, seen.after))


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6))
def test_few_samples_are_free_of_shaping_too(seed):
    transitions, rng = world(seed)
    first = tables(rng, transitions.shape)
    copy = shaped(first, 10 * rng.standard_normal(5), 7.0)
    seen, beside, beyond = walked(transitions, rng, 30, 2)
    drawn = walked(transitions, rng, 4, 1)[0]
    assert epic_sampled(of_table(first), of_table(copy), seen=seen, drawn=drawn, discount=DISCOUNT) <= 1e-6
    assert dard_sampled(of_table(first), of_table(copy), seen=seen, around=(beside, beyond), discount=DISCOUNT) <= 1e-6


def test_answers_lose_what_all_of_a_prompt_share():
    prompt = np.array([0, 0, 1, 1])
    first = np.array([0.0, 1.0, 5.0, 6.0])
    assert answers_apart(first, np.array([10.0, 12.0, -3.0, -1.0]), prompt=prompt) == pytest.approx(0, abs=1e-12)
    assert answers_apart(first, -first, prompt=prompt) == pytest.approx(1)
    assert answers_apart(first, np.array([0.0, 1.0, 6.0, 5.0]), prompt=prompt) == pytest.approx(0.5**0.5)


def test_what_does_not_fit_is_refused():
    transitions, rng = world(7)
    reward = tables(rng, transitions.shape)
    for bad in (reward[:3], reward[:, :, :2], reward[0]):
        with pytest.raises(ValueError, match="fit"):
            starc(reward, bad, transitions=transitions, discount=DISCOUNT)
    with pytest.raises(ValueError, match="discount"):
        starc(reward, reward, transitions=transitions, discount=1.0)
    with pytest.raises(ValueError, match="coverage"):
        epic(reward, reward, coverage=np.zeros_like(reward), discount=DISCOUNT)
