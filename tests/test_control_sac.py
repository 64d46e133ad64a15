"""SAC's hand-derived update is Stable-Baselines3's; the networks are its model's."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.logger import configure
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from plaudit.control.config import Backend, PolicyConfig, SACConfig
from plaudit.control.learner import make_learner
from plaudit.control.replay import Batch
from plaudit.control.sac import SACAgent
from plaudit.control.sac_nets import SACNets
from plaudit.control.sac_update import NumpyUpdate
from plaudit.errors import ConfigError
from plaudit.worlds.behaviour import Layout
from tests.control_examples import GRID, world

ROWS, UPDATES = 24, 6


class Spaces:
    """Stands where a world would, with only what networks need."""

    n_envs = 2

    def __init__(self, observation, action, low=-2.0, high=3.0):
        self.observation_space = spaces.Box(-np.inf, np.inf, (observation,), np.float32)
        self.action_space = spaces.Box(low, high, (action,), np.float32)
        self.layout = Layout(observation, (action,), None, None)


def transitions(nets, seed=0):
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.standard_normal((UPDATES, ROWS, *shape), dtype=np.float32)

    actions = rng.uniform(-2, 3, (UPDATES, ROWS, nets.action_size)).astype(np.float32)
    continues = (rng.random((UPDATES, ROWS)) > 0.2).astype(np.float32)
    return Batch(normal(nets.observation_size), actions, normal(), normal(nets.observation_size), continues)


class Replayed:
    """A replay buffer that gives Stable-Baselines3 the same batches."""

    def __init__(self, batch, actions):
        self._batches = [
            ReplayBufferSamples(
                *(torch.from_numpy(array[k]) for array in (batch.observations, actions, batch.following)),
                torch.from_numpy(1 - batch.continues[k])[:, None],
                torch.from_numpy(batch.rewards[k])[:, None],
            )
            for k in range(UPDATES)
        ]

    def sample(self, batch_size, env=None):
        return self._batches.pop(0)


def stable_baselines(nets, batch, noise, monkeypatch):
    """A model of Stable-Baselines3's own making with the same weights, trained by its own code on the same numbers."""
    config = nets.config
    model = SAC(
        "MlpPolicy", nets.model.env, learning_rate=config.learning_rate, buffer_size=1, tau=config.tau, gamma=config.gamma,
        ent_coef=config.ent_coef if nets.learns_alpha else float(config.ent_coef), policy_kwargs={"net_arch": list(config.net)},
    )  # fmt: skip
    model.set_logger(configure(None, []))
    model.policy.load_state_dict(nets.model.policy.state_dict())
    model.replay_buffer = Replayed(batch, nets.squashed(batch.actions))
    draws = [half for one in noise for half in (one[:ROWS], one[ROWS:])]
    monkeypatch.setattr(
        "torch.distributions.normal._standard_normal",
        lambda shape, dtype, device: torch.from_numpy(draws.pop(0).copy()),
    )
    model.train(UPDATES, ROWS)
    return model


