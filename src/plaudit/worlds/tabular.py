"""Worlds with so few states and actions that softly optimal policies and how often they visit what follow exactly.

world, reward = of_grid(GridWorld(size=8))
occupancy(world, soft_optimal(world, reward).policy)

Ziebart 2010, "Modeling Purposeful Adaptive Behavior with the Principle of Maximum Causal Entropy", equations 9.1 to 9.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import WorldError
from plaudit.worlds.toy import GridWorld

Floats = NDArray[np.float64]
Outcome = tuple[float, int, float, bool]
"""probability, next state, reward, whether the episode is over"""
Steps = tuple[NDArray[np.integer], NDArray[np.integer]]
"""states and actions of an episode"""
EQUAL = 1e-9
"""how far sums of probabilities may be from one"""
CLOSE = 1e-13
"""values that change by less than this share of their size have arrived"""


@dataclass(frozen=True, slots=True, eq=False)
class Tabular:
    """Dynamics, starts and horizon; rewards are given apart."""

    transitions: Floats
    """[state, action, next state], probabilities"""
    starts: Floats
    """[state], probabilities"""
    horizon: int | None = None
    """steps of an episode; None: it never ends, which needs a discount below 1"""
    discount: float = 1.0
    """each step counts this factor less than the one before"""

    def __post_init__(self) -> None:
        shape, states = self.transitions.shape, len(self.starts)
        tables = (self.transitions, self.starts)
        sums = [np.abs(table.sum(axis=-1) - 1).max(initial=0) for table in tables]
        if len(shape) != 3 or shape[0] != states or shape[2] != states or min(t.min(initial=0) for t in tables) < 0:
            sums = [np.inf]
        if not max(sums) <= EQUAL:
            raise WorldError(
                "The tables of a world do not fit together",
                got=f"transitions {shape}, starts {self.starts.shape}",
                expected="transitions [state, action, state] and starts [state], probabilities that sum to one",
            )
        ends = self.horizon >= 1 if self.horizon is not None else self.discount < 1
        if not ends or not 0 < self.discount <= 1:
            raise WorldError(
                "A world needs a horizon, or a discount",
                got=f"horizon {self.horizon}, discount {self.discount}",
                expected="0 < discount <= 1, below 1 without a horizon; horizon >= 1",
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of states and actions."""
        return self.transitions.shape[0], self.transitions.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class SoftOptimal:
    """The policy of largest expected reward + causal entropy."""

    values: Floats
    """[step, state], log-partition of what is to come; one step where the world never ends, since none differs"""
    policy: Floats
    """[step, state, action], probabilities"""


def soft_optimal(world: Tabular, reward: Floats) -> SoftOptimal:
    """Solve Q(s, a) = r(s, a) + discount E V(s'), V(s) = log sum_a exp Q(s, a), policy = exp(Q - V).

    Backwards through a finite horizon; without one by Newton's method, which is soft policy iteration.

    Args:
        world: the dynamics.
        reward: [state, action], in nats: a reward of 1 makes an action e times as likely.
    """
    if world.horizon is None:
        return _stationary(world, reward)
    values, policies = np.zeros((world.horizon + 1, world.shape[0])), np.empty((world.horizon, *world.shape))
    for step in reversed(range(world.horizon)):
        values[step], policies[step] = _choose(reward + world.discount * (world.transitions @ values[step + 1]))
    return SoftOptimal(values[:-1], policies)


def occupancy(world: Tabular, policy: Floats) -> Floats:
    """Expected discounted visits [state, action] of an episode under a policy [step, state, action] (one step: of all steps)."""
    states = world.shape[0]
    if world.horizon is None:
        flow = np.eye(states) - world.discount * np.einsum("sa,sat->st", policy[0], world.transitions)
        return np.linalg.solve(flow.T, world.starts)[:, None] * policy[0]
    found, here, flat = np.zeros(world.shape), world.starts, world.transitions.reshape(-1, states)
    for step in range(world.horizon):
        visits = here[:, None] * policy[min(step, len(policy) - 1)]
        found += world.discount**step * visits
        here = visits.ravel() @ flat
    return found


