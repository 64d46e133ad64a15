"""DQN's hand-derived update is Stable-Baselines3's; the network is its model's."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN
from stable_baselines3.common.logger import configure
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from plaudit.control.config import DQNConfig, PolicyConfig
from plaudit.control.dqn import DQNAgent
from plaudit.control.learner import make_learner
from plaudit.control.replay import Batch
from plaudit.errors import ConfigError
from plaudit.worlds.behaviour import Layout
from tests.control_examples import POINT_MASS, world

ROWS, UPDATES = 20, 6


class Spaces:
    """Stands where a world would, with only what networks need."""

    n_envs = 2

    def __init__(self, observation, actions):
        self.observation_space = spaces.Box(-np.inf, np.inf, (observation,), np.float32)
        self.action_space = spaces.Discrete(actions)
        self.layout = Layout(observation, (), actions, None)


def transitions(observation, actions, scale=1.0):
    rng = np.random.default_rng(0)
    shape = (UPDATES, ROWS)
    return Batch(
        rng.standard_normal((*shape, observation), dtype=np.float32),
        rng.integers(0, actions, shape),
        (scale * rng.standard_normal(shape)).astype(np.float32),
        rng.standard_normal((*shape, observation), dtype=np.float32),
        (rng.random(shape) > 0.2).astype(np.float32),
    )


class Replayed:
    """A replay buffer that gives Stable-Baselines3 the same batches."""

    def __init__(self, batch):
        self._batch, self._next = batch, 0

    def sample(self, batch_size, env=None):
        k, self._next = self._next, self._next + 1
        return ReplayBufferSamples(
            torch.from_numpy(self._batch.observations[k]),
            torch.from_numpy(self._batch.actions[k])[:, None],
            torch.from_numpy(self._batch.following[k]),
            torch.from_numpy(1 - self._batch.continues[k])[:, None],
            torch.from_numpy(self._batch.rewards[k])[:, None],
        )


@pytest.mark.parametrize(
    ("net", "actions", "scale", "longest"),
    [((16, 16), 2, 1.0, 10.0), ((8,), 5, 20.0, 10.0), ((8, 8, 4), 3, 20.0, 0.1), ((), 2, 1.0, 10.0)],
)
def test_updates_are_those_of_stable_baselines(net, actions, scale, longest):
    config = DQNConfig(net=net, batch_size=ROWS, max_grad_norm=longest)
    agent = DQNAgent(config, Spaces(3, actions), 0)
    batch = transitions(3, actions, scale)
    model = DQN(
        "MlpPolicy", agent.model.env, learning_rate=config.learning_rate, buffer_size=1, gamma=config.gamma, max_grad_norm=longest,
        target_update_interval=2, policy_kwargs={"net_arch": list(net)},
    )  # fmt: skip
    model.set_logger(configure(None, []))
    model.policy.load_state_dict(agent.model.policy.state_dict())
    model.replay_buffer = Replayed(batch)
    agent._target[:] = 7.0  # a burst begins with a copy of the network
    for _ in range(UPDATES):
        model.train(1, ROWS)
    losses = agent.train(batch, np.random.default_rng(0))
    for name, value in model.policy.state_dict().items():
        torch.testing.assert_close(agent.model.policy.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    assert losses["train/loss"] == pytest.approx(model.logger.name_to_value["train/loss"], rel=1e-4)
    assert losses["train/n_updates"] == UPDATES


def test_random_actions_give_way_to_the_best():
    agent = DQNAgent(
        DQNConfig(net=(8,), batch_size=ROWS, exploration_steps=10, exploration_final_eps=0.2, utd=0.5), Spaces(3, 4), 0
    )
    observations = np.random.default_rng(0).standard_normal((4000, 3), dtype=np.float32)
    best = agent.act(observations, None)
    assert agent.exploration_rate == 1.0
    assert (agent.act(observations, np.random.default_rng(1)) == best).mean() == pytest.approx(0.25, abs=0.03)
    agent.train(transitions(3, 4), np.random.default_rng(0))  # 6 updates are 12 steps
    best = agent.act(observations, None)
    assert agent.exploration_rate == pytest.approx(0.2)
    assert (agent.act(observations, np.random.default_rng(1)) == best).mean() == pytest.approx(0.8 + 0.2 / 4, abs=0.03)


def test_act_is_the_models_own_prediction_also_after_export(tmp_path):
    agent = DQNAgent(DQNConfig(net=(8, 8), batch_size=ROWS), Spaces(3, 4), 0)
    agent.train(transitions(3, 4), np.random.default_rng(0))
    agent.export(tmp_path / "policy.zip")
    observations = np.random.default_rng(0).standard_normal((50, 3), dtype=np.float32)
    for model in (agent.model, DQN.load(tmp_path / "policy.zip")):
        np.testing.assert_array_equal(model.predict(observations, deterministic=True)[0], agent.act(observations, None))
    assert DQN.load(tmp_path / "policy.zip").policy.optimizer.state_dict()["state"][0]["step"] == UPDATES


def test_refuses_continuous_actions():
    with pytest.raises(ConfigError, match="discrete actions"):
        make_learner(PolicyConfig(dqn=DQNConfig()), world(POINT_MASS), 0)
