"""Returns and advantages against numbers by hand and against the plain double loop."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from plaudit.ops.returns import discounted, gae

CASES = st.tuples(st.integers(1, 8), st.integers(1, 3), st.integers(0, 999), st.floats(0, 1), st.floats(0, 1))


def case(times, envs, seed):
    rng = np.random.default_rng(seed)
    rewards, values = rng.normal(size=(2, times, envs))
    return rewards, values, rng.normal(size=envs), rng.random((times, envs)) < 0.3


def test_discounted_by_hand():
    rewards = np.array([[1.0], [2.0], [4.0]])
    ends = np.array([[False], [True], [False]])
    # step 1 ends an episode: 1 + 0.5 x 2, 2, 4 + 0.5 x 8
    np.testing.assert_allclose(discounted(rewards, ends, 0.5, np.array([8.0])), [[2.0], [2.0], [8.0]])


def test_gae_by_hand():
    rewards, values, after = np.array([[1.0], [1.0]]), np.array([[2.0], [4.0]]), np.array([6.0])
    # surprises 1 + 0.5 x 4 - 2 = 1 and 1 + 0.5 x 6 - 4 = 0, trace 0.25
    ends = np.zeros((2, 1), bool)
    np.testing.assert_allclose(gae(rewards, values, after, ends, discount=0.5, trace=0.5), [[1.0], [0.0]])
    ends[0] = True  # 1 - 2
    np.testing.assert_allclose(gae(rewards, values, after, ends, discount=0.5, trace=0.5), [[-1.0], [0.0]])


@given(CASES)
def test_discounted_is_the_sum_over_the_rest_of_the_episode(given_):
    times, envs, seed, gamma, _ = given_
    rewards, _, after, ends = case(times, envs, seed)
    found = discounted(rewards, ends, gamma, after)
    for env in range(envs):
        for start in range(times):
            total, weight = 0.0, 1.0
            for time in range(start, times):
                total += weight * rewards[time, env]
                weight *= gamma
                if ends[time, env]:
                    break
            else:
                total += weight * after[env]
            assert abs(found[start, env] - total) < 1e-9


@given(CASES)
def test_gae_is_the_mixture_of_n_step_advantages(given_):
    """A = (1 - trace) sum_n trace^(n-1) A^(n), the rest on the longest (Schulman et al. 2016, equation 16)."""
    times, envs, seed, gamma, trace = given_
    rewards, values, after, ends = case(times, envs, seed)
    found = gae(rewards, values, after, ends, discount=gamma, trace=trace)
    following = np.concatenate([values[1:], after[None]])
    for env in range(envs):
        for start in range(times):
            last = next((time for time in range(start, times) if ends[time, env]), times - 1)
            total = 0.0
            for n in range(1, last - start + 2):
                paid = sum(gamma**k * rewards[start + k, env] for k in range(n))
                stop = start + n - 1
                future = 0.0 if ends[stop, env] else gamma**n * following[stop, env]
                weight = trace ** (n - 1) * (1.0 if stop == last else 1 - trace)
                total += weight * (paid + future - values[start, env])
            assert abs(found[start, env] - total) < 1e-8
