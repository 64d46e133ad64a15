"""Reward from demonstrations on tabular worlds: maximum causal entropy inverse reinforcement learning, exact.

    find R that maximises   E_demonstrations[R] - log-partition(R)

with R = features x weights, and the log-partition of the softly optimal policy, E V(start). It is the log-likelihood of the
demonstrations, concave in the weights; its gradient is visits demonstrated minus visits of the softly optimal policy (Ziebart
2010, chapter 6). The textbook's E_demonstrations[R] - E_b[R] with a fixed b is linear in R, so it has no maximum: twice a
good R is twice as good.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from plaudit.errors import WorldError
from plaudit.worlds.tabular import Floats, Tabular, occupancy, soft_optimal

MOST = 10_000
"""iterations of L-BFGS"""


@dataclass(frozen=True, slots=True, eq=False)
class TabularReward:
    """A reward under which the softly optimal policy visits what was demonstrated, as often."""

    weights: Floats
    """[feature]"""
    reward: Floats
    """[state, action], in nats; known up to what changes no policy (shaping), so compare policies, not numbers"""
    policy: Floats
    """[step, state, action], softly optimal; one step where the world never ends"""
    visits: Floats
    """[state, action] of that policy"""
    error: float
    """largest difference of visits, demonstrated and achieved, over the features"""
    iterations: int
    """of L-BFGS"""


def log_likelihood(world: Tabular, reward: Floats, demonstrated: Floats) -> float:
    """Log-likelihood of a demonstrated episode under the softly optimal policy of `reward`, in nats, at most 0.

    Equals the sum of demonstrated visits x reward, minus the log-partition E V(start), when demonstrations start as the
    world does. `demonstrated` is [state, action] discounted visits of an episode.
    """
    return float(np.sum(demonstrated * reward) - world.starts @ soft_optimal(world, reward).values[0])


def reward_from_visits(
    world: Tabular, demonstrated: Floats, *, features: Floats | None = None, ridge: float = 0.0, tolerance: float = 1e-6
) -> TabularReward:
    """The reward of maximum causal entropy.

    Args:
        world: the dynamics.
        demonstrated: [state, action] discounted visits of an episode, see `occupancy` and `visits`.
        features: [state, feature] or [state, action, feature]; None: each state has its own reward.
        ridge: weight of half the squared weights. With few demonstrations a little (0.1 / their number) keeps the rewards
            of what they never visit finite.
        tolerance: the error (visits of an episode) at which to stop.

    Raises:
        WorldError: shapes do not fit the world, or demonstrations hold numbers that are not finite.
    """
    shown = np.eye(world.shape[0]) if features is None else features
    table = shown if shown.ndim == 3 else np.repeat(shown[:, None], world.shape[1], axis=1)
    if table.shape[:2] != world.shape or demonstrated.shape != world.shape or not np.isfinite(demonstrated).all():
        raise WorldError(
            "Demonstrations do not fit the world",
            got=f"visits {demonstrated.shape}, features {shown.shape}",
            expected=f"finite visits {world.shape}, features {world.shape} or {world.shape[:1]} and one more axis",
        )
    rows, flat = table.reshape(-1, table.shape[-1]), demonstrated.ravel()
    wanted = flat @ rows

    def loss(weights: Floats) -> tuple[float, Floats]:
        reward = (rows @ weights).reshape(world.shape)
        soft = soft_optimal(world, reward)
        achieved = occupancy(world, soft.policy).ravel() @ rows
        value = world.starts @ soft.values[0] - wanted @ weights + ridge / 2 * weights @ weights
        return float(value), achieved - wanted + ridge * weights

    options = {"maxiter": MOST, "maxfun": 2 * MOST, "gtol": tolerance, "ftol": 0.0, "maxcor": 30}
    found = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B", options=options)
    weights = np.asarray(found.x, dtype=np.float64)
    reward = (rows @ weights).reshape(world.shape)
    policy = soft_optimal(world, reward).policy
    seen = occupancy(world, policy)
    return TabularReward(
        weights, reward, policy, seen, float(np.abs(seen.ravel() @ rows - wanted).max()), int(found.nit)
    )
