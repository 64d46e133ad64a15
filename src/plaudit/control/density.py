"""How likely a policy is to act as somebody did: what importance weights are made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from plaudit.control.learner import Learner
from plaudit.control.offline import OfflineLearner
from plaudit.control.offpolicy import OffPolicyLearner
from plaudit.control.onpolicy import OnPolicyLearner
from plaudit.control.ppo_heads import Categorical, Gaussian
from plaudit.control.sac import SACAgent
from plaudit.control.sac_nets import LOG_STD_MAX, LOG_STD_MIN, SACNets
from plaudit.errors import ConfigError
from plaudit.models.kernels import FloatArray, Tapes
from plaudit.worlds.vector import VectorWorld

Density = Callable[[NDArray[np.float32], NDArray[np.generic]], NDArray[np.float64]]
"""log density [step] of actions [step, *action], as the environment received them, given observations [step, entry]"""
EDGE = 1 - 1e-6
"""squashed actions beyond this count as this: float32 holds few numbers between it and the bound, which is at infinity"""


def uniform(world: VectorWorld) -> Density:
    """Of random actions. Raises ConfigError when the actions have no bounds."""
    space = world.action_space
    volume = float(np.log(space.n) if isinstance(space, spaces.Discrete) else np.log(space.high - space.low).sum())
    if not np.isfinite(volume):
        raise ConfigError("Random actions have no density", got=space, expected="discrete or bounded actions")
    return lambda observations, _: np.full(len(observations), -volume)


def density(learner: Learner) -> Density:
    """Of a policy as it acts now when it explores; it may learn on, the density stays.

    Raises:
        ConfigError: it does not act at random by a density: DQN, TD3, and what never acts.
    """
    match learner:
        case OnPolicyLearner(nets=nets):
            shape, weights = nets.policy[0], nets.policy[1].copy()
            discrete = isinstance(nets.space, spaces.Discrete)
            head = Categorical() if discrete else Gaussian(nets.log_std.copy(), nets.log_std.copy())

            def plain(observations: NDArray[np.float32], actions: NDArray[np.generic]) -> NDArray[np.float64]:
                output = Tapes(shape).forward(shape.blocks(weights), observations)[0]
                rows = actions if discrete else actions.reshape(len(actions), -1)
                return head.evaluate(output, rows)[0].astype(np.float64)

            return plain
        case OffPolicyLearner(agent=SACAgent(nets=nets)) if not isinstance(learner, OfflineLearner):
            return _squashed(nets, nets.actor.copy())
        case _:
            raise ConfigError(
                "The actions of this algorithm have no density",
                got=type(getattr(learner, "agent", learner)).__name__,
                expected="sac, ppo, a2c, trpo or reinforce",
            )


def _squashed(nets: SACNets, weights: FloatArray) -> Density:
    """log N(arctanh a; mean, std) - log (1 - a^2), and the scale from [-1, 1] to the environment's bounds."""
    stretch = np.log(nets.span.astype(np.float64) / 2).sum()

    def found(observations: NDArray[np.float32], actions: NDArray[np.generic]) -> NDArray[np.float64]:
        output = Tapes(nets.actor_shape).forward(nets.actor_shape.blocks(weights), observations)[0].astype(np.float64)
        mean, log_std = np.split(output, 2, axis=1)
        log_std = np.clip(log_std, LOG_STD_MIN, LOG_STD_MAX)
        squashed = np.clip(nets.squashed(actions).astype(np.float64), -EDGE, EDGE)
        scaled = (np.arctanh(squashed) - mean) * np.exp(-log_std)
        rows = -0.5 * scaled**2 - log_std - 0.5 * np.log(2 * np.pi) - np.log1p(-(squashed**2))
        return rows.sum(axis=1) - stretch

    return found
