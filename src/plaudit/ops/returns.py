"""What steps are worth, given what came after them. Arrays [time, env]; `ends` is True where an episode ended with a step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def discounted(rewards: Floats, ends: NDArray[np.bool_], discount: float, after: Floats | None = None) -> Floats:
    """Discounted sums of the rewards from each step to the end of its episode.

    G_t = r_t + discount (1 - end_t) G_{t+1}   (Sutton & Barto 2018, equation 3.9)

    Args:
        rewards: [time, env].
        ends: [time, env].
        discount: between 0 and 1.
        after: [env], value of what follows the last step where its episode goes on; zero if None.
    """
    returns = np.empty(rewards.shape)
    following = np.zeros(rewards.shape[1]) if after is None else after
    for time in reversed(range(len(rewards))):
        following = rewards[time] + discount * np.where(ends[time], 0.0, following)
        returns[time] = following
    return returns


def gae(
    rewards: Floats, values: Floats, after: Floats, ends: NDArray[np.bool_], *, discount: float, trace: float
) -> Floats:
    """Generalised advantage estimates.

    A_t = delta_t + discount trace (1 - end_t) A_{t+1},   delta_t = r_t + discount (1 - end_t) V(s_{t+1}) - V(s_t)
    (Schulman et al. 2016, https://arxiv.org/abs/1506.02438, equations 11, 12 and 16)

    Args:
        rewards: [time, env]; where a time limit ended an episode, with the discounted value of its last state added.
        values: [time, env], V(s_t).
        after: [env], value of the state after the last step.
        ends: [time, env].
        discount: gamma.
        trace: lambda; 0 trusts the values, 1 the rewards.
    """
    following = np.concatenate([values[1:], after[None]])
    surprises = rewards + discount * np.where(ends, 0.0, following) - values
    return discounted(surprises, ends, discount * trace)
