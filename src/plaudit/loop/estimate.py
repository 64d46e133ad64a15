"""What a run will cost, before it starts: labels, human minutes, CPU minutes, disk. Measured by a short trial, not guessed."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from plaudit.ask.teachers import SECONDS_PER_ANSWER
from plaudit.control.learner import make_learner
from plaudit.loop.config import RunConfig
from plaudit.loop.stages import labels_per_round
from plaudit.run.monitor import Unwatched
from plaudit.worlds.vector import VectorWorld

FIT_SECONDS_PER_ROUND = 0.07
"""one reward fit of some dozens of labels on one core (benchmarks/cost.py)"""
CLIP_BYTES = 150_000
"""a rendered segment of 50 frames, typically"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Expected cost of a run."""

    labels: int
    human_minutes: float
    cpu_minutes: float
    disk_megabytes: float
    rounds: int
    steps: int
    people: bool

    def text(self) -> str:
        """The estimate in plain words."""
        who = (
            "of people's time" if self.people else "of people's time, if people answered; here a simulated teacher does"
        )
        return (
            f"labels:  {self.labels} in {self.rounds} rounds\n"
            f"human:   about {self.human_minutes:.1f} minutes {who}\n"
            f"compute: about {self.cpu_minutes:.1f} CPU minutes on this machine for {self.steps:,} environment steps\n"
            f"disk:    about {self.disk_megabytes:.0f} MB"
        )


def estimate(config: RunConfig, *, trial_steps: int = 640) -> Estimate:
    """Measure a short trial of the run's own environment and algorithm, and extrapolate.

    Raises WorldError when the environment cannot be used, like the run itself would.
    """
    world = VectorWorld(config.world, 0)
    learner = make_learner(config.policy, world, 0)
    learner.explore(max(config.world.envs * 8, min(trial_steps, config.loop.warmup)), 0)
    learner.set_reward(lambda batch: np.zeros(batch.mask.shape), environment_weight=1.0)
    learner.improve(config.world.envs, 0, Unwatched())  # the first call pays for warming up
    before, began = len(world.behaviour), time.process_time()
    learner.improve(trial_steps, 1, Unwatched())
    spent = time.process_time() - began
    done = (len(world.behaviour) - before) * config.world.envs or trial_steps  # who learns offline takes no steps
    per_step = spent / max(done, 1)
    world.close()
    asking = sum(count > 0 for count in labels_per_round(config))
    seconds = per_step * (config.loop.steps - config.loop.warmup) * (2 if config.check.oracle else 1)
    row = 4 * (math.prod(world.observation_space.shape or (1,)) + math.prod(world.action_space.shape or (1,)) + 8)
    clips = 2 * config.ask.labels if config.ask.people else 3 * config.check.videos
    disk = config.loop.steps * row * (1 + config.loop.rounds / 2) + clips * CLIP_BYTES
    return Estimate(
        labels=config.ask.labels,
        human_minutes=config.ask.labels * config.ask.overlap * SECONDS_PER_ANSWER[config.ask.kind] / 60,
        cpu_minutes=(seconds + asking * FIT_SECONDS_PER_ROUND) / 60,
        disk_megabytes=disk / 1e6,
        rounds=config.loop.rounds,
        steps=config.loop.steps,
        people=config.ask.people,
    )
