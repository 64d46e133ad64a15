"""Best of n: by hand, by enumeration, and on a policy whose best is known."""

import itertools
import math

import numpy as np
import pytest
import torch

from plaudit.engine.sampling import Rollout, Sampling
from plaudit.errors import ConfigError, LearningError
from plaudit.language.best_of_n import BestOfN, Candidates, kl_bound, sample
from tests.language_rollouts import policy, rollout

GROUPS = ((3, (4, 1, 2)), (1, (2, 3, 2)), (5, (6, 3, 1)))
NAN = float("nan")
PROMPTS = [[4, 9, 1], [2, 3]]


def candidates(scores):
    return Candidates(rollout(GROUPS), torch.tensor(scores, dtype=torch.float64), 3)


def test_the_best_of_each_prompt_is_kept_with_what_belongs_to_it():
    found = candidates([1.0, 3.0, 2.0, NAN, -1.0, -2.0, NAN, NAN, NAN])
    every, best = found.rollout, found.best()
    assert [row.tolist() for row in best.batch.rows] == [every.batch.rows[row].tolist() for row in (1, 4)]
    assert [one.tolist() for one in best.batch.prompts] == [one.tolist() for one in every.batch.prompts[:2]]
    assert best.logprobs.tolist() == every.logprobs[every.batch.where([1, 4])].tolist()
    assert best.finished.tolist() == every.finished[[1, 4]].tolist()
    assert found.ranks().tolist() == [[1, 2, 0], [4, 5, 3], [6, 7, 8]]


def test_pairs_are_best_and_worst_and_equal_scores_make_none():
    found = candidates([1.0, 3.0, 2.0, NAN, -1.0, -2.0, 5.0, 5.0, NAN])
    pairs, every = found.pairs(), found.rollout.batch.rows
    assert [[one.tolist() for one in group] for group in pairs.batch.completions] == [
        [every[1].tolist(), every[0].tolist()],
        [every[4].tolist(), every[5].tolist()],
    ]
    assert len(pairs.logprobs) == len(pairs.batch.row)
    slices = found.rollout.batch.slices
    assert pairs.logprobs[pairs.batch.slices[1]].tolist() == found.rollout.logprobs[slices[0]].tolist()


@pytest.mark.parametrize("scores", [[NAN] * 9, [2.0] * 9])
def test_nothing_to_choose_from_is_an_error(scores):
    with pytest.raises(LearningError, match="to choose from"):
        candidates(scores).pairs()
    if math.isnan(scores[0]):
        with pytest.raises(LearningError, match="to choose from"):
            candidates(scores).best()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_expected_best_is_the_mean_over_all_choices(k):
    scores = np.random.default_rng(0).normal(size=(3, 3))
    expected = np.mean([[max(some) for some in itertools.combinations(row, k)] for row in scores])
    assert candidates(scores.ravel().tolist()).expected_best(k) == pytest.approx(expected)
    with pytest.raises(ConfigError, match="not known"):
        candidates(scores.ravel().tolist()).expected_best(4)


def test_the_bound_holds_where_the_distance_is_known():
    """The best of n from m equally likely answers whose scores differ: p_i = (i^n - (i - 1)^n) / m^n."""
    for n, m in itertools.product((1, 2, 4, 16), (2, 5, 100)):
        p = (np.arange(1, m + 1) / m) ** n - (np.arange(m) / m) ** n
        kl = sum(one * math.log(one * m) for one in p if one > 0)
        assert kl <= kl_bound(n) + 1e-12
    assert kl_bound(1) == 0
    assert kl_bound(4) == pytest.approx(math.log(4) - 0.75)


def length(rolled: Rollout):
    return rolled.batch.lengths.double()


def test_as_a_policy_it_says_the_best_of_its_own_and_learns_nothing():
    model, sampling = policy(dtype=torch.float32, fresh=True), Sampling(max_tokens=6)
    best = BestOfN(model, lambda rolled: -length(rolled), 8)
    rolled = best.generate(PROMPTS, samples=2, sampling=sampling, seed=3)
    plain = model.generate(PROMPTS, samples=16, sampling=sampling, seed=3)
    assert [len(group) for group in rolled.batch.completions] == [2, 2]
    shortest = length(plain).view(4, 8).amin(1)
    assert rolled.batch.lengths.tolist() == shortest.tolist()
    found = sample(model, PROMPTS, length, n=4, sampling=sampling, seed=3)
    metrics = found.metrics()
    assert metrics["best_of_n/score_best"] == pytest.approx(float(length(found.rollout).view(2, 4).amax(1).mean()))
    assert metrics["best_of_n/score_best"] == pytest.approx(found.expected_best(4))
    assert metrics["best_of_n/score_mean"] == pytest.approx(found.expected_best(1))
    assert metrics["best_of_n/kl_bound"] == kl_bound(4)
    with pytest.raises(ConfigError, match="best of none"):
        sample(model, PROMPTS, length, n=0, sampling=sampling, seed=3)
