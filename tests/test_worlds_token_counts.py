"""The language of counts: exact figures against samples and differences, and an optimiser that fools itself there."""

import numpy as np
import pytest

from plaudit.ops.aggregate import mean
from plaudit.worlds.token_counts import ENOUGH, TokenCounts, log_softmax

WORLD = TokenCounts(seed=3)
ELSEWHERE = WORLD.start + np.where(np.arange(40) < 4, 3.0, 0.0)


def test_the_true_reward_by_hand():
    counts = np.zeros((2, 40))
    counts[0, :5] = 4
    counts[1, :10] = 2
    raw = [4 * WORLD.worth[:5].sum() - 5 * WORLD.excess * (4 - ENOUGH) ** 2, 2 * WORLD.worth[:10].sum()]
    found = WORLD.gold(counts)
    reference = WORLD.reference @ WORLD.worth - WORLD.excess * (np.maximum(WORLD.reference - 3, 0) ** 2).sum(axis=1)
    assert found == pytest.approx((np.array(raw) - reference.mean()) / reference.std())


def test_exact_means_agree_with_samples():
    for logits in (WORLD.start, ELSEWHERE):
        drawn = WORLD.gold(WORLD.sample(logits, 20_000, "test"))
        assert WORLD.true_reward(logits) == pytest.approx(drawn.mean(), abs=5 * drawn.std() / 141)


def test_the_distance_is_exact():
    assert WORLD.kl(WORLD.start) == pytest.approx(0)
    counts = WORLD.sample(ELSEWHERE, 20_000, "test")
    apart = counts @ (log_softmax(ELSEWHERE) - log_softmax(WORLD.start))
    assert WORLD.kl(ELSEWHERE) == pytest.approx(apart.mean(), abs=5 * apart.std() / 141)


def test_two_policies_share_their_noise():
    one, other = (WORLD.sample(logits, 500, "shared") for logits in (WORLD.start, WORLD.start + 0.01))
    assert np.array_equal(one, other)
    moved = WORLD.sample(ELSEWHERE, 500, "shared")
    assert np.all(moved[:, :4] >= one[:, :4])
    assert np.all(moved[:, 4:] <= one[:, 4:])


def test_the_price_of_distance_pulls_back_by_its_exact_gradient():
    step = WORLD.improved(ELSEWHERE, lambda counts: np.zeros(len(counts)), step=0, kl=1.0, rate=1.0) - ELSEWHERE
    each = 1e-5 * np.eye(40)
    slope = np.array([(WORLD.kl(ELSEWHERE + one) - WORLD.kl(ELSEWHERE - one)) / 2e-5 for one in each])
    assert step == pytest.approx(-slope, abs=1e-6)


def test_a_fitted_reward_is_overrated_where_nobody_was_asked():
    """Good on the start's texts, fooled by its optimiser: the true reward falls below the start's while the fitted one rises."""
    members = WORLD.fitted_rewards(answers=600, wrong=0.25, members=3)
    first, second = WORLD.sample(WORLD.start, 500, "a"), WORLD.sample(WORLD.start, 500, "b")
    right = (members(first).mean(0) > members(second).mean(0)) == (WORLD.gold(first) > WORLD.gold(second))
    assert 0.7 <= right.mean() <= 0.9
    policy, gold = WORLD.start, list[float]()
    for step in range(80):
        policy = WORLD.improved(policy, lambda counts: mean(members(counts)), step=step, kl=0.0, rate=0.2)
        gold.append(WORLD.true_reward(policy))
    assert max(gold) > 1.5
    assert gold[-1] < max(gold) - 2
    assert mean(members(WORLD.sample(policy, 200, "end"))).mean() > 4


def test_it_is_the_same_twice():
    again = TokenCounts(seed=3)
    assert np.array_equal(again.reference, WORLD.reference)
    texts = WORLD.sample(ELSEWHERE, 10, "x")
    fitted = [one.fitted_rewards(answers=50, wrong=0.1, members=2, hidden=5)(texts) for one in (WORLD, again)]
    assert np.array_equal(*fitted)
