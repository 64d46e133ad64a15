"""A run that asks several kinds of questions: shares, what each shows, that all are learned from, and resuming."""

from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.ask.acquisition import Strategy, disagreement, entropy, propose
from plaudit.ask.cover import distance
from plaudit.ask.mix import ASKED, draw_kind, segments_of, shares_of
from plaudit.ask.teachers import SECONDS_PER_ANSWER
from plaudit.errors import ConfigError
from plaudit.loop import Run
from plaudit.loop.attempts import attempts_of
from plaudit.loop.config import labels_per_round
from plaudit.loop.estimate import estimate
from plaudit.records import QueryKind, brought, is_skip, kind_of
from plaudit.report.gather import gather
from plaudit.reward.collate import collate
from plaudit.store.store import Store
from tests.loop_examples import fingerprint, small

ALL = {kind.value: 1.0 for kind in ASKED}
MIXED = {"mix": ALL, "labels": 36, "last_at": 1.0, "teacher": {"low": -16.3, "high": 0.0}, "segment_length": 10}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    path = tmp_path_factory.mktemp("mixed") / "run"
    with Run.create(small(**MIXED), path) as run:
        run.finish()
    return path


def test_shares_by_hand():
    shares = shares_of({"ranking": 3, "comparison": 5, "rating": 2}, people=False)
    assert shares == {QueryKind.COMPARISON: 0.5, QueryKind.RATING: 0.2, QueryKind.RANKING: 0.3}
    assert next(iter(shares)) is QueryKind.COMPARISON  # whatever the order of the table
    assert small().ask.kinds == {QueryKind.COMPARISON: 1.0}
    assert segments_of(QueryKind.RANKING, 4) == segments_of(QueryKind.DEMONSTRATION, 4) == 4
    assert [segments_of(kind, 4) for kind in ASKED[:3]] == [2, 1, 1]


def test_kinds_come_in_the_shares_that_were_asked_for():
    shares = shares_of({"comparison": 0.5, "ranking": 0.3, "rating": 0.2}, people=False)
    found = Counter(draw_kind(shares, seed, index) for seed in range(20) for index in range(100))
    for kind, share in shares.items():
        assert abs(found[kind] / 2000 - share) < 4 * np.sqrt(share * (1 - share) / 2000)
    assert {draw_kind(shares_of({"steps": 0.1}, people=False), 0, index) for index in range(9)} == {QueryKind.STEPS}


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=6), st.integers(0, 99), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_a_draw_is_one_of_the_mix_and_a_function_of_its_place(weights, seed, index):
    mix = {kind.value: weight for kind, weight in zip(ASKED, weights, strict=False)}
    shares = shares_of(mix, people=False)
    backwards = shares_of(dict(reversed(list(mix.items()))), people=False)
    assert abs(sum(shares.values()) - 1) < 1e-12
    assert draw_kind(shares, seed, index) is draw_kind(backwards, seed, index)
    assert draw_kind(shares, seed, index) in shares


def test_every_kind_is_asked_answered_and_learned_from(mixed):
    with Store.open(mixed / "store.sqlite") as store:
        queries = {query.id: query for query in store.queries()}
        answers = [answer for _, answer in store.feedback()]
        data = collate([one for one in answers if not is_skip(one)], store)
        known = store.segments([name for answer in answers for name in brought(answer)])
    assert {query.kind for query in queries.values()} == set(ASKED)
    for query in queries.values():
        assert len(query.segments) == segments_of(query.kind, 4)
        assert (query.levels is not None) is (query.kind is QueryKind.RATING)
    config = small(**MIXED)
    for round_, count in enumerate(labels_per_round(config)):
        mine = [query for query in queries.values() if query.round == round_]
        assert sorted(query.index for query in mine) == list(range(count))
    given = Counter(kind_of(answer) for answer in answers if not is_skip(answer))
    assert set(given) == set(ALL)
    # comparisons, ratings, steps, rankings and both kinds of choices are six pieces of evidence
    assert len(data.evidence) == 6
    assert sum(len(one.segments) for one in data.evidence) == sum(given.values())
    for answer in answers:  # what is shown was done by the run, and is not what it was put beside
        assert not set(brought(answer)) & set(queries[answer.query].segments)
    assert all(segment.length == 10 for segment in known.values())
    logged = [m for m in fingerprint(mixed)["metrics"] if "ask/asked" in m]
    for kind in ALL:
        assert sum(m[f"ask/answered/{kind}"] for m in logged) == given[kind]
    fits = [m["reward/labels"] for m in fingerprint(mixed)["metrics"] if "reward/labels" in m]
    assert fits[-1] == sum(given.values())


