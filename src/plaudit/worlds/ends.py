"""Whether episodes end, asked before a run begins: one that never does would be noticed only when the policy is measured."""

from __future__ import annotations

import gymnasium
from gymnasium.wrappers import TimeLimit

from plaudit.errors import WorldError
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.flat import Env
from plaudit.worlds.lockstep import Lockstep

PATIENCE = 10_000
"""random steps within which an episode must end where neither the world nor the run file sets a limit"""


def require_ends(config: WorldConfig) -> None:
    """See that every episode ends: by `horizon`, by the world's own time limit, or else in a trial of random actions.

    The trial has environments of its own, so that it changes nothing in the run.

    Raises:
        WorldError: an episode of 10,000 random steps did not end (names the task), or as `Lockstep`.
    """
    if config.horizon is not None:
        return
    lockstep = Lockstep(config, len(config.tasks or ()) or 1)
    try:
        for lane, env in enumerate(lockstep.envs):
            if not _has_limit(env) and not _ends(lockstep, lane):
                name = config.task_names[lane] if config.tasks else config.id
                raise WorldError(
                    "An episode of this world does not end",
                    got=f"{name}: {PATIENCE:,} steps of random actions, and no time limit",
                    expected="a time limit, or episodes that end",
                    next_step="set world.horizon to the number of steps that an episode should have, for example 1000",
                )
    finally:
        lockstep.close()


def _has_limit(env: Env) -> bool:
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, TimeLimit):
            return True
        env = env.env
    return False


def _ends(lockstep: Lockstep, lane: int) -> bool:
    lockstep.reset(lane, 0, "trial")
    lockstep.action_space.seed(0)
    count = len(lockstep.envs)
    for _ in range(PATIENCE):
        actions = lockstep.check([lockstep.action_space.sample()] * count)
        _, _, terminated, truncated = lockstep.step(actions, [lane])
        if terminated[lane] or truncated[lane]:
            return True
    return False
