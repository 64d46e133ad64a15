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
    near_twins,
    overlapping,
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


def test_clips_of_a_varied_run_have_no_twins():
    features = np.random.default_rng(0).normal(size=(100, 4))
    assert not near_twins(features).any()
    assert severity(crowding(near_twins(features))) is OK


def test_repeated_clips_are_found():
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(size=(12, 3)), np.tile(rng.normal(size=(1, 3)), (8, 1))])
    twins = near_twins(features)
    np.testing.assert_array_equal(twins, np.arange(20) >= 12)
    finding = crowding(twins)
    assert severity(finding) is WARNING
    assert Evidence("share with a near twin", 0.4) in finding.evidence


def test_twins_do_not_depend_on_units():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(30, 3))
    features[7] = features[3]
    np.testing.assert_array_equal(near_twins(features), near_twins(features * [1e-6, 1.0, 1e6] + [5.0, 0.0, -1e3]))


def test_identical_clips_are_all_twins():
    assert near_twins(np.ones((9, 2))).all()
    assert not near_twins(np.ones((1, 2))).any()
    assert crowding(np.ones(3, dtype=bool)) is None


def test_overlap_is_a_matter_of_one_episode():
    spans = [("a", 0, 10), ("a", 4, 10), ("b", 0, 10), ("a", 30, 10), ("a", 35, 10)]
    np.testing.assert_array_equal(overlapping(spans), [True, True, False, False, False])


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 12)), max_size=12))
def test_overlap_is_what_counting_common_steps_says(spans):
    def common(one, other):
        return len(set(range(one[1], one[1] + one[2])) & set(range(other[1], other[1] + other[2])))

    slow = [
        any(
            i != j and one[0] == other[0] and common(one, other) > 0.5 * min(one[2], other[2])
            for j, other in enumerate(spans)
        )
        for i, one in enumerate(spans)
    ]
    assert overlapping(spans).tolist() == slow


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
