"""Several tasks in one world: which environment does which, what the policy sees, and what is said of each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.ask.sharing import within_tasks
from plaudit.control.config import DQNConfig, PolicyConfig
from plaudit.control.learner import make_learner
from plaudit.errors import ConfigError, WorldError
from plaudit.loop import Run, RunConfig
from plaudit.run.config import from_table
from plaudit.run.monitor import Unwatched
from plaudit.worlds.behaviour import Cut
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.evaluate import evaluate, start_seed
from plaudit.worlds.render import Renderer, task_seen
from plaudit.worlds.vector import VectorWorld
from tests.loop_examples import fingerprint
from tests.test_worlds_evaluate import Zero
from tests.test_worlds_pixels import played

COUNTER = "tests.world_examples:Counter"
LENGTHS = WorldConfig(id=COUNTER, envs=3, tasks=({"length": 3}, {"length": 5}))


def test_environment_i_does_task_i_mod_n_and_sees_which():
    world = played(LENGTHS, 6)
    assert [world.task_of(env) for env in range(3)] == [0, 1, 0]
    assert world.name_of(1) == f"{COUNTER}#length=5"
    np.testing.assert_array_equal(world.behaviour.observations[:, :, 2:], [[[1, 0], [0, 1], [1, 0]]] * 6)
    np.testing.assert_array_equal(world.behaviour.episodes[:, :2].T, [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 1]])


def test_absorbed_stays_the_last_entry():
    config = WorldConfig(id=COUNTER, envs=2, horizon=7, tasks=LENGTHS.tasks)
    behaviour = played(config, 7).behaviour
    np.testing.assert_array_equal(behaviour.observations[:, 0, -1], [0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(behaviour.observations[:, 1, -1], [0, 0, 0, 0, 0, 1, 1])
    assert [task_seen(config, behaviour.observations[5, env]) for env in range(2)] == [0, 1]


def test_options_are_added_and_ids_replace():
    config = WorldConfig(id=COUNTER, options={"length": 2}, tasks=({"truncates": True}, "CartPole-v1"))
    assert config.one_task(0).options == {"length": 2, "truncates": True}
    assert config.one_task(1).id == "CartPole-v1"
    assert config.task_names == ("truncates=true", "CartPole-v1")
    assert WorldConfig().one_task(0) == WorldConfig()


def test_a_run_file_names_tasks():
    table = {"world": {"id": COUNTER, "tasks": [{"length": 3}, "CartPole-v1"]}}
    assert from_table(RunConfig, table).world.tasks == ({"length": 3}, "CartPole-v1")


@pytest.mark.parametrize("tasks", [(), ("A",), ("A", "A"), ({"x": 1}, {"x": 1})])
def test_no_set_of_tasks(tasks):
    with pytest.raises(ConfigError, match=r"names no set of tasks"):
        WorldConfig(tasks=tasks)


def test_more_tasks_than_environments():
    with pytest.raises(ConfigError, match=r"3 world.tasks, 2 world.envs"):
        WorldConfig(envs=2, tasks=("A", "B", "C"))


def test_tasks_with_other_spaces_are_refused():
    with pytest.raises(WorldError, match=r"different spaces.*MountainCar-v0.*CartPole-v1"):
        VectorWorld(WorldConfig(envs=2, tasks=("CartPole-v1", "MountainCar-v0")), 0)


@pytest.mark.parametrize("episodes", [1, 2, 5, 7])
def test_an_evaluation_tells_tasks_apart(episodes):
    found = evaluate(LENGTHS, Zero(), episodes, 0)
    played_ = max(episodes, 2)
    np.testing.assert_array_equal(found.lengths, [(3, 5)[episode % 2] for episode in range(played_)])
    assert found.return_of_task() == {"length=3": 6.0, "length=5": 15.0}
    seeds = [start_seed(0, episode) % 97 for episode in range(played_)]
    np.testing.assert_array_equal(found.batch.observations[:, 0, 0], seeds)


def test_one_task_has_no_returns_by_task():
    assert evaluate(WorldConfig(id=COUNTER, envs=1), Zero(), 2, 0).return_of_task() == {}


def test_a_segment_is_drawn_and_replayed_in_its_own_task():
    config = WorldConfig(id=COUNTER, envs=2, tasks=LENGTHS.tasks)
    data = played(config, 12).behaviour.data(Cut(1, 7), 3)  # three steps of an episode that lasts five
    with Renderer(config) as renderer:
        assert len(renderer.render(data)) == 3


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(0, 20), st.integers(1, 2), st.integers(0, 9))
def test_questions_are_shared_out_within_tasks(tasks, count, segments, first):
    found = within_tasks(tasks, count, segments, first=first)
    if len(set(tasks)) < 2:
        assert [(among.tolist(), share) for among, share in found] == [(list(range(len(tasks))), count)]
        return
    assert all(len({tasks[i] for i in among}) == 1 for among, _ in found)
    room = {number: tasks.count(number) // segments for number in set(tasks)}
    shares = dict.fromkeys(room, 0) | {tasks[among[0]]: share for among, share in found}
    assert sum(shares.values()) == min(count, sum(room.values()))
    assert all(share <= room[number] for number, share in shares.items())
    free = [share for number, share in shares.items() if share < room[number]]
    assert not free or max(shares.values()) - min(free) <= 1


def test_turns_go_round():
    shares = [[share for _, share in within_tasks([0, 0, 1, 1, 2, 2], 4, 1, first=first)] for first in range(3)]
    assert shares == [[2, 1, 1], [1, 2, 1], [1, 1, 2]]


def goals(**world):
    return from_table(
        RunConfig,
        {
            "world": {"id": COUNTER, "envs": 4, "tasks": [{"length": 9}, {"length": 7}], **world},
            "ask": {"labels": 6, "segment_length": 3},
            "policy": {"ppo": {"net": [8, 8], "n_steps": 16, "batch_size": 8}},
            "loop": {"steps": 320, "warmup": 64, "rounds": 2},
            "check": {"episodes": 4},
        },
    )


SLOW = [pytest.param(world, marks=pytest.mark.slow) for world in ({}, {"pixels": 8})]


@pytest.mark.parametrize("world", [{"pixels": 8, "horizon": 12}, *SLOW])
def test_a_run_asks_within_tasks_reports_each_and_resumes(world, tmp_path):
    config = goals(**world)
    with Run.create(config, tmp_path / "whole") as run:
        run.finish()
        queries, names = run.store.queries(), set()
        for query in queries:
            found = run.store.segments(query.segments)
            assert len({found[segment].world for segment in query.segments}) == 1
            names |= {found[segment].world for segment in query.segments}
            for segment in query.segments:
                seen = run.store.segment_data(found[segment]).observations[0]
                assert config.world.task_names[task_seen(config.world, seen)] in found[segment].world
        assert names == {f"{COUNTER}#length=9", f"{COUNTER}#length=7"}
        metrics = [event.payload["metrics"] for event in run.store.events(kinds={"stage.completed"})]
    means = [metrics[-1][f"check/return_mean/{name}"] for name in config.world.task_names]
    assert means == [45.0, 28.0]
    assert metrics[-1]["check/return_mean"] == np.mean(means)
    Run.create(config, tmp_path / "halting").close()
    for _ in range(10):
        with Run.open(tmp_path / "halting") as run:
            run.step()
    with Run.open(tmp_path / "halting") as run:
        run.finish()
    assert fingerprint(tmp_path / "halting") == fingerprint(tmp_path / "whole")


@pytest.mark.learning
@pytest.mark.parametrize(("told", "expected"), [(True, [1.0, 1.0]), (False, [0.0, 1.0])])
def test_one_policy_learns_tasks_that_contradict_each_other_because_it_is_told_which(told, expected):
    config = WorldConfig(id="tests.world_examples:Arms", envs=4, tasks=({"best": 0}, {"best": 1}))
    world = VectorWorld(config, 0)
    learner = make_learner(PolicyConfig(dqn=DQNConfig(net=(16, 16))), world, 0)
    learner.explore(200, 0)
    learner.set_reward(lambda batch: np.zeros(batch.mask.shape), 1.0)
    learner.improve(600, 1, Unwatched())
    act = learner.act
    if not told:
        learner.act = lambda observations, deterministic=True: act(observations * [1, 1, 0, 0], deterministic)
    assert sorted(evaluate(config, learner, 4, 0).return_of_task().values()) == expected


def test_reacher_keeps_its_goals():
    pytest.importorskip("mujoco")
    tasks = ({"goal": [0.1, 0.1]}, {"goal": [-0.1, 0.0]})
    behaviour = played(WorldConfig(id="plaudit.worlds.goals:Reacher", envs=2, tasks=tasks), 60).behaviour
    assert behaviour.episodes[-1].tolist() == [1, 1]
    np.testing.assert_allclose(behaviour.observations[:, 0, 4:6], np.broadcast_to([0.1, 0.1], (60, 2)), rtol=1e-6)
    np.testing.assert_allclose(behaviour.observations[:, 1, 4:6], np.broadcast_to([-0.1, 0.0], (60, 2)), atol=1e-7)
    for first in behaviour.observations[
        [0, 50], 0
    ]:  # what is seen of the arm, with links of 10 and 11 cm, is of one time
        angles = np.arctan2(first[2:4], first[:2])
        links = 0.1 * np.exp(1j * angles[0]) + 0.11 * np.exp(1j * angles.sum())
        np.testing.assert_allclose(first[8:10], [links.real - 0.1, links.imag - 0.1], atol=1e-5)


@pytest.mark.parametrize("goal", [[0.2, 0.1], [0.1], [float("nan"), 0.0]])
def test_goal_out_of_reach(goal):
    with pytest.raises(WorldError, match=r"cannot reach|cannot be made"):
        VectorWorld(WorldConfig(id="plaudit.worlds.goals:Reacher", envs=1, options={"goal": goal}), 0)