def test_the_report_and_the_doctor_count_all_kinds(mixed):
    with Store.open(mixed / "store.sqlite") as store:
        ask, learn = (found := gather(store, mixed)).ask, found.learn
        answers = [answer for _, answer in store.feedback()]
        seconds = sum(SECONDS_PER_ANSWER[query.kind] for query in store.queries())
    assert (ask.kind, ask.asked, ask.answered) == ("mixed", 36, sum(not is_skip(one) for one in answers))
    assert ask.simulated_seconds == pytest.approx(seconds)
    for question in ask.questions:
        labels = [clip.label for clip in question.clips]
        if question.kind == "ranking":
            assert labels == ["first", "second", "number 3", "number 4"]
        if question.kind == "correction" and question.replies[0].answer != "skip":
            assert labels == ["first", "the answer"]
    assert learn.noise_ceiling is None  # known for comparisons only
    assert {finding.name for finding in found.check.findings} >= {"labels", "ties"}


def test_what_several_kinds_teach_is_near_the_truth(mixed):
    found = [m["reward/correlation_true"] for m in fingerprint(mixed)["metrics"] if "reward/correlation_true" in m]
    assert found[-1] > 0.9


def test_the_estimate_counts_the_seconds_of_each_kind(mixed):
    with Store.open(mixed / "store.sqlite") as store:
        seconds = sum(SECONDS_PER_ANSWER[query.kind] for query in store.queries())
    assert estimate(small(**MIXED), trial_steps=64).human_minutes == pytest.approx(seconds / 60)
    assert estimate(small(), trial_steps=64).human_minutes == pytest.approx(9 * 4 / 60)


def test_a_mix_is_the_same_after_stopping_anywhere(mixed, tmp_path, monkeypatch):
    path, tried, original = tmp_path / "run", set(), Store.add_feedback

    def dying(store, answers):
        first_try = answers[0].id not in tried
        tried.add(answers[0].id)
        if first_try and len(tried) == 1:
            raise KeyboardInterrupt
        positions = original(store, answers)
        if first_try and len(tried) == 2:
            raise KeyboardInterrupt
        return positions

    Run.create(small(**MIXED), path).close()
    monkeypatch.setattr(Store, "add_feedback", dying)
    died, more = 0, True
    while more:
        with Run.open(path) as run:  # closed and opened after every stage
            try:
                more = run.step() is not None
            except KeyboardInterrupt:
                died += 1
    assert died == 2
    assert fingerprint(path) == fingerprint(mixed)


def test_corrections_begin_where_the_segment_does(mixed):
    with Run.open(mixed) as run:
        context = run._context
        queries = [one for one in context.journal.store.queries() if one.kind is QueryKind.CORRECTION]
        store, everything = context.journal.store, run.world.behaviour.observations.reshape(-1, 3)
        assert len(queries) > 2
        for query in queries:
            begins = store.segment_data(store.segment(query.segments[0])).observations[0]
            shown = [attempt.data.observations[0] for attempt in attempts_of(context, query)]
            away, usual = (
                np.linalg.norm((np.array(one) - begins) / everything.std(axis=0), axis=1) for one in (shown, everything)
            )
            assert len(shown) == 10
            assert away.max() < np.quantile(usual, 0.25)


