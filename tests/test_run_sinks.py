"""Metrics go to a file and to tools: repeated steps replace what stood there, a tool that fails is left alone."""

import json
import sys
import types

import pytest

from plaudit.errors import MissingExtra
from plaudit.run.sinks import Sinks, Tool


def steps(sinks):
    return [(line["step"], line["loss"]) for line in map(json.loads, sinks.path.read_text().splitlines())]


def test_steps_that_are_told_again_replace_those_from_there_on(tmp_path):
    first = Sinks(tmp_path)
    for step in (1, 2, 3, 4):
        first.tell(step, {"loss": float(step)})
    again = Sinks(tmp_path)
    again.tell(3, {"loss": 30.0})
    again.tell(4, {"loss": 40.0})
    assert steps(again) == [(1, 1.0), (2, 2.0), (3, 30.0), (4, 40.0)]


def test_a_line_that_was_cut_off_is_dropped(tmp_path):
    Sinks(tmp_path).tell(1, {"loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 2, "lo')
    again = Sinks(tmp_path)
    again.tell(2, {"loss": 2.0})
    assert steps(again) == [(1, 1.0), (2, 2.0)]


@pytest.fixture
def told(monkeypatch):
    """Stand-ins for the tools; what they were told."""
    said = []

    def module(name, **functions):
        made = types.ModuleType(name)
        for key, function in functions.items():
            setattr(made, key, function)
        monkeypatch.setitem(sys.modules, name, made)

    class Writer:
        def __init__(self, folder):
            said.append(("tensorboard", folder.rsplit("/", 1)[1]))

        def add_scalar(self, name, value, step):
            said.append((name, value, step))

        def flush(self):
            pass

    module("torch.utils.tensorboard", SummaryWriter=Writer)
    for name in ("wandb", "trackio"):
        module(
            name,
            init=lambda name=name, **settings: said.append((name, settings["project"])),
            log=lambda metrics, step, name=name: said.append((name, metrics, step)),
        )
    module(
        "mlflow",
        set_experiment=lambda name: said.append(("mlflow", name)),
        start_run=lambda: None,
        log_metrics=lambda metrics, step: said.append(("mlflow", metrics, step)),
    )
    return said


@pytest.mark.parametrize("tool", Tool)
def test_tools_are_told_names_values_and_steps(tmp_path, told, tool):
    pytest.importorskip("torch")
    Sinks(tmp_path, (tool, tool), "mine").tell(7, {"loss": 0.5})
    if tool is Tool.TENSORBOARD:
        assert told == [("tensorboard", "tensorboard"), ("loss", 0.5, 7)]
    else:
        assert told == [(tool.value, "mine"), (tool.value, {"loss": 0.5}, 7)]


def test_a_tool_that_fails_is_left_alone_and_the_file_goes_on(tmp_path, told, monkeypatch):
    sinks = Sinks(tmp_path, (Tool.WANDB,), "mine")
    calls = []

    def broken(*_, **__):
        calls.append(1)
        raise ConnectionError("no network")

    monkeypatch.setattr(sys.modules["wandb"], "log", broken)
    with pytest.warns(UserWarning, match="wandb takes no metrics any more.*no network"):
        sinks.tell(1, {"loss": 1.0})
    sinks.tell(2, {"loss": 2.0})
    assert len(calls) == 1
    assert steps(sinks) == [(1, 1.0), (2, 2.0)]


def test_a_tool_that_is_not_installed_is_an_error_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra, match="pip install mlflow"):
        Sinks(tmp_path, (Tool.MLFLOW,))
