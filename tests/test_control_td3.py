"""TD3's hand-derived update is Stable-Baselines3's; the networks are its model's; noise explores."""

import numpy as np
import pytest
import torch
from stable_baselines3 import TD3
from stable_baselines3.common.logger import configure

from plaudit.control.config import PolicyConfig, TD3Config
from plaudit.control.learner import make_learner
from plaudit.control.replay import Batch
from plaudit.control.td3 import TD3Agent
from plaudit.control.td3_nets import TD3Nets
from plaudit.control.td3_update import TD3Update
from plaudit.errors import ConfigError
from tests.control_examples import GRID, world
from tests.test_control_sac import ROWS, UPDATES, Replayed, Spaces, fields, transitions


def some(batch, start, end):
    return Batch(*(array[start:end] for array in fields(batch)))


def stable_baselines(nets, batch, noise, monkeypatch):
    """A model of Stable-Baselines3's own making with the same weights, trained by its own code on the same numbers."""
    config, draws = nets.config, list(noise)
    model = TD3(
        "MlpPolicy", nets.model.env, learning_rate=config.learning_rate, buffer_size=1, tau=config.tau, gamma=config.gamma,
        policy_delay=config.policy_delay, target_policy_noise=config.target_policy_noise,
        target_noise_clip=config.target_noise_clip, policy_kwargs={"net_arch": list(config.net)},
    )  # fmt: skip
    model.set_logger(configure(None, []))
    model.policy.load_state_dict(nets.model.policy.state_dict())
    model.replay_buffer = Replayed(batch, nets.squashed(batch.actions))
    monkeypatch.setattr(
        torch.Tensor, "normal_", lambda self, mean, std: self.copy_(mean + std * torch.from_numpy(draws.pop(0)))
    )
    model.train(UPDATES, ROWS)
    assert not draws
    return model


