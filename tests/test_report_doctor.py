"""The doctor on whole runs: silent on a good one, and it finds what was planted."""

from __future__ import annotations

import numpy as np
import pytest

from plaudit.check.diagnose import Severity
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice
from plaudit.report.gather import gather
from tests.report_runs import FakeRun


def examined(path, **faults) -> dict[str, Severity]:
    with FakeRun(path, **faults).write() as store:
        return {one.name: one.severity for one in gather(store, path).check.findings}


def test_a_good_run_gets_no_warning(tmp_path):
    found = examined(tmp_path)
    assert not {Severity.PROBLEM, Severity.WARNING} & set(found.values())
    assert found.pop("not looked at") is Severity.NOTE
    assert len(found) == 12


RNG = np.random.default_rng(0)
FAULTS = {
    "ties": {"choices": dict.fromkeys(range(16), Choice.TIE)},
    "crowding": {"same_clips": True},
    "sides": {"swap_sides": False},
    "constant reward": {"scatter": {"learned": np.ones(60), "true": RNG.normal(size=60)}},
    "ensemble": {"spread": 1e-6},
    "exploding scores": {
        "scatter": {"learned": np.append(np.arange(59.0), 1e6), "true": RNG.normal(size=60)},
    },
    "over-optimisation": {"returns": [[-900.0, -890.0, -880.0], [-151.0, -150.0, -149.0], [-601.0, -600.0, -599.0]]},
    "better than random": {"returns": [[-1300.0, -1190.0, -1100.0]] * 3},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(tmp_path, name):
    found = examined(tmp_path, **FAULTS[name])
    assert found[name] in (Severity.WARNING, Severity.PROBLEM)


def test_a_bias_of_people_is_found(tmp_path):
    # shown sides alternate: choosing what stands first is FIRST, SECOND, FIRST, ...
    stubborn = {i: (Choice.FIRST, Choice.SECOND)[i % 2] for i in range(24)}
    found = examined(tmp_path, annotator=AnnotatorProfile("bob", AnnotatorKind.PERSON), choices=stubborn)
    assert found["side bias"] is Severity.WARNING


def test_waiting_for_people_is_found(tmp_path):
    found = examined(tmp_path, answers=False)
    assert found["labels"] is Severity.PROBLEM
    assert "reward accuracy" not in found


def test_what_could_not_be_judged_is_named(tmp_path):
    with FakeRun(tmp_path, rounds=1, random=None).write() as store:
        note = next(one for one in gather(store, tmp_path).check.findings if one.name == "not looked at")
    for name in ("over-optimisation", "better than random", "episode length"):
        assert name in note.message
