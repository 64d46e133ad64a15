"""Spam, patterns, copies and bursts: found where they are, at the stated rates where they are not."""

import numpy as np
import pytest

from plaudit.quality.detect import Burst, DetectConfig, bursts, copies, pattern, spam
from plaudit.stats.crowd import Labels, one_coin

CONFIG = DetectConfig()


def labels_of(table: np.ndarray, classes: int = 2) -> Labels:
    """From [item, annotator]; -1 where there is none."""
    item, who = np.nonzero(table >= 0)
    return Labels(item, who, table[item, who], *table.shape, classes)


def crowd(seed: int, *, items: int = 80, people: int = 8, hard: float = 0.3) -> np.ndarray:
    """Answers [item, annotator] of honest people; a share of the items is a coin's toss with a shared trap."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, (items, 1))
    easy = np.where(rng.random((items, 1)) < hard, 0.6, 0.95)
    return np.where(rng.random((items, people)) < easy, truth, 1 - truth)


def test_spam_by_hand():
    # question 0: others agree, so does he; question 1: others agree, he does not
    found = spam(labels_of(np.array([[0, 0, 0], [1, 1, 0]])), 2)
    assert (found.agreement, found.others, found.questions) == (0.5, 1.0, 2)
    assert found.chance == pytest.approx(0.5)
    assert spam(labels_of(np.array([[0, 0], [1, 1]])), 0) is None
    # agreeing with everybody everywhere
    assert spam(labels_of(np.array([[0, 0, 0], [1, 1, 1]])), 0).p_value == 1.0
    assert spam(labels_of(np.array([[0, 0, 1], [1, 1, 0]])), 2).p_value == 0.0


def test_honest_people_are_not_called_spam_and_spam_is():
    alarms = caught = 0
    for seed in range(60):
        table = crowd(seed, items=150)
        alarms += any(spam(labels_of(table), k).p_value < CONFIG.error_rate / 8 for k in range(8))
        table[:, 3] = np.random.default_rng(seed + 1000).integers(0, 2, len(table))
        caught += spam(labels_of(table), 3).p_value < CONFIG.error_rate / 8
    assert alarms <= 2
    assert caught >= 40


def test_pattern_by_hand():
    found = pattern(np.array([1, -1, 1, 0, -1, 1, -1, 1, -1, 1, -1]))
    assert (found.runs, found.expected, found.answers) == (10, 6.0, 10)
    # variance 5 * 4 / 9; (10 - 6 - .5) / 1.49 = 2.348
    assert found.p_value == pytest.approx(0.0189, abs=2e-4)
    assert pattern(np.array([1, 1, 0])) is None
    assert pattern(np.array([1, -1])).p_value == 1.0


def test_random_sides_are_no_pattern():
    rng = np.random.default_rng(0)
    found = [pattern(rng.choice([1, -1], 60)).p_value < 0.01 for _ in range(1000)]
    assert sum(found) <= 20


def test_copies_are_found_and_honest_agreement_is_not():
    alarms = caught = 0
    for seed in range(60):
        table = crowd(seed)
        labels = labels_of(table)
        alarms += bool(copies(labels, CONFIG))
        table[:, 7] = np.where(np.random.default_rng(seed + 1000).random(len(table)) < 0.95, table[:, 2], table[:, 7])
        labels = labels_of(table)
        found = copies(labels, CONFIG)
        caught += bool(found) and (found[0].first, found[0].second) == (2, 7)
    assert alarms <= 2
    assert caught >= 30


def test_few_shared_questions_suspect_nobody():
    table = np.zeros((CONFIG.least - 1, 3), dtype=np.int64)
    table[:, 2] = 1
    assert copies(labels_of(table), CONFIG) == []


def test_a_second_answer_to_a_question_does_not_count_twice():
    table = crowd(0)
    labels = labels_of(table)
    twice = Labels(*(np.concatenate([one, one]) for one in (labels.item, labels.annotator, labels.label)), 80, 8, 2)
    eager = DetectConfig(error_rate=28.0)  # all pairs
    assert copies(twice, eager) == copies(labels, eager)


def test_bursts_by_hand():
    seconds = np.array([5.0, *[0.5] * 8, 5.0, *[0.5] * 7, np.nan, *[0.5] * 9])
    assert bursts(seconds, 5.0, CONFIG) == [Burst(1, 8), Burst(18, 9)]
    assert bursts(seconds, 1.0, CONFIG) == []
    assert bursts(np.array([]), 5.0, CONFIG) == []


def colluding(seed: int) -> np.ndarray:
    """Honest people of unlike skill, somebody who says the same to all, and two of whom one copies the other."""
    rng = np.random.default_rng(seed)
    truth, skill = rng.integers(0, 2, (200, 1)), rng.uniform(0.6, 0.75, 9)
    table = np.where(rng.random((200, 9)) < skill, truth, 1 - truth)
    copied = np.where(rng.random(200) < 0.95, table[:, 8], 1 - table[:, 8])
    return np.column_stack([table, copied, np.zeros(200, dtype=np.int64)])


def test_who_copies_does_not_make_others_suspicious():
    """A likelihood takes the two for the only ones who know, and then honest people agree more than it explains."""
    found = [[(one.first, one.second) for one in copies(labels_of(colluding(seed)), CONFIG)] for seed in range(40)]
    assert sum(pairs == [(8, 9)] for pairs in found) >= 38
    assert sum(any(pair != (8, 9) for pair in pairs) for pairs in found) <= 1
    captured = [one_coin(labels_of(colluding(seed))).accuracy[8:10].min() for seed in range(10)]
    assert np.mean(np.array(captured) > 0.95) > 0.5


def test_a_ring_is_found_pair_by_pair():
    table = np.column_stack([colluding(1)[:, :9], *[colluding(1)[:, 8]] * 2])
    assert {(one.first, one.second) for one in copies(labels_of(table), CONFIG)} == {(8, 9), (8, 10), (9, 10)}
