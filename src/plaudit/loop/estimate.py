"""What a run will cost, before it starts: labels, human minutes, CPU minutes, disk. Measured by a short trial, not guessed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from plaudit.ask.mix import draw_kind
from plaudit.ask.teachers import SECONDS_PER_ANSWER
from plaudit.control.learner import Learner, make_learner
from plaudit.loop.config import RunConfig, labels_per_round
from plaudit.run.monitor import Unwatched
from plaudit.run.seeds import derive
from plaudit.worlds.chunks import BEHAVIOUR, PICTURE_ROWS, ROWS
from plaudit.worlds.vector import VectorWorld

FIT_SECONDS_PER_ROUND = 0.07
"""one reward fit of some dozens of labels on one core (benchmarks/cost.py)"""
CLIP_BYTES = 150_000
"""a rendered segment of 50 frames, typically"""
REST_BYTES = 1_000_000
"""event log, questions, exported policy and report without clips"""


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
        minutes = f"about {self.cpu_minutes:.1f}" if self.cpu_minutes >= 0.1 else "less than 0.1"
        return (
            f"labels:  {self.labels} in {self.rounds} rounds\n"
            f"human:   about {self.human_minutes:.1f} minutes {who}\n"
            f"compute: {minutes} CPU minutes on this machine for {self.steps:,} environment steps\n"
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
    disk = _kept(config, world, learner)
    world.close()
    asking = sum(count > 0 for count in labels_per_round(config))
    seconds = per_step * (config.loop.steps - config.loop.warmup) * (2 if config.check.oracle else 1)
    clips = 2 * config.ask.labels if config.ask.people else 3 * config.check.videos
    return Estimate(
        labels=config.ask.labels,
        human_minutes=config.ask.overlap * _seconds(config) / 60,
        cpu_minutes=(seconds + asking * FIT_SECONDS_PER_ROUND) / 60,
        disk_megabytes=(disk + clips * CLIP_BYTES + REST_BYTES) / 1e6,
        rounds=config.loop.rounds,
        steps=config.loop.steps,
        people=config.ask.people,
    )


def _seconds(config: RunConfig) -> float:
    """Of people's time that one answer to each question would take: the kinds are those that the run will draw."""
    return sum(
        SECONDS_PER_ANSWER[draw_kind(config.ask.kinds, derive(config.seed, round_, "ask"), index)]
        for round_, count in enumerate(labels_per_round(config))
        for index in range(count)
    )


def _kept(config: RunConfig, world: VectorWorld, learner: Learner) -> float:
    """Bytes of all checkpoints: all behaviour once, and a policy a round, each with the behaviour that fills no piece yet."""
    with TemporaryDirectory() as folder:
        world.behaviour.save(Path(folder, BEHAVIOUR))
        seen = len(world.behaviour)
        row = Path(folder, BEHAVIOUR).stat().st_size / seen
        learner.save(Path(folder))
        # off-policy learners keep the ends of episodes beside their weights; these grow with behaviour, but are few
        policy = sum(path.stat().st_size for path in Path(folder).iterdir() if path.name != BEHAVIOUR)
    piece = ROWS if config.world.pixels is None else PICTURE_ROWS
    rows = config.loop.steps / config.world.envs
    return row * rows + (1 + config.loop.rounds) * (policy + row * min(piece, rows) / 2)
