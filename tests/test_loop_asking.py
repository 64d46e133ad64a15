"""Asking within the loop: candidates, strategies, ranked lists; stopped, replayed and late."""

import dataclasses

import numpy as np
import pytest

from plaudit.ask import Background, Strategy, propose
from plaudit.ask.lists import INSERTION, RankedList
from plaudit.errors import ConfigError
from plaudit.loop import Run
from plaudit.loop.asking_lists import first_choices, lists_of
from plaudit.loop.candidates import cut_points, newest_stretches, places_of
from plaudit.loop.config import labels_per_round
from plaudit.records import Choice, Comparison, Query, QueryKind, StepBatch
from plaudit.reward.collate import collate
from plaudit.reward.config import RewardConfig
from plaudit.reward.fit import fit
from plaudit.reward.likelihood import AnswerModel
from plaudit.store.store import Store
from plaudit.worlds.behaviour import Behaviour, Cut, Layout
from plaudit.worlds.config import WorldConfig
from tests.loop_examples import LatePeople, fingerprint, finish_interrupted, small
from tests.reward_examples import Library, agreement, quadratic

LISTS = {"lists": 2, "labels": 21, "last_at": 1.0}


def finish(path, **ask):
    with Run.create(small(**ask), path) as run:
        run.finish()
    return fingerprint(path)


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    path = tmp_path_factory.mktemp("lists") / "run"
    finish(path, **LISTS)
    return path


def test_lists_end_in_the_order_of_the_true_returns(listed):
    with Store.open(listed / "store.sqlite") as store:
        queries, last = store.queries(), store.head()[0]
        found = lists_of(store, queries, upto=last)
        returns = {
            name: store.segment_data(one).true_rewards.sum() for name, one in store.segments(found.segments).items()
        }
        places = [(one.episode, one.start) for one in store.segments(found.segments).values()]
        answers = first_choices(store, upto=last)
    # the teacher of these runs is nearly exact: its noise is small beside the returns of Pendulum
    assert len(found.lists) == 2
    for ranked in found.lists:
        order = [returns[name] for name in ranked.segments]
        assert np.corrcoef(order, np.sort(order))[0, 1] > 0.99
    assert len(set(places)) == len(places)
    assert len(queries) == len(answers) == 21
    assert {query.strategy for query in queries} == {"insertion"}
    assert all(query.propensity is None and query.score is None for query in queries)


def test_lists_are_counted_honestly(listed):
    metrics = [m for m in fingerprint(listed)["metrics"] if "ask/list_asked" in m]
    assert [m["ask/list_asked"] for m in metrics] == [m["ask/labels_total"] for m in metrics]
    assert sum(m["ask/asked"] for m in metrics) == metrics[-1]["ask/list_asked"] == 21
    assert metrics[-1]["ask/list_lower_bound"] <= 21
    fits = [m["reward/labels"] for m in fingerprint(listed)["metrics"] if "reward/labels" in m]
    assert fits[-1] == 21


def test_lists_are_the_same_after_stopping_anywhere(listed, tmp_path, monkeypatch):
    path, tried, original = tmp_path / "run", set(), Store.add_feedback

    def dying(store, answers):
        first_try = answers[0].id not in tried
        tried.add(answers[0].id)
        if first_try and len(tried) % 4 == 1:
            raise KeyboardInterrupt
        positions = original(store, answers)
        if first_try and len(tried) % 4 == 3:
            raise KeyboardInterrupt
        return positions

    Run.create(small(**LISTS), path).close()
    monkeypatch.setattr(Store, "add_feedback", dying)
    died = finish_interrupted(path)
    assert died > 3
    assert fingerprint(path) == fingerprint(listed)


