"""A run that starts from demonstrations: counted, resumed to equal bits, refused; its reward is kept."""

import json

import pytest

from plaudit.control.logged import Logged
from plaudit.errors import ConfigError, WorldError
from plaudit.loop import Run
from plaudit.loop.beginning import REWARD
from plaudit.loop.config import RunConfig
from plaudit.reward.model import RewardModel
from plaudit.run.config import from_table
from plaudit.run.metrics import METRICS
from plaudit.worlds.vector import VectorWorld
from tests.loop_examples import fingerprint
from tests.test_control_demonstrated import shown_by_the_regulator

WORLD = {"id": "plaudit.worlds.toy:PointMass", "envs": 2, "options": {"steps": 5}}


def starting(logged, **changes) -> RunConfig:
    table = {
        "seed": 5,
        "world": WORLD,
        "ask": {"labels": 4, "segment_length": 5},
        "reward": {"members": 2, "hidden": [8], "steps": 10},
        "policy": {"sac": {"net": [8, 8], "batch_size": 16}},
        "loop": {
            "steps": 300,
            "warmup": 40,
            "rounds": 2,
            "demonstrations": {"logged": str(logged), "steps": 160, "rounds": 2, "samples": 2},
        },
        "check": {"episodes": 2, "videos": False},
    }
    for name, settings in changes.items():
        table[name] = settings if name == "policy" else table[name] | settings
    return from_table(RunConfig, json.loads(json.dumps(table)))


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    config = from_table(RunConfig, {"world": WORLD}).world
    world = VectorWorld(config, 0)
    path = tmp_path_factory.mktemp("shown") / "behaviour.safetensors"
    Logged.of(world.layout, shown_by_the_regulator(4, 0, 5)).behaviour.save(path)
    world.close()
    return path


def finished(config, path, *stops) -> dict:
    Run.create(config, path).close()
    for stages in (*stops, 99):
        with Run.open(path) as run:
            for _ in range(stages):
                run.step()
    return fingerprint(path)


def test_stopping_changes_nothing_and_the_reward_is_kept(logged, tmp_path):
    config = starting(logged, check={"oracle": True})
    whole = finished(config, tmp_path / "whole")
    assert finished(config, tmp_path / "stopped", 1, 3) == whole
    first, last = whole["metrics"][0], whole["metrics"][-1]
    assert {name for name in first if name.startswith("demonstrations/")} <= set(METRICS)
    assert first["demonstrations/effective_samples"] >= 1
    assert (first["act/env_steps"], last["act/env_steps"]) == (200, 300)
    models = [RewardModel.load(tmp_path / name / REWARD).version for name in ("whole", "stopped")]
    assert models[0] == models[1]


def test_only_the_newest_demonstrations_count_when_asked(logged, tmp_path):
    everything = starting(logged).loop.demonstrations
    few = starting(logged, loop={"demonstrations": {**_table(everything), "episodes": 2}})
    for name, config in (("all", starting(logged)), ("few", few)):
        with Run.create(config, tmp_path / name) as run:
            run.step()
    models = {RewardModel.load(tmp_path / name / REWARD).version for name in ("all", "few")}
    assert len(models) == 2


def _table(settings) -> dict:
    return {"logged": settings.logged, "steps": settings.steps, "rounds": settings.rounds, "samples": settings.samples}


def test_settings_that_do_not_fit_are_refused(logged, tmp_path):
    with pytest.raises(ConfigError, match="without a density"):
        starting(logged, policy={"td3": {}})
    with pytest.raises(ConfigError, match="any trunk but cnn"):
        starting(logged, reward={"trunk": "cnn"})
    with pytest.raises(ConfigError, match="budget of the run"):
        starting(logged, loop={"steps": 200})
    with pytest.raises(WorldError, match="no logged behaviour"), Run.create(starting(""), tmp_path / "run") as run:
        run.step()
