"""Measure a policy on episodes whose starts are the same in every check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import WorldError
from plaudit.records import SegmentData, StepBatch
from plaudit.worlds.behaviour import step_batch
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.lockstep import Lockstep
from plaudit.worlds.pixels import Pixels
from plaudit.worlds.vector import layout_of

FIRST_SEED = 10_000
"""episode i of `evaluate(..., seed=0)` starts with reset(seed=10_000 + i)"""
SEEDS_APART = 1_000
"""distance between the starts of neighbouring seeds"""
LONGEST = 100_000
"""steps after which an episode counts as endless"""


class Policy(Protocol):
    """Acts."""

    @property
    def version(self) -> str:
        """Changes whenever the policy may act differently."""
        ...

    def act(self, observations: NDArray[np.float32], deterministic: bool = True) -> NDArray[np.generic]:
        """Actions [n, *action] for observations [n, entry]."""
        ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a policy did in a number of episodes."""

    returns: NDArray[np.float64]
    """[episode], undiscounted sums of the environment's own reward"""
    lengths: NDArray[np.int64]
    """[episode], steps"""
    first: SegmentData
    """the whole first episode, ready to be drawn"""
    batch: StepBatch
    """[episode, step, ...], all episodes as a reward model sees them"""
    tasks: tuple[str, ...] = ()
    """[episode], name of each one's task; () where the world has only one"""

    def return_of_task(self) -> dict[str, float]:
        """Mean return by task; empty where the world has only one."""
        of = np.array(self.tasks)
        return {name: float(np.mean(self.returns[of == name])) for name in dict.fromkeys(self.tasks)}


@dataclass(slots=True)
class _Episode:
    observations: list[NDArray[np.float32]] = field(default_factory=list)
    actions: list[NDArray[np.generic]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    states: list[NDArray[np.float64]] = field(default_factory=list)
    frames: list[Pixels] = field(default_factory=list)


def start_seed(seed: int, episode: int) -> int:
    """Reset seed of an evaluation episode."""
    return (FIRST_SEED + SEEDS_APART * seed + episode) % 2**31


def evaluate(config: WorldConfig, policy: Policy, episodes: int, seed: int) -> Evaluation:
    """Play `episodes` episodes with deterministic actions, `config.envs` at a time; episode i does task i mod n.

    Args:
        config: the world.
        policy: who acts.
        episodes: how many; at least 1. Where there are several tasks, each is played at least once.
        seed: picks the starts; equal seeds mean equal starts, whatever the policy.

    Raises:
        WorldError: the world or an action is faulty, see `Lockstep`.
    """
    if episodes < 1:
        raise WorldError("An evaluation needs at least one episode", got=episodes, expected="check.episodes >= 1")
    episodes = max(episodes, len(config.tasks or ()))
    lockstep = Lockstep(config, min(config.envs, episodes))
    try:
        return _summary(lockstep, _play(lockstep, policy, episodes, seed), start_seed(seed, 0))
    finally:
        lockstep.close()


def _play(lockstep: Lockstep, policy: Policy, episodes: int, seed: int) -> list[_Episode]:
    played = [_Episode() for _ in range(episodes)]
    count = len(lockstep.envs)
    on_lane = list(range(count))  # which episode each lane plays
    observations = np.stack([lockstep.reset(lane, start_seed(seed, lane), str(lane)) for lane in range(count)])
    tasks = len(lockstep.config.tasks or ()) or 1
    waiting = [iter(range(count + (task - count) % tasks, episodes, tasks)) for task in range(tasks)]
    lanes = list(range(count))
    while lanes:
        # all rows go in, also those of idle lanes: the shape of the batch decides the last bits of a matrix product
        actions = lockstep.check(policy.act(observations, deterministic=True))
        states = lockstep.states() if on_lane[0] == 0 and 0 in lanes else None
        frames = lockstep.frames(lanes)
        after, rewards, terminated, truncated = lockstep.step(actions.copy(), lanes)
        for lane in list(lanes):
            episode = played[on_lane[lane]]
            episode.observations.append(observations[lane])
            episode.actions.append(actions[lane])
            episode.rewards.append(float(rewards[lane]))
            if on_lane[lane] == 0 and states is not None:
                episode.states.append(states[0])
            if frames is not None:
                episode.frames.append(frames[lane])
            if len(episode.rewards) > LONGEST:
                raise WorldError("An episode does not end", got=f"{LONGEST} steps", next_step="set world.horizon")
            if terminated[lane] or truncated[lane]:
                following = next(waiting[lane % tasks], None)
                if following is None:
                    lanes.remove(lane)
                else:
                    on_lane[lane] = following
                    after[lane] = lockstep.reset(lane, start_seed(seed, following), str(following))
        observations = after
    return played


def _summary(lockstep: Lockstep, played: list[_Episode], first_seed: int) -> Evaluation:
    layout, names = layout_of(lockstep), lockstep.config.task_names
    lengths = np.array([len(episode.rewards) for episode in played], dtype=np.int64)
    shape = (len(played), int(lengths.max()))
    observations = np.zeros((*shape, layout.observation), dtype=np.float32)
    actions = np.zeros((*shape, *layout.action), dtype=np.float32 if layout.choices is None else np.int64)
    pixels = None if layout.pixels is None else np.zeros((*shape, *layout.pixels), dtype=np.uint8)
    for row, (episode, length) in enumerate(zip(played, lengths, strict=True)):
        if pixels is not None:
            pixels[row, :length] = episode.frames
            episode.frames.clear()
        observations[row, :length] = episode.observations
        actions[row, :length] = episode.actions
    mask = np.arange(shape[1]) < lengths[:, None]
    first, steps = played[0], int(lengths[0])
    replayed = layout.simulator is None
    return Evaluation(
        returns=np.array([np.sum(episode.rewards) for episode in played]),
        lengths=lengths,
        first=SegmentData(
            observations=observations[0, :steps].copy(),
            actions=actions[0, :steps].copy(),
            true_rewards=np.array(first.rewards),
            simulator=None if replayed else np.stack(first.states),
            reset_seed=first_seed if replayed else None,
            prefix_actions=actions[0, :0].copy() if replayed else None,
            pixels=None if pixels is None else pixels[0, :steps].copy(),
        ),
        batch=step_batch(layout, observations, actions, mask, pixels=pixels),
        tasks=tuple(names[episode % len(names)] for episode in range(len(played))) if names else (),
    )
