"""Seeking new states: the estimate against a slow twin, the bonuses by hand, and pre-training where chance fails."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plaudit.control.config import PolicyConfig, SACConfig
from plaudit.control.config_offline import ExploreConfig
from plaudit.control.intrinsic import OFFSET, StateEntropy, explored, optimistic, pretrain
from plaudit.control.learner import make_learner
from plaudit.control.rewards import Labels, paid_rows
from plaudit.errors import ConfigError
from plaudit.records import StepBatch
from plaudit.reward.config import RewardConfig, Trunk
from plaudit.run.monitor import Signal, Unwatched
from plaudit.worlds.behaviour import Cut
from tests.control_examples import POINT_MASS, SMALL, Listener, first_entry, small, world


def steps(states) -> StepBatch:
    """Single states [step, entry] as one item."""
    seen = np.asarray(states, np.float32)[None]
    return StepBatch(seen, np.zeros((*seen.shape[:2], 1), np.float32), np.ones(seen.shape[:2], np.bool_))


def slow(reference, states, neighbours):
    """log(c + distance to the k-th nearest other state), one pair at a time, before standardising."""
    scale, found = np.std(np.asarray(reference, np.float64), axis=0), []
    scale = np.where(scale > 0, scale, 1)
    for state in np.asarray(states, np.float64):
        distances = sorted(
            float(np.linalg.norm((state - other) / scale)) for other in np.asarray(reference, np.float64)
        )
        if distances[0] == 0:
            del distances[0]
        found.append(np.log(OFFSET + distances[min(neighbours, len(reference) - 1) - 1]))
    return np.array(found)


def test_three_states_by_hand():
    reference = [[0.0], [1.0], [3.0]]
    spread = np.std([0, 1, 3])
    near, far = np.log(OFFSET + 1 / spread), np.log(OFFSET + 2 / spread)
    raw = np.array([near, near, far])
    bonus = StateEntropy.of(steps(reference), neighbours=1)
    np.testing.assert_allclose(bonus(steps(reference))[0], (raw - raw.mean()) / raw.std(), rtol=1e-9)
    beyond = np.log(OFFSET + 6 / spread)
    np.testing.assert_allclose(bonus(steps([[9.0]]))[0], [(beyond - raw.mean()) / raw.std()], rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(2, 12), st.integers(1, 3)), elements=st.integers(-8, 8).map(float)),
    st.integers(1, 6),
)
def test_equals_its_slow_twin(states, neighbours):
    bonus = StateEntropy.of(steps(states), neighbours=neighbours)
    new = np.concatenate([states[:3], states[:2] + np.float32(0.37)])
    raw = slow(states, states, neighbours)
    spread = raw.std() if raw.std() > 1e-6 else 1.0
    np.testing.assert_allclose(bonus(steps(new))[0], (slow(states, new, neighbours) - raw.mean()) / spread, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.25, 8.0, 1024.0]))
def test_units_and_order_of_the_states_do_not_matter(seed, unit):
    rng = np.random.default_rng(seed)
    states = rng.standard_normal((40, 2)).astype(np.float32)
    found = StateEntropy.of(steps(states), neighbours=5)(steps(states))[0]
    scaled, order = states * np.float32([unit, 1]), rng.permutation(40)
    again = StateEntropy.of(steps(scaled[order]), neighbours=5)(steps(scaled))[0]
    np.testing.assert_allclose(again, found, atol=1e-6)
    assert abs(found.mean()) < 1e-9
    assert found.std() == pytest.approx(1)


def test_states_without_neighbours_or_spread_are_no_news():
    for states in ([[1.0, 2.0]], [[1.0, 2.0]] * 20):
        bonus = StateEntropy.of(steps(states), neighbours=5)
        np.testing.assert_allclose(bonus(steps(states)), np.zeros((1, len(states))), atol=1e-12)


class Model:
    """Three members that differ in how much they like the first entry."""

    config = RewardConfig()

    def per_step(self, batch):
        return np.stack([w * batch.observations[..., 0].astype(np.float64) for w in (0.0, 1.0, 2.0)])


def test_bonuses_by_hand_and_their_half_life():
    members = np.array([[[1.0, 0.0]], [[3.0, 0.0]]])
    np.testing.assert_array_equal(optimistic(members, 0.5), [[2.0 + 0.5, 0.0]])
    np.testing.assert_array_equal(optimistic(members, 0.0), [[2.0, 0.0]])
    here = world("Pendulum-v1", 2)
    make_learner(PolicyConfig(), here, 0).explore(60, 0)
    config = ExploreConfig(uncertainty=0.3, entropy=0.7, half_life=100, neighbours=3)
    batch = here.behaviour.batch(slice(0, 30))
    first = batch.observations[..., 0].astype(np.float64)
    news = StateEntropy.of(here.behaviour.reference(), neighbours=3)(batch)
    for done, left in ((0, 1.0), (100, 0.5), (300, 0.125)):
        wanted = first + 0.3 * left * np.abs(first) * np.sqrt(2 / 3) + 0.7 * left * news
        np.testing.assert_allclose(explored(Model(), config, here.behaviour, done)(batch), wanted, rtol=1e-9)


class Memory(Model):
    """The same of what was seen so far in the item."""

    config = RewardConfig(trunk=Trunk.GRU)

    def per_step(self, batch):
        return np.cumsum(Model.per_step(self, batch), axis=2) * batch.mask


def test_a_reward_that_remembers_is_explored_by_episode_after_episode():
    here = world(POINT_MASS, 2)
    make_learner(PolicyConfig(), here, 0).explore(300, 0)
    behaviour, config = here.behaviour, ExploreConfig(uncertainty=0.3, entropy=0.7, half_life=100, neighbours=3)
    news = StateEntropy.of(behaviour.reference(), neighbours=3)
    wanted = np.zeros(behaviour.episodes.shape)
    for env in range(behaviour.envs):
        for episode in np.unique(behaviour.episodes[:, env]):
            rows = np.flatnonzero(behaviour.episodes[:, env] == episode)
            alone = behaviour.batch([Cut(env, int(rows[0]))], len(rows))
            pays = optimistic(Memory().per_step(alone), 0.3 / 4) + 0.7 / 4 * news(alone)
            wanted[rows, env] = pays[0]
    reward = explored(Memory(), config, behaviour, 200)
    assert behaviour.episodes.max() > 1
    np.testing.assert_allclose(paid_rows(reward, behaviour, slice(0, len(behaviour))), wanted, rtol=1e-9)
    np.testing.assert_allclose(paid_rows(reward, behaviour, slice(70, 90)), wanted[70:90], rtol=1e-9)
    labels = Labels(behaviour)
    labels.set(reward, 0.0)
    np.testing.assert_allclose(labels.values, (wanted - wanted.mean()) / wanted.std(), atol=1e-5)


def test_padding_is_no_news():
    batch = steps([[0.0], [1.0], [3.0], [9.0]])
    bonus = StateEntropy.of(steps([[0.0], [1.0], [3.0]]), neighbours=1)
    shorter = StepBatch(batch.observations, batch.actions, np.array([[True, True, True, False]]))
    np.testing.assert_array_equal(bonus(shorter)[0], [*bonus(batch)[0, :3], 0.0])


def test_new_in_a_world_of_images_is_what_its_thumbnails_show():
    here = world("tests.world_examples:Seen", 1, kind="dict")
    here.reset(0)
    for _ in range(12):
        here.step(np.zeros((1, *here.layout.action), np.int64))
    reference = here.behaviour.reference()
    news = StateEntropy.of(reference, neighbours=2)
    assert reference.pixels is not None
    darkened = StepBatch(reference.observations, reference.actions, reference.mask, 0 * reference.pixels)
    np.testing.assert_array_equal(news(darkened), news(reference))
    assert news(reference).std() == pytest.approx(1)


@pytest.mark.parametrize(
    "wrong", [{"uncertainty": -1.0}, {"entropy": float("nan")}, {"half_life": 0}, {"neighbours": 0}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match="explore"):
        ExploreConfig(**wrong)


def weights(learner) -> dict[str, np.ndarray]:
    arrays = learner._arrays() if hasattr(learner, "_arrays") else learner.agent.arrays()
    return {name: array.copy() for name, array in arrays.items()}


@pytest.mark.parametrize("algorithm", SMALL)
def test_pretraining_keeps_the_policy_and_forgets_the_values(algorithm):
    learner, fresh = small(algorithm), small(algorithm, seed=123)
    learner.explore(64, 1)
    learner.set_reward(first_entry)
    learner.improve(96, 1, Unwatched())
    before, new = weights(learner), weights(fresh)
    seen = np.linspace(-1, 1, 5 * learner.world.layout.observation, dtype=np.float32).reshape(5, -1)
    acts = learner.act(seen)
    learner.reset_critic(123)
    after = weights(learner)
    if algorithm == "dqn":  # its values are its policy
        for name in new:
            np.testing.assert_array_equal(after[name], new[name])
        return
    np.testing.assert_array_equal(learner.act(seen), acts)
    if algorithm in ("sac", "td3"):
        for name in after:
            source = new if name.split(".")[0] in ("critic", "target") else before
            np.testing.assert_array_equal(after[name], source[name])
    else:
        np.testing.assert_array_equal(learner.nets.values(seen), fresh.nets.values(seen))
        assert not any(array.any() for name, array in after.items() if name.endswith((".first", "squares")))
    learner.set_reward(first_entry)
    learner.improve(96, 2, Unwatched())


@pytest.mark.parametrize("algorithm", SMALL)
def test_pretraining_twice_gives_the_same_bits_and_learning_goes_on(algorithm):
    versions = set()
    for _ in range(2):
        learner = small(algorithm)
        learner.explore(64, 1)
        pretrain(learner, 128, 2, neighbours=3, monitor=Unwatched())
        learner.set_reward(first_entry)
        learner.improve(96, 3, Unwatched())
        versions.add((learner.version, len(learner.world.behaviour)))
    assert len(versions) == 1
    assert versions.pop()[1] == (64 + 128 + 96) / 4


def test_pretraining_renews_what_is_new_and_listens_to_its_monitor():
    learner = make_learner(PolicyConfig(sac=SACConfig(net=(8, 8), batch_size=16, utd=0.05)), world("Pendulum-v1", 4), 0)
    learner.explore(400, 0)
    listener, set_ = Listener(Signal.GO, Signal.STOP), []
    kept = learner.set_reward
    learner.set_reward = lambda *given: (set_.append(len(learner.world.behaviour)), kept(*given))
    pretrain(learner, 4000, 1, neighbours=5, monitor=listener)
    assert [step for step, _ in listener.heard] == [1000, 2000]
    assert set_ == [100, 350, 600]


@pytest.mark.learning
def test_pretraining_climbs_the_mountain_that_chance_does_not():
    """Random actions stay in the valley, whose slopes reach from -1.2 to the goal at 0.45."""
    here = world("MountainCarContinuous-v0", 2)
    learner = make_learner(PolicyConfig(sac=SACConfig(utd=0.5)), here, 0)
    learner.explore(2000, 0)
    by_chance = here.behaviour.observations[..., 0].max()
    pretrain(learner, 6000, 0, neighbours=5, monitor=Unwatched())
    assert by_chance < 0
    assert here.behaviour.observations[..., 0].max() > 0.3
