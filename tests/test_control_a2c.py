"""A2C's and REINFORCE's hand-derived update is Stable-Baselines3's A2C; TRPO's is sb3-contrib's."""

import numpy as np
import pytest
import torch
from stable_baselines3 import A2C
from stable_baselines3.common.logger import configure

from plaudit.control.a2c import A2CNets, REINFORCENets, RMSprop
from plaudit.control.config import A2CConfig, PolicyConfig, REINFORCEConfig, TRPOConfig
from plaudit.control.learner import make_learner
from plaudit.control.onpolicy import OnPolicyLearner
from plaudit.control.trpo import TRPONets
from plaudit.errors import ConfigError, LearningError
from tests.control_examples import nothing, world
from tests.test_control_ppo import CONTINUOUS, DISCRETE, LENGTH, Spaces, fill, rollout

SPACES = pytest.mark.parametrize("space", [CONTINUOUS, DISCRETE], ids=["continuous", "discrete"])
UPDATES = 4


@pytest.fixture(autouse=True)
def in_order(monkeypatch):
    """Stable-Baselines3 shuffles even what it takes as a whole; sums then differ in rounding from run to run."""
    monkeypatch.setattr(np.random, "permutation", np.arange)


def compare(nets, model, losses, names):
    for name, value in model.policy.state_dict().items():
        torch.testing.assert_close(nets.model.policy.state_dict()[name], value, rtol=1e-3, atol=1e-4)
    for ours, theirs in names.items():
        assert losses[f"train/{ours}"] == pytest.approx(
            model.logger.name_to_value[f"train/{theirs}"], rel=1e-3, abs=1e-5
        )


@SPACES
@pytest.mark.parametrize(
    ("net", "settings"),
    [
        ((16, 16), {}),
        ((8,), {"ent_coef": 0.1, "max_grad_norm": 100.0, "normalize_advantage": True}),
        ((8, 4, 4), {"vf_coef": 0.0, "use_rms_prop": False}),
        ((), {"max_grad_norm": 0.01}),
    ],
)
def test_updates_are_those_of_stable_baselines(space, net, settings):
    config = A2CConfig(net=net, n_steps=LENGTH, learning_rate=3e-3, **settings)
    nets = A2CNets(config, Spaces(space), 0)
    model = A2C(
        "MlpPolicy", nets.model.env, learning_rate=3e-3, n_steps=LENGTH, policy_kwargs={"net_arch": list(net)}, **settings
    )  # fmt: skip
    model.set_logger(configure(None, []))
    model.policy.load_state_dict(nets.model.policy.state_dict())
    learner = OnPolicyLearner(nets, world("CartPole-v1", 1))
    for k in range(UPDATES):
        steps = rollout(nets, k)
        model.rollout_buffer.reset()
        fill(model, steps, nets.forward(steps.inputs)[1])
        model.train()
        losses = learner._update(steps, np.random.default_rng(0))
    names = {"policy_gradient_loss": "policy_loss"} | {
        name: name for name in ("value_loss", "entropy_loss", "explained_variance", "n_updates")
    }
    compare(nets, model, losses, names | ({"std": "std"} if space is CONTINUOUS else {}))


@SPACES
def test_reinforce_is_a2c_on_full_returns(space):
    """Stable-Baselines3's A2C with Adam and normalised advantages takes the same steps."""
    nets = REINFORCENets(REINFORCEConfig(net=(8,), n_steps=LENGTH), Spaces(space), 0)
    model = A2C(
        "MlpPolicy", nets.model.env, learning_rate=1e-2, n_steps=LENGTH, use_rms_prop=False, normalize_advantage=True,
        policy_kwargs={"net_arch": [8]},
    )  # fmt: skip
    model.set_logger(configure(None, []))
    model.policy.load_state_dict(nets.model.policy.state_dict())
    for k in range(UPDATES):
        steps = rollout(nets, k)
        model.rollout_buffer.reset()
        fill(model, steps, nets.forward(steps.inputs)[1])
        model.train()
        losses = nets.train(steps, np.random.default_rng(0))
    compare(nets, model, losses, {"policy_gradient_loss": "policy_loss", "value_loss": "value_loss"})
    assert nets.gae_lambda == 1


@pytest.mark.parametrize("truncates", [False, True])
def test_without_a_baseline_returns_are_plain_sums(truncates):
    """Rewards 1 in episodes of three steps: 1 + g + g^2, 1 + g, 1, also where a time limit or the rollout ends."""
    config = REINFORCEConfig(net=(4,), gamma=0.5, baseline=False, n_steps=5)
    here = world("tests.world_examples:Counter", 2, length=3, truncates=truncates)
    learner = make_learner(PolicyConfig(reinforce=config), here, 0)
    learner.set_reward(nothing, 1.0)
    steps, _ = learner._collect(here.reset(0), 5, np.random.default_rng(0), _Episodes())
    paid = here.behaviour.rewards
    wanted = np.empty((5, 2))
    for start, end in ((0, 3), (3, 5)):
        for row in range(start, end):
            wanted[row] = sum(0.5 ** (later - row) * paid[later] for later in range(row, end))
    np.testing.assert_allclose(steps.returns.reshape(5, 2), wanted, rtol=1e-6)
    np.testing.assert_allclose(steps.advantages, steps.returns)
    assert learner._update(steps, np.random.default_rng(0))["train/explained_variance"] == 0
    learner._update(steps, np.random.default_rng(0))
    assert (learner.nets.values(here.behaviour.observations[0]) == 0).all()