@pytest.mark.parametrize(
    ("net", "observation", "action", "ent_coef"),
    [
        ((16, 16), 3, 1, "auto"),
        ((8,), 5, 2, "auto_0.1"),
        ((16, 8, 4), 4, 3, "auto"),
        ((12, 12), 2, 1, "0.2"),
        ((), 3, 2, "auto"),
    ],
)
def test_updates_are_those_of_stable_baselines(net, observation, action, ent_coef, monkeypatch):
    config = SACConfig(net=net, batch_size=ROWS, ent_coef=ent_coef)
    nets = SACNets(config, Spaces(observation, action), 7)
    batch = transitions(nets)
    noise = np.random.default_rng(1).standard_normal((UPDATES, 2 * ROWS, action), dtype=np.float32)
    model = stable_baselines(nets, batch, noise, monkeypatch)
    before = nets.model.policy.state_dict()["actor.mu.weight"].clone()

    update = NumpyUpdate(nets)
    losses = [
        update.train_with(Batch(*(array[k : k + 1] for array in fields(batch))), noise[k : k + 1])
        for k in range(UPDATES)
    ]

    found, wanted = nets.model.policy.state_dict(), model.policy.state_dict()
    assert not torch.equal(before, found["actor.mu.weight"])
    for name, value in wanted.items():
        torch.testing.assert_close(
            found[name], value, rtol=1e-4, atol=2e-5, msg=lambda text, name=name: f"{name}: {text}"
        )
    if nets.learns_alpha:
        torch.testing.assert_close(nets.model.log_ent_coef.detach(), model.log_ent_coef.detach(), rtol=1e-5, atol=1e-6)
    logged = model.logger.name_to_value
    for name, value in losses[0].items():
        mean = np.mean([one[name] for one in losses])
        assert logged[name] == pytest.approx(mean, rel=1e-3, abs=1e-5), name
        assert np.isfinite(value)
    critic = model.critic.optimizer.state[next(iter(model.critic.parameters()))]
    agent = update.arrays()
    assert agent["critic.steps"][0] == int(critic["step"]) == UPDATES


def fields(batch):
    return batch.observations, batch.actions, batch.rewards, batch.following, batch.continues


def test_several_updates_in_one_call_are_the_same_as_one_by_one():
    results = []
    for pieces in ([UPDATES], [1, 2, UPDATES - 3]):
        nets = SACNets(SACConfig(net=(8, 8), batch_size=ROWS), Spaces(3, 1), 7)
        batch, update, start = transitions(nets), NumpyUpdate(nets), 0
        noise = np.random.default_rng(1).standard_normal((UPDATES, 2 * ROWS, 1), dtype=np.float32)
        for count in pieces:
            update.train_with(
                Batch(*(array[start : start + count] for array in fields(batch))), noise[start : start + count]
            )
            start += count
        results.append((nets.actor.copy(), nets.critic.copy()))
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


def test_act_is_the_models_own_prediction():
    nets = SACNets(SACConfig(net=(16, 16)), Spaces(4, 2, low=-1.0, high=5.0), 0)
    observations = np.random.default_rng(0).standard_normal((9, 4), dtype=np.float32)
    found = nets.act(observations, None)
    wanted, _ = nets.model.predict(observations, deterministic=True)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(nets.low + (nets.squashed(found) + 1) / 2 * nets.span, found, rtol=1e-5, atol=1e-6)


def test_random_actions_have_the_policys_distribution():
    nets = SACNets(SACConfig(net=(4,)), Spaces(1, 1, low=-1.0, high=1.0), 0)
    observations = np.zeros((20_000, 1), np.float32)
    found = np.arctanh(
        np.clip(nets.act(observations, np.random.default_rng(0)).astype(np.float64), -0.999999, 0.999999)
    )
    mean, log_std, _ = nets.model.actor.get_action_dist_params(torch.zeros(1, 1))
    assert found.mean() == pytest.approx(mean.item(), abs=0.03)
    assert found.std() == pytest.approx(np.exp(log_std.item()), rel=0.03)


JAX = pytest.param(Backend.JAX, marks=pytest.mark.slow)  # compiles


