"""Tabular worlds: softly optimal policies, visits, and the exact reward of maximum causal entropy."""

import itertools

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import WorldError
from plaudit.run.seeds import generator
from plaudit.worlds.causal_entropy import log_likelihood, reward_from_visits
from plaudit.worlds.tabular import Tabular, occupancy, of_grid, of_table, soft_optimal, starting_as, visits
from plaudit.worlds.toy import GridWorld


def by_state(grid: GridWorld) -> np.ndarray:
    """A reward [state, action] that only looks at the state."""
    rewards = np.full(grid.size**2, -1.0)
    rewards[list(grid.pits)] = -6.0
    rewards[grid.goal] = 0.0
    return np.repeat(rewards[:, None], 4, axis=1)


def drawn(seed: int, horizon: int | None, states: int = 5, actions: int = 3) -> tuple[Tabular, np.ndarray]:
    """A random world in which chance decides, and a reward."""
    rng = generator(seed, "world")
    world = Tabular(
        rng.dirichlet(np.ones(states), (states, actions)), rng.dirichlet(np.ones(states)), horizon, discount=0.9
    )
    return world, 2 * rng.standard_normal((states, actions))


def rolled(world: Tabular, policy, episodes: int, rng):
    """Episodes of a finite world."""
    found = []
    for _ in range(episodes):
        state, states, actions = rng.choice(world.shape[0], p=world.starts), [], []
        for step in range(world.horizon):
            states.append(state)
            actions.append(rng.choice(world.shape[1], p=policy[step, state]))
            state = rng.choice(world.shape[0], p=world.transitions[state, actions[-1]])
        found.append((np.array(states), np.array(actions)))
    return found


def test_one_and_two_steps_by_hand():
    """Two states that swap under action 1, reward 1 in state 1: V_1 = (log 2, 1 + log 2), then once more."""
    swap = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]]], float)
    reward = np.array([[0.0, 0.0], [1.0, 1.0]])
    soft = soft_optimal(Tabular(swap, np.array([1.0, 0.0]), 2), reward)
    last = np.log(2) + np.array([0, 1])
    np.testing.assert_allclose(soft.values[1], last)
    np.testing.assert_allclose(soft.values[0], np.logaddexp(last[0], last[1]) + np.array([0, 1]))
    np.testing.assert_allclose(soft.policy[0, 0], [1 / (1 + np.e), np.e / (1 + np.e)])
    np.testing.assert_allclose(
        occupancy(Tabular(swap, np.array([1.0, 0.0]), 2), soft.policy)[1].sum(), np.e / (1 + np.e)
    )


def test_where_nothing_is_left_to_chance_episodes_are_as_likely_as_the_exponential_of_their_return():
    """The slow twin: all 4^3 episodes from each start of a small grid."""
    grid = GridWorld(size=2, steps=3)
    world, reward = of_grid(grid)
    expected, partitions = np.zeros(world.shape), []
    for start in np.flatnonzero(world.starts):
        weights, counts = [], []
        for actions in itertools.product(range(4), repeat=3):
            state, total, count = start, 0.0, np.zeros(world.shape)
            for action in actions:
                total += reward[state, action]
                count[state, action] += 1
                state = world.transitions[state, action].argmax()
            weights.append(np.exp(total))
            counts.append(count)
        expected += world.starts[start] * np.average(counts, axis=0, weights=weights)
        partitions.append(np.log(np.sum(weights)))
    soft = soft_optimal(world, reward)
    np.testing.assert_allclose(occupancy(world, soft.policy), expected, atol=1e-12)
    np.testing.assert_allclose(soft.values[0, :3], partitions)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([None, 1, 4]))
def test_visits_are_the_slope_of_the_log_partition(seed, horizon):
    world, reward = drawn(seed, horizon)
    visited = occupancy(world, soft_optimal(world, reward).policy)
    total = 10.0 if horizon is None else np.sum(0.9 ** np.arange(horizon))
    assert visited.sum() == pytest.approx(total)
    for state, action in ((0, 0), (4, 2)):
        step = np.zeros_like(reward)
        step[state, action] = 1e-5
        up, down = (world.starts @ soft_optimal(world, reward + sign * step).values[0] for sign in (1, -1))
        assert (up - down) / 2e-5 == pytest.approx(visited[state, action], rel=1e-4, abs=1e-7)


