"""The verdict says what the numbers say, in plain words."""

from __future__ import annotations

import dataclasses

import pytest

from plaudit.check.diagnose import Finding, Severity
from plaudit.report.summary import Estimate
from plaudit.report.verdict import details, headline
from tests.report_examples import bare, lifelike

SUMMARY, _ = lifelike()
ASK, CHECK, LEARN = SUMMARY.ask, SUMMARY.check, SUMMARY.learn


def said(ask=ASK, check=CHECK, done=12, planned=12):
    return headline(ask, check, rounds_done=done, rounds_planned=planned).replace("\u202f", " ")


def changed(record, **changes):
    return dataclasses.replace(record, **changes)


def test_a_finished_run_names_way_answers_and_human_time():
    check = changed(CHECK, fraction=Estimate(0.966))
    expected = (
        "The agent reached 97 % of the way from random to the oracle after 49 comparisons (3.1 minutes of human time)."
    )
    assert said(check=check) == expected


def test_without_an_oracle_the_return_is_compared_with_random():
    check = changed(CHECK, return_oracle=None, fraction=None, returns=Estimate(-152.3, -170.0, -140.0, 20))
    assert said(check=check).startswith(
        "The agent's return rose from \u22121,215 (random actions) to \u2212152.3 after 49"
    )


@pytest.mark.parametrize("low", [-1300.0, -1214.8])
def test_an_agent_that_is_no_better_than_random_is_not_praised(low):
    check = changed(CHECK, returns=Estimate(-1100.0, low, -900.0, 20))
    assert "cannot be told from random actions" in said(check=check)


def test_without_references_only_the_return_is_said():
    check = changed(CHECK, return_random=None, return_oracle=None, fraction=None)
    assert said(check=check).endswith("no reference was measured.")


def test_nothing_measured_is_said_as_such():
    assert (
        said(bare().ask, bare().check, 0, 12)
        == "After 0 of 12 rounds: Nothing has been measured yet; 0 comparisons so far."
    )


def test_a_run_under_way_says_how_far_it_is():
    assert said(done=3).startswith("After 3 of 12 rounds: The agent")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"human_seconds": 30.0}, "49 comparisons (30 seconds of human time)."),
        ({"human_seconds": 7200.0}, "49 comparisons (2.0 hours of human time)."),
        ({"human_seconds": None}, "49 comparisons."),
        ({"answered": 1, "kind": "rating"}, "1 rating (3.1 minutes of human time)."),
        ({"kind": "mixed"}, "49 answers (3.1 minutes of human time)."),
        ({"human_seconds": None, "people": 0}, "49 comparisons by a simulated teacher."),
        (
            {"human_seconds": None, "people": 0, "simulated_seconds": 200.0},
            "49 comparisons by a simulated teacher (a person would need about 3.3 minutes).",
        ),
    ],
)
def test_cost_is_named_by_kind_and_by_who_answered(changes, text):
    assert said(changed(ASK, **changes)).endswith(f" after {text}")


def test_details_name_agreement_ceiling_and_findings():
    first, last = details(LEARN, CHECK, CHECK.findings)
    assert first.replace("\u202f", " ") == (
        "The reward model agrees with 88 % of the answers that it never saw; the teacher's noise allows 93 %."
    )
    assert last == "The doctor found 1 warning: see Check."


def test_details_say_when_there_is_no_oracle_and_nothing_wrong():
    check = changed(CHECK, return_oracle=None)
    found = details(changed(LEARN, accuracy=None), check, [Finding(Severity.OK, "ties", "")])
    assert found == (
        "The oracle was not trained, so how much better one could do is not known.",
        "The doctor found nothing to worry about.",
    )


def test_problems_and_warnings_are_counted():
    findings = [Finding(severity, "x", "") for severity in (Severity.PROBLEM, Severity.WARNING, Severity.WARNING)]
    assert details(LEARN, CHECK, findings)[-1] == "The doctor found 1 problem and 2 warnings: see Check."
    assert details(LEARN, CHECK, [])[-1] == "The doctor has not examined this run."
