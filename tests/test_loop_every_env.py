"""Every environment that Gymnasium can make here goes through a whole round, is closed in the middle, and finishes; or says why not."""

import gymnasium
import pytest
from gymnasium import spaces

from plaudit.errors import ConfigError, MissingExtra, WorldError
from plaudit.loop import Run, RunConfig
from plaudit.run.config import from_table
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.make import make
from tests.loop_examples import fingerprint

FAST = {"CartPole-v1": "dqn", "FrozenLake-v1": "ppo", "MountainCarContinuous-v0": "sac", "Pendulum-v1": "ppo"}
"""one of each kind of learner; they run in every test run"""
DQN = {"Acrobot-v1", "Blackjack-v1", "LunarLander-v3", "tabular/Blackjack-v0"}
"""discrete worlds that dqn learns in, the others have ppo"""
EQUAL = {*FAST, "Acrobot-v1", "Hopper-v5", "LunarLander-v3", "Taxi-v4"}
"""whose interrupted run is compared with an uninterrupted one"""
WIDE = 5_000
"""entries of an observation above which networks are kept smaller still"""


def tiny(name, algorithm=None) -> RunConfig:
    """A run of one round with a budget just large enough for every stage to do something."""
    env = make(WorldConfig(id=name))
    discrete = isinstance(env.action_space, spaces.Discrete)
    limit = None if env.spec is None else env.spec.max_episode_steps
    wide = env.observation_space.shape[0] > WIDE
    env.close()
    chosen = algorithm or (("dqn" if name in DQN else "ppo") if discrete else "sac")
    settings = {"net": [2] if wide else [8, 8], "batch_size": 8, **({"n_steps": 16} if chosen == "ppo" else {})}
    return from_table(
        RunConfig,
        {
            "name": name,
            "world": {"id": name, "envs": 2, **({} if limit else {"horizon": 20})},
            "ask": {"labels": 3, "segment_length": 1, "pool": 2},
            "reward": {"members": 2, "hidden": [2] if wide else [8], "steps": 2},
            "policy": {chosen: settings},
            "loop": {"steps": 32 if wide else 96, "warmup": 16 if wide else 48, "rounds": 1},
            "check": {"episodes": 1, "episodes_between": 1},
        },
    )


def round_trip(config, folder):
    """One round, closed after every second stage."""
    Run.create(config, folder).close()
    for stages in (2, 2, 1):
        with Run.open(folder) as run:
            for _ in range(stages):
                run.step()
            if run.position is None:
                run.finish()
    assert run.position is None
    assert (folder / "policy.zip").stat().st_size > 0
    return fingerprint(folder)


def check(name, config, folder):
    found = round_trip(config, folder / "interrupted")
    assert len(found["metrics"]) == 5
    assert found["metrics"][1]["ask/answered"] == 3
    assert found["metrics"][3]
    if name in EQUAL:
        with Run.create(config, folder / "uninterrupted") as run:
            run.finish()
        assert fingerprint(folder / "uninterrupted") == found


@pytest.mark.parametrize(("name", "algorithm"), FAST.items())
def test_a_round_survives_being_closed(name, algorithm, tmp_path):
    check(name, tiny(name, algorithm), tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(set(gymnasium.registry) - set(FAST)))
def test_every_world_goes_through_a_round_or_says_why_not(name, tmp_path):
    check_or_refused(name, tmp_path)


def check_or_refused(name, tmp_path):
    try:
        config = tiny(name)
    except (WorldError, ConfigError, MissingExtra) as error:
        refused = error
    else:
        if works(name):
            check(name, config, tmp_path)
        else:  # MiniGrid's WFC worlds need files that its package forgot
            with pytest.raises(WorldError, match="raised an error in reset"):
                Run.create(config, tmp_path / "run")
        return
    assert refused.got is not None
    assert not installable(name) or "not supported" in str(refused)


def works(name):
    """Whether an environment by itself comes to its first observation."""
    env = gymnasium.make(name)
    try:
        env.reset(seed=0)
    except Exception:  # noqa: BLE001 - whatever somebody else's environment raises
        return False
    finally:
        env.close()
    return True


def installable(name):
    """Whether Gymnasium itself can make it."""
    try:
        gymnasium.make(name).close()
    except Exception:  # noqa: BLE001 - whatever it is, Gymnasium cannot make it
        return False
    return True