def test_a_world_without_end_is_the_limit_of_a_long_one():
    (endless, reward), (long, _) = drawn(3, None), drawn(3, 400)
    soft, finite = soft_optimal(endless, reward), soft_optimal(long, reward)
    np.testing.assert_allclose(soft.values[0], finite.values[0], atol=1e-10)
    np.testing.assert_allclose(occupancy(endless, soft.policy), occupancy(long, finite.policy), atol=1e-10)


def test_visits_of_episodes_approach_those_of_their_policy():
    world, reward = drawn(1, 6)
    policy = soft_optimal(world, reward).policy
    episodes = rolled(world, policy, 3000, generator(0, "episodes"))
    np.testing.assert_allclose(visits(world, episodes), occupancy(world, policy), atol=0.05)
    # each episode's log-likelihood under its policy, which is what the reward's objective says on average
    logs = [sum(np.log(policy[t, s, a]) for t, (s, a) in enumerate(zip(*one, strict=True))) for one in episodes]
    undiscounted = Tabular(world.transitions, world.starts, 6)
    policy = soft_optimal(undiscounted, reward).policy
    logs = [sum(np.log(policy[t, s, a]) for t, (s, a) in enumerate(zip(*one, strict=True))) for one in episodes]
    found = log_likelihood(undiscounted, reward, visits(undiscounted, episodes))
    assert found == pytest.approx(np.mean(logs), abs=0.05)


@pytest.mark.parametrize(("horizon", "discount"), [(20, 1.0), (20, 0.9), (None, 0.95)])
def test_the_grid_of_eight_is_matched_and_its_reward_found(horizon, discount):
    grid = GridWorld(size=8)
    tables, _ = of_grid(grid)
    world, true = Tabular(tables.transitions, tables.starts, horizon, discount), by_state(grid)
    shown = occupancy(world, soft_optimal(world, true).policy)
    found = reward_from_visits(world, shown)
    assert found.error <= 1e-6
    assert np.abs(found.visits - shown).max() <= 1e-5
    assert np.corrcoef(found.reward[:, 0], true[:, 0])[0, 1] > 0.9999
    assert log_likelihood(world, found.reward, shown) == pytest.approx(log_likelihood(world, true, shown), abs=1e-6)


def test_features_carry_what_was_learned_to_states_that_were_never_visited():
    """Two features, goal and pits: from fifteen episodes the fit knows what all pits are worth."""
    grid = GridWorld(size=8)
    world, _ = of_grid(grid)
    true = by_state(grid)
    features = np.stack([true[:, 0] == 0, true[:, 0] == -6], axis=1).astype(float)
    episodes = rolled(world, soft_optimal(world, true).policy, 15, generator(1, "few"))
    few, like = visits(world, episodes), starting_as(world, episodes)
    assert like.starts @ np.arange(64) == pytest.approx(np.mean([states[0] for states, _ in episodes]))
    best, blind, knowing = (
        float(np.sum(true * occupancy(world, soft_optimal(world, reward).policy)))
        for reward in (
            true,
            reward_from_visits(like, few, ridge=1e-2).reward,
            reward_from_visits(like, few, features=features, ridge=1e-2).reward,
        )
    )
    assert blind < knowing
    assert abs(knowing - best) < 2


def test_the_textbook_objective_has_no_maximum_and_the_sound_one_has():
    """E_demonstrations[R] - E_b[R] with a fixed b doubles with R; minus the log-partition it is at most 0, and highest at the fit."""
    grid = GridWorld(size=4)
    world, true = of_grid(grid)
    shown = occupancy(world, soft_optimal(world, true).policy)
    baseline = occupancy(world, np.full((1, *world.shape), 0.25))
    for scale in (1.0, 2.0, 1e3, 1e6):
        assert np.sum(scale * true * (shown - baseline)) == pytest.approx(scale * np.sum(true * (shown - baseline)))
        assert log_likelihood(world, scale * true, shown) <= 0
    assert np.sum(true * (shown - baseline)) > 1
    found = reward_from_visits(world, shown, features=np.eye(64).reshape(16, 4, 64))
    best = log_likelihood(world, found.reward, shown)
    assert best == pytest.approx(log_likelihood(world, true, shown), abs=1e-6)
    rng = generator(0, "others")
    for _ in range(20):
        assert log_likelihood(world, found.reward + 0.3 * rng.standard_normal(true.shape), shown) < best


