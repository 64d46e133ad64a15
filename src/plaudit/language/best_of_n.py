"""Best of n: sample several completions, score them, keep the best. A policy without training, and a source of data.

It is the strongest that a reward can do at a small distance from the policy: KL(best of n || policy) <= log n - (n - 1) / n per
completion, whatever the reward (Beirami et al. 2024, https://arxiv.org/abs/2401.01879; Stiennon et al. 2020, appendix G.3).
What it reaches with a large n is what other algorithms can hope for.

best = BestOfN(model, score, n=16)
rollout = best.generate(prompts, samples=1, sampling=Sampling(max_tokens=64), seed=0)

found = sample(model, prompts, score, n=16, sampling=Sampling(max_tokens=64), seed=0)
sft.step(found.best().batch)           # rejection sampling: learn from the best
alignment.step(found.pairs().batch)    # or from the best and the worst
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.sampling import Rollout, Sampler, Sampling
from plaudit.errors import ConfigError, LearningError
from plaudit.language.experience import Prompts, Score, about_completions, checked, chosen
from plaudit.ops.scores import without_end


def kl_bound(n: int) -> float:
    """log n - (n - 1) / n: the best of n is at most so many nats per completion away from what it is drawn from."""
    return math.log(n) - (n - 1) / n


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """n completions of each prompt with their scores."""

    rollout: Rollout
    scores: Tensor
    """[N], NaN where a completion could not be scored"""
    n: int

    def ranks(self) -> Tensor:
        """[prompts, n] rows of each prompt from best to worst, the first of equals first; those without a score stand last."""
        scores = self.scores.view(-1, self.n).nan_to_num(-torch.inf)
        places = scores.argsort(dim=1, descending=True, stable=True)
        return places + self.n * torch.arange(len(scores))[:, None]

    def best(self) -> Rollout:
        """The best completion of each prompt for which there is a score. The log-probabilities are the sampler's.

        Raises LearningError if no completion has a score.
        """
        scored = ~self.scores.view(-1, self.n).isnan().all(dim=1)
        return chosen(self.rollout, _some(self.ranks()[scored, 0].tolist()))

    def pairs(self) -> Rollout:
        """The best and the worst completion of each prompt whose scores differ, in this order.

        Raises LearningError if there is no such prompt.
        """
        batch, pairs = self.rollout.batch, self._apart()
        rows = _some([row for pair in pairs for row in pair])
        every, slices = batch.rows, batch.slices
        groups = tuple((every[best], every[worst]) for best, worst in pairs)
        logprobs = torch.cat([self.rollout.logprobs[slices[row]] for row in rows])
        together = Batch(tuple(batch.prompts[best // self.n] for best, _ in pairs), groups)
        return Rollout(together, logprobs, self.rollout.finished[rows])

    def telling(self) -> int:
        """Prompts with completions whose scores differ."""
        return len(self._apart())

    def _apart(self) -> list[tuple[int, int]]:
        """Rows of the best and the worst with a score."""
        known = (~self.scores.view(-1, self.n).isnan()).sum(dim=1)
        pairs = [
            (rows[0], rows[count - 1])
            for rows, count in zip(self.ranks().tolist(), known.tolist(), strict=True)
            if count
        ]
        return [(best, worst) for best, worst in pairs if self.scores[best] > self.scores[worst]]

    def expected_best(self, k: int) -> float:
        """What the best of k <= n scores on average, over prompts: the mean over all choices of k of the n.

        The i-th smallest of n scores is the largest of k with probability C(i - 1, k - 1) / C(n, k) (Nakano et al. 2021,
        https://arxiv.org/abs/2112.09332, appendix I). Prompts with a completion that has no score are left out.

        Raises ConfigError for other k.
        """
        if not 1 <= k <= self.n:
            raise ConfigError("The best of so many is not known", got=k, expected=f"1 to {self.n}")
        scores = self.scores.view(-1, self.n).sort(dim=1).values
        scores = scores[~scores.isnan().any(dim=1)]
        weights = [math.comb(place, k - 1) / math.comb(self.n, k) for place in range(self.n)]
        return float((scores @ torch.tensor(weights, dtype=scores.dtype)).mean()) if len(scores) else math.nan

    def metrics(self) -> dict[str, float]:
        """Scores of all and of the best, the bound of the distance in nats per completion, lengths and ends of all."""
        return about_completions(self.rollout) | {
            "best_of_n/n": float(self.n),
            "best_of_n/kl_bound": kl_bound(self.n),
            "best_of_n/score_mean": float(self.scores.nanmean()),
            "best_of_n/score_best": float(self.scores[self.ranks()[:, 0]].nanmean()),
            "best_of_n/unscored": float(self.scores.isnan().double().mean()),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What is told of candidates that were learned from."""

    number: int
    """of the round, from 1"""
    candidates: Candidates
    metrics: Mapping[str, float]


def sample(
    sampler: Sampler, prompts: Prompts, score: Score, *, n: int, sampling: Sampling, seed: int
) -> Candidates:  # fmt: skip
    """n completions of each prompt, scored.

    Raises:
        ConfigError: n < 1, or what `generate` refuses.
        LearningError: scores that do not fit.
    """
    if n < 1:
        raise ConfigError("There is no best of none", got=n, expected="n >= 1")
    rollout = sampler.generate(prompts, samples=n, sampling=sampling, seed=seed)
    return Candidates(rollout, checked(score(rollout), rollout.batch), n)


def fined(score: Score, penalty: float) -> Score:
    """The same score, less `penalty` for completions that did not end by themselves."""

    def found(rollout: Rollout) -> Tensor:
        return without_end(checked(score(rollout), rollout.batch), rollout.finished.cpu(), penalty=penalty)

    return found


@dataclass(frozen=True, slots=True)
class BestOfN:
    """A policy that says the best of n: it completes prompts as a language model does (`Sampler`), n times as dear.

    The log-probabilities in its rollouts are those of the policy that it draws from. What it says itself has no log-probability
    that could be computed, so nothing can be learned from its rollouts by ratios.
    """

    sampler: Sampler
    score: Score
    n: int

    def generate(
        self, prompts: Sequence[Sequence[int] | Tensor], *, samples: int, sampling: Sampling, seed: int
    ) -> Rollout:
        """`samples` completions of each prompt, each the best of n of its own; the first of these n where none can be scored."""
        found = self.sampler.generate(prompts, samples=samples * self.n, sampling=sampling, seed=seed)
        candidates = Candidates(found, checked(self.score(found), found.batch), self.n)
        return chosen(found, candidates.ranks()[:, 0].tolist())


def _some(rows: list[int]) -> list[int]:
    if not rows:
        raise LearningError(
            "No prompt has completions to choose from", got="no scores, or all the same",
            next_step="sample more of each, or look at what the reward says",
        )  # fmt: skip
    return rows
