"""A policy gradient on the environment's reward plus a human score in [0, 1] of every step. No store, no run file, no loop.

CartPole pays 1 for every step that the pole stands, wherever the cart is. The person who watches wants the cart to the right
of the middle: that is what the scores say, and what the policy learns on top. Here a simulated person scores; put your own
function, or people's `StepFeedback` from a store, in its place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from plaudit.ask.teachers import Teacher, TeacherConfig
from plaudit.ops.policy import policy_gradient_loss
from plaudit.ops.returns import discounted
from plaudit.records import Query, QueryKind, Segment, SegmentData, StepFeedback
from plaudit.run.seeds import derive
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.evaluate import evaluate
from plaudit.worlds.vector import VectorWorld

Floats = NDArray[np.float64]
HORIZON = 100
"""steps of every episode"""
ENVS = 16
"""episodes that are played at once"""


@dataclass
class Policy:
    """A small network that gives log-probabilities of pushing left and right."""

    net: torch.nn.Sequential
    version: str = "policy gradient"

    def log_probs(self, observations: NDArray[np.float32]) -> torch.Tensor:
        """[..., action] for observations [..., entry]."""
        return torch.log_softmax(self.net(torch.from_numpy(observations)), dim=-1)

    def act(self, observations: NDArray[np.float32], deterministic: bool = True) -> NDArray[np.generic]:
        """The likeliest actions, or drawn ones."""
        with torch.no_grad():
            log_probs = self.log_probs(observations)
        chosen = log_probs.argmax(-1) if deterministic else torch.distributions.Categorical(logits=log_probs).sample()
        return chosen.numpy()


def liking(observations: NDArray[np.float32]) -> Floats:
    """[..., step] what the person thinks of a step: 0 in the middle, 1 from half a unit to the right on; 0 once the pole fell."""
    place = observations[..., 0].astype(np.float64) / 0.5
    return np.clip(place, 0.0, 1.0) * (observations[..., -1] < 0.5)


def scores(person: Teacher, observations: NDArray[np.float32], name: str) -> Floats:
    """[step] the person's scores of one episode, asked like any other question."""
    clip = SegmentData(observations, np.zeros(len(observations), dtype=np.int64), true_rewards=liking(observations))
    segment = Segment("CartPole-v1", "policy gradient", name, start=0, length=len(clip), blob=name)
    query = Query(QueryKind.STEPS, (segment.id,), shown=(0,), round=0, index=0, strategy="every episode")
    answer = person.answer(query, [clip])
    assert isinstance(answer, StepFeedback)
    given = np.zeros(len(clip))
    given[list(answer.steps)] = answer.scores
    return given


def main(*, updates: int = 60, weight: float = 1.0, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Train on `updates` batches of 16 episodes, with the scores at `weight` beside the environment's reward.

    Returns `return` (the environment's) and `liking` (the person's) of an episode, at most 100, before and after.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = WorldConfig("CartPole-v1", envs=ENVS, horizon=HORIZON)
    world = VectorWorld(config, seed)
    person = Teacher(TeacherConfig(temperature=0.05, low=0.0, high=1.0), seed, name="person")
    entries = world.observation_space.shape[0]
    policy = Policy(torch.nn.Sequential(torch.nn.Linear(entries, 32), torch.nn.Tanh(), torch.nn.Linear(32, 2)))
    optimiser = torch.optim.Adam(policy.net.parameters(), lr=0.01)

    def measure() -> tuple[float, float]:
        found = evaluate(config, policy, 16, seed)
        return float(found.returns.mean()), float(liking(found.batch.observations).sum(axis=1).mean())

    before = measure()
    for update in range(updates):
        seen, acted, paid = play(world, policy, derive(seed, update))
        human = np.stack([scores(person, seen[:, env], f"{update}/{env}") for env in range(ENVS)], axis=1)
        ends = np.zeros(paid.shape, dtype=np.bool_)
        ends[-1] = True
        returns = discounted(paid + weight * human, ends, 0.98)
        # baseline: what the other episodes came to at the same step (Williams 1992; Sutton & Barto 2018, section 13.4)
        advantages = (returns - returns.mean(axis=1, keepdims=True)) / (returns.std() + 1e-8)
        log_probs = policy.log_probs(seen).gather(-1, torch.from_numpy(acted)[..., None])[..., 0]
        loss = policy_gradient_loss(log_probs, torch.from_numpy(advantages.astype(np.float32)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = measure()
    world.close()
    print(f"of {HORIZON}: return {before[0]:.0f} -> {after[0]:.0f}, liking {before[1]:.0f} -> {after[1]:.0f}")
    return {"return": (before[0], after[0]), "liking": (before[1], after[1])}


def play(world: VectorWorld, policy: Policy, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64], Floats]:
    """One episode in every environment: observations [step, env, entry], actions and rewards [step, env]."""
    first = len(world.behaviour)
    observations = world.reset(seed)
    for _ in range(HORIZON):
        observations = world.step(policy.act(observations, deterministic=False)).observations
    behaviour = world.behaviour
    return behaviour.observations[first:], behaviour.actions[first:].astype(np.int64), behaviour.rewards[first:]


if __name__ == "__main__":
    main()
