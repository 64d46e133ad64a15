"""Runs that seek new states, start as a clone, or learn from another run's episodes: counted, resumed to equal bits, refused."""

import copy
import json

import pytest

from plaudit.errors import ConfigError
from plaudit.loop import Run
from plaudit.loop.config import RunConfig
from plaudit.loop.estimate import estimate
from plaudit.records import to_json
from plaudit.run.config import from_table
from plaudit.run.metrics import METRICS
from tests.loop_examples import fingerprint, small


def changed(**sections) -> RunConfig:
    """The small run in two rounds, with other settings."""
    table = copy.deepcopy(to_json(small()))
    table["loop"]["rounds"] = 2
    for name, settings in sections.items():
        table[name] = settings if name == "policy" else table[name] | settings
    return from_table(RunConfig, json.loads(json.dumps(table)))


def finish(config, path) -> dict:
    with Run.create(config, path) as run:
        run.finish()
    return fingerprint(path)


def stopped(config, path) -> dict:
    """After acting, after the first improving, and after the second asking."""
    Run.create(config, path).close()
    for stages in (1, 3, 3, 10):
        with Run.open(path) as run:
            for _ in range(stages):
                run.step()
    return fingerprint(path)


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    path = tmp_path_factory.mktemp("logged") / "run"
    finish(small(), path)
    return path


KINDS = {
    "pretrain": lambda _: changed(loop={"pretrain": 120}),
    "bonuses": lambda _: changed(explore={"uncertainty": 0.1, "entropy": 0.5, "half_life": 100}),
    "bonuses with memory": lambda _: changed(
        explore={"uncertainty": 0.1, "entropy": 0.5, "half_life": 100},
        reward={"trunk": "gru", "hidden": [8], "members": 2, "steps": 10},
    ),
    "represented": lambda _: changed(reward={"represent_steps": 5, "members": 2, "steps": 10}),
    "clone": lambda path: changed(
        policy={"sac": {"net": [16, 16]}, "clone": {"logged": str(path), "epochs": 3}}, loop={"pretrain": 60}
    ),
    "iql": lambda path: changed(policy={"iql": {"net": [16, 16], "batch_size": 32, "logged": str(path)}}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_stopping_changes_nothing(kind, logged, tmp_path):
    config = KINDS[kind](logged)
    whole = finish(config, tmp_path / "whole")
    assert stopped(config, tmp_path / "stopped") == whole
    assert all(name in METRICS for stage in whole["metrics"] for name in stage)
    act, last = whole["metrics"][0], whole["metrics"][-1]
    assert last["act/env_steps"] == 480  # also of the run that is learned from
    assert act.get("act/pretrain_steps") == {"pretrain": 120.0, "clone": 60.0}.get(kind)
    assert ("clone/loss_heldout" in act) == (kind == "clone")


def test_each_bonus_changes_what_is_learned(tmp_path):
    found = {
        json.dumps(finish(changed(explore=settings), tmp_path / str(index))["checkpoints"])
        for index, settings in enumerate(
            [{}, {"uncertainty": 0.5}, {"entropy": 0.5}, {"entropy": 0.5, "neighbours": 1}]
        )
    }
    assert len(found) == 4


def test_an_oracle_starts_like_the_run(tmp_path):
    config = changed(loop={"pretrain": 120}, check={"episodes": 1, "videos": False, "oracle": True})
    assert "check/return_oracle" in finish(config, tmp_path / "run")["metrics"][-1]


def test_a_run_that_never_acts_is_estimated(logged):
    found = estimate(KINDS["iql"](logged), trial_steps=64)
    assert 0 < found.cpu_minutes < 5


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"loop": {"pretrain": 240}}, "pretrain < steps"),
        ({"loop": {"pretrain": -1}}, "pretrain >= 0"),
        ({"ask": {"labels": 0}, "loop": {"environment_weight": 1.0}, "explore": {"entropy": 1.0}}, "ask.labels = 0"),
        ({"policy": {"iql": {}}, "loop": {"pretrain": 10}}, "never acts"),
        ({"policy": {"iql": {}}, "explore": {"uncertainty": 1.0}}, "never acts"),
        ({"policy": {"iql": {}, "sac": {}}}, r"one of .* policy\.iql"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(sections, message):
    with pytest.raises(ConfigError, match=message):
        changed(**sections)
