"""What every learner keeps: same seed, same bits; kill and restore; monitors; exports; clear refusals."""

import importlib
import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import stable_baselines3
import torch

from plaudit.control.config import ALGORITHMS as NAMES
from plaudit.control.config import A2CConfig, Backend, PolicyConfig, PPOConfig, SACConfig, TD3Config, TRPOConfig
from plaudit.control.learner import fix_torch_threads, make_learner
from plaudit.control.sb3 import WorldVecEnv
from plaudit.errors import ConfigError, LearningError, MissingExtra, RunError
from plaudit.run.metrics import METRICS
from plaudit.run.monitor import Signal, Unwatched
from tests.control_examples import SMALL, Listener, first_entry, small, world

ALGORITHMS = pytest.mark.parametrize("algorithm", SMALL)


def state(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def save(learner, folder: Path) -> dict[str, bytes]:
    """A checkpoint as the loop writes it."""
    folder.mkdir()
    learner.save(folder)
    learner.world.behaviour.save(folder / "behaviour.safetensors")
    return state(folder)


def restore(algorithm: str, folder: Path):
    learner = small(algorithm, seed=77)
    learner.world.behaviour.load(folder / "behaviour.safetensors")
    learner.restore(folder)
    return learner


def rounds(learner, first: int, last: int) -> list[dict[str, float]]:
    found = []
    for round_ in range(first, last):
        learner.set_reward(first_entry, 0.5)
        found.append(learner.improve(96, 100 + round_, Unwatched()))
    return found


@ALGORITHMS
def test_one_seed_twice_gives_the_same_bits(algorithm, tmp_path):
    found = []
    for name in ("a", "b"):
        learner = small(algorithm)
        learner.explore(64, 1)
        metrics = rounds(learner, 0, 2)
        found.append((save(learner, tmp_path / name), metrics, learner.version))
    assert found[0] == found[1]
    assert small(algorithm, seed=4).version != small(algorithm, seed=5).version


@ALGORITHMS
def test_restored_learner_goes_on_to_the_same_bits(algorithm, tmp_path):
    whole = small(algorithm)
    whole.explore(64, 1)
    rounds(whole, 0, 1)
    save(whole, tmp_path / "half")
    metrics = rounds(whole, 1, 3)
    resumed = restore(algorithm, tmp_path / "half")
    assert rounds(resumed, 1, 3) == metrics
    assert save(resumed, tmp_path / "resumed") == save(whole, tmp_path / "whole")


CONTINUE = """
import sys, json
from pathlib import Path
from tests.test_control_learner import SMALL, restore, rounds
found = {}
for name in SMALL:
    learner = restore(name, Path(sys.argv[1]) / name)
    found[name] = [rounds(learner, 1, 2), learner.version]
print(json.dumps(found))
"""


def test_restored_in_a_fresh_process_as_well(tmp_path):
    wanted = {}
    for algorithm in SMALL:
        whole = small(algorithm)
        whole.explore(64, 1)
        rounds(whole, 0, 1)
        save(whole, tmp_path / algorithm)
        wanted[algorithm] = [rounds(whole, 1, 2), whole.version]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CONTINUE, str(tmp_path)],
        capture_output=True, text=True, timeout=240, check=False, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == wanted


@ALGORITHMS
def test_global_random_streams_are_neither_used_nor_changed(algorithm):
    versions = []
    for seed in (0, 1):
        np.random.seed(seed)
        torch.manual_seed(seed)
        before = np.random.get_state()[1].copy(), torch.get_rng_state()
        learner = small(algorithm)
        learner.explore(64, 1)
        rounds(learner, 0, 1)
        versions.append(learner.version)
        np.testing.assert_array_equal(np.random.get_state()[1], before[0])
        assert torch.equal(torch.get_rng_state(), before[1])
    assert versions[0] == versions[1]


