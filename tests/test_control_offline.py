"""Learning from logged episodes: implicit Q-learning against autograd, its data, and that it beats cloning."""

import numpy as np
import pytest
import stable_baselines3
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.control.cloning import clone
from plaudit.control.config import PolicyConfig, SACConfig
from plaudit.control.config_offline import CloneConfig, IQLConfig
from plaudit.control.iql import HEAVIEST, IQLAgent
from plaudit.control.learner import make_learner
from plaudit.control.logged import Episode, Logged
from plaudit.control.offline import OfflineLearner, learn_offline
from plaudit.control.replay import Batch
from plaudit.control.squashed import EDGE, HIGHEST, LOWEST, fit_squashed, unsquashed
from plaudit.errors import ConfigError, LearningError, WorldError
from plaudit.run.monitor import Signal, Unwatched
from plaudit.run.seeds import generator
from plaudit.worlds.behaviour import Behaviour
from plaudit.worlds.evaluate import evaluate
from tests.control_examples import GRID, POINT_MASS, Listener, first_entry, world

SMALL = IQLConfig(net=(8, 7), batch_size=16, gamma=0.9, tau=0.1, expectile=0.8, temperature=0.5)


def logged(steps: int = 200, envs: int = 4) -> Logged:
    """Random behaviour on PointMass."""
    here = world(POINT_MASS, envs)
    learner = make_learner(PolicyConfig(sac=SACConfig(net=(8, 8))), here, 0)
    learner.explore(steps, 1)
    return Logged(here.behaviour, learner._replay.arrays())


def batch(updates: int = 1, rows: int = 16) -> Batch:
    rng = generator(0, "batch")
    width = world(POINT_MASS).layout.observation
    return Batch(
        observations=rng.standard_normal((updates, rows, width), dtype=np.float32),
        actions=rng.uniform(-6, 6, (updates, rows, 1)).clip(-5, 5).astype(np.float32),
        rewards=rng.standard_normal((updates, rows), dtype=np.float32),
        following=rng.standard_normal((updates, rows, width), dtype=np.float32),
        continues=(rng.random((updates, rows)) < 0.8).astype(np.float32),
    )


def mlp(blocks, inputs):
    """[member, row, output] of inputs [row, input]."""
    hidden = inputs[None]
    for index, block in enumerate(blocks):
        hidden = torch.matmul(hidden, block[:, :-1]) + block[:, -1:]
        hidden = torch.relu(hidden) if index < len(blocks) - 1 else hidden
    return hidden


def twin(agent: IQLAgent, given: Batch) -> dict[str, np.ndarray]:
    """One update by autograd and torch's Adam, from the paper's equations."""
    nets, config, losses = agent.nets, agent.config, {}
    flat = {
        "actor": nets.actor, "critic": nets.critic, "target": nets.target, "value": agent._value,
    }  # fmt: skip
    made = {name: torch.tensor(array.copy(), requires_grad=True) for name, array in flat.items()}
    shapes = {
        "actor": nets.actor_shape, "critic": nets.critic_shape, "target": nets.critic_shape, "value": agent._value_shape,
    }  # fmt: skip

    def net(name, inputs):
        blocks, start = [], 0
        for block in shapes[name].blocks(flat[name]):
            blocks.append(made[name][start : start + block.size].reshape(block.shape))
            start += block.size
        return mlp(blocks, inputs)

    seen, following = torch.tensor(given.observations[0]), torch.tensor(given.following[0])
    actions, rewards = torch.tensor(nets.squashed(given.actions)[0]), torch.tensor(given.rewards[0])
    both = torch.cat([seen, actions], 1)

    def learn(name, loss):
        (losses[name],) = torch.autograd.grad(loss, made[name])
        made[name].grad = losses[name]
        torch.optim.Adam([made[name]], config.learning_rate).step()

    q = net("target", both)[..., 0].amin(0).detach()
    u = q - net("value", seen)[0, :, 0]
    learn("value", ((config.expectile - (u < 0).float()).abs() * u * u).mean())
    with torch.no_grad():
        y = rewards + config.gamma * torch.tensor(given.continues[0]) * net("value", following)[0, :, 0]
        weight = torch.exp(config.temperature * (q - net("value", seen)[0, :, 0])).clamp(max=float(HEAVIEST))
    mean, log_std = net("actor", seen)[0].chunk(2, dim=1)
    wanted = torch.atanh(actions.clamp(-float(EDGE), float(EDGE)))
    normal = torch.distributions.Normal(mean, log_std.clamp(float(LOWEST), float(HIGHEST)).exp())
    learn("actor", -(weight * normal.log_prob(wanted).sum(1)).mean())
    learn("critic", ((net("critic", both)[..., 0] - y) ** 2).mean(1).sum())
    with torch.no_grad():
        made["target"] += config.tau * (made["critic"] - made["target"])
    return {name: tensor.detach().numpy() for name, tensor in made.items()}


