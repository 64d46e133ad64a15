"""What a run on texts will cost, before it starts. Measured by a short trial of the run's own model, not guessed."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from plaudit.ask.mix import draw_kind
from plaudit.ask.teachers import SECONDS_PER_ANSWER
from plaudit.engine.decode import Sampling
from plaudit.engine.gemm import Gemm
from plaudit.loop.texts.config import TextRunConfig, questions_per_round
from plaudit.loop.texts.models import Cast
from plaudit.run.seeds import derive

PROMPT = tuple(range(16))
TOKENS, SAMPLES = 24, 8
"""of the trial"""


@dataclass(frozen=True, slots=True)
class TextEstimate:
    """Expected cost of a run."""

    labels: int
    human_minutes: float
    minutes: float
    disk_megabytes: float
    rounds: int
    rollouts: int
    people: bool

    def text(self) -> str:
        """The estimate in plain words."""
        who = (
            "of people's time" if self.people else "of people's time, if people answered; here a simulated teacher does"
        )
        return (
            f"labels:  {self.labels} in {self.rounds} rounds\n"
            f"human:   about {self.human_minutes:.0f} minutes {who}\n"
            f"compute: about {self.minutes:.1f} CPU minutes on this machine for {self.rollouts} rollouts, questions, fits and checks\n"
            f"disk:    about {self.disk_megabytes:.0f} MB"
        )


def estimate(config: TextRunConfig) -> TextEstimate:
    """Sample from the model and learn from a few tokens, and extrapolate. Raises as the run itself would."""
    Gemm(config.model.dtype.value, threads=config.loop.threads).apply()
    cast = Cast(config)
    sampled, read, learned = _rates(cast)
    ask, check, group, rounds = config.ask, config.check, config.improve.ppo or config.improve.group, config.loop.rounds
    asked = sum(questions_per_round(config)) * ask.pool * ask.samples * ask.max_tokens
    looked = (2 * check.prompts + (rounds - 1) * check.prompts_between) * check.samples * check.max_tokens
    taught = rounds * group.steps * group.prompts * group.samples * group.max_tokens
    shown = sum(
        ask.size(draw_kind(ask.kinds, derive(config.seed, round_, "ask"), index))
        for round_, count in enumerate(questions_per_round(config))
        for index in range(count)
    )
    fitted = shown * ask.max_tokens * config.reward.epochs * rounds
    imitated = 0 if config.sft is None else config.sft.steps * config.sft.batch_size * ask.max_tokens
    seconds = (asked + looked + taught) / sampled + (asked + 4 * looked + 2 * taught) / read
    seconds += (taught * group.epochs + fitted + imitated) / learned
    size = sum(one.numel() * one.element_size() for one in (*cast.policy.parameters(), *cast.reward.parameters()))
    human = sum(
        SECONDS_PER_ANSWER[draw_kind(ask.kinds, derive(config.seed, round_, "ask"), index)]
        for round_, count in enumerate(questions_per_round(config))
        for index in range(count)
    )
    return TextEstimate(
        labels=ask.labels,
        human_minutes=ask.overlap * human / 60,
        minutes=seconds / 60,
        disk_megabytes=((rounds + 1) * size + 8 * (taught + looked + asked)) / 1e6,
        rounds=rounds,
        rollouts=rounds * group.steps,
        people=ask.people,
    )


def _rates(cast: Cast) -> tuple[float, float, float]:
    """Tokens per second of one core's time: of sampling, of reading, and of learning."""
    sampling = Sampling(max_tokens=TOKENS, stop=(-1,))
    cast.policy.generate([PROMPT], samples=1, sampling=Sampling(max_tokens=2, stop=(-1,)), seed=0)  # warms up
    began = time.process_time()
    rollout = cast.policy.generate([PROMPT], samples=SAMPLES, sampling=sampling, seed=0)
    sampled = time.process_time()
    with torch.no_grad():
        cast.policy.logprobs(rollout.batch)
    read = time.process_time()
    cast.policy.logprobs(rollout.batch).logprobs.sum().backward()
    learned = time.process_time()
    count = TOKENS * SAMPLES
    return count / (sampled - began), count / (read - sampled), count / (learned - read)
