"""How far apart are two rewards, whatever potential shaping and positive scale do to them? EPIC, DARD and STARC, exact.

A reward is a table [state, action, next state], or [state, action] where it does not look at what comes next. All three first
make a reward canonical, so that shaping by any potential p, discount * p(next) - p(state), changes nothing; then scale it; then
measure. They differ in which transitions they look at:

* `epic`: all pairs of states that the coverage has, also those that the world cannot join (Gleave et al. 2021,
  https://arxiv.org/abs/2006.13900, definitions 4.1 and 4.7).
* `dard`: only what may follow from the transition's own states (Wulfe et al. 2022, https://arxiv.org/abs/2201.10081,
  definition 4).
* `starc`: value-adjusted levelling, which also knows that rewards with equal expectation over next states are equal (Skalse et
  al. 2024, https://arxiv.org/abs/2309.15257, definitions 3 and 6): of the three the one with a bound on regret from both sides.

A distance is 0 for a scaled and shaped copy, 1 for the opposite, and sqrt(1/2) for unrelated rewards. A reward that is constant
after shaping prefers nothing; it is 0 from its like and 1/2 from all others. Where there are no tables, `epic_sampled` and
`dard_sampled` estimate the first two from transitions, `answers_apart` takes rewards of texts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NOTHING = 1e-9
"""a canonical reward smaller than this share of the reward it was made from is rounding: it prefers nothing"""


def epic(first: Floats, second: Floats, *, coverage: Floats, discount: float) -> float:
    """EPIC's distance, 0 .. 1.

    Args:
        first: a reward, [state, action, next state] or [state, action].
        second: another, of either form.
        coverage: [state, action, next state] how often transitions are looked at; states and actions of the canonical form are
            drawn from its marginals, independently.
        discount: of the shaping that is to change nothing.

    Raises:
        ValueError: shapes do not fit, or the coverage is no distribution.
    """
    weights = _coverage(coverage, first, second)
    made = [canonical_epic(one, weights, discount=discount) for one in (first, second)]
    return _apart(*made, weights=weights, sizes=_sizes(first, second), centred=True)


def dard(
    first: Floats, second: Floats, *, transitions: Floats, discount: float, coverage: Floats | None = None
) -> float:
    """DARD's distance, 0 .. 1.

    Args:
        first: a reward, [state, action, next state] or [state, action].
        second: another, of either form.
        transitions: [state, action, next state] probabilities of the world.
        discount: of the shaping that is to change nothing.
        coverage: as of `epic`; by default states and actions alike, next states as the world has them.

    Raises ValueError as `epic`.
    """
    alike = transitions / (transitions.shape[0] * transitions.shape[1])
    weights = _coverage(alike if coverage is None else coverage, first, second)
    made = [canonical_dard(one, transitions, discount=discount) for one in (first, second)]
    return _apart(*made, weights=weights, sizes=_sizes(first, second), centred=True)


def starc(
    first: Floats, second: Floats, *, transitions: Floats, discount: float, policy: Floats | None = None
) -> float:
    """STARC's distance with value-adjusted levelling and Euclidean norms, 0 .. 1.

    Args:
        first: a reward, [state, action, next state] or [state, action].
        second: another, of either form.
        transitions: [state, action, next state] probabilities of the world.
        discount: below 1.
        policy: [state, action] whose values level the reward; by default all actions alike. Any policy gives a valid distance.

    Raises ValueError where shapes do not fit, or the discount is not in 0 .. 1.
    """
    made = [canonical_starc(one, transitions, discount=discount, policy=policy) for one in (first, second)]
    return _apart(*made, weights=np.ones_like(made[0]), sizes=_sizes(first, second), centred=False)


def canonical_epic(reward: Floats, coverage: Floats, *, discount: float) -> Floats:
    """[state, action, next state] R(s,a,s') + E[g R(s',A,S') - R(s,A,S') - g R(S,A,S')], S, S' and A independent of each other."""
    whole = _whole(reward, len(coverage))
    states, actions = coverage.sum(axis=(1, 2)), coverage.sum(axis=(0, 2))
    outward = np.einsum("sat,a,t->s", whole, actions, states)
    return whole + discount * outward - outward[:, None, None] - discount * float(states @ outward)


def canonical_dard(reward: Floats, transitions: Floats, *, discount: float) -> Floats:
    """[state, action, next state] R(s,a,s') + E[g R(s',A,S'') - R(s,A,S') - g R(S',A,S'')], S' behind s, S'' behind s', A alike."""
    whole = _whole(reward, len(transitions))
    spread = transitions.mean(axis=1)  # [state, next state] with all actions alike
    outward = np.einsum("sat,sat->s", whole, transitions) / transitions.shape[1]
    flat = whole.mean(axis=1)  # [state, next state], over actions
    across = spread @ flat @ spread.T  # [s, s']: S' behind s, then S'' behind s'
    return whole + discount * outward - outward[:, None, None] - discount * across[:, None, :]


def canonical_starc(reward: Floats, transitions: Floats, *, discount: float, policy: Floats | None = None) -> Floats:
    """[state, action] E[R(s,a,S') - V(s) + g V(S')], V the values of a policy: its advantages."""
    if not 0 <= discount < 1:
        raise ValueError(f"values of a world without an end need a discount in [0, 1), got {discount}")
    states, actions, _ = transitions.shape
    chosen = np.full((states, actions), 1 / actions) if policy is None else policy
    expected = np.einsum("sat,sat->sa", _whole(reward, states), transitions)
    moves = np.einsum("sa,sat->st", chosen, transitions)
    values = np.linalg.solve(np.eye(states) - discount * moves, (chosen * expected).sum(axis=1))
    return expected - values[:, None] + discount * transitions @ values


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """Transitions that were seen or drawn; the leading axes of all three are the same."""

    states: NDArray[np.generic]
    """[..., *state]"""
    actions: NDArray[np.generic]
    """[..., *action]"""
    after: NDArray[np.generic]
    """[..., *state] next states"""


Reward = Callable[[Transitions], Floats]
"""[transition] what transitions [transition, ...] are worth"""


def epic_sampled(first: Reward, second: Reward, *, seen: Transitions, drawn: Transitions, discount: float) -> float:
    """EPIC's distance over the transitions that were seen; shaping changes nothing, however few are drawn.

    Args:
        first: a reward.
        second: another.
        seen: [n] the coverage.
        drawn: [m] states, actions and next states, independent of each other; all n * m pairs are asked for.
        discount: of the shaping that is to change nothing.
    """
    made = [_epic_of(reward, seen, drawn, discount) for reward in (first, second)]
    sizes = tuple(float(np.abs(np.asarray(reward(seen))).max(initial=0.0)) for reward in (first, second))
    return _apart(*made, weights=np.ones(len(made[0])), sizes=sizes, centred=True)


def dard_sampled(
    first: Reward, second: Reward, *, seen: Transitions, around: tuple[Transitions, Transitions], discount: float
) -> float:
    """DARD's distance over the transitions that were seen.

    Args:
        first: a reward.
        second: another.
        seen: [n] the coverage.
        around: [n, m] from the seen states, actions drawn alike and what the world (or a model of it) does then; and the same from
            the seen next states.
        discount: of the shaping that is to change nothing.
    """
    beside, beyond = around
    across = Transitions(beside.after, beyond.actions, beyond.after)
    made = [
        np.asarray(reward(seen), dtype=np.float64)
        + discount * _mean(reward, beyond)
        - _mean(reward, beside)
        - discount * _mean(reward, across)
        for reward in (first, second)
    ]
    sizes = tuple(float(np.abs(np.asarray(reward(seen))).max(initial=0.0)) for reward in (first, second))
    return _apart(*made, weights=np.ones(len(made[0])), sizes=sizes, centred=True)


def answers_apart(first: Floats, second: Floats, *, prompt: NDArray[np.int64]) -> float:
    """The distance of rewards of answers, 0 .. 1: DARD and STARC where an answer ends the episode.

    Potentials then only move all answers to a prompt alike, so the mean of each prompt is taken off.

    Args:
        first: [answer] scores.
        second: [answer] others.
        prompt: [answer] any number that names the prompt; prompts with one answer say nothing.
    """
    _, place = np.unique(prompt, return_inverse=True)
    count = np.bincount(place)
    made = [one - (np.bincount(place, one) / count)[place] for one in (first, second)]
    return _apart(*made, weights=np.ones(len(first)), sizes=_sizes(first, second), centred=False)


def _epic_of(reward: Reward, seen: Transitions, drawn: Transitions, discount: float) -> Floats:
    fixed = np.asarray(reward(drawn), dtype=np.float64).mean()
    ahead, here = (_mean(reward, _from_each(states, drawn)) for states in (seen.after, seen.states))
    return np.asarray(reward(seen), dtype=np.float64) + discount * ahead - here - discount * fixed


def _from_each(states: NDArray[np.generic], drawn: Transitions) -> Transitions:
    """[n, m] from each state what was drawn."""
    n, m = len(states), len(drawn.actions)
    return Transitions(
        np.repeat(states[:, None], m, axis=1),
        np.repeat(drawn.actions[None], n, axis=0),
        np.repeat(drawn.after[None], n, axis=0),
    )


def _mean(reward: Reward, pairs: Transitions) -> Floats:
    """[n] mean over the second axis."""
    n, m = pairs.actions.shape[:2]
    flat = Transitions(*(one.reshape(n * m, *one.shape[2:]) for one in (pairs.states, pairs.actions, pairs.after)))
    return np.asarray(reward(flat), dtype=np.float64).reshape(n, m).mean(axis=1)


def _whole(reward: Floats, states: int) -> Floats:
    if reward.ndim not in (2, 3) or len(reward) != states or (reward.ndim == 3 and reward.shape[2] != states):
        raise ValueError(f"a reward {reward.shape} does not fit a world of {states} states")
    return reward if reward.ndim == 3 else np.repeat(reward[:, :, None], states, axis=2)


def _coverage(coverage: Floats, *rewards: Floats) -> Floats:
    total = float(coverage.sum())
    fits = coverage.ndim == 3 and all(one.shape[:2] == coverage.shape[:2] for one in rewards)
    if not fits or not (coverage >= 0).all() or not total > 0:
        raise ValueError(f"coverage {coverage.shape} does not fit rewards {[one.shape for one in rewards]}")
    return coverage / total


def _sizes(*rewards: Floats) -> tuple[float, ...]:
    return tuple(float(np.abs(one).max(initial=0.0)) for one in rewards)


def _apart(first: Floats, second: Floats, *, weights: Floats, sizes: tuple[float, ...], centred: bool) -> float:
    """Half the Euclidean distance of directions; for centred ones sqrt((1 - correlation) / 2), with all digits near 0."""
    shares = weights / weights.sum()
    scaled: list[Floats] = []
    for one, size in zip((first, second), sizes, strict=True):
        moved = one - float((shares * one).sum()) if centred else one
        norm = float(np.sqrt((shares * moved**2).sum()))
        scaled.append(moved / norm if norm > NOTHING * size else np.zeros_like(moved))
    return min(1.0, float(np.sqrt((shares * (scaled[0] - scaled[1]) ** 2).sum())) / 2)
