"""PPO's hand-derived update is Stable-Baselines3's; the networks are its model's."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.logger import configure

from plaudit.control.config import PolicyConfig, PPOConfig
from plaudit.control.learner import make_learner
from plaudit.control.ppo_heads import Categorical, Gaussian
from plaudit.control.ppo_nets import PPONets, Steps
from plaudit.models.kernels import with_ones
from plaudit.ops.policy import clipped_loss
from plaudit.worlds.behaviour import Layout
from tests.control_examples import Listener, nothing, world

LENGTH = 48
CONTINUOUS, DISCRETE = spaces.Box(-1.0, 2.0, (2,), np.float32), spaces.Discrete(3)


class Spaces:
    """Stands where a world would, with only what networks need."""

    n_envs = 1

    def __init__(self, space):
        self.observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = space
        self.layout = Layout(4, space.shape, int(space.n) if isinstance(space, spaces.Discrete) else None, None)


def rollout(nets, seed=0):
    """Steps as they come out of acting, with made-up advantages; the old policy is a little off the present one."""
    rng = np.random.default_rng(seed)
    inputs = with_ones(LENGTH, 5)
    inputs[:, :4] = rng.standard_normal((LENGTH, 4))
    actions = nets.draw(inputs[:, :4], rng)
    output, values = nets.forward(inputs)
    log_probs, _ = nets.head.evaluate(output, actions)
    log_probs = log_probs + rng.normal(0, 0.2, LENGTH).astype(np.float32)
    advantages = rng.standard_normal(LENGTH, dtype=np.float32)
    return Steps(inputs, actions, log_probs, advantages, values + advantages)


def fill(model, steps, values):
    """Put the same steps into Stable-Baselines3's buffer."""
    buffer = model.rollout_buffer
    buffer.observations[:, 0] = steps.inputs[:, :4]
    buffer.actions[:] = steps.actions.reshape(buffer.actions.shape)
    buffer.log_probs[:, 0], buffer.advantages[:, 0] = steps.log_probs, steps.advantages
    buffer.values[:, 0], buffer.returns[:, 0] = values, steps.returns
    buffer.full = True


@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
@pytest.mark.parametrize("space", [CONTINUOUS, DISCRETE], ids=["continuous", "discrete"])
@pytest.mark.parametrize(
    ("net", "settings"),
    [
        ((16, 16), {}),
        ((8,), {"ent_coef": 0.1, "max_grad_norm": 100.0}),
        ((8, 4, 4), {"vf_coef": 0.0, "clip_range": 0.05}),
        ((), {"target_kl": 0.03}),
    ],
)
def test_updates_are_those_of_stable_baselines(space, net, settings, monkeypatch):
    config = PPOConfig(net=net, n_steps=LENGTH, batch_size=20, n_epochs=3, **settings)  # the last batch has 8 rows
    nets = PPONets(config, Spaces(space), 0)
    steps = rollout(nets)
    model = PPO(
        "MlpPolicy", nets.model.env, learning_rate=config.learning_rate, n_steps=LENGTH, batch_size=20, n_epochs=3, ent_coef=config.ent_coef,
        vf_coef=config.vf_coef, max_grad_norm=config.max_grad_norm, target_kl=config.target_kl, clip_range=config.clip_range,
        policy_kwargs={"net_arch": list(net)},
    )  # fmt: skip
    model.set_logger(configure(None, []))
    model.policy.load_state_dict(nets.model.policy.state_dict())
    fill(model, steps, nets.forward(steps.inputs)[1])

    monkeypatch.setattr(np.random, "permutation", np.random.RandomState(5).permutation)
    model.train()
    learner = make_learner(PolicyConfig(ppo=config), world("CartPole-v1", 1), 0)
    learner.nets = nets
    losses = learner._update(steps, np.random.RandomState(5))
    for name, value in model.policy.state_dict().items():
        torch.testing.assert_close(nets.model.policy.state_dict()[name], value, rtol=1e-4, atol=2e-5)
    logged = model.logger.name_to_value
    for name in (
        "policy_gradient_loss",
        "value_loss",
        "entropy_loss",
        "clip_fraction",
        "explained_variance",
        "n_updates",
    ):
        assert losses[f"train/{name}"] == pytest.approx(logged[f"train/{name}"], rel=1e-3, abs=1e-5), name
    assert ("train/std" in losses) == (space is CONTINUOUS)


def test_policy_gradient_is_autograds_of_the_clipped_loss():
    """The same step through ops.policy and torch's distributions."""
    config = PPOConfig(net=(6,), vf_coef=0.0, max_grad_norm=1e9)
    nets = PPONets(config, Spaces(DISCRETE), 0)
    steps = rollout(nets)
    advantages = (steps.advantages - steps.advantages.mean()) / steps.advantages.std(ddof=1)
    policy = nets.model.policy
    distribution = policy.get_distribution(torch.from_numpy(steps.inputs[:, :4])).distribution
    log_probs = distribution.log_prob(torch.from_numpy(steps.actions))
    clipped_loss(
        log_probs, torch.from_numpy(steps.log_probs), torch.from_numpy(advantages), config.clip_range
    ).backward()
    nets.update(steps)
    wanted = policy.action_net.weight.grad
    torch.testing.assert_close(
        torch.from_numpy(nets._policy_gradients[-1][0, :-1].T.copy()), wanted, rtol=1e-4, atol=1e-6
    )


