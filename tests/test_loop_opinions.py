"""What reward models think of behaviour is kept while a run goes on, and changes nothing in it."""

from dataclasses import replace

import numpy as np
import pytest

from plaudit.loop import Run
from plaudit.report import insight
from plaudit.report.scores import When, load
from plaudit.report.source import Source
from plaudit.store.store import Store
from tests.loop_examples import finish_interrupted, small


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("opinions") / "run"
    with Run.create(small(labels=12, last_at=1.0), path) as run:
        run.finish()
        with Store.open(run.directory.store) as store:
            yield path, run.reward, store


def test_opinions_are_those_of_the_model(finished):
    _, reward, store = finished
    last = max(row.round for row in Source(store).read().rows if row.stage == "learn" and row.checkpoint)
    found = load(store, last, When.AFTER)
    assert found.reward == reward.version
    shown = list(dict.fromkeys(one for query in store.queries() for one in query.segments))
    assert set(found.places) == set(shown)
    segments = store.segments(shown)
    data = [store.segment_data(segments[one]) for one in shown]
    np.testing.assert_allclose(
        np.stack([found.of(one) for one in shown], axis=1), reward.score(data).members, rtol=1e-6
    )


def test_what_is_listed_beside_is_scored_too_and_changes_nothing(tmp_path):
    """Clips of policies, whole episodes that nobody is asked about."""
    config = small(labels=6, last_at=1.0)
    config = replace(config, check=replace(config.check, videos=True), loop=replace(config.loop, rounds=2))
    with Run.create(config, tmp_path / "run") as run:
        run.finish()
        with Store.open(run.directory.store) as store:
            rows = insight.list_behaviours(Source(store).read(), None, 1000).rows
            beside = [row for row in rows if not row.questions and row.opinion is not None]
            assert {row.label for row in beside} >= {"before"}
            assert {row.steps for row in beside} == {200}
            newest = run.reward.version
            for row in beside:
                assert row.opinion.reward == newest  # each version scores all that is there when it is fitted
                mine = run.reward.score([store.segment_data(store.segment(row.segment))]).members[:, 0]
                np.testing.assert_allclose(row.opinion.members, mine, rtol=1e-6)


def test_the_spread_of_opinions_is_the_disagreement_that_chose_the_question(finished):
    source = Source(finished[2]).read()
    asked = [insight.question(source, name) for name, query in source.queries.items() if query.score is not None]
    assert asked
    assert {one.strategy for one in asked} == {"disagreement"}
    assert [one.odds.spread for one in asked] == pytest.approx([one.score for one in asked], rel=1e-4)


def test_a_run_that_was_interrupted_keeps_the_same(finished, tmp_path, monkeypatch):
    """Killed after the opinions are kept and before the stage ends; it is repeated."""
    path, kill = tmp_path / "run", [True, True]
    commit = Run._commit

    def dying(run, round_, stage, outcome):
        if stage == "learn" and kill:
            kill.pop()
            raise KeyboardInterrupt
        commit(run, round_, stage, outcome)

    monkeypatch.setattr(Run, "_commit", dying)
    Run.create(small(labels=12, last_at=1.0), path).close()
    assert finish_interrupted(path) == 2
    with Store.open(path / "store.sqlite") as store:
        assert store.head() == finished[2].head()
        for round_ in range(3):
            for when in When:
                mine, theirs = load(store, round_, when), load(finished[2], round_, when)
                assert (mine is None) == (theirs is None)
                if mine is not None:
                    assert mine.reward == theirs.reward
                    assert mine.places == theirs.places
                    np.testing.assert_array_equal(mine.members, theirs.members)
