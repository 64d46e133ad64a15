"""Checks of the answers: each fires on a planted fault, and is silent on a clean run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.check.diagnose import (
    Evidence,
    Finding,
    Severity,
    as_text,
    balanced_sides,
    crowding,
    few_held_out,
    look_alike,
    overlapping,
    repeated,
    side_bias,
    starvation,
    too_many_ties,
    worst_first,
)

OK, NOTE, WARNING, PROBLEM = Severity.OK, Severity.NOTE, Severity.WARNING, Severity.PROBLEM


def severity(finding: Finding | None) -> Severity | None:
    if finding is None:
        return None
    assert all(np.isfinite(one.value) for one in finding.evidence)
    assert finding.message.endswith(".")
    assert (finding.severity in (OK, NOTE)) or finding.advice
    return finding.severity


@pytest.mark.parametrize(
    ("ties", "answered", "expected"),
    [(0, 0, None), (0, 50, OK), (10, 50, OK), (3, 4, WARNING), (25, 50, WARNING), (45, 50, PROBLEM)],
)
def test_ties(ties, answered, expected):
    assert severity(too_many_ties(ties, answered)) is expected


def test_one_tie_of_one_answer_is_no_alarm():
    assert severity(too_many_ties(1, 1)) is OK


def test_clips_of_a_varied_run_differ():
    alike = look_alike(np.random.default_rng(0).normal(size=(100, 4)))
    np.testing.assert_array_equal(alike, np.eye(100, dtype=bool))


def test_equal_clips_are_found_whatever_the_units():
    features = np.random.default_rng(1).normal(size=(30, 3))
    features[7] = features[3]
    expected = np.eye(30, dtype=bool)
    expected[3, 7] = expected[7, 3] = True
    np.testing.assert_array_equal(look_alike(features), expected)
    np.testing.assert_array_equal(look_alike(features * [1e-6, 1.0, 1e6]), expected)


def test_clips_without_any_difference_are_all_alike():
    assert look_alike(np.ones((9, 2))).all()


def test_overlap_is_a_matter_of_one_episode():
    spans = [("a", 0, 10), ("a", 1, 10), ("b", 0, 10), ("a", 30, 10), ("a", 32, 10)]
    expected = np.eye(5, dtype=bool)
    expected[0, 1] = expected[1, 0] = True
    np.testing.assert_array_equal(overlapping(spans), expected)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12), st.integers(1, 12)), min_size=1, max_size=12))
def test_overlap_is_what_counting_common_steps_says(spans):
    def common(one, other):
        return len(set(range(one[1], one[1] + one[2])) & set(range(other[1], other[1] + other[2])))

    slow = [[a[0] == b[0] and common(a, b) > 0.8 * min(a[2], b[2]) for b in spans] for a in spans]
    assert overlapping(spans).tolist() == slow


def test_questions_that_repeat_another_one_are_found():
    alike = np.eye(8, dtype=bool)
    alike[0, 4] = alike[4, 0] = alike[1, 5] = alike[5, 1] = alike[6, 7] = alike[7, 6] = True
    questions = [(0, 1), (2, 3), (5, 4), (0, 2), (6, 7), (3, 3)]
    np.testing.assert_array_equal(repeated(questions, alike), [True, False, True, False, True, True])
    np.testing.assert_array_equal(repeated([(0,), (4,), (2,)], alike), [True, True, False])


def test_crowding():
    assert crowding(np.ones(7, dtype=bool)) is None
    assert severity(crowding(np.arange(20) < 3)) is OK
    finding = crowding(np.arange(20) < 10)
    assert severity(finding) is WARNING
    assert Evidence("share that repeats", 0.5) in finding.evidence


@pytest.mark.parametrize(
    ("first", "decided", "expected"), [(3, 9, None), (25, 50, OK), (33, 50, OK), (42, 50, WARNING), (8, 50, WARNING)]
)
def test_side_bias(first, decided, expected):
    assert severity(side_bias(first, decided)) is expected


def test_side_bias_names_the_side():
    assert "stands first" in side_bias(42, 50).message
    assert "stands second" in side_bias(8, 50).message


@pytest.mark.parametrize(
    ("in_order", "asked", "expected"), [(9, 9, None), (26, 50, OK), (50, 50, WARNING), (0, 50, WARNING)]
)
def test_sides_that_are_never_swapped(in_order, asked, expected):
    assert severity(balanced_sides(in_order, asked)) is expected


@pytest.mark.parametrize(
    ("asked", "answered", "waiting", "expected"),
    [
        (0, 0, 0, None),
        (20, 20, 0, OK),
        (20, 11, 9, OK),
        (20, 5, 15, WARNING),
        (20, 0, 20, PROBLEM),
        (20, 0, 0, PROBLEM),
    ],
)
def test_starvation(asked, answered, waiting, expected):
    assert severity(starvation(asked, answered, waiting)) is expected


@pytest.mark.parametrize(("held_out", "expected"), [(0, NOTE), (8, NOTE), (20, OK)])
def test_held_out_answers(held_out, expected):
    assert severity(few_held_out(held_out)) is expected


def test_findings_are_ordered_by_severity_and_written_as_lines():
    fine = Finding(OK, "a", "Fine.")
    bad = Finding(PROBLEM, "b", "Bad.", (Evidence("share", 0.25),), "Do this.")
    other = Finding(OK, "c", "Fine too.")
    assert worst_first([fine, bad, other]) == (bad, fine, other)
    assert as_text([bad, fine]) == "problem  b: Bad. (share 0.25)\n         Do this.\nok       a: Fine."