def check_gradient(head, output, actions, d_log_probs, d_entropy):
    """Central differences of sum(d_log_probs log p) + d_entropy sum(entropies)."""

    def total(at):
        log_probs, entropies = head.evaluate(at, actions)
        return float(log_probs.astype(np.float64) @ d_log_probs + d_entropy * entropies.sum(dtype=np.float64))

    head.evaluate(output, actions)
    found = np.empty_like(output)
    head.backward(d_log_probs, d_entropy, found)
    for place in np.ndindex(output.shape):
        step = np.zeros_like(output)
        step[place] = 1e-2
        assert found[place] == pytest.approx((total(output + step) - total(output - step)) / 2e-2, abs=2e-3)


def test_categorical_gradient():
    rng = np.random.default_rng(0)
    output, weights = rng.standard_normal((5, 3), dtype=np.float32), rng.standard_normal(5, dtype=np.float32)
    check_gradient(Categorical(), output, rng.integers(0, 3, 5), weights, 0.7)


def test_gaussian_gradient():
    rng = np.random.default_rng(0)
    output, actions = rng.standard_normal((2, 5, 2), dtype=np.float32)
    log_std, d_log_std = np.array([0.3, -0.5], np.float32), np.zeros(2, np.float32)
    weights = rng.standard_normal(5, dtype=np.float32)
    head = Gaussian(log_std, d_log_std)
    check_gradient(head, output, actions, weights, 0.7)
    head.evaluate(output, actions)
    head.backward(weights, 0.7, np.empty_like(output))
    found = d_log_std.copy()
    for entry in range(2):
        values = []
        for sign in (1, -1):
            moved = log_std.copy()
            moved[entry] += sign * 1e-2
            log_probs, entropies = Gaussian(moved, d_log_std).evaluate(output, actions)
            values.append(float(log_probs.astype(np.float64) @ weights + 0.7 * entropies.sum(dtype=np.float64)))
        assert found[entry] == pytest.approx((values[0] - values[1]) / 2e-2, abs=5e-3)


def test_draws_have_the_right_frequencies():
    logits = np.log(np.array([[0.5, 0.3, 0.2]], np.float32)).repeat(30_000, axis=0)
    drawn = Categorical().draw(logits, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(drawn) / len(drawn), [0.5, 0.3, 0.2], atol=0.01)
    assert Categorical().draw(logits[:1], None).tolist() == [0]
    head = Gaussian(np.log(np.array([0.5], np.float32)), np.zeros(1, np.float32))
    drawn = head.draw(np.full((30_000, 1), 2.0, np.float32), np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(2.0, abs=0.02)
    assert drawn.std() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("space", [CONTINUOUS, DISCRETE], ids=["continuous", "discrete"])
def test_act_is_the_models_own_prediction(space):
    nets = PPONets(PPOConfig(net=(8, 8)), Spaces(space), 0)
    nets.weights *= 5
    observations = np.random.default_rng(0).standard_normal((30, 4), dtype=np.float32)
    found = nets.clip(nets.draw(observations, None))
    np.testing.assert_allclose(found, nets.model.predict(observations, deterministic=True)[0], atol=1e-5)


def test_rollouts_spend_exactly_the_steps_of_a_round():
    """100 rows at n_steps 30 become three rollouts; the monitor hears of each."""
    learner = make_learner(PolicyConfig(ppo=PPOConfig(net=(4,), n_steps=30, n_epochs=1)), world("CartPole-v1", 2), 0)
    learner.set_reward(nothing, 1.0)
    monitor = Listener()
    learner.improve(200, 0, monitor)
    assert [step for step, _ in monitor.heard] == [66, 134, 200]
    assert len(learner.world.behaviour) == 100


def test_a_time_limit_takes_nothing_from_the_future():
    """Episodes of one step that are cut off: the return is reward + gamma x value of where it led, not the reward alone."""
    learner = make_learner(
        PolicyConfig(ppo=PPOConfig(net=(4,), gamma=0.9, n_steps=8)),
        world("tests.world_examples:Counter", 2, length=1, truncates=True),
        0,
    )
    learner.set_reward(nothing, 1.0)
    learner.nets._value_blocks[-1][0, -1] = 10.0  # every state is worth about 10
    observations = learner.world.reset(0)
    steps, _ = learner._collect(observations, 3, np.random.default_rng(0), _Episodes())
    value = learner.nets.values(learner.world.behaviour.observations[0] + [0, 1])
    np.testing.assert_allclose(steps.returns[:2], 1 + 0.9 * value, rtol=1e-4)


class _Episodes:
    def add(self, rewards, ended):
        assert ended.all()