class _Episodes:
    def add(self, rewards, ended):
        pass


def test_rmsprop_by_hand():
    """One weight, gradient 2: v = .04, so the step is 2 / (.2 + 1e-5); then v = .0796 on gradient -2."""
    weights, descent = np.ones(1, np.float32), RMSprop(1, 0.01)
    descent.step(weights, np.array([2.0], np.float32))
    assert weights[0] == pytest.approx(1 - 0.02 / (0.2 + 1e-5))
    descent.step(weights, np.array([-2.0], np.float32))
    assert weights[0] == pytest.approx(1 - 0.02 / (0.2 + 1e-5) + 0.02 / (np.sqrt(0.0796) + 1e-5), rel=1e-6)


@pytest.mark.parametrize("rms_prop", [True, False])
def test_exported_a2c_goes_on_with_the_optimisers_state(rms_prop, tmp_path):
    nets = A2CNets(A2CConfig(net=(8, 8), use_rms_prop=rms_prop), Spaces(CONTINUOUS), 0)
    for k in range(3):
        nets.train(rollout(nets, k), np.random.default_rng(0))
    OnPolicyLearner(nets, world("CartPole-v1", 1)).export(tmp_path / "policy.zip")
    model = A2C.load(tmp_path / "policy.zip")
    state = model.policy.optimizer.state[model.policy.action_net.weight]
    assert (int(state["step"]), model._n_updates) == (3, 3)
    squares = nets.optimizer()["rmsprop.squares"] if rms_prop else nets._descent.moments()[1]
    wanted = nets._policy.blocks(squares[: nets._policy.parameters])[-1][0, :-1].T
    np.testing.assert_allclose(state["square_avg" if rms_prop else "exp_avg_sq"], wanted, rtol=1e-5)
    assert isinstance(model.policy.optimizer, torch.optim.RMSprop if rms_prop else torch.optim.Adam)


@SPACES
@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
def test_trpo_is_that_of_sb3_contrib(space):
    """Its own rollout buffer, filled its own way, leads to the same weights."""
    contrib = pytest.importorskip("sb3_contrib", reason="needs the extra `contrib`")
    config = TRPOConfig(net=(8, 8), n_steps=LENGTH, batch_size=20, n_critic_updates=3, target_kl=0.02)
    nets = TRPONets(config, Spaces(space), 0)
    model = contrib.TRPO(
        "MlpPolicy", nets.model.env, learning_rate=1e-3, n_steps=LENGTH, batch_size=20, n_critic_updates=3, target_kl=0.02,
        policy_kwargs={"net_arch": [8, 8]},
    )  # fmt: skip
    model.set_logger(configure(None, []))
    model.policy.load_state_dict(nets.model.policy.state_dict())
    blocks = nets._policy_blocks[0]
    for k in range(2):
        steps = rollout(nets, k)
        model.rollout_buffer.reset()
        fill(model, steps, nets.forward(steps.inputs)[1])
        torch.manual_seed(int(np.random.default_rng(k).integers(2**63)))
        np.random.seed(int(np.random.default_rng(k).integers(2**63)) % 2**32)
        model.train()
        losses = nets.train(steps, np.random.default_rng(k))
    names = {"value_loss": "value_loss", "approx_kl": "kl_divergence_loss", "line_search": "is_line_search_success"}
    compare(nets, model, losses, names)
    assert losses["train/policy_gradient_loss"] < 0
    assert 0 < losses["train/approx_kl"] < 0.02
    weights = nets.model.policy.mlp_extractor.policy_net[0].weight
    assert np.shares_memory(weights.detach().numpy(), blocks)  # still the same numbers


def test_trpo_stops_before_numbers_that_are_not_finite():
    pytest.importorskip("sb3_contrib", reason="needs the extra `contrib`")
    nets = TRPONets(TRPOConfig(net=(4,)), Spaces(DISCRETE), 0)
    steps, before = rollout(nets), nets.weights.copy()
    steps.advantages[3] = np.nan
    with pytest.raises(LearningError, match="diverged"):
        nets.train(steps, np.random.default_rng(0))
    np.testing.assert_array_equal(nets.weights, before)


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        (A2CConfig, {"n_steps": 0}),
        (A2CConfig, {"gae_lambda": 1.5}),
        (TRPOConfig, {"target_kl": 0.0}),
        (TRPOConfig, {"cg_max_steps": 0}),
        (REINFORCEConfig, {"gamma": -0.1}),
        (REINFORCEConfig, {"max_grad_norm": 0.0}),
    ],
)
def test_settings_out_of_range_are_refused(config, wrong):
    with pytest.raises(ConfigError, match=r"policy\."):
        config(**wrong)
