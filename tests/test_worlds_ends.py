"""A world whose episodes never end is refused before a run begins."""

import pytest

from plaudit.errors import WorldError
from plaudit.loop import Run, RunConfig
from plaudit.run.config import from_table
from plaudit.worlds import ends
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.ends import require_ends

ENDLESS, COUNTER = "tests.world_examples:Endless", "tests.world_examples:Counter"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(ends, "PATIENCE", 50)


@pytest.mark.parametrize(
    "config",
    [
        WorldConfig(id=COUNTER, envs=1),
        WorldConfig(id=COUNTER, envs=1, options={"length": 50}),
        WorldConfig(id="Pendulum-v1", envs=1),  # by its time limit, after 200
        WorldConfig(id=ENDLESS, envs=1, horizon=60),
        WorldConfig(id="Blackjack-v1", envs=1),
        WorldConfig(id=COUNTER, envs=2, tasks=({"length": 50}, {"length": 2})),
    ],
    ids=lambda config: f"{config.id}-{config.horizon}-{config.options}-{bool(config.tasks)}",
)
def test_worlds_that_end(config):
    require_ends(config)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (WorldConfig(id=ENDLESS, envs=1), ENDLESS),
        (WorldConfig(id=COUNTER, envs=1, options={"length": 51}), COUNTER),
        (WorldConfig(id=COUNTER, envs=2, tasks=({"length": 2}, {"length": 51})), "length=51"),
    ],
)
def test_worlds_that_do_not(config, name):
    with pytest.raises(WorldError, match=rf"does not end. Got: {name}: 50 steps.*world.horizon"):
        require_ends(config)


def test_no_run_begins_in_a_world_without_an_end(tmp_path):
    config = from_table(
        RunConfig,
        {"world": {"id": ENDLESS, "envs": 2}, "policy": {"dqn": {}}, "ask": {"segment_length": 5}},
    )
    with pytest.raises(WorldError, match="does not end"):
        Run.create(config, tmp_path / "run")
    assert not (tmp_path / "run" / "store.sqlite").exists()
