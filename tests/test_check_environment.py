"""The doctor without a run: what this installation can do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plaudit.check import environment
from plaudit.check.diagnose import Severity
from plaudit.errors import MissingExtra


def test_this_installation_can_train_and_draw():
    findings = {one.name: one for one in environment.environment_report(Path.cwd())}
    assert list(findings)[:3] == ["python", "packages", "extra control"]
    assert findings["extra control"].severity is Severity.OK
    assert findings["rendering"].severity is Severity.OK
    assert [one.value for one in findings["rendering"].evidence] == [400, 600]


@pytest.mark.parametrize(
    ("found", "severity"), [((3, 10), Severity.PROBLEM), ((3, 12), Severity.OK), ((3, 14), Severity.NOTE)]
)
def test_python_version(found, severity):
    assert environment.python_version(found).severity is severity


def test_versions_of_what_is_there():
    known = {"numpy": "2.1", "torch": None}
    assert environment.package_versions(known.get).message == "numpy 2.1."


def test_a_missing_extra_comes_with_its_pip_line():
    finding = environment.extra("control", lambda module: module != "torch")
    assert finding.severity is Severity.WARNING
    assert "torch missing" in finding.message
    assert finding.advice == 'pip install "plaudit[control]"'
    assert environment.extra("fast", lambda module: False).severity is Severity.NOTE
    assert environment.extra("fast", lambda module: True).severity is Severity.OK


@pytest.mark.parametrize(("free", "severity"), [(50.0, Severity.OK), (1.0, Severity.WARNING), (0.1, Severity.PROBLEM)])
def test_disk(free, severity):
    assert environment.disk(free, Path("runs")).severity is severity


def test_threads_name_what_caps_them():
    assert "OMP_NUM_THREADS is 1" in environment.threads(4, "1").message
    assert environment.threads(1, None).message.startswith("1 core.")


def test_an_empty_frame_is_no_picture():
    assert environment.frame_drawn(np.zeros((4, 4, 3), np.uint8)).severity is Severity.WARNING
    assert environment.frame_drawn(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).severity is Severity.OK


def test_without_the_extra_the_pip_line_is_given(monkeypatch):
    def refuse(module, extra):
        raise MissingExtra(f"This needs plaudit's extra `{extra}`")

    monkeypatch.setattr(environment, "require", refuse)
    finding = environment.rendering()
    assert finding.severity is Severity.WARNING
    assert "extra `control`" in finding.message


def test_a_screen_that_fails_is_said(monkeypatch):
    class Broken:
        closed = False

        def reset(self, seed):
            del seed

        def render(self):
            raise RuntimeError("no display")

        def close(self):
            self.closed = True

    broken = Broken()
    monkeypatch.setattr("plaudit.worlds.make.make", lambda config, render_mode: broken)
    finding = environment.rendering()
    assert finding.severity is Severity.WARNING
    assert "no display" in finding.message
    assert broken.closed
