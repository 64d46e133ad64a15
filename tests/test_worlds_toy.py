"""Toy worlds: their stated optimum is what the best policy gets, and no policy gets more."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.worlds.toy import GridWorld, OneStep, PointMass


def returns(env, choose, starts):
    total = 0.0
    for start in starts:
        env.reset(seed=0)
        env.set_state(np.array(start, float))
        over, step = False, 0
        while not over:
            _, reward, terminated, truncated, _ = env.step(choose(env, step))
            total, over, step = total + reward, terminated or truncated, step + 1
    return total / len(starts)


def greedy(env, step):
    values, cell = env.values(), env._cell
    left = env.steps - step - 1
    ends = [env._neighbour(cell, direction) for direction in range(4)]
    return int(np.argmax([env._reward(cell, end) + values[left, end] for end in ends]))


def test_grid_by_hand():
    # 0 X    from 0: down (-1), right (-1) = -2; from the pit (1): down = -1; from 2: right = -1
    # 2 G
    assert GridWorld(size=2, steps=4).optimal_return() == pytest.approx((-2 - 1 - 1) / 3)


def test_grid_optimum_is_what_the_greedy_policy_gets():
    env = GridWorld(size=4, steps=9)
    assert returns(env, greedy, [(cell, 0) for cell in range(15)]) == pytest.approx(env.optimal_return())


def test_grid_optimum_is_the_best_of_all_plans():
    env = GridWorld(size=3, steps=4)
    best = [
        max(
            returns(env, lambda _, step, plan=plan: plan[step], [(cell, 0)])
            for plan in itertools.product(range(4), repeat=4)
        )
        for cell in range(8)
    ]
    assert np.mean(best) == pytest.approx(env.optimal_return())


def test_grid_pit_costs_and_goal_holds():
    env = GridWorld(size=2, steps=3)
    env.reset(seed=0)
    env.set_state(np.array([0.0, 0.0]))
    assert [env.step(action)[:2] for action in (0, 1, 3)] == [(1, -6.0), (3, -1.0), (3, 0.0)]


def test_point_mass_optimum_is_what_the_regulator_gets():
    env = PointMass(steps=30)
    gains, _ = env.regulator()
    rng = np.random.default_rng(0)
    starts = rng.uniform(-env.START, env.START, size=(400, 2))
    starts = np.concatenate([starts, starts * [1, -1], -starts, starts * [-1, 1]])  # cancels the odd moments
    scale = (env.START**2 / 3) / (starts**2).mean(axis=0)
    starts = starts * np.sqrt(scale)
    found = returns(env, lambda env, step: np.array([-gains[step] @ env._state]), [(*start, 0) for start in starts])
    assert found == pytest.approx(env.optimal_return(), rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.floats(-1, 1), st.floats(-0.5, 0.5), st.integers(0, 19), st.floats(-1, 1))
def test_no_deviation_from_the_regulator_pays(position, speed, when, push):
    env = PointMass(steps=20)
    gains, cost = env.regulator()
    start = np.array([position, speed])
    best = -float(start @ cost @ start)

    def deviate(env, step):
        return np.array([-gains[step] @ env._state + push * (step == when)])

    assert returns(env, deviate, [(position, speed, 0)]) <= best + 1e-9
    assert returns(
        env, lambda env, step: np.array([-gains[step] @ env._state]), [(position, speed, 0)]
    ) == pytest.approx(best, abs=1e-9)


def test_point_mass_best_forces_stay_within_the_bounds():
    env = PointMass()
    gains, _ = env.regulator()
    assert np.abs(gains @ np.diag(env.START)).sum(axis=1).max() < env.action_space.high[0]


def test_one_step_optimum_is_the_best_arm_of_each_context():
    env = OneStep(contexts=3, arms=4)
    best = [max(returns(env, lambda *_, arm=arm: arm, [(context,)]) for arm in range(4)) for context in range(3)]
    assert np.mean(best) == pytest.approx(env.optimal_return())


@pytest.mark.parametrize("env", [GridWorld(render_mode="rgb_array"), PointMass(), OneStep()])
def test_pictures_show_the_state(env):
    env.reset(seed=0)
    first = env.render()
    states = [np.array([2.0, 0, 0][: len(env.get_state())]), np.array([1.0, 0, 0][: len(env.get_state())])]
    pictures = []
    for state in states:
        env.set_state(state)
        np.testing.assert_array_equal(env.get_state(), state)
        pictures.append(env.render())
    assert first.dtype == np.uint8
    assert (pictures[0] != pictures[1]).any()
