import dataclasses
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from plaudit.records import Choice
from plaudit.reward.collate import collate
from plaudit.reward.config import RewardConfig
from plaudit.reward.fit import fit
from plaudit.reward.implied import closure, implied
from plaudit.reward.likelihood import Comparisons
from tests.reward_examples import Library
from tests.test_ask_lists import sort


def asked(*answers: tuple[int, int, int]) -> Comparisons:
    """(first, second, side) each; segments are as long as their number plus ten."""
    pairs = np.array([answer[:2] for answer in answers])
    side = np.array([answer[2] for answer in answers])
    return Comparisons(pairs, np.arange(len(pairs)), pairs + 10, side, np.zeros(len(pairs), dtype=np.int64))


def orders(found):
    return {(int(a), int(b)): int(side) for (a, b), side in zip(found.pairs.segments, found.pairs.side, strict=True)}


def test_chains_and_ties_by_hand():
    # 3 > 1, 1 ties with 0, 0 > 4, and apart from them 7 > 6
    part = asked((3, 1, 1), (0, 1, 0), (4, 0, -1), (7, 6, 1))
    whole = np.ones((1, 4), dtype=bool)
    found = implied(part, np.ones(4, dtype=bool), whole, weight=0.5)
    assert orders(found) == {(0, 3): -1, (1, 4): 1, (3, 4): 1}
    assert found.pairs.lengths.tolist() == [[10, 13], [11, 14], [13, 14]]
    assert found.trains.all()
    assert implied(part, np.array([True, False, True, True]), whole, weight=0.5) is None  # 3 > 1, 0 > 4, 7 > 6


def test_a_member_does_not_hear_what_it_leaves_out_by_a_detour():
    part = asked((3, 1, 1), (0, 1, 0), (4, 0, -1))
    trains = np.array([[True, True, True], [False, True, True], [True, False, True]])
    found = implied(part, np.ones(3, dtype=bool), trains, weight=1.0)
    heard = [{pair for pair, one in zip(orders(found), row, strict=True) if one} for row in found.trains]
    assert heard == [{(0, 3), (1, 4), (3, 4)}, {(1, 4)}, set()]


def test_nothing_follows_from_a_circle():
    known, side = closure(np.array([[0, 1], [1, 2], [2, 0], [3, 4], [4, 5]]), np.array([1, 1, 1, 1, 1]), 6)
    assert {(a, b) for a, b in combinations(range(6), 2) if known[a, b]} == {(3, 4), (3, 5), (4, 5)}
    assert side[3, 5] == 1


@given(values=st.lists(st.integers(0, 9), min_size=3, max_size=25))
def test_a_full_list_implies_the_order_of_every_pair(values):
    worth = {str(number): float(value) for number, value in enumerate(values)}
    _, log, choices = sort(worth)
    sides = {Choice.FIRST: 1, Choice.SECOND: -1, Choice.TIE: 0}
    pairs = np.array([[int(segment) for segment in query.segments] for query in log])
    known, side = closure(pairs, np.array([sides[choices[query.id]] for query in log]), len(values))
    assert known.all()
    assert (side == np.sign(np.subtract.outer(values, values))).all()


def listed(count=14, seed=0):
    """Answers of an error-free teacher that sort `count` segments into a list."""
    rng, library = np.random.default_rng(seed), Library()
    worth = {name: library.true_return(name) for name in (library.draw(rng) for _ in range(count))}
    _, log, choices = sort(worth)
    library.asked += log
    answers = [
        dataclasses.replace(library.compare(*query.segments, choices[query.id]), query=query.id) for query in log
    ]
    return library, answers, library.reference(rng)


def test_implied_pairs_change_the_fit_but_no_count():
    library, answers, reference = listed()
    settings = {"config": RewardConfig(members=3, steps=20), "seed": 1, "reference": reference}
    plain = fit(collate(answers, library), **settings)
    more = fit(collate(answers, library, implied_weight=0.5), **settings)
    again = fit(collate(answers, library, implied_weight=0.5), **settings)
    assert more.model.version == again.model.version != plain.model.version
    assert more.metrics["reward/labels"] == plain.metrics["reward/labels"] == len(answers)
    assert sum(more.calibration["count"]) == len(answers)


def test_only_first_answers_to_insertions_are_chained():
    library, answers, _ = listed(5)
    second = dataclasses.replace(answers[0], id="other", annotator="b")
    other = library.compare(library.draw(np.random.default_rng(3)), library.draw(np.random.default_rng(4)), Choice.TIE)
    data = collate([*answers, second, other], library, implied_weight=0.5)
    assert data.chained.tolist() == [True] * len(answers) + [False, False]
    assert collate(answers, library).chained is None
    assert collate([other], library, implied_weight=0.5).chained is None