def visits(world: Tabular, episodes: Sequence[Steps]) -> Floats:
    """Mean discounted visits [state, action] of episodes, each (states, actions [step]).

    An episode that is over before the horizon names the state that it ended in as one state more, and stays there: for worlds
    from `of_table` the last one. What it does there counts as anything alike.

    Raises:
        WorldError: there are none, a state or an action does not exist, or an episode ends early where one can leave.
    """
    if not len(episodes):
        raise WorldError("There are no episodes to count visits in", got=0, expected="at least one")
    found = np.zeros(world.shape)
    for states, actions in episodes:
        steps = len(actions)
        if not _fits(world, states, actions):
            raise WorldError(
                "An episode does not fit the world",
                got=f"{len(states)} states, {steps} actions: {states.tolist()}, {actions.tolist()}",
                expected=f"numbers below {world.shape}; {world.horizon or 'some'} steps, or a last state that one cannot leave",
            )
        np.add.at(found, (states[:steps], actions), world.discount ** np.arange(steps))
        if len(states) > steps and _stays(world, states[-1]):
            found[states[-1]] += _left(world, steps) / world.shape[1]
    return found / len(episodes)


def _fits(world: Tabular, states: NDArray[np.integer], actions: NDArray[np.integer]) -> bool:
    steps = len(actions)
    if steps < 1 or len(states) not in (steps, steps + 1) or min(states.min(), actions.min()) < 0:
        return False
    if states.max() >= world.shape[0] or actions.max() >= world.shape[1]:
        return False
    if world.horizon is None or steps == world.horizon:
        return True
    return steps < world.horizon and len(states) > steps and _stays(world, states[-1])


def _stays(world: Tabular, state: np.integer) -> bool:
    return bool((world.transitions[state, :, state] == 1).all())


def _left(world: Tabular, steps: int) -> float:
    """Discounted steps of an episode after so many."""
    if world.horizon is None:
        return world.discount**steps / (1 - world.discount)
    return float(np.sum(world.discount ** np.arange(steps, world.horizon)))


def starting_as(world: Tabular, episodes: Sequence[Steps]) -> Tabular:
    """The world with the starts of these episodes: a few demonstrations say more when luck in their starts is no riddle."""
    first = np.array([states[0] for states, _ in episodes], dtype=np.intp)
    return replace(world, starts=np.bincount(first, minlength=world.shape[0]) / len(first))


def of_grid(grid: GridWorld, discount: float = 1.0) -> tuple[Tabular, Floats]:
    """The tables of a grid, and its reward [state, action]."""
    states = grid.size * grid.size
    transitions, reward = np.zeros((states, 4, states)), np.zeros((states, 4))
    for state, action in np.ndindex(reward.shape):
        grid.set_state(np.array([state, 0.0]))
        after, reward[state, action], *_ = grid.step(np.int64(action))
        transitions[state, action, after] = 1
    starts = np.where(np.arange(states) < grid.goal, 1 / grid.goal, 0.0)
    return Tabular(transitions, starts, grid.steps, discount), reward


def of_table(
    table: Mapping[int, Mapping[int, Sequence[Outcome]]],
    starts: Floats,
    *,
    horizon: int | None = None,
    discount: float = 1.0,
) -> tuple[Tabular, Floats]:
    """The tables of Gymnasium's toy-text worlds, `env.unwrapped.P` and `.initial_state_distrib`, and the reward [state, action].

    A last state is added: what is over stays there, and is paid nothing.
    """
    states, actions = len(table), len(table[0])
    transitions, reward = np.zeros((states + 1, actions, states + 1)), np.zeros((states + 1, actions))
    transitions[states, :, states] = 1
    for state, choices in table.items():
        for action, outcomes in choices.items():
            for probability, after, paid, over in outcomes:
                transitions[state, action, states if over else after] += probability
                reward[state, action] += probability * paid
    return Tabular(transitions, np.append(starts, 0.0).astype(np.float64), horizon, discount), reward


def _choose(gains: Floats) -> tuple[Floats, Floats]:
    """Values [state] and policy [state, action] of Q [state, action]."""
    highest = gains.max(axis=1)
    weights = np.exp(gains - highest[:, None])
    total = weights.sum(axis=1)
    return highest + np.log(total), weights / total[:, None]


def _stationary(world: Tabular, reward: Floats) -> SoftOptimal:
    values, policy = _choose(reward)
    for _ in range(10_000):  # converges quadratically; some ten steps are usual
        soft, policy = _choose(reward + world.discount * (world.transitions @ values))
        flow = np.eye(len(values)) - world.discount * np.einsum("sa,sat->st", policy, world.transitions)
        change = np.linalg.solve(flow, soft - values)
        values = values + change
        if np.abs(change).max() <= CLOSE * (1 + np.abs(values).max()):
            break
    _, policy = _choose(reward + world.discount * (world.transitions @ values))
    return SoftOptimal(values[None], policy[None])
