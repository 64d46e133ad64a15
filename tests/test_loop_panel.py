"""Several annotators in a run: who is dealt what, gold and repeats among the questions, and who is asked no more."""

from collections import Counter

import numpy as np
import pytest

from plaudit.ask.panel import AnnotatorConfig, Check, History, deal, gold_checks, repeat_checks
from plaudit.errors import ConfigError, RecordError, RunError
from plaudit.loop import Run
from plaudit.loop.config import RunConfig
from plaudit.loop.panel import counted
from plaudit.quality.audit import audit
from plaudit.quality.gold import GoldTest, SequentialConfig, Verdict, read_gold, sequential_test
from plaudit.quality.repeats import Repeats
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Comparison, Query, QueryKind, to_json
from plaudit.run.config import from_table
from plaudit.store.store import Store
from tests.loop_examples import LatePeople, fingerprint, finish_interrupted, small

NAMES = ("ann", "bob", "cid")
GOLD = {
    "annotators": [{"name": name, "teacher": {"temperature": 0.5}} for name in NAMES[:2]] + [{"name": "spam", "teacher": {"lapse": 1.0}}],
    "labels": 30,
    "schedule": "constant",
    "last_at": 1.0,
    "gold_share": 0.3,
    "gold_from": "true",
    "repeat_share": 0.2,
    "overlap": 2,
}  # fmt: skip


def questions(count, round_=0):
    return [Query(QueryKind.COMPARISON, (f"a{i}", f"b{i}"), (0, 1), round_, i, "uniform") for i in range(count)]


def answer(query, name, choice=Choice.FIRST):
    return Comparison(id=f"{query.id}/{name}", query=query.id, annotator=name, choice=choice)


def test_profiles_without_traits_are_what_they_always_were():
    plain = AnnotatorProfile("ann", AnnotatorKind.PERSON)
    assert to_json(plain) == {"id": "ann", "kind": "person", "description": ""}
    full = AnnotatorProfile("ann", AnnotatorKind.PERSON, traits={"region": "north"}, cluster="agency", weight=2.0)
    assert to_json(full)["traits"] == {"region": "north"}
    for wrong in ({"traits": {"region": ""}}, {"traits": {"age": 3}}, {"weight": 0.0}):
        with pytest.raises(RecordError):
            AnnotatorProfile("ann", AnnotatorKind.PERSON, **wrong)


@pytest.mark.parametrize(("people", "overlap"), [(3, 1), (3, 2), (4, 2), (7, 3), (2, 5)])
def test_dealing_is_balanced_and_a_function_of_the_number(people, overlap):
    names = [f"n{i}" for i in range(people)]
    dealt = deal(range(120), names, overlap, seed=3)
    each = Counter(name for who in dealt for name in who)
    assert all(len(set(who)) == min(people, overlap) for who in dealt)
    assert max(each.values()) - min(each.values()) <= 1
    pairs = Counter(frozenset((a, b)) for who in dealt for a in who for b in who if a < b)
    assert not pairs or max(pairs.values()) - min(pairs.values()) <= 2
    assert deal([70, 5, 70], names, overlap, seed=3) == [dealt[70], dealt[5], dealt[70]]
    if people > overlap:
        assert len({tuple(deal(range(6), names, overlap, seed=seed)) for seed in range(9)}) > 1


def test_gold_goes_to_those_of_whom_least_is_known_and_who_have_not_seen_it():
    asked = questions(4)
    history = History.of(asked, [answer(asked[0], "ann"), answer(asked[1], "bob")])
    bank = {query.id: Choice.SECOND for query in asked[:2]}
    tests = {"ann": sequential_test([True] * 3, SequentialConfig()), "cid": GoldTest(Verdict.PASSED, 12, 12, (), 10)}
    given = gold_checks(bank, history, tests, names=NAMES, overlap=1, count=4, seed=0)
    # bob has answered none, so he is first until he has as many as ann; cid has passed
    assert [check.annotators for check in given] == [("bob",)] * 3 + [given[3].annotators]
    assert given[3].annotators in {("ann",), ("bob",)}
    assert given[0] == Check(asked[0], ("bob",), Choice.SECOND)  # he answered the other one himself
    assert given == gold_checks(bank, history, tests, names=NAMES, overlap=1, count=4, seed=0)
    passed = dict.fromkeys(NAMES, tests["cid"])
    assert gold_checks(bank, history, passed, names=NAMES, overlap=1, count=4, seed=0) == []
    assert gold_checks({}, history, tests, names=NAMES, overlap=1, count=4, seed=0) == []
    assert {check.annotators for check in gold_checks(bank, history, {}, names=(), overlap=1, count=2, seed=0)} == {()}


