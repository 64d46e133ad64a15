"""Faults of simulated annotators inside a run, and crowds under the audit."""

from collections import Counter

import numpy as np
import pytest

from plaudit.ask import Careless, CrowdConfig, TeacherConfig, draw_crowd
from plaudit.errors import ConfigError
from plaudit.loop import Run
from plaudit.loop.panel import annotators_of
from plaudit.quality.audit import AuditConfig, audit
from plaudit.records import Choice, Query, QueryKind, Segment, SegmentData
from plaudit.store.store import Store
from tests.loop_examples import fingerprint, small
from tests.store_examples import RUN

TEACHER = {
    "temperature": 0.5,
    "low": -8.0,
    "high": 0.0,
    "taste": {"action/0": 0.5, "whim/night": 0.3},
    "incomparable": 0.1,
    "side": 0.2,
    "fatigue": 0.05,
    "careless": 0.3,
    "careless_as": "alternate",
    "stretch": 2,
    "decision_seconds": 3.0,
}


def test_a_run_with_every_fault_comes_to_the_same_bits_when_stopped_after_each_stage(tmp_path):
    config = small(teacher=TEACHER)
    with Run.create(config, tmp_path / "whole") as run:
        run.finish()
    Run.create(config, tmp_path / "stopped").close()
    while True:
        with Run.open(tmp_path / "stopped") as run:
            if run.step() is None:
                break
    assert fingerprint(tmp_path / "stopped") == fingerprint(tmp_path / "whole")
    with Store.open(tmp_path / "whole" / "store.sqlite") as store:
        answers = [answer for _, answer in store.feedback()]
    assert len(answers) == 9
    assert len({answer.response_seconds for answer in answers}) == 9


def crowded(folder, members, *, items: int = 20, questions: int = 150) -> Store:
    """Everybody answers the same questions about segments of one step."""
    rng = np.random.default_rng(1)
    store = Store.create(folder / "store.sqlite", RUN)
    made, data = [], {}
    for number, value in enumerate(rng.normal(size=items) * 2):
        one = SegmentData(
            observations=np.zeros((1, 1), np.float32),
            actions=np.zeros((1, 1), np.float32),
            true_rewards=np.array([value]),
        )
        made.append(Segment("toy", "p0", f"e{number}", 0, 1, store.blobs.put_arrays(one.arrays())))
        data[made[-1].id] = one
    store.add_segments(made)
    queries = []
    for index in range(questions):
        pair = tuple(made[int(i)].id for i in rng.choice(items, 2, replace=False))
        shown = tuple(int(i) for i in rng.permutation(2))
        queries.append(Query(QueryKind.COMPARISON, pair, shown, 0, index, "uniform"))
    store.add_queries(queries)
    for member in members:
        store.add_annotator(member.teacher.profile)
        store.add_feedback([member.teacher.answer(query, [data[s] for s in query.segments]) for query in queries])
    return store


def test_the_audit_names_spammers_people_in_a_hurry_and_copies_and_nobody_honest(tmp_path):
    config = CrowdConfig(
        honest=7, mistake_most=0.1, hurried=1, hurried_share=0.3, spammers=1, spam_as=Careless.LAST, colluders=2,
        copy_share=1.0,
    )  # fmt: skip
    members = draw_crowd(config, TeacherConfig(decision_seconds=3.0), 2)
    with crowded(tmp_path, members) as store:
        found = audit(store, AuditConfig(resamples=50, draws=20))
    said = {one.name: " ".join(one.suspicions) for one in found.annotators}
    assert not any(said[f"honest-{number}"] for number in range(7))
    assert "rushed answers" in said["hurried-0"]
    assert "took what was shown first in 0%" in said["spammer-0"]
    assert [{first, second} for first, second, _ in found.copies] == [{"colluder-0", "colluder-1"}]


CROWD = {
    "honest": 3,
    "mistake_most": 0.2,
    "groups": [{"name": "calm", "taste": {"action/0": -0.5}}, {"name": "bold", "taste": {"action/0": 0.5}}],
    "spammers": 1,
    "spam_as": "first",
    "colluders": 2,
}


def test_a_run_asks_a_crowd(tmp_path):
    config = small(labels=18, overlap=2, crowd=CROWD, teacher={"fatigue": 0.1, "decision_seconds": 2.0})
    with Run.create(config, tmp_path / "whole") as run:
        run.finish()
    Run.create(config, tmp_path / "stopped").close()
    while True:
        with Run.open(tmp_path / "stopped") as run:
            if run.step() is None:
                break
    assert fingerprint(tmp_path / "stopped") == fingerprint(tmp_path / "whole")
    with Store.open(tmp_path / "whole" / "store.sqlite") as store:
        answers = [answer for _, answer in store.feedback()]
        profiles = {event.payload["id"]: event.payload for event in store.events(kinds={"annotator.added"})}
    assert Counter(answer.annotator for answer in answers) == dict.fromkeys(profiles, 6)
    assert len(profiles) == 6
    assert {name: one["traits"]["group"] for name, one in profiles.items() if "traits" in one} == {
        "honest-0": "calm",
        "honest-1": "bold",
        "honest-2": "calm",
    }


def test_a_crowd_tires_by_its_own_share_of_the_questions():
    crowd = {"honest": 4}
    members = annotators_of(small(overlap=2, crowd=crowd, teacher={"temperature": 0.0, "fatigue": 0.3}))
    alone = annotators_of(small(teacher={"temperature": 0.0, "fatigue": 0.3}))
    pair = [
        SegmentData(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32), np.array([one])) for one in (1.0, 0.0)
    ]
    queries = [Query(QueryKind.COMPARISON, ("a", "b"), (0, 1), round_, 4, "uniform") for round_ in range(400)]

    def right(annotator) -> float:
        return float(np.mean([annotator.answer(query, pair).choice is Choice.FIRST for query in queries]))

    # the fifth question of a round is the fifth answer of somebody alone, and the third of a member of the crowd
    assert right(alone[0]) == pytest.approx(1 - (1 - 0.7**4) / 2, abs=0.07)
    assert right(members[0]) == pytest.approx(1 - (1 - 0.7**2) / 2, abs=0.07)


@pytest.mark.parametrize(
    "ask", [{"people": True}, {"annotators": [{"name": "ann"}]}, {"overlap": 7}, {"crowd": {"honest": 0}}]
)
def test_crowds_that_do_not_fit_are_refused(ask):
    with pytest.raises(ConfigError):
        small(**({"crowd": CROWD} | ask))
