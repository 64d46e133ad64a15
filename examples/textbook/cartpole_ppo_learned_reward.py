"""CartPole with Stable-Baselines3's PPO, paid by a reward that is learned from comparisons. No store, no run file, no loop.

The pieces of plaudit work alone: a world that records behaviour, a teacher that compares segments, a reward model, and a
thin bridge to any algorithm of Stable-Baselines3. The policy never sees CartPole's own reward.

    python examples/textbook/cartpole_ppo_learned_reward.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO

from plaudit.ask.teachers import Teacher, TeacherConfig
from plaudit.control.sb3 import WorldVecEnv
from plaudit.ops.aggregate import mean
from plaudit.records import Feedback, Query, QueryKind, Segment, SegmentData, StepBatch
from plaudit.reward.collate import collate
from plaudit.reward.config import RewardConfig
from plaudit.reward.fit import fit
from plaudit.reward.model import RewardModel
from plaudit.run.seeds import derive, generator
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.evaluate import evaluate
from plaudit.worlds.vector import VectorWorld

HORIZON = 100
"""steps of every episode, also after the pole fell: so the length of an episode tells nothing"""
LENGTH = 25
"""steps of a segment"""


@dataclass
class Notebook:
    """Questions and the segments that they are about, in memory: all that `collate` needs to look answers up."""

    asked: list[Query] = field(default_factory=list)
    known: dict[str, tuple[Segment, SegmentData]] = field(default_factory=dict)

    def queries(self) -> list[Query]:
        """All questions so far."""
        return self.asked

    def segments(self, ids: Sequence[str]) -> Mapping[str, Segment]:
        """Segments by id."""
        return {name: self.known[name][0] for name in ids}

    def segment_data(self, segment: Segment) -> SegmentData:
        """What happened in a segment."""
        return self.known[segment.id][1]


@dataclass
class Deterministic:
    """A model of Stable-Baselines3 as plaudit's `evaluate` wants it."""

    model: PPO
    version: str = "ppo"

    def act(self, observations: NDArray[np.float32], deterministic: bool = True) -> NDArray[np.generic]:
        """Actions for observations [n, entry]."""
        return self.model.predict(observations, deterministic=deterministic)[0]


def ask(world: VectorWorld, teacher: Teacher, notebook: Notebook, count: int, *, seed: int) -> list[Feedback]:
    """Cut pairs of segments out of the newest behaviour, and let the teacher say which of each pair is better."""
    cuts = world.behaviour.cut(LENGTH, 2 * count, generator(seed, "cuts"), newest=0.5)
    answers: list[Feedback] = []
    for number in range(count):
        data = [world.behaviour.data(cut, LENGTH) for cut in cuts[2 * number : 2 * number + 2]]
        names = [f"{seed}/{number}/{clip}" for clip in (0, 1)]
        pair = [Segment(world.name, "ppo", name, start=0, length=LENGTH, blob=name) for name in names]
        notebook.known |= {segment.id: (segment, arrays) for segment, arrays in zip(pair, data, strict=True)}
        ids = (pair[0].id, pair[1].id)
        query = Query(QueryKind.COMPARISON, ids, shown=(0, 1), round=0, index=number, strategy="uniform")
        notebook.asked.append(query)
        answers.append(teacher.answer(query, data))
    return answers


def main(*, steps: int = 24_000, labels: int = 45, rounds: int = 3, seed: int = 0) -> tuple[float, float]:
    """Mean return (of at most 100) before and after `steps` environment steps on `labels` comparisons."""
    torch.set_num_threads(1)
    config = WorldConfig("CartPole-v1", envs=8, horizon=HORIZON)
    world = VectorWorld(config, seed)
    teacher = Teacher(TeacherConfig(temperature=0.0), seed)  # never errs; two clips of equal return are a tie
    notebook, answers = Notebook(), list[Feedback]()
    reward: RewardModel | None = None

    def learned(batch: StepBatch) -> NDArray[np.float64]:
        return np.zeros(batch.mask.shape) if reward is None else mean(reward.per_step(batch))

    ppo = PPO(
        "MlpPolicy", WorldVecEnv(world, learned), n_steps=128, batch_size=256, n_epochs=10, learning_rate=1e-3,
        gamma=0.98, gae_lambda=0.9, seed=seed, device="cpu",
    )  # fmt: skip
    before = now = float(evaluate(config, Deterministic(ppo), 10, seed).returns.mean())
    ppo.learn(HORIZON * world.n_envs)  # behaviour to ask about; nothing pays yet
    for round_ in range(rounds):
        answers += ask(world, teacher, notebook, labels // rounds, seed=derive(seed, round_))
        data, reference = collate(answers, notebook), world.behaviour.reference()
        found = fit(data, config=RewardConfig(), seed=seed, reference=reference, warm_start=reward)
        reward = found.model
        ppo.learn(steps // rounds, reset_num_timesteps=False)
        now = float(evaluate(config, Deterministic(ppo), 10, seed).returns.mean())
        accuracy = found.metrics.get("reward/accuracy_heldout", float("nan"))
        print(f"{len(answers)} comparisons, held-out accuracy {accuracy:.2f}, return {now:.0f}")
    world.close()
    print(f"return before {before:.0f}, after {now:.0f} of {HORIZON}")
    return before, now


if __name__ == "__main__":
    main()
