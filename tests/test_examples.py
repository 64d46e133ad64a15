"""The textbook scripts learn, and every shipped run file can be run."""

import importlib.util
import sys
from pathlib import Path

import pytest

from plaudit.cli.main import main as plaudit
from plaudit.control.learner import make_learner
from plaudit.loop.kinds import read
from plaudit.loop.texts.config import TextRunConfig, questions_per_round
from plaudit.worlds.vector import VectorWorld

EXAMPLES = Path(__file__).parents[1] / "examples"
RUN_FILES = sorted(EXAMPLES.glob("*.toml"))


def textbook(name):
    """A script as a module; dataclasses look their module up, so it has to be known."""
    spec = importlib.util.spec_from_file_location(f"textbook_{name}", EXAMPLES / "textbook" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.learning
def test_ppo_learns_cartpole_from_comparisons_alone():
    before, after = textbook("cartpole_ppo_learned_reward").main()
    assert before < 30  # of 100 steps
    assert after > 80


@pytest.mark.learning
def test_the_policy_gradient_serves_the_environment_and_the_person():
    script = textbook("human_score_policy_gradient")
    both, environment_only = script.main(), script.main(weight=0.0)
    assert both["return"][0] < 30
    assert both["return"][1] > 80  # of 100
    assert both["liking"][1] > both["liking"][0] + 25
    assert both["liking"][1] > environment_only["liking"][1] + 10  # the scores count, it is no side effect


def test_textbook_scripts_are_deterministic():
    script = textbook("human_score_policy_gradient")
    assert script.main(updates=3) == script.main(updates=3)


@pytest.mark.parametrize("path", RUN_FILES, ids=lambda path: path.stem)
def test_a_run_file_fits_its_world(path):
    config = read(path)
    if isinstance(config, TextRunConfig):
        assert min(questions_per_round(config)) > 0
        return
    if config.world.id.startswith("Reacher"):
        pytest.importorskip("mujoco")
    world = VectorWorld(config.world, 0)
    learner = make_learner(config.policy, world, 0)
    observations = world.reset(0)
    world.step(learner.act(observations))
    assert len(world.behaviour) == 1
    world.close()


def test_an_estimate_starts_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert plaudit(["run", str(EXAMPLES / "pendulum.toml"), "--estimate"]) == 0
    assert "25 in" in capsys.readouterr().out
    assert not any(tmp_path.iterdir())


def test_there_are_run_files():
    assert len(RUN_FILES) >= 3