@pytest.mark.parametrize(
    ("net", "observation", "action", "settings"),
    [
        ((16, 16), 3, 1, {}),
        ((8,), 5, 2, {"policy_delay": 1, "target_noise_clip": 0.1}),
        ((16, 8, 4), 4, 3, {"policy_delay": 3, "target_policy_noise": 2.0, "target_noise_clip": 5.0, "tau": 0.5}),
        ((), 3, 2, {"target_policy_noise": 0.0}),
    ],
)
def test_updates_are_those_of_stable_baselines(net, observation, action, settings, monkeypatch):
    nets = TD3Nets(TD3Config(net=net, batch_size=ROWS, **settings), Spaces(observation, action), 7)
    batch = transitions(nets)
    noise = np.random.default_rng(1).standard_normal((UPDATES, ROWS, action), dtype=np.float32)
    with monkeypatch.context() as patch:
        model = stable_baselines(nets, batch, noise, patch)
    before = {name: value.clone() for name, value in nets.model.policy.state_dict().items()}
    update = TD3Update(nets)
    losses = [update.train_with(some(batch, k, k + 1), noise[k : k + 1]) for k in range(UPDATES)]
    found = nets.model.policy.state_dict()
    for name, value in model.policy.state_dict().items():
        assert not torch.equal(found[name], before[name]), name
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=2e-5, msg=lambda text, n=name: f"{n}: {text}")
    for name in ("train/actor_loss", "train/critic_loss"):
        mean = np.mean([one[name] for one in losses if name in one])
        assert model.logger.name_to_value[name] == pytest.approx(mean, rel=1e-3, abs=1e-5), name
    delay = nets.config.policy_delay
    assert [("train/actor_loss" in one) for one in losses] == [(k + 1) % delay == 0 for k in range(UPDATES)]
    assert (update.adams["actor"].steps, update.adams["critic"].steps) == (UPDATES // delay, UPDATES)


def test_several_updates_in_one_call_are_the_same_as_one_by_one():
    results = []
    for pieces in ([UPDATES], [1, 2, UPDATES - 3]):
        nets = TD3Nets(TD3Config(net=(8, 8), batch_size=ROWS), Spaces(3, 1), 7)
        batch, update, start = transitions(nets), TD3Update(nets), 0
        noise = np.random.default_rng(1).standard_normal((UPDATES, ROWS, 1), dtype=np.float32)
        for count in pieces:
            update.train_with(some(batch, start, start + count), noise[start : start + count])
            start += count
        results.append(nets.arrays() | update.arrays())
    for name, first in results[0].items():
        np.testing.assert_array_equal(first, results[1][name], err_msg=name)


def test_the_delay_goes_on_from_saved_state():
    """After an odd number of updates the next one is the actor's."""
    config = TD3Config(net=(8,), batch_size=ROWS, policy_delay=2)
    whole, half = TD3Agent(config, Spaces(3, 2), 0), TD3Agent(config, Spaces(3, 2), 99)
    batch = transitions(whole.nets)
    whole.train(some(batch, 0, 3), np.random.default_rng(1))
    half.load({name: array.copy() for name, array in whole.arrays().items()})
    for agent in (whole, half):
        assert "train/actor_loss" in agent.train(some(batch, 3, 4), np.random.default_rng(2))
    assert whole.version == half.version
    for name, first in whole.arrays().items():
        np.testing.assert_array_equal(first, half.arrays()[name], err_msg=name)


def test_act_is_the_models_own_prediction():
    nets = TD3Nets(TD3Config(net=(16, 16)), Spaces(4, 2, low=-1.0, high=5.0), 0)
    observations = np.random.default_rng(0).standard_normal((9, 4), dtype=np.float32)
    found = nets.act(observations, None)
    np.testing.assert_allclose(found, nets.model.predict(observations, deterministic=True)[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(nets.unsquashed(nets.squashed(found)), found, rtol=1e-5, atol=1e-6)


def test_gaussian_noise_is_in_half_ranges_and_clipped():
    """Actions lie in [-2, 3], so a standard deviation of 0.1 is one of 0.25 there."""
    config = TD3Config(net=(4,), action_noise=0.1)
    nets, observations = TD3Nets(config, Spaces(1, 1), 0), np.zeros((20_000, 1), np.float32)
    noise = nets.act(observations, np.random.default_rng(0)) - nets.act(observations, None)
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(0.25, rel=0.03)
    wild = TD3Nets(TD3Config(net=(4,), action_noise=9.0), Spaces(1, 1), 0).act(observations, np.random.default_rng(0))
    assert (wild.min(), wild.max()) == (-2, 3)


def test_a_share_of_actions_is_uniform():
    """Without noise, what is not the policy's action is random: 0.3 of all, spread evenly over the range."""
    nets = TD3Nets(TD3Config(net=(4,), action_noise=0.0, random_eps=0.3), Spaces(1, 1), 0)
    observations = np.zeros((20_000, 1), np.float32)
    found, best = nets.act(observations, np.random.default_rng(0)), nets.act(observations, None)
    other = found[found != best]
    assert len(other) / len(found) == pytest.approx(0.3, abs=0.02)
    np.testing.assert_allclose(np.quantile(other, [0.1, 0.5, 0.9]), [-1.5, 0.5, 2.5], atol=0.1)


def test_exported_model_goes_on_with_optimisers_and_noise(tmp_path):
    agent = TD3Agent(TD3Config(net=(8, 8), batch_size=ROWS, action_noise=0.3), Spaces(3, 1), 0)
    agent.train(transitions(agent.nets), np.random.default_rng(1))
    agent.export(tmp_path / "policy.zip")
    model = TD3.load(tmp_path / "policy.zip")
    first = model.actor.optimizer.state[model.actor.mu[0].weight]
    assert (model._n_updates, int(first["step"]), model.policy_delay) == (UPDATES, UPDATES // 2, 2)
    wanted = agent.nets.actor_shape.blocks(agent.update.adams["actor"].moments()[0])[0][0, :-1].T
    np.testing.assert_allclose(first["exp_avg"], wanted, rtol=1e-5)
    assert model.buffer_size == 1_000_000
    assert model.action_noise._sigma.tolist() == [0.3]
    for name, value in agent.nets.model.policy.state_dict().items():
        torch.testing.assert_close(model.policy.state_dict()[name], value)


def test_refuses_what_it_cannot_act_in():
    with pytest.raises(ConfigError, match="TD3 needs continuous actions"):
        make_learner(PolicyConfig(td3=TD3Config()), world(GRID), 0)


@pytest.mark.parametrize("wrong", [{"policy_delay": 0}, {"random_eps": 1.5}, {"action_noise": -0.1}, {"tau": 0.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=r"policy\.td3"):
        TD3Config(**wrong)