@pytest.mark.parametrize("backend", [Backend.TORCH, JAX])
def test_other_backends_optimise_the_same(backend):
    """Their noise differs: after some updates on the same batches the critics agree far more than they have moved."""
    if backend is Backend.JAX:
        pytest.importorskip("sbx", reason="needs the extra `fast`")
    agents = [
        SACAgent(SACConfig(net=(16, 16), batch_size=512, ent_coef="0.01", backend=one), Spaces(3, 1), 0)
        for one in (Backend.NUMPY, backend)
    ]
    start = agents[0].nets.critic.copy()
    rng = np.random.default_rng(0)
    shape = (20, 512)
    batch = Batch(
        *(rng.standard_normal((*shape, size), dtype=np.float32) for size in (3, 1)), rng.standard_normal(shape, dtype=np.float32),
        rng.standard_normal((*shape, 3), dtype=np.float32), np.ones(shape, np.float32),
    )  # fmt: skip
    for agent in agents:
        losses = agent.train(batch, np.random.default_rng(1))
        assert {"train/actor_loss", "train/critic_loss", "train/ent_coef", "train/n_updates"} <= set(losses)
        assert "train/ent_coef_loss" not in losses
    moved = np.linalg.norm(agents[0].nets.critic - start)
    apart = np.linalg.norm(agents[0].nets.critic - agents[1].nets.critic)
    assert moved > 0.1
    assert apart < 0.1 * moved
    np.testing.assert_allclose(
        agents[1].act(np.zeros((2, 3), np.float32), None),
        agents[1].nets.model.predict(np.zeros((2, 3), np.float32), deterministic=True)[0],
        atol=1e-5,
    )


@pytest.mark.parametrize("backend", [Backend.NUMPY, Backend.TORCH, JAX])
def test_backends_continue_from_saved_state_to_the_same_bits(backend):
    if backend is Backend.JAX:
        pytest.importorskip("sbx", reason="needs the extra `fast`")
    config = SACConfig(net=(8,), batch_size=ROWS, backend=backend)
    whole, half = SACAgent(config, Spaces(3, 2), 0), SACAgent(config, Spaces(3, 2), 99)
    batch = transitions(whole.nets)
    whole.train(batch, np.random.default_rng(1))
    half.load({name: array.copy() for name, array in whole.arrays().items()})
    for agent in (whole, half):
        agent.train(batch, np.random.default_rng(2))
    assert whole.version == half.version
    for (name, first), second in zip(whole.arrays().items(), half.arrays().values(), strict=True):
        np.testing.assert_array_equal(first, second, err_msg=name)


@pytest.mark.parametrize("backend", [Backend.NUMPY, Backend.TORCH])
def test_exported_model_goes_on_with_the_optimisers_state(backend, tmp_path):
    agent = SACAgent(SACConfig(net=(8, 8), batch_size=ROWS, backend=backend), Spaces(3, 1), 0)
    batch = transitions(agent.nets)
    agent.train(batch, np.random.default_rng(1))
    agent.export(tmp_path / "policy.zip")
    model = SAC.load(tmp_path / "policy.zip")
    observations = np.random.default_rng(0).standard_normal((5, 3), dtype=np.float32)
    np.testing.assert_allclose(
        model.predict(observations, deterministic=True)[0], agent.act(observations, None), atol=1e-5
    )
    assert model._n_updates == UPDATES
    assert model.buffer_size == 1_000_000
    first = model.actor.optimizer.state[model.actor.latent_pi[0].weight]
    assert first["step"] == UPDATES
    scale = np.float32(0.1 if backend is Backend.NUMPY else 1.0)  # numpy's Adam keeps a plain sum
    wanted = agent.nets.actor_shape.blocks(agent.arrays()["actor.first"] * scale)[0][0, :-1].T
    np.testing.assert_allclose(first["exp_avg"], wanted, rtol=1e-5)
    assert model.log_ent_coef.item() == agent.nets.log_alpha[0]


def test_refuses_what_it_cannot_act_in():
    with pytest.raises(ConfigError, match="continuous actions"):
        make_learner(PolicyConfig(sac=SACConfig()), world(GRID), 0)
    with pytest.raises(ConfigError, match="finite bounds"):
        SACNets(SACConfig(), Spaces(2, 1, high=np.inf), 0)


@pytest.mark.parametrize(
    "wrong",
    [{"ent_coef": "automatic"}, {"ent_coef": "-1"}, {"utd": 0.0}, {"gamma": 1.5}, {"net": (8, 0)}, {"tau": 0.0}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=r"policy\.sac"):
        SACConfig(**wrong)