def test_lists_with_late_people_replay_and_rebuild_to_equal_bits(tmp_path):
    config = small(people=True, patience_seconds=0.4, lists=3, labels=15, last_at=1.0)
    people = LatePeople(tmp_path / "live" / "store.sqlite")
    people.start()
    with Run.create(config, tmp_path / "live") as run:
        run.finish()
    people.stop()
    live = fingerprint(tmp_path / "live")
    asked = [m["ask/asked"] for m in live["metrics"] if "ask/asked" in m]
    assert (
        2 < sum(asked) <= 15
    )  # one question waits at any time, so turns end early, and lists go on when its answer came
    with Run.create(config, tmp_path / "replayed", replay=tmp_path / "live") as run:
        run.finish()
    replayed = fingerprint(tmp_path / "replayed")
    assert replayed["checkpoints"] == live["checkpoints"]
    assert replayed["metrics"] == live["metrics"]
    for name in live["checkpoints"][-5:]:
        for file in (tmp_path / "live" / "checkpoints" / name).iterdir() if name else ():
            file.write_bytes(b"damaged")
    with Run.open(tmp_path / "live", rebuild=True) as run:
        run.finish()
    assert fingerprint(tmp_path / "live") == live


def test_lists_without_implied_pairs_fit_differently_but_ask_the_same_at_first(listed, tmp_path):
    other = finish(tmp_path / "run", **LISTS, list_weight=0.0)
    assert other["checkpoints"] != fingerprint(listed)["checkpoints"]
    assert other["metrics"][1] == fingerprint(listed)["metrics"][1]


@pytest.mark.parametrize(
    "ask",
    [
        {"strategy": "k-centre"},
        {"strategy": "disagreement+k-centre", "space": "reward"},
        {"strategy": "entropy", "kind": "rating", "teacher": {"low": -16.0, "high": 0.0}},
        {"strategy": "entropy+k-centre", "kind": "steps", "teacher": {"low": -16.0, "high": 0.0}, "newest_episodes": 1},
    ],
    ids=lambda ask: ask["strategy"],
)
def test_every_strategy_runs_and_says_so(tmp_path, ask):
    finish(tmp_path / "run", last_at=1.0, **ask)
    with Store.open(tmp_path / "run" / "store.sqlite") as store:
        queries = store.queries()
    assert {query.strategy for query in queries if query.round == 0} == {"uniform+k-centre"}
    later = [query for query in queries if query.round > 0]
    assert {query.strategy for query in later} == {ask["strategy"]}
    assert all(query.propensity is None and query.score is not None for query in later)


def behaviour(*columns):
    """Episode numbers of each environment, one column each."""
    numbers = np.array(columns).T
    found = Behaviour(len(columns), Layout(1, (), 2, None))
    for row, now in enumerate(numbers):
        starts = np.ones(len(columns), dtype=bool) if row == 0 else now != numbers[row - 1]
        zeros = np.zeros(len(columns))
        found.append(
            np.zeros((len(columns), 1), np.float32), zeros.astype(np.int64),
            rewards=zeros, starts=starts, seeds=zeros.astype(np.int32), simulator=None,
        )  # fmt: skip
    return found


def test_candidates_of_the_newest_episodes_by_hand():
    # environment 0: episodes of 4 and 2 steps; environment 1: of 3, 2 and 1
    found = behaviour([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 2])
    assert newest_stretches(found, 2, 1, least=1) == [Cut(0, 4)]
    assert newest_stretches(found, 2, 2, least=1) == [Cut(1, 3), Cut(0, 4)]
    # one more episode holds a second stretch, and the next, the long one, makes five
    assert newest_stretches(found, 2, 1, least=3) == [Cut(0, 0), Cut(0, 1), Cut(0, 2), Cut(1, 3), Cut(0, 4)]
    assert len(newest_stretches(found, 2, 9, least=1)) == 3 + 1 + 2 + 1
    assert newest_stretches(found, 5, 3, least=1) == []
    assert newest_stretches(found, 7, 3, least=1) == []


def test_questions_are_about_the_newest_episodes_only(tmp_path):
    finish(tmp_path / "run", last_at=1.0, newest_episodes=1, strategy="uniform", segment_length=10)
    with Store.open(tmp_path / "run" / "store.sqlite") as store:
        for round_ in range(3):
            names = [name for query in store.queries(round_) for name in query.segments]
            assert len({segment.episode for segment in store.segments(names).values()}) == 1