@ALGORITHMS
def test_improving_changes_the_policy_and_exploring_does_not(algorithm):
    learner = small(algorithm)
    fresh = learner.version
    learner.explore(50, 1)
    assert learner.version == fresh
    assert len(learner.world.behaviour) == 13  # 50 steps in 4 environments
    metrics = rounds(learner, 0, 1)[0]
    assert learner.version != fresh
    assert len(learner.world.behaviour) == 13 + 24
    assert all(np.isfinite(value) for value in metrics.values())


@ALGORITHMS
def test_metrics_are_documented(algorithm):
    learner = small(algorithm)
    learner.explore(64, 1)
    learner.set_reward(first_entry)
    metrics = learner.improve(400, 0, Unwatched())
    assert set(metrics) <= set(METRICS)
    assert {"rollout/ep_rew_mean", "rollout/ep_len_mean", "train/n_updates", "train/learning_rate"} <= set(metrics)


@ALGORITHMS
def test_stop_ends_early_and_roll_back_forgets(algorithm, tmp_path):
    learner = small(algorithm)
    learner.explore(64, 1)
    learner.set_reward(first_entry)
    learner.improve(96, 0, Unwatched())
    before = save(learner, tmp_path / "before")["policy.safetensors"]
    version, rows = learner.version, len(learner.world.behaviour)
    monitor = Listener(Signal.GO, Signal.ROLL_BACK)
    learner.improve(4000, 1, monitor)
    assert len(monitor.heard) == 2
    assert learner.version == version
    assert rows < len(learner.world.behaviour) < rows + 1000
    if algorithm.split()[0] not in ("sac", "dqn", "td3"):
        assert save(learner, tmp_path / "after")["policy.safetensors"] == before
    monitor = Listener(Signal.STOP)
    learner.improve(4000, 2, monitor)
    assert len(monitor.heard) == 1
    assert learner.version != version


@ALGORITHMS
def test_diverging_keeps_the_last_good_weights(algorithm):
    id, config = SMALL[algorithm]
    name, settings = next((name, value) for name, value in to_fields(config).items() if value is not None)
    learner = make_learner(PolicyConfig(**{name: replace(settings, learning_rate=1e25)}), world(id), 0)
    learner.explore(64, 1)
    learner.set_reward(first_entry)
    version = learner.version
    with pytest.raises(LearningError, match="lower learning_rate"):
        learner.improve(2000, 0, Unwatched())
    assert learner.version == version
    assert np.isfinite(learner.act(learner.world.behaviour.observations[0])).all()


def to_fields(config):
    return {field.name: getattr(config, field.name) for field in fields(config)}


@ALGORITHMS
def test_improving_without_a_reward_is_refused(algorithm):
    with pytest.raises(LearningError, match="set_reward"):
        small(algorithm).improve(8, 0, Unwatched())


def opens(algorithm: str):
    """The class that opens what an algorithm exports."""
    match algorithm.split()[0]:
        case "trpo":
            return importlib.import_module("sb3_contrib").TRPO
        case "reinforce":
            return stable_baselines3.A2C
        case name:
            return getattr(stable_baselines3, name.upper())


@ALGORITHMS
def test_exported_policy_opens_in_stable_baselines_and_acts_the_same(algorithm, tmp_path):
    learner = small(algorithm)
    learner.explore(64, 1)
    rounds(learner, 0, 1)
    learner.export(tmp_path / "policy.zip")
    model = opens(algorithm).load(tmp_path / "policy.zip")
    observations = learner.world.behaviour.observations[:10].reshape(40, -1)
    wanted = learner.act(observations)
    np.testing.assert_allclose(model.predict(observations, deterministic=True)[0], wanted, atol=1e-5)
    assert model.num_timesteps == 96
    model.set_env(WorldVecEnv(world(SMALL[algorithm][0])))
    model.learn(64, reset_num_timesteps=False)
    assert model.num_timesteps >= 160


