import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.ask import Proposal, Strategy, propose
from plaudit.ask.acquisition import disagreement, opening
from plaudit.errors import ConfigError
from plaudit.records import QueryKind


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@given(
    items=st.integers(2, 60),
    share=st.floats(0.0, 1.0),
    kind=st.sampled_from(QueryKind),
    strategy=st.sampled_from(Strategy),
    alike=st.sampled_from(["no features", "different", "all the same"]),
    seed=st.integers(0, 100),
)
def test_every_batch_is_full_and_no_segment_comes_twice(
    items: int, share: float, kind: QueryKind, strategy: Strategy, alike: str, seed: int
) -> None:
    count = int(share * items / kind.segments)
    members = rng(seed).normal(size=(3, items))
    features = {
        "no features": None,
        "different": rng(seed).normal(size=(items, 2)),
        "all the same": np.ones((items, 2)),
    }
    proposals = propose(strategy, items, members, kind=kind, count=count, rng=rng(seed), features=features[alike])
    used = [item for proposal in proposals for item in proposal.indices]
    assert [len(proposal.indices) for proposal in proposals] == [kind.segments] * count
    assert len(set(used)) == len(used)
    assert set(used) <= set(range(items))


def test_disagreement_is_the_spread_of_the_probability_not_of_the_return() -> None:
    # items 0 and 1: members differ by 8 in return, but all are sure; items 2 and 3: members take sides
    members = np.array([[20.0, 0.0, 1.0, 0.0], [12.0, 0.0, -1.0, 0.0]])
    pairs = np.array([[0, 1], [2, 3], [3, 2]])
    expected = (sigmoid(1) - sigmoid(-1)) / 2
    assert disagreement(members, pairs) == pytest.approx([0.0, expected, expected], abs=1e-5)


def test_disagreement_on_single_segments_is_the_spread_of_the_return() -> None:
    members = np.array([[1.0, 5.0], [3.0, 5.0]])
    assert disagreement(members, np.array([[0], [1]])) == pytest.approx([1.0, 0.0])


def compare(strategy: Strategy, members: np.ndarray | None = None, *, count: int, seed: int = 0) -> list[Proposal]:
    return propose(strategy, 12, members, kind=QueryKind.COMPARISON, count=count, rng=rng(seed))


def test_members_that_take_sides_decide_which_pair_is_asked() -> None:
    members = np.zeros((2, 12))
    members[0, 5], members[1, 5] = 4.0, -4.0  # only pairs with item 5 are disputed
    for seed in range(10):
        (asked,) = compare(Strategy.DISAGREEMENT, members, count=1, seed=seed)
        assert 5 in asked.indices
        assert asked.score == pytest.approx((sigmoid(4) - sigmoid(-4)) / 2)
        assert (asked.strategy, asked.propensity) == ("disagreement", None)


def test_the_most_disputed_segments_are_rated() -> None:
    members = np.zeros((2, 12))
    members[1, 7], members[1, 2] = 3.0, 2.0
    asked = propose(Strategy.DISAGREEMENT, 12, members, kind=QueryKind.RATING, count=2, rng=rng())
    assert [proposal.indices for proposal in asked] == [(7,), (2,)]
    assert asked[0].score == pytest.approx(1.5)


def test_uniform_propensity_is_the_share_of_batches_with_the_question() -> None:
    wanted = {3, 8}
    batches = [compare(Strategy.UNIFORM, count=4, seed=seed) for seed in range(3000)]
    share = np.mean([any(set(proposal.indices) == wanted for proposal in batch) for batch in batches])
    assert batches[0][0].propensity == pytest.approx(4 / 66)
    assert batches[0][0].score is None
    assert share == pytest.approx(4 / 66, abs=0.014)  # three standard errors are 0.013


def test_without_a_model_questions_are_uniform_whatever_the_strategy() -> None:
    assert compare(Strategy.DISAGREEMENT, count=4) == compare(Strategy.UNIFORM, count=4)
    assert compare(Strategy.DISAGREEMENT, count=4)[0].strategy == "uniform"


def test_pairs_come_in_either_order() -> None:
    batches = [compare(Strategy.UNIFORM, count=6, seed=seed) for seed in range(400)]
    ascending = np.mean([proposal.indices[0] < proposal.indices[1] for batch in batches for proposal in batch])
    assert ascending == pytest.approx(0.5, abs=0.04)


def test_nearly_identical_segments_are_not_compared_and_questions_not_repeated() -> None:
    # three behaviours in many copies: one pair of each two behaviours is a question, the rest are repeats
    centres = np.repeat([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]], 20, axis=0)
    features = centres + 1e-3 * rng(1).normal(size=(60, 2))
    for seed in range(20):
        asked = propose(
            Strategy.UNIFORM, 60, None, kind=QueryKind.COMPARISON, count=3, rng=rng(seed), features=features
        )
        groups = [frozenset(item // 20 for item in proposal.indices) for proposal in asked]
        assert [len(group) for group in groups] == [2, 2, 2]
        assert len(set(groups)) == 3
        assert asked[0].propensity is None


def test_nearly_identical_segments_are_not_both_rated() -> None:
    features = np.repeat([[0.0], [5.0], [9.0]], 4, axis=0)
    asked = propose(Strategy.UNIFORM, 12, None, kind=QueryKind.RATING, count=3, rng=rng(), features=features)
    assert {proposal.indices[0] // 4 for proposal in asked} == {0, 1, 2}


def test_equal_streams_give_equal_batches() -> None:
    members = rng(5).normal(size=(3, 12))
    batches = [compare(Strategy.DISAGREEMENT, members, count=5, seed=9) for _ in range(2)]
    assert batches[0] == batches[1]


def test_too_few_candidates_or_members_are_refused() -> None:
    with pytest.raises(ConfigError, match="too few candidate"):
        compare(Strategy.UNIFORM, count=7)
    with pytest.raises(ConfigError, match="two members"):
        compare(Strategy.DISAGREEMENT, np.zeros((1, 12)), count=1)


def test_the_opening_shows_rare_behaviour_that_a_draw_misses() -> None:
    """One segment in a hundred stands; a robot on the floor is the rest. Half of the opening looks for what is unlike."""
    places = np.random.default_rng(0).normal(0, 0.01, (200, 3))
    places[[17, 131]] += [[5, 0, 0], [0, 5, 0]]
    for seed in range(20):
        asked = opening(places, kind=QueryKind.COMPARISON, count=4, spread=0.5, rng=np.random.default_rng(seed))
        shown = [index for proposal in asked for index in proposal.indices]
        assert {17, 131} <= set(shown)
        assert len(set(shown)) == 8
        assert {(proposal.strategy, proposal.propensity) for proposal in asked} == {("uniform+k-centre", None)}


@given(count=st.integers(1, 6), spread=st.floats(0, 1), seed=st.integers(0, 9), kind=st.sampled_from(list(QueryKind)))
def test_the_opening_uses_no_segment_twice(count, spread, seed, kind) -> None:
    places = np.repeat(np.random.default_rng(seed).normal(size=(6, 2)), 2, axis=0)  # each behaviour is there twice
    asked = opening(places, kind=kind, count=count, spread=spread, rng=np.random.default_rng(seed))
    shown = [index for proposal in asked for index in proposal.indices]
    assert len(asked) == count
    assert sorted(set(shown)) == sorted(shown)
    with pytest.raises(ConfigError, match="too few candidate"):
        opening(
            places[: 2 * count - 1], kind=QueryKind.COMPARISON, count=count, spread=spread, rng=np.random.default_rng(0)
        )
