"""A language of counts: texts of fixed length whose worth depends on how often each token occurs. KL is exact, an update takes microseconds.

The policy draws each of the tokens from one softmax, so that KL(policy || start) of a text is length x KL of a token. The true
reward likes some tokens and dislikes others, and every token only in moderation: what stands in a text more than `ENOUGH` times
costs the square of the excess. The start hardly ever writes so, hence answers about its texts hardly tell, and a reward fitted to
them overrates repetition: an optimiser finds that (Gao et al. 2022, https://arxiv.org/abs/2210.10760).

world = TokenCounts(seed=0)
proxy = world.fitted_rewards(answers=600, wrong=0.25, members=5)
policy = world.start
for step in range(300):
    policy = world.improved(policy, lambda counts: proxy(counts).mean(0), step=step, kl=0.05)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb

from plaudit.run.seeds import generator

FloatArray = NDArray[np.float64]
Reward = Callable[[FloatArray], FloatArray]
"""from counts [text, token] to values [text], or [member, text] for an ensemble"""
ENOUGH = 3
REFERENCE = 4000
"""texts of the start on which rewards get mean 0 and deviation 1"""


@dataclass(frozen=True)
class TokenCounts:
    """The world of a seed.

    Attributes:
        seed: of the start, of what tokens are worth, and of all draws.
        tokens: in the vocabulary.
        length: of a text.
        excess: cost of the squared excess of a token, in units of what tokens are worth.
    """

    seed: int
    tokens: int = 40
    length: int = 20
    excess: float = 0.3

    @cached_property
    def start(self) -> FloatArray:
        """[token] logits of the policy that everything begins with."""
        return 0.5 * generator(self.seed, "start").standard_normal(self.tokens)

    def gold(self, counts: FloatArray) -> FloatArray:
        """[text] true reward of counts [text, token], of mean 0 and deviation 1 on texts of the start."""
        shift, scale = self._units
        return (self._gold(counts) - shift) / scale

    @cached_property
    def worth(self) -> FloatArray:
        """[token] what a token is worth, as long as there are not too many of it."""
        return generator(self.seed, "worth").standard_normal(self.tokens)

    @cached_property
    def _units(self) -> tuple[float, float]:
        return _standard(self._gold(self.reference))

    def _gold(self, counts: FloatArray) -> FloatArray:
        return counts @ self.worth - self.excess * (np.maximum(counts - ENOUGH, 0.0) ** 2).sum(axis=-1)

    @cached_property
    def reference(self) -> FloatArray:
        """[text, token] counts of texts of the start."""
        return self.sample(self.start, REFERENCE, "reference")

    def sample(self, logits: FloatArray, count: int, *names: str | int) -> FloatArray:
        """[text, token] counts of so many texts, drawn from the stream of that name.

        Two policies that draw from one stream share its noise (Gumbel's), and differ only where they must.
        """
        noise = generator(self.seed, *names).gumbel(size=(count, self.length, self.tokens))
        drawn = (noise + logits).argmax(axis=-1)
        found = np.zeros((count, self.tokens))
        np.add.at(found, (np.repeat(np.arange(count), self.length), drawn.ravel()), 1.0)
        return found

    def true_reward(self, logits: FloatArray) -> float:
        """Mean true reward of a policy's texts, exactly: each count is binomial, and the reward adds up over tokens."""
        shares, counts = np.exp(log_softmax(logits)), np.arange(self.length + 1)
        ways = np.asarray(comb(self.length, counts))[:, None]
        odds = ways * shares ** counts[:, None] * (1 - shares) ** (self.length - counts)[:, None]
        beyond = (np.maximum(counts - ENOUGH, 0.0) ** 2) @ odds
        shift, scale = self._units
        return float((self.length * shares @ self.worth - self.excess * beyond.sum() - shift) / scale)

    def kl(self, logits: FloatArray) -> float:
        """KL(policy || start) of a text, in nats, exactly."""
        mine, theirs = log_softmax(logits), log_softmax(self.start)
        return float(self.length * np.exp(mine) @ (mine - theirs))

    def improved(
        self, logits: FloatArray, reward: Reward, *, step: int, kl: float, rate: float = 0.05, batch: int = 256
    ) -> FloatArray:
        """The policy after a step of policy gradient on fresh texts, with the exact gradient of kl x KL.

        Args:
            logits: [token] of the policy.
            reward: [text] what texts are paid.
            step: number of the step; texts are drawn from its stream.
            kl: price of a nat.
            rate: step size.
            batch: texts.
        """
        counts = self.sample(logits, batch, "step", step)
        paid = reward(counts)
        mine, theirs = log_softmax(logits), log_softmax(self.start)
        shares = np.exp(mine)
        gain = (paid - paid.mean()) @ (counts - self.length * shares) / (batch - 1)
        apart = mine - theirs
        return logits + rate * (gain - kl * self.length * shares * (apart - shares @ apart))

    def fitted_rewards(self, *, answers: int, wrong: float, members: int, hidden: int = 40) -> Reward:
        """An ensemble fitted to comparisons of texts of the start, some of them wrong; each member has mean 0 and deviation 1 there.

        A member is Bradley-Terry on the counts and on random rectified features of its own, with a ridge, fitted by Newton's
        method to a bootstrap sample of the answers. Returns a function to [member, text].
        """
        first, second = (self.sample(self.start, answers, "asked", side) for side in ("first", "second"))
        rng = generator(self.seed, "answers")
        better = (self.gold(first) > self.gold(second)) ^ (rng.random(answers) < wrong)
        reference = self.reference
        fitted = [self._member(first, second, better, number, hidden) for number in range(members)]
        standards = [_standard(one(reference)) for one in fitted]

        def reward(counts: FloatArray) -> FloatArray:
            return np.stack(
                [(one(counts) - shift) / scale for one, (shift, scale) in zip(fitted, standards, strict=True)]
            )

        return reward

    def _member(
        self, first: FloatArray, second: FloatArray, better: NDArray[np.bool_], number: int, hidden: int
    ) -> Reward:
        rng = generator(self.seed, "member", number)
        inside = rng.standard_normal((self.tokens, hidden))
        offsets = rng.standard_normal(hidden) * np.sqrt(self.length / 2)
        rows = rng.integers(0, len(better), len(better))

        def features(counts: FloatArray) -> FloatArray:
            return np.concatenate([counts, np.maximum(counts @ inside - offsets, 0.0) / np.sqrt(hidden)], axis=1)

        apart = features(first[rows]) - features(second[rows])
        weights = _logistic(apart, better[rows].astype(np.float64), ridge=1.0)
        return lambda counts: features(counts) @ weights


def log_softmax(logits: FloatArray) -> FloatArray:
    """[token] log-probabilities."""
    return logits - np.logaddexp.reduce(logits)


def _standard(values: FloatArray) -> tuple[float, float]:
    return float(values.mean()), float(values.std())


def _logistic(apart: FloatArray, better: FloatArray, *, ridge: float) -> FloatArray:
    """Weights of a logistic model with a ridge: Newton's steps, halved until the loss falls."""

    def loss(weights: FloatArray) -> float:
        logits = apart @ weights
        return float(np.logaddexp(0, logits).sum() - better @ logits + 0.5 * ridge * weights @ weights)

    weights = np.zeros(apart.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(apart @ weights, -40, 40)))
        slope = apart.T @ (chance - better) + ridge * weights
        bend = (apart.T * (chance * (1 - chance))) @ apart + ridge * np.eye(len(weights))
        move, size = np.linalg.solve(bend, slope), 1.0
        while loss(weights - size * move) > loss(weights) and size > 1e-6:
            size /= 2
        weights = weights - size * move
        if np.abs(slope).max() < 1e-8 * len(better):
            break
    return weights
