"""Majority, Dawid-Skene and one-coin: by hand, against other libraries, and on published labels."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.stats.crowd import Labels, dawid_skene, majority_vote, one_coin
from tests.real_data import adult_content, bluebirds
from tests.stats_examples import labels_of, three_classes

CROWD_KIT = {"DawidSkene": 0.88667, "OneCoinDawidSkene": 0.92}
"""share of right classes by crowd-kit 1.4.2 on the same labels, from benchmarks/results/feedback_statistics.json"""


def test_labels_must_fit():
    with pytest.raises(ValueError, match="2 items, 1 annotators"):
        Labels(np.array([0, 1]), np.array([0]), np.array([0, 0]), 2, 1, 2)
    with pytest.raises(ValueError, match="label numbers"):
        Labels(np.array([0]), np.array([0]), np.array([2]), 1, 1, 2)
    with pytest.raises(ValueError, match="nothing to be right"):
        one_coin(Labels(np.array([0]), np.array([0]), np.array([0]), 1, 1, 1))


def test_majority_by_hand():
    found = majority_vote(labels_of([(0, 0, 1), (0, 1, 1), (0, 2, 0)], 2, 3, 2))
    assert found.tolist() == [[pytest.approx(1 / 3), pytest.approx(2 / 3)], [0.5, 0.5]]


def test_one_round_of_dawid_skene_by_hand():
    rows = [(0, 0, 0), (0, 1, 0), (0, 2, 1), (1, 0, 1), (1, 1, 1), (1, 2, 1)]
    found = dawid_skene(labels_of(rows, 2, 3, 2), right=1.0, wrong=1.0, iterations=1)
    # majority: item 0 is class 0 with 2/3, item 1 is class 1; the pseudo-answers are 1 in every cell
    for who in (0, 1):
        assert found.confusion[who] == pytest.approx(np.array([[(1 + 2 / 3) / (2 + 2 / 3), 1 / (2 + 2 / 3)],
                                                               [(1 + 1 / 3) / (3 + 1 / 3), 2 / (3 + 1 / 3)]]))  # fmt: skip
    assert found.prevalence == pytest.approx([1 / 3, 2 / 3])
    zero = 1 / 3 * found.confusion[0, 0, 0] * found.confusion[1, 0, 0] * found.confusion[2, 0, 1]
    one = 2 / 3 * found.confusion[0, 1, 0] * found.confusion[1, 1, 0] * found.confusion[2, 1, 1]
    assert found.posterior[0] == pytest.approx([zero / (zero + one), one / (zero + one)])
    assert not found.converged


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_em_never_goes_down_and_posteriors_are_probabilities(data):
    items, people, classes = 6, 4, 3
    cells = list(itertools.product(range(items), range(people)))
    rows = [
        (i, k, data.draw(st.integers(0, classes - 1)))
        for i, k in data.draw(st.sets(st.sampled_from(cells), min_size=1))
    ]
    labels = labels_of(rows, items, people, classes)
    for found in (dawid_skene(labels, right=2.0, wrong=1.0), one_coin(labels)):
        assert np.all(np.diff(found.objective) >= -1e-9)
        assert found.posterior.sum(axis=1) == pytest.approx(np.ones(items))
    swapped = Labels(labels.item, labels.annotator, classes - 1 - labels.label, items, people, classes)
    assert one_coin(swapped).posterior[:, ::-1] == pytest.approx(one_coin(labels).posterior, abs=1e-6)


def test_agrees_with_crowd_kit_and_recovers_accuracy():
    labels, truth, accuracy = three_classes()
    assert np.mean(dawid_skene(labels).posterior.argmax(axis=1) == truth) == pytest.approx(
        CROWD_KIT["DawidSkene"], abs=0.005
    )
    model = one_coin(labels)
    assert np.mean(model.posterior.argmax(axis=1) == truth) == pytest.approx(CROWD_KIT["OneCoinDawidSkene"], abs=0.005)
    assert np.corrcoef(model.accuracy, accuracy)[0, 1] > 0.85
    inside = [model.interval(k).low <= accuracy[k] <= model.interval(k).high for k in range(20)]
    assert sum(inside) >= 16


def test_smoothing_keeps_annotators_with_few_labels_in_bounds():
    rows = [(0, 0, 0), (0, 1, 0), (0, 2, 1)]
    strict, smooth = (dawid_skene(labels_of(rows, 1, 3, 2), right=r, wrong=w) for r, w in ((0.0, 0.0), (4.0, 1.0)))
    assert np.nanmax(strict.confusion) == 1.0
    assert smooth.confusion.max() < 0.9


def test_bluebirds():
    labels, truth = bluebirds()
    shares = {
        "majority": np.mean(majority_vote(labels).argmax(axis=1) == truth),
        "dawid-skene": np.mean(dawid_skene(labels).posterior.argmax(axis=1) == truth),
    }
    assert {name: round(share, 3) for name, share in shares.items()} == {"majority": 0.759, "dawid-skene": 0.898}


def test_dawid_skene_can_be_worse():
    labels, items, gold = adult_content()
    majority, model = (p.argmax(axis=1)[items] for p in (majority_vote(labels), dawid_skene(labels).posterior))
    assert round(float(np.mean(model == gold)), 3) == 0.739
    assert np.mean(majority == gold) > 0.76