def test_k_centre_covers_a_toy_world_better_than_uniform(tmp_path):
    config = small(segment_length=10)
    toy = dataclasses.replace(config, world=WorldConfig(id="plaudit.worlds.toy:PointMass", envs=2))
    with Run.create(toy, tmp_path / "run") as run:
        run.step()
        behaviour = run.world.behaviour
        cuts = behaviour.cut(10, 120, np.random.default_rng(0))
        places = places_of(behaviour.batch(cuts, 10)).astype(np.float64)

    def radius(strategy, seed):
        asked = propose(
            strategy, 120, np.zeros((2, 120)), kind=QueryKind.RATING, count=12,
            rng=np.random.default_rng(seed), background=Background(places=places),
        )  # fmt: skip
        standard = places / places.std(axis=0)
        centres = standard[[proposal.indices[0] for proposal in asked]]
        return np.linalg.norm(standard[:, None] - centres, axis=-1).min(axis=1).max()

    uniform = [radius(Strategy.UNIFORM, seed) for seed in range(20)]
    assert max(radius(Strategy.K_CENTRE, seed) for seed in range(5)) < min(uniform)


def test_places_are_mean_and_spread_over_the_steps_that_count():
    observations = np.array([[[1.0], [3.0], [9.0]]], np.float32)
    actions = np.array([[[0.0], [4.0], [9.0]]], np.float32)
    batch = StepBatch(observations, actions, np.array([[True, True, False]]))
    assert places_of(batch).tolist() == [[2.0, 1.0, 2.0]]


def test_cut_points_come_from_the_fitted_annotators():
    model = AnswerModel(thresholds=(0.7, 1.5), cuts={"3": [-1.0, 2.0]}, step_cut=0.25)
    ask = small().ask
    assert cut_points(model, ask) == (-0.7, 0.7)
    assert cut_points(AnswerModel(), ask) == (0.0,)
    assert cut_points(model, dataclasses.replace(ask, kind=QueryKind.RATING, levels=3)) == (-1.0, 2.0)
    assert cut_points(model, dataclasses.replace(ask, kind=QueryKind.STEPS)) == (0.25,)


def test_labels_per_round_follow_the_schedule():
    assert labels_per_round(small(labels=9, last_at=1.0, schedule="constant")) == [3, 3, 3]
    assert labels_per_round(small(labels=9, last_at=1.0, schedule="small", session=5)) == [5, 4, 0]
    assert labels_per_round(small(labels=9, last_at=0.7, schedule="growing")) == [3, 6, 0]


@pytest.mark.parametrize(
    "ask",
    [
        {"lists": -1},
        {"list_weight": -0.1},
        {"newest_episodes": 0},
        {"session": 0},
        {"lists": 1, "kind": "rating"},
        {"schedule": "small", "session": 4},
    ],
)
def test_settings_that_do_not_fit_are_refused(ask):
    with pytest.raises(ConfigError, match=r"\[ask\]|Ranked lists|small sessions"):
        small(**ask)


@pytest.mark.slow
@pytest.mark.learning
def test_a_ranked_list_teaches_more_than_as_many_independent_pairs():
    # 150 error-free comparisons each, paired seeds; the reward is a quadratic of three observations and two actions
    found = {"pairs": [], "list": []}
    for seed in range(6):
        for name, answers in (("pairs", independent), ("list", listed_answers)):
            rng, library = np.random.default_rng(seed), Library(quadratic)
            data = collate(answers(library, rng, 150), library, implied_weight=0.5)
            reference = library.reference(np.random.default_rng(1000 + seed))
            model = fit(data, config=RewardConfig(), seed=seed, reference=reference).model
            found[name].append(agreement(model, library, 400, np.random.default_rng(5000 + seed)))
    gain = np.array(found["list"]) - np.array(found["pairs"])
    assert gain.mean() > 2 * gain.std() / np.sqrt(len(gain)) > 0


def independent(library, rng, count):
    return library.comparisons(count, rng)


def listed_answers(library, rng, count):
    """Error-free answers that insert random segments into one list."""
    ranked, answers = RankedList([[library.draw(rng)]]), []
    while len(answers) < count:
        if ranked.segment is None:
            ranked.insert(library.draw(rng))
        first, second = ranked.question()
        better = library.true_return(first) > library.true_return(second)
        choice = Choice.FIRST if better else Choice.SECOND
        query = Query(QueryKind.COMPARISON, (first, second), (0, 1), 0, len(library.asked), INSERTION)
        library.asked.append(query)
        answers.append(Comparison(id=f"f{query.id}", query=query.id, annotator="a", choice=choice))
        ranked.answer(second, choice)
    return answers