def test_repeats_go_back_to_who_answered_and_to_what_was_repeated_least():
    asked = questions(3)
    again = Query(QueryKind.COMPARISON, asked[0].segments, (1, 0), 1, 0, "uniform")
    history = History.of([*asked, again], [answer(asked[0], "ann"), answer(asked[1], "bob"), answer(asked[1], "cid")])
    found = repeat_checks(history, names=("ann", "bob"), people=False, count=5, seed=0)
    assert [(check.question, check.annotators) for check in found] == [(asked[1], ("bob",)), (asked[0], ("ann",))]
    assert [check.annotators for check in repeat_checks(history, names=(), people=True, count=5, seed=0)] == [(), ()]
    assert history.new == {query.id for query in asked}


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    path = tmp_path_factory.mktemp("gold") / "run"
    with Run.create(small(**GOLD), path) as run:
        run.finish()
    return path


def test_a_run_asks_gold_and_repeats_that_nothing_tells_apart(checked):
    metrics = [m for m in fingerprint(checked)["metrics"] if "ask/gold" in m]
    assert [m["ask/asked"] for m in metrics] == [10, 10, 10]
    assert [(m["ask/gold"], m["ask/repeats"]) for m in metrics] == [(0, 0), (3, 2), (3, 2)]
    with Store.open(checked / "store.sqlite") as store:
        queries, gold = store.queries(), read_gold(store)
        answers = [one for _, one in store.feedback()]
        found = audit(store)
    assert [query.index for query in queries] == list(range(10)) * 3
    assert {tuple(sorted(to_json(query))) for query in queries} == {
        tuple(sorted(to_json(query))) for query in queries if query.round == 1 and query.id not in gold
    } | {tuple(sorted(to_json(query))) for query in queries if query.round == 0}
    places = [query.index for query in queries if query.id in gold]
    assert places != sorted(places) or max(places) < 9
    assert len(gold) == 6
    per_query = Counter(one.query for one in answers)
    new = History.of(queries, ()).new
    assert {per_query[query.id] for query in queries if query.id in new} == {2}
    each = Counter(one.annotator for one in answers if one.query in new)
    assert max(each.values()) - min(each.values()) <= 2
    assert {one.name: isinstance(one.gold, GoldTest) for one in found.annotators} == dict.fromkeys(
        ("ann", "bob", "spam"), True
    )
    assert isinstance(found.repeats, Repeats)


def test_the_reward_learns_from_new_questions_only(checked):
    fits = [m for m in fingerprint(checked)["metrics"] if "reward/labels_left_out" in m]
    given = [m["ask/labels_total"] for m in fingerprint(checked)["metrics"] if "ask/labels_total" in m]
    assert [m["reward/labels"] + m["reward/labels_left_out"] for m in fits] == given
    assert fits[0]["reward/labels_left_out"] == 0
    assert fits[-1]["reward/labels"] == 40  # 10 + 5 + 5 new questions, two answers each


def test_it_comes_to_the_same_bits_after_stopping_anywhere(checked, tmp_path, monkeypatch):
    path, tried, original = tmp_path / "run", set(), Store.append_many

    def dying(store, items):
        keys = tuple(key for _, _, key in items)
        positions = original(store, items)
        if keys not in tried and len(tried) < 40 and items[0][0] != "run.created":
            tried.add(keys)
            if len(tried) % 3 == 0:
                raise KeyboardInterrupt
        return positions

    Run.create(small(**GOLD), path).close()
    monkeypatch.setattr(Store, "append_many", dying)
    died = finish_interrupted(path)
    assert died > 5
    assert fingerprint(path) == fingerprint(checked)


def test_people_are_asked_gold_and_repeats_and_a_replay_comes_to_the_same_bits(tmp_path):
    config = small(
        people=True, patience_seconds=0.4, labels=12, last_at=1.0, gold_share=0.3, gold_from="true", repeat_share=0.3
    )
    people = LatePeople(tmp_path / "live" / "store.sqlite", leave=0)
    people.start()
    with Run.create(config, tmp_path / "live") as run:
        run.finish()
    people.stop()
    live = fingerprint(tmp_path / "live")
    asked = [(m["ask/gold"], m["ask/repeats"]) for m in live["metrics"] if "ask/gold" in m]
    assert sum(gold for gold, _ in asked) > 0
    assert sum(repeats for _, repeats in asked) > 0
    with Run.create(config, tmp_path / "replayed", replay=tmp_path / "live") as run:
        run.finish()
    assert fingerprint(tmp_path / "replayed")["metrics"] == live["metrics"]
    assert fingerprint(tmp_path / "replayed")["checkpoints"] == live["checkpoints"]


def test_what_three_annotators_agree_on_becomes_gold(tmp_path):
    ask = {"annotators": [{"name": name, "teacher": {"temperature": 0.1}} for name in NAMES], "overlap": 3}
    with Run.create(small(labels=24, last_at=1.0, gold_share=0.25, **ask), tmp_path / "run") as run:
        run.finish()
    with Store.open(tmp_path / "run" / "store.sqlite") as store:
        gold, queries = read_gold(store), {query.id: query for query in store.queries()}
        returns = {
            name: store.segment_data(one).true_rewards.sum()
            for name, one in store.segments([s for id_ in gold for s in queries[id_].segments]).items()
        }
    assert gold
    for id_, choice in gold.items():
        first, second = (returns[name] for name in queries[id_].segments)
        assert choice is (Choice.FIRST if first > second else Choice.SECOND)


