"""From records to arrays."""

import numpy as np
import pytest

from plaudit.errors import RecordError
from plaudit.records import Choice, SegmentData
from plaudit.reward.collate import collate, pack
from tests.reward_examples import Library


@pytest.fixture
def library():
    return Library()


def test_answers_become_arrays(library):
    rng = np.random.default_rng(0)
    a, b, c = library.draw(rng, 3), library.draw(rng, 5), library.draw(rng, 4)
    answers = [
        library.compare(a, b, Choice.FIRST),
        library.rate(c, 3),
        library.compare(b, c, Choice.TIE),
        library.judge(a, [2, 0], [1.0, 0.25]),
        library.compare(c, a, Choice.SECOND, strength=0.6),
        library.rate(b, 1, levels=2),
    ]
    data = collate(answers, library)
    assert data.answers == 6
    assert [len(segment) for segment in data.segments] == [3, 5, 4]
    comparisons, pass_or_fail, grades, scores = data.evidence
    assert comparisons.segments.tolist() == [[0, 1], [1, 2], [2, 0]]
    assert comparisons.side.tolist() == [1, 0, -1]
    assert comparisons.grade.tolist() == [0, 0, 3]
    assert comparisons.lengths.tolist() == [[3, 5], [5, 4], [4, 3]]
    assert comparisons.question.tolist() == [0, 2, 4]
    assert (pass_or_fail.levels, pass_or_fail.grade.tolist(), pass_or_fail.question.tolist()) == (2, [1], [5])
    assert (grades.levels, grades.grade.tolist(), grades.segments.tolist()) == (5, [3], [[2]])
    assert scores.positions.tolist() == [[2, 0]]
    assert scores.scores.tolist() == [[1.0, 0.25]]


@pytest.mark.parametrize(("strength", "grade"), [(0.01, 1), (0.25, 1), (0.26, 2), (0.5, 2), (0.75, 3), (1.0, 4)])
def test_strength_is_read_in_quarters(library, strength, grade):
    rng = np.random.default_rng(0)
    answer = library.compare(library.draw(rng), library.draw(rng), Choice.SECOND, strength=strength)
    assert collate([answer], library).evidence[0].grade.tolist() == [grade]


def test_skips_leave_no_trace(library):
    rng = np.random.default_rng(0)
    a, b, c = (library.draw(rng) for _ in range(3))
    skips = [library.compare(a, c, Choice.SKIP), library.rate(c, None), library.judge(c, [], [])]
    kept = library.compare(a, b, Choice.FIRST)
    data = collate([*skips, kept], library)
    assert data.answers == 1
    assert len(data.segments) == 2
    assert data.evidence[0].question.tolist() == [0]
    assert collate(skips, library).answers == 0


def test_two_answers_to_one_question_share_its_number_and_segments(library):
    rng = np.random.default_rng(0)
    first = library.compare(library.draw(rng), library.draw(rng), Choice.FIRST)
    second = library.compare(library.draw(rng), library.draw(rng), Choice.FIRST)
    again = type(first)(id="other", query=first.query, annotator="b", choice=Choice.SECOND)
    data = collate([first, second, again], library)
    assert data.evidence[0].question.tolist() == [0, 1, 0]
    assert len(data.segments) == 4


def test_later_answers_do_not_renumber_earlier_questions(library):
    rng = np.random.default_rng(0)
    answers = [library.compare(library.draw(rng), library.draw(rng), Choice.FIRST) for _ in range(5)]
    early, late = collate(answers[:3], library), collate(answers, library)
    assert late.evidence[0].question[:3].tolist() == early.evidence[0].question.tolist()


def test_a_segment_with_numbers_that_are_not_finite_is_named(library):
    rng = np.random.default_rng(0)
    good = library.draw(rng)
    bad = library.add(SegmentData(np.full((4, 3), np.nan, np.float32), np.zeros((4, 2), np.float32)))
    with pytest.raises(RecordError, match=f"{bad}: numbers that are not finite"):
        collate([library.compare(good, bad, Choice.FIRST)], library)


def test_unknown_queries_and_wrong_kinds_are_refused(library):
    rng = np.random.default_rng(0)
    answer = library.compare(library.draw(rng), library.draw(rng), Choice.FIRST)
    rated = library.rate(library.draw(rng), 2)
    with pytest.raises(RecordError, match="do not exist"):
        collate([type(answer)(id="x", query="qry_none", annotator="a", choice=Choice.FIRST)], library)
    with pytest.raises(RecordError, match="does not fit its query"):
        collate([type(answer)(id="x", query=rated.query, annotator="a", choice=Choice.FIRST)], library)


def test_scores_of_steps_beyond_the_segment_are_refused(library):
    short = library.draw(np.random.default_rng(0), 3)
    with pytest.raises(RecordError, match="steps that do not exist"):
        collate([library.judge(short, [3], [1.0])], library)


def test_packing_pads_and_makes_discrete_actions_one_hot():
    short = SegmentData(np.ones((1, 2), np.float32), np.array([2]))
    long = SegmentData(np.full((2, 2), 3, np.float32), np.array([0, 1]))
    batch = pack([short, long], 3)
    assert batch.mask.tolist() == [[True, False], [True, True]]
    assert batch.actions.tolist() == [[[0, 0, 1], [0, 0, 0]], [[1, 0, 0], [0, 1, 0]]]
    assert batch.observations[0].tolist() == [[1, 1], [0, 0]]


def test_packing_refuses_what_does_not_fit():
    one = SegmentData(np.ones((2, 2), np.float32), np.array([0, 3]))
    with pytest.raises(RecordError, match="unknown discrete action"):
        pack([one], 3)
    wide = SegmentData(np.ones((2, 4), np.float32), np.array([0, 1]))
    with pytest.raises(RecordError, match="do not fit together"):
        pack([one, wide], 4)
    with pytest.raises(RecordError, match="do not fit together"):
        pack([SegmentData(np.ones((2, 2), np.float32), np.zeros((2, 1), np.float32))], 2)
