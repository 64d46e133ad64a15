import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.ask import Background, Proposal, Strategy, propose
from plaudit.ask.acquisition import disagreement, entropy, opening
from plaudit.ask.cover import distance, farthest_first
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
    seed=st.integers(0, 100),
)
def test_every_batch_is_full_and_no_segment_comes_twice(
    items: int, share: float, kind: QueryKind, strategy: Strategy, seed: int
) -> None:
    count = int(share * items / kind.segments)
    members = rng(seed).normal(size=(3, items))
    proposals = propose(strategy, items, members, kind=kind, count=count, rng=rng(seed))
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


def test_entropy_is_that_of_the_mean_probability() -> None:
    # two sure members that take sides leave the answer as open as two that do not know
    members = np.array([[50.0, 0.0, 0.0, 1.0], [-50.0, 0.0, 0.0, 1.0]])
    pairs = np.array([[0, 1], [1, 2], [3, 1]])
    p = sigmoid(1)
    expected = [math.log(2), math.log(2), -p * math.log(p) - (1 - p) * math.log(1 - p)]
    assert entropy(members, pairs) == pytest.approx(expected)


def test_entropy_counts_ties_and_grades_as_answers() -> None:
    # a difference of 0 with a tie below log 3: P(first) = P(second) = sigmoid(-log 3) = 1/4, P(tie) = 1/2
    members, cut = np.zeros((2, 2)), math.log(3)
    assert entropy(members, np.array([[0, 1]]), (-cut, cut)) == pytest.approx([1.5 * math.log(2)])
    # grades between -log 3 and log 3 of a return of 0 are as likely; a far return has a sure grade
    members = np.array([[0.0, 90.0]])
    assert entropy(members, np.array([[0], [1]]), (-cut, cut)) == pytest.approx([1.5 * math.log(2), 0.0])


def test_the_most_uncertain_pair_is_asked() -> None:
    members = np.zeros((3, 12)) + 10.0 * np.arange(12)
    members[:, 7] = members[:, 4] + 0.1  # all other pairs are 10 or more apart, so their answers are sure
    background = Background(cuts=(-0.5, 0.5))
    asked = [
        propose(Strategy.ENTROPY, 12, members, kind=QueryKind.COMPARISON, count=1, rng=rng(seed), background=background)
        for seed in range(200)
    ]
    together = [proposal for (proposal,) in asked if set(proposal.indices) == {4, 7}]
    assert len(together) > 5  # wherever the random pairs put the two together, they are asked
    assert all(
        one.score == pytest.approx(float(entropy(members, np.array([[4, 7]]), (-0.5, 0.5))[0])) for one in together
    )
    best = max(proposal.score or 0.0 for (proposal,) in asked)
    assert together[0].score == best
    assert (together[0].strategy, together[0].propensity) == ("entropy", None)


def test_farthest_first_by_hand() -> None:
    places = np.array([[0.0], [1.0], [2.0], [6.0], [10.0]])
    groups = np.arange(5)[:, None]
    deviation = places.std()
    chosen, reached = farthest_first(places, groups, 3)
    # nearest to the mean 3.8 is 2 (1.8 away, 6 is 2.2 away); then 10 is 8 away; then 6 is 4 from both
    assert chosen.tolist() == [2, 4, 3]
    assert reached * deviation == pytest.approx([1.8, 8.0, 4.0])
    chosen, reached = farthest_first(places, groups, 2, covered=np.array([[[9.0]], [[5.0]]]))
    assert chosen.tolist() == [0, 2]  # 0 is 5 from 5; then 2 is 2 from 0, all others are 1 from something
    assert reached * deviation == pytest.approx([5.0, 2.0])


def test_the_distance_between_pairs_knows_no_order() -> None:
    first, second = np.array([0.0, 3.0]), np.array([1.0, 1.0])
    pair, turned = np.stack([first, second]), np.stack([second, first])
    assert distance(np.stack([pair, turned]), pair).tolist() == [0.0, 0.0]
    assert distance(pair[None], np.stack([second + np.array([1.0, 0.0]), first])).tolist() == [1.0]


@given(items=st.integers(4, 40), pairs=st.booleans(), seed=st.integers(0, 200))
def test_greedy_cover_is_at_most_twice_the_best(items: int, pairs: bool, seed: int) -> None:
    places = rng(seed).normal(size=(items, 2))
    size = 2 if pairs else 1
    groups = rng(seed).permutation(items)[: items - items % size].reshape(-1, size)
    chosen, reached = farthest_first(places, groups, len(groups))
    assert sorted(chosen.tolist()) == list(range(len(groups)))
    standard = ((places - places.mean(axis=0)) / places.std(axis=0))[groups]
    apart = np.array([distance(standard, one) for one in standard])
    best = min(np.minimum(apart[a], apart[b]).max() for a in range(len(groups)) for b in range(len(groups)))
    assert np.minimum(apart[chosen[0]], apart[chosen[1]]).max() <= 2 * best + 1e-9
    assert (np.diff(reached[1:]) <= 1e-9).all()


def test_k_centre_covers_better_than_uniform() -> None:
    # a crowd of much the same behaviour, and a few rare ones
    places = np.concatenate([0.1 * rng(1).normal(size=(57, 2)), [[5.0, 0.0], [0.0, 5.0], [-5.0, -5.0]]])
    background = Background(places=places)

    def radius(strategy: Strategy, seed: int) -> float:
        asked = propose(
            strategy, 60, np.zeros((2, 60)), kind=QueryKind.RATING, count=4, rng=rng(seed), background=background
        )
        centres = places[[proposal.indices[0] for proposal in asked]]
        return float(np.linalg.norm(places[:, None] - centres, axis=-1).min(axis=1).max())

    assert max(radius(Strategy.K_CENTRE, seed) for seed in range(10)) < 0.5
    assert min(radius(Strategy.UNIFORM, seed) for seed in range(10)) > 4.0


def test_k_centre_keeps_away_from_what_was_asked() -> None:
    places = np.repeat([[0.0], [5.0], [10.0]], 4, axis=0) + 0.01 * np.arange(12)[:, None]
    background = Background(places=places, covered=np.array([[[0.0]], [[10.0]]]))
    asked = propose(
        Strategy.K_CENTRE, 12, np.zeros((2, 12)), kind=QueryKind.RATING, count=1, rng=rng(), background=background
    )
    assert asked[0].indices[0] in {4, 5, 6, 7}
    assert asked[0].propensity is None


def test_combinations_cover_the_informative_half_only() -> None:
    # the upper half is disputed, the lower half lies far out; without places the space is that of the returns
    members = np.zeros((2, 12))
    members[0, 6:], members[1, 6:] = np.arange(1.0, 7.0), -np.arange(1.0, 7.0)
    places = np.concatenate([100.0 + np.arange(6.0), np.arange(6.0)])[:, None]
    asked = propose(
        Strategy.DISAGREEMENT_K_CENTRE,
        12,
        members,
        kind=QueryKind.RATING,
        count=2,
        rng=rng(),
        background=Background(places=places),
    )
    assert {proposal.indices[0] for proposal in asked} <= set(range(6, 12))
    assert {proposal.indices[0] for proposal in asked} & {6, 11}
    assert asked[0].score == pytest.approx(float(disagreement(members, np.array([list(asked[0].indices)]))[0]))
    spread = propose(Strategy.ENTROPY_K_CENTRE, 12, members, kind=QueryKind.COMPARISON, count=6, rng=rng())
    assert len({item for proposal in spread for item in proposal.indices}) == 12
