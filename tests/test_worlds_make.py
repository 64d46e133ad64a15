"""Making one environment: what fits, what does not, and what is said then."""

import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import ConfigError, MissingExtra, WorldError
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.flat import Flat
from plaudit.worlds.make import make


def test_unknown_id_names_near_ones():
    with pytest.raises(WorldError, match=r"did you mean `Pendulum-v1`"):
        make(WorldConfig(id="Pendulun-v1"))


def test_unknown_version_names_the_known_one():
    with pytest.raises(WorldError, match=r"`CartPole-v1`"):
        make(WorldConfig(id="CartPole-v7"))


def test_unknown_id_far_from_all_says_how_to_list_them():
    with pytest.raises(WorldError, match=r"pprint_registry"):
        make(WorldConfig(id="qqqqqqqqqqqq"))


def test_atari_without_its_module_says_how_to_name_it():
    with pytest.raises(WorldError, match=r'"ale_py:ALE/Pong-v5"'):
        make(WorldConfig(id="ALE/Pong-v5"))


@pytest.mark.parametrize("family", ["mujoco", "box2d"])
def test_missing_extra_names_the_line_that_installs_it(family, monkeypatch):
    for module in ("mujoco", "Box2D", "gymnasium.envs.box2d", "gymnasium.envs.box2d.lunar_lander"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "gymnasium.envs.box2d")
    monkeypatch.delitem(sys.modules, "gymnasium.envs.box2d.lunar_lander")
    with pytest.raises(MissingExtra, match=rf'pip install "plaudit\[{family}\]"'):
        make(WorldConfig(id={"mujoco": "HalfCheetah-v5", "box2d": "LunarLander-v3"}[family]))


@pytest.mark.filterwarnings("ignore:.*out of date:DeprecationWarning")
def test_environment_that_needs_an_older_dependency_asks_for_no_extra():
    pytest.importorskip("mujoco")
    with pytest.raises(WorldError, match=r"mujoco<3"):
        make(WorldConfig(id="Pusher-v4"))


@pytest.mark.parametrize("name", ["no_such_module:World", "tests.world_examples:NoSuchWorld"])
def test_factory_that_cannot_be_imported(name):
    with pytest.raises(WorldError, match=rf"cannot be imported.*{name}"):
        make(WorldConfig(id=name))


def test_factory_that_makes_something_else():
    with pytest.raises(WorldError, match=r"tests.world_examples:nothing returned str"):
        make(WorldConfig(id="tests.world_examples:nothing"))


def test_factory_gets_the_options():
    env = make(WorldConfig(id="tests.world_examples:Counter", options={"length": 2}))
    env.reset(seed=1)
    assert [env.step(0)[2] for _ in range(2)] == [False, True]


@pytest.mark.parametrize("name", ["tests.world_examples:Counter", "CartPole-v1"])
def test_wrong_option_is_named(name):
    with pytest.raises(WorldError, match=r"gravitty"):
        make(WorldConfig(id=name, options={"gravitty": 3}))


def test_module_before_a_gymnasium_id_registers_it(tmp_path, monkeypatch):
    module = "import gymnasium\ngymnasium.register('Mine-v3', entry_point='tests.world_examples:Counter', max_episode_steps=2)\n"
    (tmp_path / "my_worlds.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    env = make(WorldConfig(id="my_worlds:Mine-v3"))
    env.reset(seed=1)
    assert [env.step(0)[3] for _ in range(2)] == [False, True]
    del gymnasium.registry["Mine-v3"]


@pytest.mark.parametrize("kind", ["sequence", "multi", "from one", "integers"])
def test_unsupported_space_says_what_is_supported(kind):
    with pytest.raises(
        WorldError, match=r"tests.world_examples:Spaces: The (action|observation) space .*Expected: Box"
    ):
        make(WorldConfig(id="tests.world_examples:Spaces", options={"kind": kind}))


def test_discrete_observation_becomes_one_hot():
    env = make(WorldConfig(id="FrozenLake-v1"))
    observation, _ = env.reset(seed=0)
    np.testing.assert_array_equal(observation, np.eye(16, dtype=np.float32)[0])
    assert env.observation_space == spaces.Box(0, 1, (16,), np.float32)


def test_tuple_observation_is_flattened_as_gymnasium_does():
    env = make(WorldConfig(id="Blackjack-v1"))
    observation, _ = env.reset(seed=3)
    raw, _ = gymnasium.make("Blackjack-v1").reset(seed=3)
    assert observation.shape == (32 + 11 + 2,)
    assert observation[[raw[0], 32 + raw[1], 43 + raw[2]]].tolist() == [1, 1, 1]
    assert observation.sum() == 3


class Fixed(gymnasium.Env):
    action_space = spaces.Discrete(2)

    def __init__(self, space):
        self.observation_space = space

    def reset(self, *, seed=None, options=None):
        self.shown = self.observation_space.sample()
        return self.shown, {}


leaves = st.one_of(
    st.integers(1, 5).map(spaces.Discrete),
    st.lists(st.integers(1, 4), min_size=1, max_size=3).map(spaces.MultiDiscrete),
    st.integers(1, 4).map(spaces.MultiBinary),
    st.lists(st.integers(1, 3), max_size=3).map(lambda shape: spaces.Box(-2, 2, tuple(shape), np.float64)),
    st.just(spaces.Box(0, 255, (3, 2, 3), np.uint8)),
)
trees = st.recursive(leaves, lambda inner: st.lists(inner, min_size=1, max_size=3).map(spaces.Tuple), max_leaves=4)


@settings(max_examples=40, deadline=None)
@given(trees)
def test_flat_observations_lie_in_the_flat_space(space):
    env = Flat(Fixed(space))
    observation, _ = env.reset()
    assert observation.dtype == np.float32
    assert env.observation_space.contains(observation)
    np.testing.assert_array_equal(observation, spaces.flatten(space, env.unwrapped.shown).astype(np.float32))


@pytest.mark.parametrize(
    "settings", [{"envs": 0}, {"horizon": 0}, {"step_seconds": 0.0}, {"step_seconds": float("nan")}]
)
def test_settings_out_of_range(settings):
    with pytest.raises(ConfigError, match=r"out of range"):
        WorldConfig(**settings)


def test_mujoco_writes_no_log_file_and_needs_no_screen(tmp_path):
    pytest.importorskip("mujoco")
    code = (
        "from plaudit.worlds.make import make; from plaudit.worlds.config import WorldConfig; import numpy as np;"
        "env = make(WorldConfig(id='HalfCheetah-v5'), 'rgb_array'); env.reset(seed=0);"
        "assert np.std(env.render()) > 10; env.close()"
    )
    hidden = {"MUJOCO_GL", "SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