def test_rankings_are_judged_by_their_pairs():
    rng = np.random.default_rng(0)
    members, groups = rng.normal(size=(5, 12)), rng.permutation(12).reshape(3, 4)
    for judge in (disagreement, entropy):
        twin = [np.mean([judge(members, np.array([pair]))[0] for pair in combinations(row, 2)]) for row in groups]
        assert judge(members, groups) == pytest.approx(np.array(twin))
    found = propose(Strategy.DISAGREEMENT, 12, members, kind=QueryKind.RANKING, count=2, rng=rng, size=4)
    assert [len(one.indices) for one in found] == [4, 4]
    assert found[0].score >= found[1].score


def test_distance_of_rankings_is_that_of_the_nearest_matching():
    rng = np.random.default_rng(1)
    questions, other = rng.normal(size=(4, 3, 2)), rng.normal(size=(3, 2))
    twin = [
        min(np.sqrt(((one - other[list(order)]) ** 2).sum()) for order in permutations(range(3))) for one in questions
    ]
    assert distance(questions, other) == pytest.approx(np.array(twin))
    assert distance(questions[:, ::-1], other) == pytest.approx(np.array(twin))


@pytest.mark.parametrize(
    "ask",
    [
        {"mix": {}},
        {"mix": {"comparison": 0.0}},
        {"mix": {"comparison": "much"}},
        {"mix": {"critique": 1.0}},
        {"mix": {"nonsense": 1.0}},
        {"mix": {"comparison": 1.0}, "lists": 1},
        {"mix": {"comparison": 1.0, "rating": 1.0}, "gold_share": 0.1},
        {"mix": {"flag": 1.0}},
        {"ranking_size": 7},
        {"attempts": 0},
    ],
)
def test_mixes_that_cannot_be_asked_are_refused(ask):
    with pytest.raises(ConfigError, match=r"mix|form|asked again"):
        small(**ask)


def test_people_can_be_asked_what_the_studio_has_a_form_for():
    assert set(small(mix={"comparison": 0.6, "rating": 0.4}, people=True).ask.kinds) == {
        QueryKind.COMPARISON,
        QueryKind.RATING,
    }


def test_one_kind_in_a_mix_and_several_annotators(tmp_path):
    names = [{"name": name, "teacher": {"temperature": 1.0}} for name in ("ann", "bob")]
    settings = {"annotators": names, "overlap": 2, "mix": {"correction": 1, "demonstration": 1}, "ranking_size": 2}
    with Run.create(small(**settings, last_at=1.0, segment_length=10, attempts=3), tmp_path / "run") as run:
        run.finish()
    with Store.open(tmp_path / "run" / "store.sqlite") as store:
        answers = [answer for _, answer in store.feedback()]
        assert {one.annotator for one in answers} == {"ann", "bob"}
        assert len(answers) == 2 * len(store.queries()) == 18
        assert store.verify().ok


def test_strategies_and_repeats_with_a_mix(tmp_path):
    mix = {"comparison": 1, "rating": 1, "ranking": 1, "correction": 1}
    settings = MIXED | {"mix": mix, "strategy": "entropy+k-centre", "repeat_share": 0.2, "ranking_size": 3}
    with Run.create(small(**settings), tmp_path / "run") as run:
        run.finish()
    with Store.open(tmp_path / "run" / "store.sqlite") as store:
        queries = store.queries()
    later = [query for query in queries if query.round > 0 and query.kind is not QueryKind.CORRECTION]
    new = [one for one in later if one.segments not in {other.segments for other in queries if other.round < one.round}]
    assert {query.kind for query in new} == {QueryKind.COMPARISON, QueryKind.RATING, QueryKind.RANKING}
    assert {query.strategy for query in new} == {"entropy+k-centre"}
    assert all(query.score is not None and query.propensity is None for query in new)
    drawn = [query for query in queries if query.kind is QueryKind.CORRECTION]
    assert {query.strategy for query in drawn} == {"uniform"}
    assert all(query.propensity is not None for query in drawn)
    logged = [m for m in fingerprint(tmp_path / "run")["metrics"] if "ask/repeats" in m]
    assert sum(m["ask/repeats"] for m in logged) > 0