@pytest.mark.parametrize("algorithm", ["sac", "td3", "ppo"])
def test_actions_that_are_not_finite_never_reach_the_world(algorithm, monkeypatch):
    learner = small(algorithm)
    learner.explore(64, 1)
    learner.set_reward(first_entry)
    rows = len(learner.world.behaviour)
    target, name = (learner.agent, "act") if algorithm != "ppo" else (learner.nets, "draw")
    monkeypatch.setattr(target, name, lambda observations, rng: np.full((4, 1), np.nan, np.float32))
    with pytest.raises(LearningError, match="action that is not finite"):
        learner.improve(8, 0, Unwatched())
    assert len(learner.world.behaviour) == rows


def test_missing_extra_names_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sbx", None)
    with pytest.raises(MissingExtra, match=r'pip install "plaudit\[fast\]"'):
        make_learner(PolicyConfig(sac=SACConfig(backend=Backend.JAX)), world(SMALL["sac"][0]), 0)
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(MissingExtra, match=r'pip install "plaudit\[contrib\]"'):
        make_learner(PolicyConfig(trpo=TRPOConfig()), world(SMALL["sac"][0]), 0)


def test_threads_are_fixed():
    before = torch.get_num_threads()
    fix_torch_threads(1)
    assert torch.get_num_threads() == 1
    fix_torch_threads(before)


def test_restoring_what_does_not_fit_is_refused(tmp_path):
    save(small("sac"), tmp_path / "sac")
    with pytest.raises(RunError, match="does not fit"):
        restore("ppo", tmp_path / "sac")
    other = make_learner(PolicyConfig(sac=SACConfig(net=(9, 8), batch_size=16)), world(SMALL["sac"][0]), 0)
    with pytest.raises(RunError, match="same \\[policy\\] settings"):
        other.restore(tmp_path / "sac")
    (tmp_path / "sac" / "policy.safetensors").write_bytes(b"torn")
    with pytest.raises(RunError, match="cannot be read"):
        restore("sac", tmp_path / "sac")


def test_deterministic_and_random_actions():
    for algorithm in ("sac", "td3", "ppo", "a2c", "reinforce"):
        learner = small(algorithm)
        observations = np.zeros((6, 2), np.float32)
        np.testing.assert_array_equal(learner.act(observations), learner.act(observations))
        assert not np.array_equal(
            learner.act(observations, deterministic=False), learner.act(observations, deterministic=False)
        )


@pytest.mark.parametrize("algorithm", [name for name in SMALL if SMALL[name][0] == SMALL["sac"][0]])
def test_actions_of_any_shape(algorithm, tmp_path):
    here = world("tests.control_examples:Matrix", 3)
    learner = make_learner(SMALL[algorithm][1], here, 0)
    learner.explore(30, 0)
    learner.set_reward(first_entry)
    learner.improve(60, 0, Unwatched())
    taken = here.behaviour.actions
    assert taken.shape == (30, 3, 2, 2)
    assert (taken >= here.action_space.low).all()
    assert (taken <= here.action_space.high).all()
    learner.export(tmp_path / "policy.zip")
    model = opens(algorithm).load(tmp_path / "policy.zip")
    seen = here.behaviour.observations[0]
    np.testing.assert_allclose(model.predict(seen, deterministic=True)[0], learner.act(seen), atol=1e-5)


def test_one_algorithm_at_a_time():
    assert PolicyConfig() == PolicyConfig(sac=SACConfig())
    with pytest.raises(ConfigError, match="More than one algorithm"):
        PolicyConfig(sac=SACConfig(), ppo=PPOConfig())
    with pytest.raises(ConfigError, match=r"policy\.trpo, policy\.reinforce"):
        PolicyConfig(td3=TD3Config(), a2c=A2CConfig())
    assert tuple(field.name for field in fields(PolicyConfig)) == (*NAMES, "clone")


def test_light_start():
    """Making and exporting a learner does not import torch's compiler, which costs as much as training does."""
    code = (
        "import sys, tempfile, pathlib; from tests.control_examples import SMALL, small\n"
        "for name in SMALL: small(name).export(pathlib.Path(tempfile.mkdtemp()) / 'p.zip')\n"
        "assert 'torch._dynamo' not in sys.modules and 'jax' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], check=True, timeout=240, cwd=Path(__file__).parent.parent
    )