def test_one_update_equals_autograd():
    agent, given = IQLAgent(SMALL, world(POINT_MASS), 3), batch()
    agent.nets.target += generator(1, "target").standard_normal(len(agent.nets.target), dtype=np.float32) * np.float32(
        0.1
    )
    wanted = twin(agent, given)
    agent.train(given, generator(0, "unused"))
    for name, found in (*agent.nets.arrays().items(), ("value", agent._value)):
        if name in wanted:
            np.testing.assert_allclose(found, wanted[name], atol=2e-5, err_msg=name)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_fitting_a_squashed_gaussian_has_the_gradient_of_its_loss(seed):
    rng = np.random.default_rng(seed)
    output, actions = rng.normal(0, 2, (5, 4)).astype(np.float32), rng.uniform(-1, 1, (5, 2)).astype(np.float32)
    weights, out = rng.random(5, dtype=np.float32), np.empty((5, 4), np.float32)
    loss = fit_squashed(output, unsquashed(actions), weights, out)
    made = torch.tensor(output, dtype=torch.float64, requires_grad=True)
    mean, raw = made.chunk(2, dim=1)
    std = raw.clamp(float(LOWEST), float(HIGHEST)).exp()
    wanted = torch.tensor(np.arctanh(np.clip(actions, -EDGE, EDGE)), dtype=torch.float64)
    slow = (((wanted - mean) / std) ** 2 / 2 + std.log()).sum(1)
    (slow * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(loss, slow.detach(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(out, made.grad, rtol=1e-3, atol=1e-3)


def test_logged_episodes_from_arrays_become_transitions():
    here = world(POINT_MASS, 1)
    seen = np.arange(14, dtype=np.float32).reshape(7, 2)
    done = np.arange(5, dtype=np.float32)[:, None] / 5
    episodes = [
        Episode(seen[:3], done[:2], terminated=True, rewards=np.array([1.0, 2.0])),  # with what the last action led to
        Episode(seen[3:6], done[2:]),  # without: its last step leads nowhere that is known
    ]
    learner = OfflineLearner(IQLAgent(SMALL, here, 0), here, "")
    learner.take_up(Logged.of(here.layout, episodes))
    np.testing.assert_array_equal(here.behaviour.episodes[:, 0], [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(here.behaviour.rewards[:, 0], [1, 2, 0, 0, 0])
    learner.set_reward(first_entry)
    found = learner._replay.sample(generator(0, "sample"), 1, 200)
    triples = {
        (float(s[0]), float(f[0]), float(c))
        for s, f, c in zip(found.observations[0], found.following[0], found.continues[0], strict=True)
    }
    assert triples == {(0.0, 2.0, 1.0), (2.0, 4.0, 0.0), (6.0, 8.0, 1.0), (8.0, 10.0, 1.0)}


@pytest.mark.parametrize(
    "episodes",
    [
        [],
        [Episode(np.zeros((3, 5), np.float32), np.zeros((3, 1)))],
        [Episode(np.zeros((1, 2), np.float32), np.zeros((3, 1)))],
    ],
    ids=["none", "width", "length"],
)
def test_arrays_that_do_not_fit_are_refused(episodes):
    with pytest.raises(LearningError, match=r"logged episode"):
        Logged.of(world(POINT_MASS).layout, episodes)


def test_logged_files_are_read_with_their_ends(tmp_path):
    whole = logged()
    folder = tmp_path / "checkpoints" / "ck_1"
    folder.mkdir(parents=True)
    here = world(POINT_MASS)
    learner = make_learner(PolicyConfig(sac=SACConfig(net=(8, 8))), here, 0)
    learner.explore(200, 1)
    learner.save(folder)
    here.behaviour.save(folder / "behaviour.safetensors")
    for place in (tmp_path, folder, folder / "behaviour.safetensors"):
        found = Logged.read(place, here.layout)
        np.testing.assert_array_equal(found.behaviour.observations, whole.behaviour.observations)
        for name in whole.ends:
            np.testing.assert_array_equal(found.ends[name], whole.ends[name])
    (folder / "policy.json").unlink()
    assert not Logged.read(tmp_path, here.layout).ends
    with pytest.raises(WorldError, match="no logged behaviour"):
        Logged.read(tmp_path / "elsewhere", here.layout)
    with pytest.raises(WorldError, match="does not fit this world"):
        Logged.read(tmp_path, world(GRID).layout)
    (folder / "behaviour.safetensors").write_bytes(b"no such file")
    with pytest.raises(WorldError, match="cannot be read"):
        Logged.read(tmp_path, here.layout)


def test_behaviour_in_pieces_is_read_whole_and_newest(tmp_path):
    log = logged(steps=4400)
    written = Behaviour(log.behaviour.envs, log.behaviour.layout)
    written.take(log.behaviour)
    for name, rows in (("0", 1030), ("1", 1100)):
        part = Behaviour(written.envs, written.layout)
        part.take(written)
        part._length = rows
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
        part.save(tmp_path / "checkpoints" / name / "behaviour.safetensors", tmp_path / "behaviour")
    for path in (tmp_path, tmp_path / "checkpoints" / "1" / "behaviour.safetensors"):
        found = Logged.read(path, written.layout).behaviour
        np.testing.assert_array_equal(found.observations, written.observations)
    other = logged(steps=4400).behaviour
    found.take(other)  # what was loaded in pieces is forgotten
    found.save(tmp_path / "again.safetensors", tmp_path / "behaviour")
    again = Behaviour(other.envs, other.layout)
    again.load(tmp_path / "again.safetensors", tmp_path / "behaviour")
    np.testing.assert_array_equal(again.observations, other.observations)


def test_other_worlds_and_missing_logs_are_refused():
    with pytest.raises(WorldError, match=r"number of environments.*world.envs = 4"):
        OfflineLearner(IQLAgent(SMALL, world(POINT_MASS, 2), 0), world(POINT_MASS, 2), "").take_up(logged())
    with pytest.raises(ConfigError, match=r"policy\.iql\.logged"):
        make_learner(PolicyConfig(iql=SMALL), world(POINT_MASS), 0).explore(8, 0)
    with pytest.raises(ConfigError, match="continuous"):
        make_learner(PolicyConfig(iql=SMALL), world(GRID), 0)
    with pytest.raises(ConfigError, match="expectile"):
        IQLConfig(expectile=1.0)


def test_same_bits_after_save_and_restore_and_no_step_is_taken(tmp_path):
    log = logged()
    whole = OfflineLearner(IQLAgent(SMALL, world(POINT_MASS), 0), world(POINT_MASS), "")
    whole.take_up(log)
    whole.set_reward(first_entry)
    whole.improve(64, 1, Unwatched())
    whole.save(tmp_path)
    whole.world.behaviour.save(tmp_path / "behaviour.safetensors")
    resumed = OfflineLearner(IQLAgent(SMALL, world(POINT_MASS), 9), world(POINT_MASS), "")
    resumed.world.behaviour.load(tmp_path / "behaviour.safetensors")
    resumed.restore(tmp_path)
    for learner in (whole, resumed):
        learner.set_reward(first_entry)
        learner.improve(64, 2, Unwatched())
    assert resumed.version == whole.version
    assert len(whole.world.behaviour) == len(log.behaviour)


def test_monitor_stops_rolls_back_and_divergence_is_told():
    def learner(rate: float = 1e-3) -> OfflineLearner:
        found = OfflineLearner(
            IQLAgent(IQLConfig(net=(8,), batch_size=8, learning_rate=rate), world(POINT_MASS), 0), world(POINT_MASS), ""
        )
        found.take_up(logged())
        found.set_reward(first_entry)
        return found

    stopped, listener = learner(), Listener(Signal.STOP)
    stopped.improve(5000, 1, listener)
    assert [step for step, _ in listener.heard] == [1000]
    back = learner()
    before = back.version
    back.improve(1000, 1, Listener(Signal.ROLL_BACK))
    assert back.version == before
    wild = learner(1e25)
    before = wild.version
    with pytest.raises(LearningError, match="not finite"):
        wild.improve(1000, 1, Unwatched())
    assert wild.version == before


def test_export_opens_as_sac(tmp_path):
    learner = learn_offline(
        IQLAgent(SMALL, world(POINT_MASS), 0), world(POINT_MASS), logged(), first_entry, updates=40, seed=0
    )
    learner.export(tmp_path / "policy.zip")
    seen = np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)
    model = stable_baselines3.SAC.load(tmp_path / "policy.zip")
    np.testing.assert_allclose(model.predict(seen, deterministic=True)[0], learner.act(seen), atol=1e-5)


def pendulum_reward(batch):
    """The true reward of Pendulum, as a learned one would come."""
    seen = batch.observations.astype(np.float64)
    force = np.clip(batch.actions[..., 0], -2, 2).astype(np.float64)
    return -(np.arctan2(seen[..., 1], seen[..., 0]) ** 2 + 0.1 * seen[..., 2] ** 2 + 0.001 * force**2)


@pytest.mark.slow
@pytest.mark.learning
def test_beats_cloning_on_episodes_of_mixed_quality():
    """A third of the steps is random, the rest comes from a policy that is still learning; its copy swings no pendulum up."""
    here = world("Pendulum-v1", 4)
    teacher = make_learner(PolicyConfig(), here, 0)
    teacher.explore(1600, 0)
    teacher.set_reward(pendulum_reward)
    for round_ in range(3):
        teacher.improve(1000, round_ + 1, Unwatched())
    log = Logged(here.behaviour, teacher._replay.arrays())
    copy = make_learner(PolicyConfig(), world("Pendulum-v1", 4), 0)
    clone(copy, *log.steps(), CloneConfig(), seed=0)
    agent = IQLAgent(IQLConfig(), world("Pendulum-v1", 4), 0)
    learner = learn_offline(agent, world("Pendulum-v1", 4), log, pendulum_reward, updates=6000, seed=0)
    cloned, learned = (evaluate(here.config, policy, 20, 0).returns.mean() for policy in (copy, learner))
    assert learned > cloned + 400
    assert learned > -500