def test_whoever_is_stopped_is_asked_no_more_and_forgotten(tmp_path):
    # a test that stops at the first wrong answer
    hasty = {**GOLD, "overlap": 1, "repeat_share": 0.0, "gold_test": {"bad": 0.05, "good": 0.999, "false_alarm": 0.4}}
    with Run.create(small(**hasty), tmp_path / "run") as run:
        run.finish()
        store, context = run.store, run._context
        stopped = [m["ask/stopped"] for m in fingerprint(tmp_path / "run")["metrics"] if "ask/stopped" in m]
        assert stopped[-1] >= 1
        answers = [one for _, one in store.feedback()]
        names = {one.annotator for one in counted(context, answers)}
        assert "spam" not in names
        rounds = {query.id: query.round for query in store.queries()}
        gone = next(round_ for round_, count in enumerate(stopped) if count)
        later = {one.annotator for one in answers if rounds[one.query] > gone}
        assert len(later) == 3 - stopped[gone] if gone < 2 else not later
        context.config = small(**{**hasty, "screen": False})
        assert {one.annotator for one in counted(context, answers)} == {"ann", "bob", "spam"}


def test_a_run_whose_annotators_all_fail_says_so(tmp_path):
    ask = {**GOLD, "annotators": [{"name": "spam", "teacher": {"mistake": 1.0}}], "overlap": 1, "labels": 60}
    with Run.create(small(**ask), tmp_path / "run") as run, pytest.raises(RunError, match="stopped every annotator"):
        run.finish()


@pytest.mark.parametrize(
    "ask",
    [
        {"annotators": [{"name": "a"}, {"name": "a"}]},
        {"annotators": [{"name": "a"}], "people": True},
        {"overlap": 2},
        {"overlap": 0},
        {"gold_share": -0.1},
        {"gold_share": 0.5, "repeat_share": 0.5},
        {"repeat_share": 0.1, "lists": 1},
        {"gold_share": 0.1, "kind": "rating", "teacher": {"low": 0.0, "high": 1.0}},
    ],
)
def test_settings_that_do_not_fit_are_refused(ask):
    with pytest.raises(ConfigError):
        small(**ask)


def test_annotators_carry_what_the_run_file_says():
    made = AnnotatorConfig("ann", traits={"region": "north"}, cluster="agency", weight=2.0).annotator(3)
    assert (made.profile.id, made.profile.traits, made.profile.cluster) == ("ann", {"region": "north"}, "agency")
    assert made.profile.weight == 2.0


def toy(seed, **ask):
    """Two good annotators and one who answers at random judge a point mass."""
    good = {"temperature": 0.05}
    crowd = [
        {"name": "ann", "teacher": good},
        {"name": "bob", "teacher": good},
        {"name": "spam", "teacher": {"lapse": 1.0}},
    ]
    return from_table(
        RunConfig,
        {
            "seed": seed,
            "world": {"id": "plaudit.worlds.toy:PointMass", "envs": 4},
            "ask": {
                "labels": 96,
                "segment_length": 10,
                "schedule": "constant",
                "last_at": 1.0,
                "annotators": crowd,
                **ask,
            },
            "policy": {"sac": {"net": [8, 8]}},
            "reward": {"members": 3, "steps": 150, "hidden": [16, 16]},
            "loop": {"steps": 1000, "warmup": 800, "rounds": 4},
            "check": {"episodes": 1, "episodes_between": 1, "videos": False},
        },
    )


def right_order(run):
    """Share of pairs of segments that the reward orders as the true returns do."""
    behaviour = run.world.behaviour
    cuts = behaviour.cut(10, 200, np.random.default_rng(0))
    learned = run.reward.score(behaviour.batch(cuts, 10)).mean
    true = np.array([behaviour.data(cut, 10).true_rewards.sum() for cut in cuts])
    i, j = np.triu_indices(len(true), 1)
    return float(np.mean((learned[i] > learned[j]) == (true[i] > true[j])))


@pytest.mark.slow
def test_gold_and_screening_make_the_reward_more_accurate(tmp_path):
    gained, stopped = [], []
    for seed in range(3):
        found = {}
        for screen in (True, False):
            config = toy(seed, gold_share=0.4, gold_from="true", screen=screen)
            with Run.create(config, tmp_path / f"{seed}{screen}") as run:
                run.finish()
                found[screen] = right_order(run)
            if screen:
                last = [
                    m["ask/stopped"] for m in fingerprint(tmp_path / f"{seed}True")["metrics"] if "ask/stopped" in m
                ]
                stopped.append(last[-1])
        gained.append(found[True] - found[False])
    assert max(stopped) == 1  # the spammer alone
    assert sorted(gained)[1] > 0.03