def test_a_table_of_gymnasium_ends_where_it_says():
    """One step of two: left pays 1 and ends, right leads on half of the time."""
    table = {
        0: {0: [(1.0, 0, 1.0, True)], 1: [(0.5, 1, 0.0, False), (0.5, 0, 0.2, False)]},
        1: {0: [(1.0, 1, 4.0, True)], 1: [(1.0, 1, 0.0, True)]},
    }
    world, reward = of_table(table, np.array([1.0, 0.0]), horizon=3)
    np.testing.assert_allclose(reward, [[1, 0.1], [4, 0], [0, 0]])
    np.testing.assert_allclose(world.transitions[0], [[0, 0, 1], [0.5, 0.5, 0]])
    np.testing.assert_allclose(world.transitions[1:], [[[0, 0, 1]] * 2] * 2)
    np.testing.assert_allclose(world.starts, [1, 0, 0])
    # an episode that is over after one step stays in the last state for the two that are left
    over = (np.array([0, 2]), np.array([0]))
    np.testing.assert_allclose(visits(world, [over]), [[1, 0], [0, 0], [1, 1]])
    endless, _ = of_table(table, np.array([1.0, 0.0]), discount=0.5)
    np.testing.assert_allclose(visits(endless, [over]), [[1, 0], [0, 0], [0.5, 0.5]])
    with pytest.raises(WorldError, match="cannot leave"):
        visits(world, [(np.array([0, 1]), np.array([1]))])


def test_a_table_of_gymnasium_is_learned_from():
    """A slippery lake, demonstrated by who is softly optimal when reaching the goal is worth 20."""
    env = gymnasium.make("FrozenLake-v1").unwrapped
    world, reward = of_table(env.P, env.initial_state_distrib, horizon=30)
    policy = soft_optimal(world, 20 * reward).policy
    shown = occupancy(world, policy)
    found = reward_from_visits(world, shown, features=20 * reward[:, :, None])
    assert found.weights == pytest.approx([1], abs=1e-3)
    assert np.abs(found.visits - shown).max() < 1e-4


@pytest.mark.parametrize(
    "make",
    [
        lambda: Tabular(np.ones((2, 1, 2)), np.array([1.0, 0.0]), 3),
        lambda: Tabular(np.full((2, 1, 2), 0.5), np.array([1.0, 0.5]), 3),
        lambda: Tabular(np.full((2, 1, 2), 0.5), np.array([1.0, 0.0])),
        lambda: Tabular(np.full((2, 1, 2), 0.5), np.array([1.0, 0.0]), 0),
        lambda: visits(drawn(0, 3)[0], []),
        lambda: visits(drawn(0, 3)[0], [(np.array([9, 1, 1]), np.array([0, 0, 0]))]),
        lambda: visits(drawn(0, 3)[0], [(np.array([-1, 1, 1]), np.array([0, 0, 0]))]),
        lambda: visits(drawn(0, 3)[0], [(np.array([1, 2]), np.array([0, 1, 1]))]),
        lambda: visits(drawn(0, 3)[0], [(np.array([1, 2]), np.array([0, 1]))]),
        lambda: visits(drawn(0, 1)[0], [(np.array([1]), np.array([3]))]),
        lambda: reward_from_visits(drawn(0, 3)[0], np.ones((2, 2))),
        lambda: reward_from_visits(drawn(0, 3)[0], np.full((5, 3), np.nan)),
        lambda: reward_from_visits(drawn(0, 3)[0], np.ones((5, 3)), features=np.ones((4, 2))),
    ],
)
def test_what_does_not_fit_is_refused(make):
    with pytest.raises(WorldError):
        make()
